//! Serializer 2.0.0: JSON arrays and binary frames (protocol.md §2.2, §2.3).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::message::{Decoded, Encoding, Malformed, Payload};
use super::v1::Text;

/// Decodes `[join_ref, ref, topic, event, payload]`; what follows the fifth element is ignored (P-039).
pub(super) fn decode_text(frame: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let Array(decoded) = serde_json::from_slice(frame).map_err(|_| Malformed::Message)?;
    Ok(decoded)
}

struct Array<'a>(Decoded<'a>);

impl<'de> Deserialize<'de> for Array<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArrayVisitor;
        impl<'de> Visitor<'de> for ArrayVisitor {
            type Value = Array<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array of five elements")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let short = || A::Error::invalid_length(0, &"five elements");
                let join_ref = seq.next_element::<&RawValue>()?.ok_or_else(short)?;
                let reference = seq.next_element::<&RawValue>()?.ok_or_else(short)?;
                let topic = seq.next_element::<Text>()?.ok_or_else(short)?;
                let event = seq.next_element::<Text>()?.ok_or_else(short)?;
                let payload = seq.next_element::<&RawValue>()?.ok_or_else(short)?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Array(Decoded {
                    join_ref: Cow::Borrowed(join_ref.get()),
                    reference: Cow::Borrowed(reference.get()),
                    topic: topic.0,
                    event: event.0,
                    payload: Payload::Json(payload.get()),
                }))
            }
        }
        deserializer.deserialize_seq(ArrayVisitor)
    }
}

/// Decodes kind 0 (push) and kind 3 (user broadcast); everything else is dropped (P-051).
pub(super) fn decode_binary(frame: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let mut fields = Fields(frame);
    match fields.byte()? {
        0 => {
            let [join_ref, reference, topic, event] = fields.lengths()?;
            Ok(Decoded {
                join_ref: fields.quoted(join_ref)?,
                reference: fields.quoted(reference)?,
                topic: Cow::Borrowed(fields.text(topic)?),
                event: Cow::Borrowed(fields.text(event)?),
                payload: Payload::Binary(fields.0),
            })
        }
        3 => {
            let [join_ref, reference, topic, event, metadata, encoding] = fields.lengths()?;
            let join_ref = fields.quoted(join_ref)?;
            let reference = fields.quoted(reference)?;
            let topic = Cow::Borrowed(fields.text(topic)?);
            let event = fields.text(event)?;
            let metadata = fields.take(metadata)?;
            // Metadata is accepted, checked and discarded (P-045).
            if !metadata.is_empty() && serde_json::from_slice::<IgnoredAny>(metadata).is_err() {
                return Err(Malformed::Unknown);
            }
            Ok(Decoded {
                join_ref,
                reference,
                topic,
                event: Cow::Borrowed("broadcast"),
                payload: Payload::UserBroadcast {
                    event,
                    encoding: if encoding == 0 {
                        Encoding::Binary
                    } else {
                        Encoding::Json
                    },
                    payload: fields.0,
                },
            })
        }
        _ => Err(Malformed::Unknown),
    }
}

/// A cursor over the fields of a binary frame.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed::Unknown)?;
        self.0 = rest;
        Ok(*first)
    }

    fn lengths<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (lengths, rest) = self.0.split_first_chunk().ok_or(Malformed::Unknown)?;
        self.0 = rest;
        Ok(*lengths)
    }

    fn take(&mut self, length: u8) -> Result<&'a [u8], Malformed> {
        let (field, rest) = self
            .0
            .split_at_checked(usize::from(length))
            .ok_or(Malformed::Unknown)?;
        self.0 = rest;
        Ok(field)
    }

    fn text(&mut self, length: u8) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed::Unknown)
    }

    /// A ref as JSON text: binary frames carry strings only, an empty one stays `""` (P-047).
    fn quoted(&mut self, length: u8) -> Result<Cow<'a, str>, Malformed> {
        let text = self.text(length)?;
        serde_json::to_string(text)
            .map(Cow::Owned)
            .map_err(|_| Malformed::Unknown)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect()
    }

    #[test]
    fn kind_3_json_is_decoded_as_in_the_worked_example() {
        let frame = hex(
            "03 01 01 0d 05 00 01 31 37 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 73 68 6f 75 74 7b 22 61 22 3a 31 7d",
        );
        let decoded = decode_binary(&frame).unwrap();
        assert_eq!(decoded.join_ref, "\"1\"");
        assert_eq!(decoded.reference, "\"7\"");
        assert_eq!(decoded.topic, "realtime:room");
        assert_eq!(decoded.event, "broadcast");
        assert_eq!(
            decoded.payload,
            Payload::UserBroadcast {
                event: "shout",
                encoding: Encoding::Json,
                payload: b"{\"a\":1}"
            }
        );
    }

    #[test]
    fn kind_3_binary_is_decoded_as_in_the_worked_example() {
        let frame = hex(
            "03 01 01 0d 04 00 00 31 38 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 62 6c 6f 62 de ad be ef",
        );
        let decoded = decode_binary(&frame).unwrap();
        assert_eq!(
            decoded.payload,
            Payload::UserBroadcast {
                event: "blob",
                encoding: Encoding::Binary,
                payload: &[0xde, 0xad, 0xbe, 0xef]
            }
        );
    }

    #[test]
    fn truncated_and_unknown_binaries_are_refused() {
        let frame =
            hex("03 01 01 0d 05 00 01 31 37 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 73 68 6f 75 74");
        for length in 0..frame.len() {
            let result = decode_binary(&frame[..length]);
            assert_eq!(result, Err(Malformed::Unknown), "{length}");
        }
        for kind in [1, 2, 4, 9, 255] {
            assert_eq!(decode_binary(&[kind, 0, 0, 0, 0]), Err(Malformed::Unknown));
        }
    }

    #[test]
    fn bad_metadata_drops_the_frame() {
        let mut frame = hex("03 00 00 01 01 01 01 74 65");
        frame.push(b'{');
        assert_eq!(decode_binary(&frame), Err(Malformed::Unknown));
    }

    #[test]
    fn text_needs_five_elements_and_ignores_more() {
        assert!(decode_text(br#"[null,1,"t","e"]"#).is_err());
        let decoded = decode_text(br#"[null,1,"t","e",{"a":[1]},7,8]"#).unwrap();
        assert_eq!(decoded.join_ref, "null");
        assert_eq!(decoded.reference, "1");
        assert_eq!(decoded.payload, Payload::Json("{\"a\":[1]}"));
    }
}
