//! Filters: an operator and its value, as in `id=eq.1`, and trees of them, as in `or=(a.eq.1,not.and(b.is.null,c.gt.2))`.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, field};
use crate::gateway::rest::errors::Rejection;

/// Most filters of one request.
pub(in crate::gateway::rest) const FILTERS: usize = 500;
/// Deepest tree.
pub(in crate::gateway::rest) const DEPTH: usize = 12;

/// What a row must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Condition {
    Filter(Filter),
    /// Some (`or`) or all (`and`) of the members, or the opposite of that.
    Tree {
        negated: bool,
        any: bool,
        members: Vec<Condition>,
    },
}

/// One column's condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Filter {
    pub(in crate::gateway::rest) field: Field,
    pub(in crate::gateway::rest) test: Test,
}

/// An operator with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Test {
    pub(in crate::gateway::rest) negated: bool,
    pub(in crate::gateway::rest) operation: Operation,
}

/// See [`Test`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Operation {
    Compare {
        operator: Operator,
        quantifier: Option<Quantifier>,
        value: String,
    },
    Is(Is),
    In(Vec<String>),
    Distinct(String),
    Search {
        /// The function that makes a query of the value.
        function: &'static str,
        config: Option<String>,
        value: String,
    },
}

/// Any or all elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Quantifier {
    Any,
    All,
}

/// What SQL calls it, and how patterns are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Operator {
    pub(in crate::gateway::rest) sql: &'static str,
    /// `*` stands for `%`.
    pub(in crate::gateway::rest) pattern: bool,
}

/// What `is` can be followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Is {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

/// How far a value reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// To the end of the parameter.
    Whole,
    /// To the next comma or parenthesis of a tree.
    Member,
}

const EXPECTED: &str = "\"not\" or operator (eq, gt, ...)";

/// Operators, whether they take `(any)` and `(all)`, and what they are in SQL.
const OPERATORS: [(&str, bool, &str); 18] = [
    ("eq", true, "="),
    ("neq", false, "<>"),
    ("gt", true, ">"),
    ("gte", true, ">="),
    ("lt", true, "<"),
    ("lte", true, "<="),
    ("like", true, "like"),
    ("ilike", true, "ilike"),
    ("match", true, "~"),
    ("imatch", true, "~*"),
    ("cs", false, "@>"),
    ("cd", false, "<@"),
    ("ov", false, "&&"),
    ("sl", false, "<<"),
    ("sr", false, ">>"),
    ("nxr", false, "&<"),
    ("nxl", false, "&>"),
    ("adj", false, "-|-"),
];

/// Full text operators and the functions that read their queries.
const SEARCHES: [(&str, &str); 4] = [
    ("fts", "to_tsquery"),
    ("plfts", "plainto_tsquery"),
    ("phfts", "phraseto_tsquery"),
    ("wfts", "websearch_to_tsquery"),
];

/// Whether a value begins with an operator; otherwise a parameter of a function call is an argument.
pub(in crate::gateway::rest) fn is_test(text: &str) -> bool {
    test(&mut Cursor::new("filter", text), Extent::Whole).is_ok()
}

/// The whole value of a parameter that filters.
pub(in crate::gateway::rest) fn parse_test(text: &str) -> Parsed<Test> {
    let mut cursor = Cursor::new("filter", text);
    let test = test(&mut cursor, Extent::Whole)?;
    match cursor.at_end() {
        true => Ok(test),
        false => Err(cursor.unexpected("end of input")),
    }
}

/// The members of `and=(...)` or `or=(...)`.
pub(in crate::gateway::rest) fn parse_tree(
    text: &str,
    counted: &mut usize,
) -> Parsed<Vec<Condition>> {
    let mut cursor = Cursor::new("logic tree", text);
    let members = members(&mut cursor, counted, 1)?;
    match cursor.at_end() {
        true => Ok(members),
        false => Err(cursor.unexpected("end of input")),
    }
}

/// Counts one more filter.
pub(in crate::gateway::rest) fn count(counted: &mut usize) -> Parsed<()> {
    *counted += 1;
    match *counted > FILTERS {
        true => Err(Rejection::too_much("filters", FILTERS)),
        false => Ok(()),
    }
}

fn members(cursor: &mut Cursor<'_>, counted: &mut usize, depth: usize) -> Parsed<Vec<Condition>> {
    if depth > DEPTH {
        return Err(Rejection::too_much("levels of logic", DEPTH));
    }
    cursor.skip_blanks();
    cursor.expect("(")?;
    let mut members = Vec::new();
    loop {
        cursor.skip_blanks();
        count(counted)?;
        members.push(condition(cursor, counted, depth)?);
        cursor.skip_blanks();
        if cursor.eat(")") {
            cursor.skip_blanks();
            return Ok(members);
        }
        cursor.expect(",")?;
    }
}

