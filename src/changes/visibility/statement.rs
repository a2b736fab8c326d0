//! The text of the questions: statements that are prepared once per connection, and what is executed for an audience.
//!
//! Rows travel as one `text[]` per column that the policy reads, so a question costs as much as the policy needs and
//! not as much as the row is wide. Values are cast to the column's type without modifier; names are quoted and
//! qualified; literals are quoted for `standard_conforming_strings = on`.

use std::fmt::Write as _;
use std::time::Duration;

use super::Audience;
use crate::changes::catalog::{Policy, Table, View, identifier, literal};
use crate::changes::image::Cell;

/// A statement that answers with the positions (from 1) of the visible rows.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Unique per connection; or the query itself, if there is nothing to prepare.
    pub(crate) name: String,
    /// `PREPARE …`
    pub(crate) prepare: Option<String>,
}

/// Columns of the guard whose values a policy is evaluated over; generated ones are computed from the others.
pub(crate) fn inputs(policy: &Policy) -> Vec<usize> {
    let mut inputs: Vec<usize> = Vec::with_capacity(policy.reads.len());
    for index in &policy.reads {
        match policy
            .guard
            .columns
            .get(*index)
            .and_then(|column| column.generated.as_ref())
        {
            Some(generated) => inputs.extend(&generated.reads),
            None => inputs.push(*index),
        }
    }
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}

/// The policy over images: `execute` takes one array per column of [`inputs`] (or one, for their number).
pub(crate) fn over_images(policy: &Policy, role: &str) -> Statement {
    let guard = &policy.guard;
    let inputs = inputs(policy);
    let position = free_name(guard);
    let mut columns = String::new();
    for (number, index) in inputs.iter().enumerate() {
        if let Some(column) = guard.columns.get(*index) {
            let name = identifier(&column.name);
            let _ = write!(columns, "r.c{number}::{} as {name}, ", column.type_sql());
        }
    }
    let count = inputs.len().max(1);
    let mut source = format!(
        "select {columns}r.o as {position} from {} as r({}, o)",
        unnest(count),
        numbered("c", count)
    );
    let generated: Vec<String> = policy
        .reads
        .iter()
        .filter_map(|index| guard.columns.get(*index))
        .filter_map(|column| {
            let expression = &column.generated.as_ref()?.expression;
            Some(format!(", ({expression}) as {}", identifier(&column.name)))
        })
        .collect();
    if !generated.is_empty() {
        source = format!("select g.*{} from ({source}) as g", generated.concat());
    }
    // The role is in the name because a plan that row level security of other tables went into is made for one role.
    let name = format!("visible_{}_{}", policy.id, hex(role));
    Statement {
        prepare: Some(format!(
            "prepare {name}({}) as select {position} from ({source}) as {} where {}",
            text_arrays(count),
            identifier(&guard.name),
            policy.expression
        )),
        name,
    }
}

/// Looks rows up by key as the audience; an answer counts only while the row is the transaction's and a later command of
/// it has not changed what the role may see. `execute` takes one array per column of `columns`, of which the first are
/// the key, and one of transaction ids.
pub(crate) fn by_key(view: &View, columns: &[usize]) -> Statement {
    let table = &view.table;
    let width = columns.len();
    let mut conditions = String::from("t.xmin::pg_catalog.text = k.x");
    for (number, index) in columns.iter().enumerate() {
        let Some(column) = table.columns.get(*index) else {
            continue;
        };
        let (name, type_sql) = (identifier(&column.name), column.type_sql());
        let _ = match number < table.key.len() {
            true => write!(conditions, " and t.{name} = k.c{number}::{type_sql}"),
            false => write!(
                conditions,
                " and {}",
                same_value(&format!("t.{name}"), &format!("k.c{number}::{type_sql}"))
            ),
        };
    }
    let query = format!(
        "({}) as select k.o from {} as k({}, x, o) join {} as t on {conditions}",
        text_arrays(width + 1),
        unnest(width + 1),
        numbered("c", width),
        table.sql()
    );
    // The text is in the name because the table may be altered, or another may take its name.
    let name = format!("row_{}_{}_{}", table.oid, hex(&view.role), hex(&query));
    Statement {
        prepare: Some(format!("prepare {name}{query}")),
        name,
    }
}

/// Are two values of one type written alike? Not every type has an equality, and NULL is like NULL.
pub(crate) fn same_value(one: &str, other: &str) -> String {
    format!("pg_catalog.format('%L', {one}) = pg_catalog.format('%L', {other})")
}

