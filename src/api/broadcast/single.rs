//! What `POST /api/broadcast/{topic}/events/{event}` carries, by its content type (protocol.md §5.6).

use std::borrow::Cow;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};

use super::fields;
use crate::hub::Event;
use crate::protocol::{Encoding, size};

/// Added to raw bytes before they are compared with the limit (protocol.md §5.7 item 1).
const OVERHEAD: usize = 6;

/// How a body is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is none, or it is not looked at: an empty object.
    Nothing,
    Json,
    Binary,
}

impl Kind {
    /// By the content type, parameters aside; `None` for any other (P-183).
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let Some(kind) = headers.get(header::CONTENT_TYPE) else {
            return Some(Self::Nothing);
        };
        match essence(kind.to_str().ok()?).as_str() {
            "application/json" => Some(Self::Json),
            "application/octet-stream" => Some(Self::Binary),
            _ => None,
        }
    }
}

/// Type and subtype in lower case.
pub(super) fn essence(content_type: &str) -> String {
    let end = content_type.find(';').unwrap_or(content_type.len());
    let essence = content_type.get(..end).unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// A payload as it is delivered.
#[derive(Debug, PartialEq)]
pub(super) enum Payload<'a> {
    /// JSON text of an object.
    Json(Cow<'a, str>),
    /// Bytes as they are.
    Binary(&'a [u8]),
}

impl<'a> Payload<'a> {
    /// Takes a body; `None` when it should be JSON and is not.
    pub(super) fn of(kind: Kind, body: &'a Bytes) -> Option<Self> {
        Some(match kind {
            Kind::Nothing => Self::Json("{}".into()),
            Kind::Binary => Self::Binary(body),
            Kind::Json => {
                let json = fields::document(body).ok()?;
                match json.starts_with('{') {
                    true => Self::Json(json.into()),
                    false => Self::Json(format!(r#"{{"_json":{json}}}"#).into()),
                }
            }
        })
    }

    pub(super) fn fits(&self, limit: usize) -> bool {
        match self {
            Self::Json(json) => size::json_fits(json, limit),
            Self::Binary(bytes) => bytes.len().saturating_add(OVERHEAD) <= limit,
        }
    }

    pub(super) fn event<'b>(&'b self, event: &'b str) -> Event<'b> {
        let (encoding, payload) = match self {
            Self::Json(json) => (Encoding::Json, json.as_bytes()),
            Self::Binary(bytes) => (Encoding::Binary, *bytes),
        };
        Event::UserBroadcast {
            event,
            metadata: "",
            encoding,
            payload,
        }
    }
}

/// Whether the query says `private=true`, and nothing else counts; of several the last one.
pub(super) fn is_private(query: Option<&str>) -> bool {
    let values = query.unwrap_or_default().split('&');
    let mut values = values.filter_map(|pair| match pair.split_once('=') {
        Some(("private", value)) => Some(value),
        None if pair == "private" => Some(""),
        _ => None,
    });
    values.next_back() == Some("true")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_decides() {
        for (given, expected) in [
            (None, Some(Kind::Nothing)),
            (Some("application/json"), Some(Kind::Json)),
            (Some("Application/JSON ; charset=utf-8"), Some(Kind::Json)),
            (Some("application/octet-stream"), Some(Kind::Binary)),
            (Some("application/vnd.api+json"), None),
            (Some("text/plain"), None),
            (Some(""), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(given) = given {
                headers.insert(header::CONTENT_TYPE, given.parse().unwrap());
            }
            assert_eq!(Kind::of(&headers), expected, "{given:?}");
        }
    }

    #[test]
    fn json_that_is_no_object_is_wrapped() {
        for (body, expected) in [
            ("", Some("{}")),
            (r#" {"a":1} "#, Some(r#"{"a":1}"#)),
            ("[1]", Some(r#"{"_json":[1]}"#)),
            ("\"s\"", Some(r#"{"_json":"s"}"#)),
            ("null", Some(r#"{"_json":null}"#)),
            ("{", None),
            ("{} {}", None),
            (" ", None),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let payload = Payload::of(Kind::Json, &body);
            assert_eq!(
                payload,
                expected.map(|json| Payload::Json(json.into())),
                "{body:?}"
            );
        }
    }

    #[test]
    fn only_the_literal_true_is_private() {
        for (query, expected) in [
            (None, false),
            (Some("private=true"), true),
            (Some("apikey=x&private=true&vsn=2.0.0"), true),
            (Some("private=false&private=true"), true),
            (Some("private=true&private=false"), false),
            (Some("private=true&private"), false),
            (Some("private=1"), false),
            (Some("private=True"), false),
            (Some("xprivate=true"), false),
        ] {
            assert_eq!(is_private(query), expected, "{query:?}");
        }
    }
}
