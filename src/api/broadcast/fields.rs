//! JSON objects as far as they must be read: their keys, and the texts of their values. Of equal keys the last counts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Error};

/// Calls `visit` with each key and the text of its value.
pub(super) fn of_object<'a>(json: &'a str, visit: impl FnMut(&str, &'a str)) -> Result<(), Error> {
    Deserializer::from_str(json).deserialize_map(Members(visit))
}

/// Calls `visit` with the text of each element until it answers `false`.
pub(super) fn of_list<'a>(json: &'a str, visit: impl FnMut(&'a str) -> bool) -> Result<(), Error> {
    Deserializer::from_str(json).deserialize_seq(Elements(visit))
}

/// The string that a JSON text is, `None` when it is something else.
pub(super) fn string(json: &str) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(json).ok()?;
    Some(text)
}

/// Borrows when there is nothing to unescape.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<F>(F);

impl<'a, F: FnMut(&str, &'a str)> Visitor<'a> for Members<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(key), value)) = map.next_entry::<Text<'a>, &'a RawValue>()? {
            (self.0)(&key, value.get());
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'a, F: FnMut(&'a str) -> bool> Visitor<'a> for Elements<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<&'a RawValue>()? {
            if !(self.0)(element.get()) {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

/// A whole body as JSON text; an empty one stands for `{}`, as in the original.
pub(super) fn document(body: &[u8]) -> Result<&str, Error> {
    if body.is_empty() {
        return Ok("{}");
    }
    let mut deserializer = Deserializer::from_slice(body);
    let document = <&RawValue>::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(document.get())
}
