//! `select=`: columns, casts, aliases, and related tables to embed.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, field, name};
use crate::gateway::rest::errors::Rejection;

/// Most items of one request, in all levels together.
pub(in crate::gateway::rest) const ITEMS: usize = 500;
/// Deepest embedding.
pub(in crate::gateway::rest) const DEPTH: usize = 8;
/// Most embedded relations of one request.
pub(in crate::gateway::rest) const EMBEDS: usize = 40;

/// One thing to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Item {
    /// `*`
    Star,
    Column(Column),
    Embed(Embed),
}

/// `alias:name->path::cast`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Column {
    pub(in crate::gateway::rest) alias: Option<String>,
    pub(in crate::gateway::rest) field: Field,
    pub(in crate::gateway::rest) cast: Option<String>,
}

/// `alias:name!hint!inner(items)`, or `...name(items)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Embed {
    pub(in crate::gateway::rest) alias: Option<String>,
    pub(in crate::gateway::rest) name: String,
    pub(in crate::gateway::rest) hint: Option<String>,
    /// Rows without a related one are left out.
    pub(in crate::gateway::rest) inner: bool,
    /// Its columns become those of the row around it.
    pub(in crate::gateway::rest) spread: bool,
    pub(in crate::gateway::rest) items: Vec<Item>,
}

impl Embed {
    /// The name it is answered under, and which filters and orders name it by.
    pub(in crate::gateway::rest) fn answered_as(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// What has been read so far, in all levels.
#[derive(Default)]
struct Counted {
    items: usize,
    embeds: usize,
}

/// The whole value of `select`.
pub(in crate::gateway::rest) fn parse(text: &str) -> Parsed<Vec<Item>> {
    let mut cursor = Cursor::new("select parameter", text);
    let mut counted = Counted::default();
    let items = items(&mut cursor, &mut counted, 0)?;
    match cursor.at_end() {
        true => Ok(items),
        false => Err(cursor.unexpected("\",\" or end of input")),
    }
}

fn items(cursor: &mut Cursor<'_>, counted: &mut Counted, depth: usize) -> Parsed<Vec<Item>> {
    let mut items = Vec::new();
    cursor.skip_blanks();
    if cursor.at_end() || cursor.peek() == Some(')') {
        return Ok(items);
    }
    loop {
        cursor.skip_blanks();
        counted.items += 1;
        if counted.items > ITEMS {
            return Err(Rejection::too_much("items in select", ITEMS));
        }
        items.push(item(cursor, counted, depth)?);
        cursor.skip_blanks();
        if !cursor.eat(",") {
            return Ok(items);
        }
    }
}

fn item(cursor: &mut Cursor<'_>, counted: &mut Counted, depth: usize) -> Parsed<Item> {
    if cursor.eat("...") {
        let name = name(cursor)?;
        return embed(cursor, counted, depth, None, name, true);
    }
    if cursor.eat("*") {
        return match cursor.peek() {
            None | Some(',' | ')') => Ok(Item::Star),
            Some(_) => Err(cursor.unexpected("\")\", \",\" or end of input")),
        };
    }
    let alias = alias(cursor);
    if let Some(relation) = relation(cursor) {
        return embed(cursor, counted, depth, alias, relation, false);
    }
    refuse_aggregate(cursor)?;
    let field = field(cursor)?;
    let cast = match cursor.eat("::") {
        true => Some(cast(cursor)?),
        false => None,
    };
    refuse_aggregate(cursor)?;
    match cursor.peek() {
        None | Some(',' | ')') => Ok(Item::Column(Column { alias, field, cast })),
        Some(_) => Err(cursor.unexpected("\"->\", \"::\", \")\", \",\" or end of input")),
    }
}

/// `name:`, which is no cast.
fn alias(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut ahead = cursor.clone();
    let alias = name(&mut ahead).ok()?;
    if !ahead.eat(":") || ahead.peek() == Some(':') {
        return None;
    }
    *cursor = ahead;
    Some(alias)
}

/// A name behind which an embedding begins: `!` or `(`.
fn relation(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut ahead = cursor.clone();
    ahead.skip_blanks();
    let relation = name(&mut ahead).ok()?;
    let begins = matches!(ahead.peek(), Some('!' | '('));
    if !begins || (relation == "count" && ahead.rest().starts_with("()")) {
        return None;
    }
    *cursor = ahead;
    Some(relation)
}

fn embed(
    cursor: &mut Cursor<'_>,
    counted: &mut Counted,
    depth: usize,
    alias: Option<String>,
    name: String,
    spread: bool,
) -> Parsed<Item> {
    if depth == DEPTH {
        return Err(Rejection::too_much("levels of embedding", DEPTH));
    }
    counted.embeds += 1;
    if counted.embeds > EMBEDS {
        return Err(Rejection::too_much("embedded relations", EMBEDS));
    }
    let mut hint = None;
    let mut inner = None;
    while cursor.eat("!") {
        let parameter = super::field::name(cursor)?;
        match parameter.as_str() {
            "inner" if inner.is_none() => inner = Some(true),
            "left" if inner.is_none() => inner = Some(false),
            _ if hint.is_none() => hint = Some(parameter),
            _ => return Err(cursor.unexpected("\"(\"")),
        }
    }
    cursor.expect("(")?;
    let items = items(cursor, counted, depth + 1)?;
    cursor.expect(")")?;
    Ok(Item::Embed(Embed {
        alias,
        name,
        hint,
        inner: inner == Some(true),
        spread,
        items,
    }))
}

/// The name of a type: letters, digits, `_`, and blanks between words.
fn cast(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let cast = cursor
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ' '))
        .trim();
    let begins = cast.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match begins && cast.len() <= 63 {
        true => Ok(cast.to_owned()),
        false => Err(cursor.unexpected("the name of a type")),
    }
}

/// Aggregates are off in PostgREST unless somebody turns them on.
fn refuse_aggregate(cursor: &Cursor<'_>) -> Parsed<()> {
    let rest = cursor.rest();
    let aggregates = ["sum()", "avg()", "count()", "min()", "max()"];
    let called = |rest: &str| aggregates.iter().any(|name| rest.starts_with(name));
    if rest.starts_with("count()") || rest.strip_prefix('.').is_some_and(called) {
        return Err(Rejection::new(
            axum::http::StatusCode::BAD_REQUEST,
            "PGRST123",
            "Use of aggregate functions is not allowed",
        ));
    }
    Ok(())
}
