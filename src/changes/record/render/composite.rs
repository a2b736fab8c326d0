//! Composites: `(1,"a b",)` to `{"x":1,"y":"a b","z":null}`.
use super::{Place, Stop, push_string, render};
use crate::changes::record::schema::{Field, Types};

/// Appends a composite as an object by attribute name.
pub(super) fn push_composite(
    types: &Types,
    fields: &[Field],
    text: &[u8],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Stop> {
    let mut rest = text
        .strip_prefix(b"(")
        .and_then(|text| text.strip_suffix(b")"))
        .ok_or(Stop::Malformed)?;
    let mut scratch = Vec::new();
    out.push(b'{');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b",").ok_or(Stop::Malformed)?;
            out.push(b',');
        }
        push_string(field.name.as_bytes(), out);
        out.push(b':');
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            rest = unquote(quoted, &mut scratch)?;
            render(
                types,
                field.type_oid,
                &scratch,
                Place::Nested,
                depth + 1,
                out,
            )?;
        } else {
            let end = rest
                .iter()
                .position(|byte| *byte == b',')
                .unwrap_or(rest.len());
            let (value, after) = rest.split_at(end);
            rest = after;
            if value.is_empty() {
                out.extend_from_slice(b"null");
            } else {
                render(types, field.type_oid, value, Place::Nested, depth + 1, out)?;
            }
        }
    }
    out.push(b'}');
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Stop::Malformed)
    }
}

/// Reads up to the closing quote; inside, quotes and backslashes are doubled. Returns what follows.
fn unquote<'a>(text: &'a [u8], value: &mut Vec<u8>) -> Result<&'a [u8], Stop> {
    value.clear();
    let mut bytes = text.iter();
    loop {
        match bytes.next().ok_or(Stop::Malformed)? {
            b'"' if bytes.as_slice().first() == Some(&b'"') => {
                bytes.next();
                value.push(b'"');
            }
            b'"' => return Ok(bytes.as_slice()),
            b'\\' => value.push(*bytes.next().ok_or(Stop::Malformed)?),
            other => value.push(*other),
        }
    }
}
