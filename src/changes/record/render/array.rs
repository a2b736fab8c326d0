//! Arrays: `{1,NULL,"a b"}` to `[1,null,"a b"]`, nested ones to nested arrays, lower bounds dropped.
use super::{MAX_DEPTH, Place, Stop, render};
use crate::changes::record::schema::{Oid, Types};

/// `box`, the one built-in type whose arrays are separated by `;`.
const BOX: Oid = 603;

/// Appends an array. The text is translated brace by brace while it is read, so dimensions need no counting.
pub(super) fn push_array(
    types: &Types,
    element: Oid,
    text: &[u8],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Stop> {
    let delimiter = match types.get(element) {
        Some(info) => info.delimiter,
        None if element == BOX => b';',
        None => b',',
    };
    let mut reader = Reader {
        rest: skip_bounds(text)?,
        scratch: Vec::new(),
    };
    let mut level = 0_usize;
    // An opening brace, a value, or (right after an opening brace) a closing brace may come next.
    let mut expects_value = true;
    let mut just_opened = false;
    loop {
        let byte = reader.peek().ok_or(Stop::Malformed)?;
        if byte == b'}' && (!expects_value || just_opened) {
            reader.advance();
            out.push(b']');
            level = level.checked_sub(1).ok_or(Stop::Malformed)?;
            expects_value = false;
            just_opened = false;
            if level == 0 {
                return if reader.rest.is_empty() {
                    Ok(())
                } else {
                    Err(Stop::Malformed)
                };
            }
        } else if !expects_value {
            if byte != delimiter || level == 0 {
                return Err(Stop::Malformed);
            }
            reader.advance();
            out.push(b',');
            expects_value = true;
        } else if byte == b'{' {
            if level > MAX_DEPTH {
                return Err(Stop::Malformed);
            }
            reader.advance();
            out.push(b'[');
            level += 1;
            just_opened = true;
        } else {
            if level == 0 {
                return Err(Stop::Malformed);
            }
            match reader.value(delimiter)? {
                None => out.extend_from_slice(b"null"),
                Some(value) => render(types, element, value, Place::Nested, depth + 1, out)?,
            }
            expects_value = false;
            just_opened = false;
        }
    }
}

/// `[2:4][0:1]={…}`: JSON has no lower bounds.
fn skip_bounds(text: &[u8]) -> Result<&[u8], Stop> {
    if text.first() != Some(&b'[') {
        return Ok(text);
    }
    let at = text
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or(Stop::Malformed)?;
    text.get(at + 1..).ok_or(Stop::Malformed)
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Holds the one element that had to be unescaped; never allocated for arrays without a backslash.
    scratch: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn advance(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// The element at the front; `None` is NULL.
    fn value(&mut self, delimiter: u8) -> Result<Option<&[u8]>, Stop> {
        if self.peek() == Some(b'"') {
            self.advance();
            return self.quoted().map(Some);
        }
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == delimiter || matches!(byte, b'}' | b'{' | b'"'))
            .ok_or(Stop::Malformed)?;
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        match value {
            b"" => Err(Stop::Malformed),
            b"NULL" => Ok(None),
            _ => Ok(Some(value)),
        }
    }

    fn quoted(&mut self) -> Result<&[u8], Stop> {
        let end = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))
            .ok_or(Stop::Malformed)?;
        let (value, rest) = self.rest.split_at(end);
        if rest.first() == Some(&b'"') {
            self.rest = rest.get(1..).unwrap_or_default();
            return Ok(value);
        }
        self.scratch.clear();
        let mut bytes = self.rest.iter();
        loop {
            match bytes.next().ok_or(Stop::Malformed)? {
                b'"' => break,
                b'\\' => self.scratch.push(*bytes.next().ok_or(Stop::Malformed)?),
                other => self.scratch.push(*other),
            }
        }
        self.rest = bytes.as_slice();
        Ok(&self.scratch)
    }
}
