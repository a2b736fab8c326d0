//! Serializer 1.0.0: every frame is one JSON object (protocol.md §2.1).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::message::{Decoded, Malformed, NULL, Payload};

/// Decodes one object; key order is free, the last of equal keys wins, unknown keys are ignored (P-035).
pub(super) fn decode(frame: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let object: Object = serde_json::from_slice(frame).map_err(|_| {
        // JSON of another type than object has its own log code.
        match serde_json::from_slice::<IgnoredAny>(frame) {
            Ok(_) if !starts_with_brace(frame) => Malformed::Unknown,
            _ => Malformed::Message,
        }
    })?;
    Ok(Decoded {
        join_ref: object.join_ref.unwrap_or(Cow::Borrowed(NULL)),
        reference: object.reference.ok_or(Malformed::Message)?,
        topic: object.topic.ok_or(Malformed::Message)?,
        event: object.event.ok_or(Malformed::Message)?,
        payload: Payload::Json(object.payload.ok_or(Malformed::Message)?),
    })
}

fn starts_with_brace(frame: &[u8]) -> bool {
    frame
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|byte| *byte == b'{')
}

#[derive(Default)]
struct Object<'a> {
    join_ref: Option<Cow<'a, str>>,
    reference: Option<Cow<'a, str>>,
    topic: Option<Cow<'a, str>>,
    event: Option<Cow<'a, str>>,
    payload: Option<&'a str>,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with topic, event, payload and ref")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut object = Object::default();
        while let Some(key) = map.next_key::<Text>()? {
            match key.0.as_ref() {
                "topic" => object.topic = Some(map.next_value::<Text>()?.0),
                "event" => object.event = Some(map.next_value::<Text>()?.0),
                "payload" => object.payload = Some(map.next_value::<&RawValue>()?.get()),
                "ref" => {
                    object.reference = Some(Cow::Borrowed(map.next_value::<&RawValue>()?.get()));
                }
                "join_ref" => {
                    object.join_ref = Some(Cow::Borrowed(map.next_value::<&RawValue>()?.get()));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(object)
    }
}

/// A string that borrows when it has no escapes (`Cow<str>` alone never borrows in serde).
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}
