//! What a request says: who asks, for which object, with which parameters and JSON.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::Storage;
use super::error::Error;
use super::names;
use crate::gateway::caller::{Caller, Facts, NoCaller};

/// Largest body of JSON: a thousand names of the greatest length, and some more.
const LARGEST_JSON: usize = 2 * 1024 * 1024;

/// An object of the path, with names that may be.
pub(super) struct Target {
    pub(super) bucket: String,
    pub(super) name: String,
}

impl Target {
    /// `bucket/name`, what signed URLs are about.
    pub(super) fn url(&self) -> String {
        format!("{}/{}", self.bucket, self.name)
    }

    pub(super) fn new(bucket: String, name: String) -> Result<Self, Error> {
        names::check_bucket(&bucket)?;
        names::check_object(&name)?;
        Ok(Self { bucket, name })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path: Result<Path<(String, String)>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        // Refused by the extractor: bytes that are no text.
        let Path((bucket, name)) = path.map_err(|_| Error::key(""))?;
        Self::new(bucket, name)
    }
}

/// A bucket of the path, with a name that may be.
pub(super) struct Bucket(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Bucket {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let Path(bucket) = path.map_err(|_| Error::bucket_name())?;
        names::check_bucket(&bucket)?;
        Ok(Self(bucket))
    }
}

/// The bearer of the token; nobody is refused.
pub(super) fn caller(storage: &Storage, parts: &Parts) -> Result<Caller, Error> {
    Ok(Caller::of(&storage.gateway, &parts.headers, &parts.uri)?)
}

/// The bearer of the token, if there is one that counts. For what is also open to nobody.
pub(super) fn perhaps(storage: &Storage, parts: &Parts) -> Option<Caller> {
    let caller: Result<Caller, NoCaller> = Caller::of(&storage.gateway, &parts.headers, &parts.uri);
    caller.ok()
}

/// What SQL may read of the request.
pub(super) fn facts(parts: &Parts) -> Facts {
    Facts::of(&parts.method, parts.uri.path(), &parts.headers)
}

/// A header as text, if it is there and is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Parameters of the query, decoded; the last of equal ones wins.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            });
        Self(pairs.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Error> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text
            .parse()
            .map_err(|_| Error::invalid(format!("querystring/{name} must be integer")))?;
        Ok(Some(number))
    }
}

/// `+` is a space in a query.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.split_at_checked(2)) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some((digits, after))) => {
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                match u8::from_str_radix(digits, 16) {
                    Ok(byte) if !digits.starts_with('+') => {
                        bytes.push(byte);
                        rest = after;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A body of JSON. Members nobody asks for are ignored, as in the original.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Error> {
    let bytes = axum::body::to_bytes(body, LARGEST_JSON)
        .await
        .map_err(|_| Error::too_large("request body"))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::invalid(format!("body {error}")))
}

/// A value as JSON has it, or written as text: the original takes both, and supabase-py sends numbers as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose<T> {
    Plain(T),
    Text(String),
}

/// See [`Loose`]; of a member that has to be there.
pub(super) fn loose<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr,
{
    match Loose::deserialize(deserializer)? {
        Loose::Plain(value) => Ok(value),
        Loose::Text(text) => text
            .parse()
            .map_err(|_| D::Error::custom("a value is of another type than expected")),
    }
}

/// See [`Loose`]; of a member that may be missing or null.
pub(super) fn perhaps_loose<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr,
{
    match Option::<Loose<T>>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Loose::Plain(value)) => Ok(Some(value)),
        Some(Loose::Text(text)) => text
            .parse()
            .map(Some)
            .map_err(|_| D::Error::custom("a value is of another type than expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, loose, perhaps_loose};
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Asked {
        #[serde(deserialize_with = "loose")]
        seconds: i64,
        #[serde(default, deserialize_with = "perhaps_loose")]
        width: Option<u32>,
    }

    #[test]
    fn numbers_may_be_written_as_text() {
        let read = |text: &str| serde_json::from_str::<Asked>(text).ok();
        let asked = |seconds, width| Some(Asked { seconds, width });
        assert_eq!(read(r#"{"seconds": 60}"#), asked(60, None));
        assert_eq!(
            read(r#"{"seconds": "60", "width": "7"}"#),
            asked(60, Some(7))
        );
        assert_eq!(read(r#"{"seconds": -1, "width": null}"#), asked(-1, None));
        for bad in [
            r#"{}"#,
            r#"{"seconds": "x"}"#,
            r#"{"seconds": []}"#,
            r#"{"seconds": 1, "width": -1}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_query_is_decoded_and_never_fails() {
        assert_eq!(decode("a+b%20c%C3%BC"), "a b cü");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%+1%zz%4"), "% 1%zz%4");
        assert_eq!(decode("%ff"), "\u{fffd}");
    }
}
