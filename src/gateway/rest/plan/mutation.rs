//! Plans what is changed: which columns are written, which rows are meant, and what happens to those that exist already.

use axum::http::StatusCode;

use super::{Condition, Node, Scope};
use crate::gateway::rest::catalog::{Column, Relation};
use crate::gateway::rest::errors::{Rejection, shortened};
use crate::gateway::rest::grammar::{Bound, Query};

/// A change of rows of one relation.
#[derive(Debug)]
pub(in crate::gateway::rest) struct Mutation<'a> {
    pub(in crate::gateway::rest) relation: &'a Relation,
    pub(in crate::gateway::rest) change: Change<'a>,
    /// Rows that are meant, of updates and deletions.
    pub(in crate::gateway::rest) conditions: Vec<Condition<'a>>,
}

/// See [`Mutation`].
#[derive(Debug)]
pub(in crate::gateway::rest) enum Change<'a> {
    Insert {
        payload: Payload<'a>,
        conflict: Option<Conflict<'a>>,
    },
    Update(Payload<'a>),
    Delete,
}

/// What is written.
#[derive(Debug)]
pub(in crate::gateway::rest) struct Payload<'a> {
    /// JSON; Postgres reads it.
    pub(in crate::gateway::rest) text: &'a str,
    /// One object rather than an array of them.
    pub(in crate::gateway::rest) object: bool,
    pub(in crate::gateway::rest) columns: Vec<&'a Column>,
    /// Where a row lacks a column, its default is written rather than null.
    pub(in crate::gateway::rest) defaults: bool,
}

/// What happens to rows that exist already.
#[derive(Debug)]
pub(in crate::gateway::rest) struct Conflict<'a> {
    pub(in crate::gateway::rest) columns: Vec<&'a str>,
    /// They are overwritten rather than left as they are.
    pub(in crate::gateway::rest) merge: bool,
}

/// What a body writes: see [`Payload`].
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway::rest) struct Written<'a> {
    pub(in crate::gateway::rest) text: &'a str,
    pub(in crate::gateway::rest) object: bool,
    pub(in crate::gateway::rest) keys: &'a [String],
    pub(in crate::gateway::rest) defaults: bool,
}

/// Which kind of change; `merge` where rows that exist already are spoken of.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway::rest) enum Wanted<'a> {
    Insert {
        written: Written<'a>,
        merge: Option<bool>,
    },
    Update(Written<'a>),
    Delete,
}

/// See the module.
pub(in crate::gateway::rest) fn mutation<'a>(
    relation: &'a Relation,
    query: &'a Query,
    wanted: Wanted<'a>,
) -> Result<Mutation<'a>, Rejection> {
    let (change, meant) = match wanted {
        Wanted::Insert { written, merge } => {
            let payload = payload(relation, written)?;
            let conflict = merge
                .map(|merge| conflict(relation, query, merge))
                .transpose()?;
            (
                Change::Insert {
                    payload,
                    conflict: conflict.flatten(),
                },
                false,
            )
        }
        Wanted::Update(written) => (Change::Update(payload(relation, written)?), true),
        Wanted::Delete => (Change::Delete, true),
    };
    let mut mutation = Mutation {
        relation,
        change,
        conditions: Vec::new(),
    };
    if !meant {
        return Ok(mutation);
    }
    if query
        .ranges
        .iter()
        .any(|(path, bound, _)| path.is_empty() && *bound == Bound::Limit)
    {
        return Err(Rejection::unsupported(
            "A limit on updates and deletions",
            "Name the rows by filters on their key",
        ));
    }
    // Columns alone: there is nothing embedded in the rows that are changed.
    let bare = Node {
        number: 0,
        scope: Scope::of(relation),
        outputs: Vec::new(),
        embeds: Vec::new(),
        conditions: Vec::new(),
        order: Vec::new(),
        limit: None,
        offset: 0,
    };
    for (path, condition) in &query.filters {
        if path.is_empty() {
            mutation.conditions.push(bare.condition(condition)?);
        }
    }
    if mutation.conditions.is_empty() {
        let verb = match mutation.change {
            Change::Delete => "DELETE",
            Change::Update(_) | Change::Insert { .. } => "UPDATE",
        };
        // In the words of the extension that the stack loads for clients.
        let message = format!("{verb} requires a WHERE clause");
        return Err(Rejection::new(StatusCode::BAD_REQUEST, "21000", message)
            .hint("Add a filter, one that is always true if every row is meant"));
    }
    Ok(mutation)
}

fn payload<'a>(relation: &'a Relation, written: Written<'a>) -> Result<Payload<'a>, Rejection> {
    let column = |name: &'a String| {
        relation.column(name).ok_or_else(|| {
            let name = shortened(name);
            let message = format!(
                "Could not find the '{name}' column of '{}' in the schema cache",
                relation.name
            );
            Rejection::new(StatusCode::BAD_REQUEST, "PGRST204", message)
        })
    };
    Ok(Payload {
        text: written.text,
        object: written.object,
        columns: written.keys.iter().map(column).collect::<Result<_, _>>()?,
        defaults: written.defaults,
    })
}

/// None where there is nothing by which rows could be the same.
fn conflict<'a>(
    relation: &'a Relation,
    query: &'a Query,
    merge: bool,
) -> Result<Option<Conflict<'a>>, Rejection> {
    let names = query.on_conflict.as_ref().unwrap_or(&relation.key);
    if names.is_empty() {
        return Ok(None);
    }
    let column = |name: &'a String| match relation.column(name) {
        Some(column) => Ok(&*column.name),
        None => Err(Rejection::no_column(&relation.name, name)),
    };
    let columns = names.iter().map(column).collect::<Result<_, _>>()?;
    Ok(Some(Conflict { columns, merge }))
}