/// One step of a message: become the audience and execute. Returns how many statements that are.
pub(crate) fn step(
    message: &mut String,
    audience: Option<&Audience>,
    statement: &Statement,
    arguments: &str,
) -> usize {
    let Some(audience) = audience else {
        let _ = write!(message, "; {}", statement.name);
        return 1;
    };
    let claims = &audience.claims;
    let _ = write!(
        message,
        "; set local request.jwt.claims = {}; set local request.jwt.claim.sub = {}; execute {}({arguments})",
        literal(&claims.json),
        literal(claims.sub.as_deref().unwrap_or_default()),
        statement.name
    );
    3
}

/// The beginning of a message, and how many statements it has: everything in the message is one transaction, which
/// cannot write and has this role. Each statement may take `limit`, or what the connection allows.
pub(crate) fn begin(role: Option<&str>, limit: Option<Duration>) -> (String, usize) {
    let mut text = "set local transaction_read_only = on".to_owned();
    let mut statements = 1;
    if let Some(limit) = limit {
        let _ = write!(
            text,
            "; set local statement_timeout = {}",
            limit.as_millis().max(1)
        );
        statements += 1;
    }
    if let Some(role) = role {
        let _ = write!(
            text,
            "; set local role = {role}; set local request.jwt.claim.role = {role}; \
             set local request.headers = '{{}}'",
            role = literal(role)
        );
        statements += 3;
    }
    (text, statements)
}

/// Quoted arguments of `execute`: the columns of `rows`, `width` of them (at least one).
pub(crate) fn execute_arguments(rows: &[&[Cell<'_>]], width: usize) -> String {
    (0..width.max(1))
        .map(|column| {
            literal(&array(
                rows.iter()
                    .map(|row| row.get(column).copied().unwrap_or(Cell::Null)),
            ))
        })
        .collect::<Vec<_>>()
        .join(",")
}

/// A `text[]` in Postgres' notation.
pub(crate) fn array<'a>(cells: impl Iterator<Item = Cell<'a>>) -> String {
    let mut text = String::from("{");
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            text.push(',');
        }
        match cell {
            Cell::Text(value) => {
                text.push('"');
                for character in value.chars() {
                    if matches!(character, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(character);
                }
                text.push('"');
            }
            Cell::Null | Cell::Missing => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

fn unnest(count: usize) -> String {
    let arrays: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    unnest_of(&arrays)
}

/// Several arrays side by side, with their positions. With several arguments `unnest` is syntax rather than a function,
/// and must not be qualified.
pub(crate) fn unnest_of(arrays: &[String]) -> String {
    let schema = if arrays.len() == 1 { "pg_catalog." } else { "" };
    format!("{schema}unnest({}) with ordinality", arrays.join(", "))
}

fn text_arrays(count: usize) -> String {
    vec!["pg_catalog.text[]"; count].join(", ")
}

fn numbered(prefix: &str, count: usize) -> String {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A quoted name that no column of the table has.
fn free_name(table: &Table) -> String {
    let mut name = String::from("position of the row");
    while table.position(&name).is_some() {
        name.push('_');
    }
    identifier(&name)
}

fn hex(role: &str) -> String {
    // Identifiers are cut at 63 bytes, so long role names are hashed rather than spelled.
    use std::hash::{Hash, Hasher};
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    role.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Postgres' `array_in` makes of our notation, written independently of [`array`].
    fn read_array(text: &str) -> Vec<Option<String>> {
        let mut chars = text
            .strip_prefix('{')
            .unwrap()
            .strip_suffix('}')
            .unwrap()
            .chars()
            .peekable();
        let mut items = Vec::new();
        while let Some(first) = chars.next() {
            if first == ',' {
                continue;
            }
            if first != '"' {
                let rest: String = chars.by_ref().take(3).collect();
                assert_eq!(rest, "ULL");
                items.push(None);
                continue;
            }
            let mut item = String::new();
            loop {
                match chars.next().unwrap() {
                    '\\' => item.push(chars.next().unwrap()),
                    '"' => break,
                    other => item.push(other),
                }
            }
            items.push(Some(item));
        }
        items
    }

    proptest! {
        #[test]
        fn any_text_survives_the_array_notation(values in prop::collection::vec(prop::option::of(".*"), 0..6)) {
            let cells = values.iter().map(|value| value.as_deref().map_or(Cell::Null, Cell::Text));
            prop_assert_eq!(read_array(&array(cells)), values);
        }

        #[test]
        fn a_literal_ends_where_it_should(text in ".*") {
            let quoted = literal(&text);
            let (inner, escaped) = match quoted.strip_prefix(" E'") {
                Some(rest) => (&rest[..rest.len() - 1], true),
                None => (&quoted[1..quoted.len() - 1], false),
            };
            prop_assert!(!inner.replace("''", "").contains('\''));
            prop_assert_eq!(escaped, text.contains('\\'));
            prop_assert!(!inner.replace(r"\\", "").contains('\\'));
            prop_assert_eq!(inner.replace("''", "'").replace(r"\\", r"\"), text);
        }
    }
}
