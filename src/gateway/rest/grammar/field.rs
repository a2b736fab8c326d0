//! Names, and columns with a path into their JSON: `data->items->0->>name`.

use super::cursor::{Cursor, Parsed};

/// Longest name that Postgres does not cut off, in bytes.
const NAME: usize = 63;
/// Most steps of one path.
const STEPS: usize = 32;

/// A column, perhaps with a way into its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Field {
    pub(in crate::gateway::rest) name: String,
    pub(in crate::gateway::rest) path: Vec<Step>,
}

/// One step into JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Step {
    /// `->>` rather than `->`.
    pub(in crate::gateway::rest) text: bool,
    pub(in crate::gateway::rest) key: Key,
}

/// Where a step goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Key {
    /// A member of an object.
    Name(String),
    /// An element of an array; digits, perhaps with a minus.
    Index(String),
}

impl Field {
    /// What PostgREST called the number of rows before it had aggregates.
    pub(in crate::gateway::rest) fn is_count(&self) -> bool {
        self.name == "count" && self.path.is_empty()
    }

    /// The name under which the value is answered where no alias is given: the last member named on the way.
    pub(in crate::gateway::rest) fn answered_as(&self) -> &str {
        let names = self.path.iter().rev().filter_map(|step| match &step.key {
            Key::Name(name) => Some(name.as_str()),
            Key::Index(_) => None,
        });
        names.into_iter().next().unwrap_or(&self.name)
    }
}

/// A name of a column, relation, alias or the like: quoted, or of letters, digits, `_`, `$`, blanks, and single dashes.
pub(super) fn name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    const EXPECTED: &str = "field name (* or [a..z0..9_$])";
    let name = match cursor.quoted() {
        Some(name) => name,
        None => plain(cursor),
    };
    if name.is_empty() {
        return Err(cursor.unexpected(EXPECTED));
    }
    if name.len() > NAME {
        return Err(cursor.unexpected("a name of at most 63 bytes"));
    }
    Ok(name)
}

fn plain(cursor: &mut Cursor<'_>) -> String {
    let mut name = String::new();
    loop {
        name.push_str(cursor.take_while(is_plain));
        // A dash belongs to the name unless it is the beginning of an arrow, or the end of everything.
        let mut ahead = cursor.clone();
        if name.is_empty() || !ahead.eat("-") || !ahead.peek().is_some_and(is_plain) {
            break;
        }
        name.push('-');
        *cursor = ahead;
    }
    name.trim().to_owned()
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | ' ')
}

/// A field, with blanks around it.
pub(super) fn field(cursor: &mut Cursor<'_>) -> Parsed<Field> {
    cursor.skip_blanks();
    let name = name(cursor)?;
    let path = path(cursor)?;
    cursor.skip_blanks();
    Ok(Field { name, path })
}

/// Arrows and keys, perhaps none.
pub(super) fn path(cursor: &mut Cursor<'_>) -> Parsed<Vec<Step>> {
    let mut path = Vec::new();
    loop {
        let text = match (cursor.eat("->>"), cursor.rest().starts_with("->")) {
            (true, _) => true,
            (false, true) => {
                cursor.expect("->")?;
                false
            }
            (false, false) => return Ok(path),
        };
        if path.len() == STEPS {
            return Err(cursor.unexpected("a path of at most 32 steps"));
        }
        let key = key(cursor)?;
        path.push(Step { text, key });
    }
}

fn key(cursor: &mut Cursor<'_>) -> Parsed<Key> {
    if let Some(index) = index(cursor) {
        return Ok(Key::Index(index));
    }
    if let Some(name) = cursor.quoted() {
        return Ok(Key::Name(name));
    }
    let mut name = String::new();
    loop {
        name.push_str(cursor.take_while(|c| !"(-:.,>)".contains(c)));
        let mut ahead = cursor.clone();
        let goes_on = ahead.eat("-") && ahead.peek().is_some_and(|c| !"(-:.,>)".contains(c));
        if name.is_empty() || !goes_on {
            break;
        }
        name.push('-');
        *cursor = ahead;
    }
    let name = name.trim();
    if name.is_empty() {
        return Err(cursor.unexpected("any non reserved character different from: .,>()"));
    }
    Ok(Key::Name(name.to_owned()))
}

/// Digits, where nothing but an end follows; otherwise they are the beginning of a name.
fn index(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut ahead = cursor.clone();
    let minus = if ahead.eat("-") { "-" } else { "" };
    let digits = ahead.take_while(|c| c.is_ascii_digit());
    let ends = match ahead.peek() {
        None => true,
        Some(c) => {
            ".,)".contains(c) || ahead.rest().starts_with("->") || ahead.rest().starts_with("::")
        }
    };
    let index = format!("{minus}{digits}");
    if digits.is_empty() || !ends || index.parse::<i32>().is_err() {
        return None;
    }
    *cursor = ahead;
    Some(index)
}
