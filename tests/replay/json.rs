//! JSON whose numbers keep their digits.
//!
//! The transcripts compare integers beyond 2^64 and `1.50` with `1.5`; `serde_json::Value` would round
//! them, and its `arbitrary_precision` would change the server under test as well.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

/// A JSON value; objects in their written order.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Json {
    /// Parses a text.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        Self::from_raw(serde_json::from_str::<&RawValue>(text)?)
    }

    fn from_raw(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members: Members = serde_json::from_str(text)?;
                let mut object: Vec<(String, Json)> = Vec::with_capacity(members.0.len());
                for (name, value) in members.0 {
                    let value = Self::from_raw(value)?;
                    match object.iter_mut().find(|(have, _)| *have == name) {
                        Some(earlier) => earlier.1 = value, // the last of two equal keys counts
                        None => object.push((name, value)),
                    }
                }
                Self::Object(object)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::List(
                    items
                        .into_iter()
                        .map(Self::from_raw)
                        .collect::<Result<_, _>>()?,
                )
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            Some(_) => Self::Number(text.to_owned()),
            None => return Err(de::Error::custom("an empty value")),
        })
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(have, _)| have == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that fits.
    pub fn int(&self) -> Option<u64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The items of a list; nothing for anything else.
    pub fn items(&self) -> &[Json] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The members of an object; nothing for anything else.
    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The same shape with every text (keys too) replaced.
    pub fn map_texts(&self, change: &mut dyn FnMut(&str) -> Json) -> Json {
        match self {
            Self::Text(text) => change(text),
            Self::List(items) => Self::List(items.iter().map(|v| v.map_texts(change)).collect()),
            Self::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| {
                        let name = match change(name) {
                            Json::Text(name) => name,
                            other => other.to_string(),
                        };
                        (name, value.map_texts(change))
                    })
                    .collect(),
            ),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(digits) => f.write_str(digits),
            Self::Text(text) => f.write_str(&quote(text)),
            Self::List(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (n, (name, value)) in members.iter().enumerate() {
                    write!(
                        f,
                        "{}{}:{value}",
                        if n == 0 { "" } else { "," },
                        quote(name)
                    )?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("texts can be written")
}