fn condition(cursor: &mut Cursor<'_>, counted: &mut usize, depth: usize) -> Parsed<Condition> {
    let mut ahead = cursor.clone();
    let negated = ahead.eat("not.");
    for (word, any) in [("and", false), ("or", true)] {
        let mut ahead = ahead.clone();
        if ahead.eat(word) && ahead.rest().trim_start().starts_with('(') {
            *cursor = ahead;
            let members = members(cursor, counted, depth + 1)?;
            return Ok(Condition::Tree {
                negated,
                any,
                members,
            });
        }
    }
    let field = field(cursor)?;
    cursor.expect(".")?;
    let test = test(cursor, Extent::Member)?;
    Ok(Condition::Filter(Filter { field, test }))
}

fn test(cursor: &mut Cursor<'_>, extent: Extent) -> Parsed<Test> {
    let negated = cursor.eat("not.");
    let operation = operation(cursor, extent)?;
    Ok(Test { negated, operation })
}

fn operation(cursor: &mut Cursor<'_>, extent: Extent) -> Parsed<Operation> {
    let mut ahead = cursor.clone();
    let word = ahead.take_while(|c| c.is_ascii_lowercase());
    let argument = argument(&mut ahead);
    if !ahead.eat(".") {
        return Err(cursor.unexpected(EXPECTED));
    }
    let operator = OPERATORS.iter().find(|(name, ..)| *name == word);
    let search = SEARCHES.iter().find(|(name, _)| *name == word);
    match (word, operator, search, argument) {
        ("in", _, _, None) => {
            *cursor = ahead;
            Ok(Operation::In(list(cursor)?))
        }
        ("is", _, _, None) => {
            *cursor = ahead;
            Ok(Operation::Is(is(cursor, extent)?))
        }
        ("isdistinct", _, _, None) => {
            *cursor = ahead;
            Ok(Operation::Distinct(value(cursor, extent)))
        }
        (_, Some((_, quantified, sql)), _, argument) => {
            let quantifier = match argument {
                None => None,
                Some("any") if *quantified => Some(Quantifier::Any),
                Some("all") if *quantified => Some(Quantifier::All),
                Some(_) => return Err(cursor.unexpected(EXPECTED)),
            };
            *cursor = ahead;
            let operator = Operator {
                sql,
                pattern: sql.ends_with("like"),
            };
            let value = value(cursor, extent);
            Ok(Operation::Compare {
                operator,
                quantifier,
                value,
            })
        }
        (_, _, Some((_, function)), config) if config != Some("") => {
            *cursor = ahead;
            let value = value(cursor, extent);
            let config = config.map(str::to_owned);
            Ok(Operation::Search {
                function,
                config,
                value,
            })
        }
        _ => Err(cursor.unexpected(EXPECTED)),
    }
}

/// What stands in parentheses behind an operator.
fn argument<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    let mut ahead = cursor.clone();
    if !ahead.eat("(") {
        return None;
    }
    let argument = ahead.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | ' '));
    if !ahead.eat(")") {
        return None;
    }
    *cursor = ahead;
    Some(argument.trim())
}

fn is(cursor: &mut Cursor<'_>, extent: Extent) -> Parsed<Is> {
    let word = cursor
        .clone()
        .take_while(|c| c.is_ascii_alphabetic() || c == '_');
    let is = match word.to_ascii_lowercase().as_str() {
        "null" => Is::Null,
        "not_null" => Is::NotNull,
        "true" => Is::True,
        "false" => Is::False,
        "unknown" => Is::Unknown,
        _ => return Err(cursor.unexpected("isVal: (null, not_null, true, false, unknown)")),
    };
    cursor.expect(word)?;
    match (extent, cursor.peek()) {
        (_, None) | (Extent::Member, Some(',' | ')' | ' ' | '\t')) => Ok(is),
        _ => Err(cursor.unexpected("end of input")),
    }
}

/// `(a,"b,c",d)`
fn list(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.skip_blanks();
    cursor.expect("(")?;
    let mut elements = Vec::new();
    loop {
        elements.push(element(cursor));
        if cursor.eat(")") {
            cursor.skip_blanks();
            break;
        }
        cursor.expect(",")?;
    }
    // One element of nothing is none at all: `in.()`.
    if elements.iter().all(String::is_empty) && elements.len() == 1 {
        elements.clear();
    }
    Ok(elements)
}

/// Quoted, if nothing but the end of the element follows the quotes; else everything up to there.
fn element(cursor: &mut Cursor<'_>) -> String {
    let mut ahead = cursor.clone();
    if let Some(quoted) = ahead.quoted()
        && matches!(ahead.peek(), None | Some(',' | ')'))
    {
        *cursor = ahead;
        return quoted;
    }
    cursor.take_while(|c| c != ',' && c != ')').to_owned()
}

fn value(cursor: &mut Cursor<'_>, extent: Extent) -> String {
    if extent == Extent::Whole {
        return cursor.take_while(|_| true).to_owned();
    }
    if let Some(array) = array(cursor) {
        return array;
    }
    element(cursor)
}

/// `{...}` without braces inside keeps its commas.
fn array(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut ahead = cursor.clone();
    if !ahead.eat("{") {
        return None;
    }
    let inside = ahead.take_while(|c| c != '{' && c != '}');
    if !ahead.eat("}") {
        return None;
    }
    *cursor = ahead;
    Some(format!("{{{inside}}}"))
}
