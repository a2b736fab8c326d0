//! `hstore`: `"a"=>"1", "b"=>NULL` to `{"a":"1","b":null}`, as the extension's own cast to json does.
use super::{Stop, push_string};

/// Appends an object of strings and nulls.
pub(super) fn push_hstore(text: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
    let mut rest = text;
    let mut scratch = Vec::new();
    out.push(b'{');
    let mut first = true;
    while !rest.is_empty() {
        if !std::mem::take(&mut first) {
            rest = rest.strip_prefix(b", ").ok_or(Stop::Malformed)?;
            out.push(b',');
        }
        rest = push_quoted(rest, &mut scratch, out)?;
        rest = rest.strip_prefix(b"=>").ok_or(Stop::Malformed)?;
        out.push(b':');
        rest = match rest.strip_prefix(b"NULL") {
            Some(rest) => {
                out.extend_from_slice(b"null");
                rest
            }
            None => push_quoted(rest, &mut scratch, out)?,
        };
    }
    out.push(b'}');
    Ok(())
}

fn push_quoted<'a>(
    text: &'a [u8],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<&'a [u8], Stop> {
    scratch.clear();
    let mut bytes = text.strip_prefix(b"\"").ok_or(Stop::Malformed)?.iter();
    loop {
        match bytes.next().ok_or(Stop::Malformed)? {
            b'"' => break,
            b'\\' => scratch.push(*bytes.next().ok_or(Stop::Malformed)?),
            other => scratch.push(*other),
        }
    }
    push_string(scratch, out);
    Ok(bytes.as_slice())
}
