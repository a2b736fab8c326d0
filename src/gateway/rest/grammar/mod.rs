//! The language of URLs: what a query string asks for, as values. Pure: nothing here knows a database or a catalog.
//!
//! Everything is bounded while it is read: items, filters, terms, and depth of each kind. Nothing here panics, whatever
//! the text is (see the tests).

mod cursor;
mod field;
mod filter;
mod order;
mod select;
#[cfg(test)]
mod tests;

use super::errors::Rejection;
use cursor::{Cursor, Parsed};
pub(super) use field::{Field, Key, Step};
pub(super) use filter::{Condition, Filter, Is, Operation, Quantifier, Test};
pub(super) use order::Term;
pub(super) use select::{Embed, Item};

/// Most names in `columns=` and `on_conflict=`.
const NAMES: usize = 1000;

/// What a query string asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// None: everything.
    pub(super) select: Option<Vec<Item>>,
    /// Each with the embedded relations it is about, from the outside in; none is the table itself.
    pub(super) filters: Vec<(Path, Condition)>,
    pub(super) order: Vec<(Path, Vec<Term>)>,
    pub(super) ranges: Vec<(Path, Bound, u64)>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) on_conflict: Option<Vec<String>>,
    /// Of a function that is called by GET, in their order.
    pub(super) arguments: Vec<(String, String)>,
}

/// Names of embedded relations, from the outside in.
pub(super) type Path = Vec<String>;

/// Which end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Limit,
    Offset,
}

/// What parameters without an operator are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// A mistake.
    Refused,
    /// Arguments of a function.
    Argument,
}

/// Reads the decoded pairs of a query string.
pub(super) fn parse(pairs: &[(String, String)], plain: Plain) -> Parsed<Query> {
    let mut query = Query::default();
    let mut counted = 0;
    for (key, value) in pairs {
        match key.as_str() {
            // What the key is sent by where there is no header; it is no filter.
            "apikey" => {}
            "select" => query.select = Some(select::parse(value)?),
            "columns" => query.columns = Some(names("columns parameter", value)?),
            "on_conflict" => query.on_conflict = Some(names("on_conflict parameter", value)?),
            _ => pair(&mut query, key, value, plain, &mut counted)?,
        }
    }
    Ok(query)
}

fn pair(
    query: &mut Query,
    key: &str,
    value: &str,
    plain: Plain,
    counted: &mut usize,
) -> Parsed<()> {
    // Arguments may have names that say something else as filters.
    if plain == Plain::Argument && !is_reserved(key) && !filter::is_test(value) {
        query.arguments.push((key.to_owned(), value.to_owned()));
        return Ok(());
    }
    let (mut path, field) = tree_path(key)?;
    match field.name.as_str() {
        "order" => query.order.push((path, order::parse(value)?)),
        "limit" | "offset" => {
            let bound = match field.name.as_str() {
                "limit" => Bound::Limit,
                _ => Bound::Offset,
            };
            query.ranges.push((path, bound, number(value)?));
        }
        "and" | "or" => {
            let negated = path.iter().any(|name| name == "not");
            path.retain(|name| name != "not");
            let tree = Condition::Tree {
                negated,
                any: field.name == "or",
                members: filter::parse_tree(value, counted)?,
            };
            query.filters.push((path, tree));
        }
        _ => {
            filter::count(counted)?;
            let test = filter::parse_test(value)?;
            query
                .filters
                .push((path, Condition::Filter(Filter { field, test })));
        }
    }
    Ok(())
}

/// Parameters that are about the result even where others are arguments.
fn is_reserved(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    matches!(last, "order" | "limit" | "offset" | "and" | "or")
}

/// `authors.name` is the column `name` of the embedded `authors`.
fn tree_path(key: &str) -> Parsed<(Path, Field)> {
    let mut cursor = Cursor::new("tree path", key);
    let mut names = Vec::new();
    loop {
        let name = field::name(&mut cursor)?;
        if !cursor.eat(".") {
            let path = field::path(&mut cursor)?;
            if !cursor.at_end() {
                return Err(cursor.unexpected("\"->>\", \"->\", delimiter (.) or end of input"));
            }
            return Ok((names, Field { name, path }));
        }
        names.push(name);
        if names.len() > select::DEPTH + 1 {
            return Err(Rejection::too_much("levels of embedding", select::DEPTH));
        }
    }
}

/// A limit or an offset. PostgREST takes what is no number as if it were not there; the result would be a wrong one.
fn number(value: &str) -> Parsed<u64> {
    let number: i64 = value
        .trim()
        .parse()
        .map_err(|_| Cursor::new("range", value).unexpected("a whole number"))?;
    u64::try_from(number)
        .map_err(|_| Rejection::out_of_range("Limit should be greater than or equal to zero."))
}

fn names(what: &'static str, value: &str) -> Parsed<Vec<String>> {
    let mut cursor = Cursor::new(what, value);
    let mut names = Vec::new();
    loop {
        cursor.skip_blanks();
        let name = field::name(&mut cursor)?;
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() > NAMES {
            return Err(Rejection::too_much("columns", NAMES));
        }
        cursor.skip_blanks();
        if cursor.at_end() {
            return Ok(names);
        }
        cursor.expect(",")?;
    }
}
