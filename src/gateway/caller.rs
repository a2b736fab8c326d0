//! Who asks: the role and the claims a request is answered under.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, Method, Uri, header};

use super::Gateway;
use crate::auth::{Claims, TokenError};
use crate::socket::unix_now;

/// See the module. Made from a verified token, or by the service itself for what is its own.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The database role.
    pub(super) role: Arc<str>,
    /// `request.jwt.claims`.
    pub(super) claims_json: Arc<str>,
    /// The claims, when there was a token.
    pub(super) claims: Option<Arc<Claims>>,
}

/// What SQL may read of an HTTP request (`request.method`, `request.path`, `request.headers`, `request.cookies`).
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// In capitals.
    pub(super) method: Method,
    /// Below the prefix of the service, as PostgREST has it: `/todos`, `/rpc/add`.
    pub(super) path: String,
    /// An object of lower-case names and values.
    pub(super) headers_json: String,
    /// An object of names and values.
    pub(super) cookies_json: String,
}

/// Why nobody is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoCaller {
    /// Neither `apikey` nor `Authorization`.
    NoKey,
    /// A token that does not count.
    Token(TokenError),
}

impl Caller {
    /// The bearer of the request's token: `Authorization: Bearer`, else `apikey` (header or query).
    ///
    /// A header that is there twice is refused rather than chosen from.
    pub(super) fn of(gateway: &Gateway, headers: &HeaderMap, uri: &Uri) -> Result<Self, NoCaller> {
        let token = token(headers, uri).ok_or(NoCaller::NoKey)?;
        Self::with_token(gateway, &token)
    }

    /// The bearer of this token.
    pub(super) fn with_token(gateway: &Gateway, token: &str) -> Result<Self, NoCaller> {
        let keys = Arc::clone(&gateway.tenant.settings().keys);
        let claims = keys.verify(token, unix_now()).map_err(NoCaller::Token)?;
        Ok(Self {
            role: Arc::clone(&claims.role),
            claims_json: Arc::clone(&claims.json),
            claims: Some(claims),
        })
    }

    /// The service itself, under a role it names; without claims of anybody.
    pub(super) fn service(role: &'static str) -> Self {
        Self {
            role: Arc::from(role),
            claims_json: Arc::from(format!(r#"{{"role":"{role}"}}"#)),
            claims: None,
        }
    }

    /// Claim `sub`.
    pub(super) fn sub(&self) -> Option<&str> {
        self.claims.as_ref()?.sub.as_deref()
    }
}

impl Facts {
    /// `path` as in [`Facts::path`].
    pub(super) fn of(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        Self {
            method: method.clone(),
            path: path.to_owned(),
            headers_json: headers_json(headers),
            cookies_json: cookies_json(headers),
        }
    }
}

fn token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?;
        Some(match values.next() {
            Some(_) => String::new(),
            None => first.to_str().unwrap_or_default().to_owned(),
        })
    };
    if let Some(authorization) = only(&header::AUTHORIZATION) {
        return Some(match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                token.trim().to_owned()
            }
            // Another scheme is nobody's here; the key alone must not stand in for it.
            _ => String::new(),
        });
    }
    if let Some(key) = only(&HeaderName::from_static("apikey")) {
        return Some(key);
    }
    let query = uri.query()?;
    let key = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("apikey="))?;
    Some(key.to_owned())
}

/// Values that are no text are left out. Of a header that is there several times the values are joined, as HTTP has it.
fn headers_json(headers: &HeaderMap) -> String {
    let mut json = String::with_capacity(512);
    for name in headers.keys() {
        json.push(if json.is_empty() { '{' } else { ',' });
        quote(&mut json, name.as_str());
        json.push_str(":\"");
        let values = headers.get_all(name).iter();
        for (place, value) in values.filter_map(|value| value.to_str().ok()).enumerate() {
            if place > 0 {
                json.push_str(", ");
            }
            escape(&mut json, value);
        }
        json.push('"');
    }
    json.push_str(if json.is_empty() { "{}" } else { "}" });
    json
}

fn quote(json: &mut String, text: &str) {
    json.push('"');
    escape(json, text);
    json.push('"');
}

/// The inside of a JSON string of what a header may be as text: visible ASCII, blanks and tabs.
fn escape(json: &mut String, text: &str) {
    let mut rest = text;
    while let Some((plain, letter, after)) = special(rest) {
        json.push_str(plain);
        json.push_str(match letter {
            '"' => "\\\"",
            '\t' => "\\t",
            _ => "\\\\",
        });
        rest = after;
    }
    json.push_str(rest);
}

/// The first letter that cannot stand as it is, with what is before and after it.
fn special(text: &str) -> Option<(&str, char, &str)> {
    let at = text.find(['"', '\\', '\t'])?;
    let (plain, rest) = text.split_at_checked(at)?;
    let mut letters = rest.chars();
    Some((plain, letters.next()?, letters.as_str()))
}

fn cookies_json(headers: &HeaderMap) -> String {
    let mut map = serde_json::Map::new();
    let values = headers.get_all(header::COOKIE).iter();
    for pair in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
    {
        if let Some((name, value)) = pair.trim().split_once('=') {
            map.insert(name.to_owned(), value.into());
        }
    }
    serde_json::Value::Object(map).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde_json::{Value, json};

    #[test]
    fn headers_are_an_object_of_names_and_texts() {
        let mut headers = HeaderMap::new();
        assert_eq!(headers_json(&headers), "{}");
        for (name, value) in [
            ("host", "localhost"),
            ("x-odd", "a\"b\\c\td\\"),
            ("accept", "text/html"),
            ("accept", "*/*"),
            ("empty", ""),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("bytes", HeaderValue::from_bytes(b"\xff").unwrap());
        let read: Value = serde_json::from_str(&headers_json(&headers)).unwrap();
        let wanted = json!({"host": "localhost", "x-odd": "a\"b\\c\td\\", "accept": "text/html, */*", "empty": "", "bytes": ""});
        assert_eq!(read, wanted);
    }
}
