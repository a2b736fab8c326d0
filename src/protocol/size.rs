//! The size of a payload as the original measures it (protocol.md §5.7): the length of its Erlang external term.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The longest external term a JSON text of a given length can have, as a factor of that length: one-digit floats
/// (`1.5,` is 4 bytes of text and 9 of term) are the worst case.
const WORST_GROWTH: usize = 3;

/// And bytes beyond that factor, which the outermost term has whatever is in it: `1.5` is 3 bytes of text and 10 of term.
const WORST_BASE: usize = 8;

/// Bytes that an event name and the tuple around it add to a user broadcast.
const USER_BROADCAST_OVERHEAD: usize = 30;

/// Whether a JSON payload is within `limit` bytes. Parses only texts that could be too large.
pub fn json_fits(payload: &str, limit: usize) -> bool {
    longest_term(payload) <= limit || term_size(payload).is_some_and(|size| size <= limit)
}

/// No external term of a JSON text of this length is longer.
fn longest_term(payload: &str) -> usize {
    let grown = payload.len().saturating_mul(WORST_GROWTH);
    grown.saturating_add(WORST_BASE)
}

/// Whether a user broadcast (kind 3) is within `limit` bytes.
pub fn user_broadcast_fits(event: &str, payload: &[u8], limit: usize) -> bool {
    event.len() + payload.len() + USER_BROADCAST_OVERHEAD <= limit
}

/// Size of the external term of a JSON text, `None` when it is not JSON or nested deeper than can be measured.
pub fn term_size(json: &str) -> Option<usize> {
    let mut size = 1;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Measure(&mut size).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(size)
}

struct Measure<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Measure<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Measure<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        *self.0 += 5;
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        *self.0 += if flag { 6 } else { 7 };
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        *self.0 += match number {
            0..=255 => 2,
            256..=0x7FFF_FFFF => 5,
            _ => 3 + significant_bytes(number),
        };
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        *self.0 += if i32::try_from(number).is_ok() {
            5
        } else {
            3 + significant_bytes(number.unsigned_abs())
        };
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        *self.0 += 9;
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        *self.0 += 5 + text.len();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut empty = true;
        while seq.next_element_seed(Measure(self.0))?.is_some() {
            empty = false;
        }
        *self.0 += if empty { 1 } else { 6 };
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        *self.0 += 5;
        while map.next_key_seed(Measure(self.0))?.is_some() {
            map.next_value_seed(Measure(self.0))?;
        }
        Ok(())
    }
}

fn significant_bytes(number: u64) -> usize {
    (64 - number.leading_zeros() as usize).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_of_the_specified_examples() {
        for (json, size) in [
            ("{}", 6),
            (r#"{"a":"b"}"#, 18),
            ("[]", 2),
            ("[1]", 9),
            ("256", 6),
            ("-1", 6),
            ("1.5", 10),
            ("4294967296", 9),
        ] {
            assert_eq!(term_size(json), Some(size), "{json}");
        }
        assert_eq!(term_size("{"), None);
    }

    #[test]
    fn the_shortcut_is_right_about_the_smallest_payloads() {
        for (json, size) in [("1.5", 10), ("[1.5]", 16)] {
            assert_eq!(term_size(json), Some(size));
            assert!(
                !json_fits(json, size - 1) && json_fits(json, size),
                "{json}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_shortcut_never_lets_a_large_payload_pass(
            numbers in proptest::collection::vec(prop_oneof![Just("1.5"), Just("\"\""), Just("-1"), Just("null"), Just("{}"), Just("[]"), Just("false")], 1..60),
        ) {
            let json = format!("[{}]", numbers.join(","));
            let size = term_size(&json).unwrap_or(usize::MAX);
            prop_assert!(size <= longest_term(&json), "{} {}", json, size);
            prop_assert!(!json_fits(&json, size - 1));
            prop_assert!(json_fits(&json, size));
        }
    }
}
