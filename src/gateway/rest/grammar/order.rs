//! `order=`: columns, or columns of a related row, with a direction and a place for nulls.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, field, name};
use crate::gateway::rest::errors::Rejection;

/// Most terms of one request.
const TERMS: usize = 50;

/// One thing to order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Term {
    /// The embedded relation whose column it is.
    pub(in crate::gateway::rest) relation: Option<String>,
    pub(in crate::gateway::rest) field: Field,
    pub(in crate::gateway::rest) descending: Option<bool>,
    pub(in crate::gateway::rest) nulls_first: Option<bool>,
}

/// The whole value of `order`.
pub(in crate::gateway::rest) fn parse(text: &str) -> Parsed<Vec<Term>> {
    let mut cursor = Cursor::new("order", text);
    let mut terms = Vec::new();
    loop {
        cursor.skip_blanks();
        if terms.len() == TERMS {
            return Err(Rejection::too_much("terms in order", TERMS));
        }
        terms.push(term(&mut cursor)?);
        cursor.skip_blanks();
        if cursor.at_end() {
            return Ok(terms);
        }
        if !cursor.eat(",") {
            return Err(cursor.unexpected("delimiter (.), \",\" or end of input"));
        }
    }
}

fn term(cursor: &mut Cursor<'_>) -> Parsed<Term> {
    let mut ahead = cursor.clone();
    let relation = match name(&mut ahead) {
        Ok(relation) if ahead.eat("(") => {
            *cursor = ahead;
            Some(relation)
        }
        _ => None,
    };
    let field = field(cursor)?;
    if relation.is_some() {
        cursor.expect(")")?;
    }
    let mut words: Vec<&str> = Vec::new();
    while words.len() < 2 && cursor.peek() == Some('.') {
        let at = cursor.clone();
        cursor.expect(".")?;
        let word = cursor.take_while(|c| c.is_ascii_alphabetic());
        let place = match word {
            "asc" | "desc" if words.is_empty() => word,
            "nullsfirst" | "nullslast" if words.last().is_none_or(|last| last.len() < 5) => word,
            _ => return Err(at.unexpected("\"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"")),
        };
        words.push(place);
    }
    let either = |yes: &str, no: &str| match (words.contains(&yes), words.contains(&no)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    Ok(Term {
        relation,
        field,
        descending: either("desc", "asc"),
        nulls_first: either("nullsfirst", "nullslast"),
    })
}
