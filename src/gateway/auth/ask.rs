//! One request: who may make it at all, its query, its JSON, where it came from.
//!
//! A request needs a key of this project (`apikey`, or the bearer's token) to be heard, as with the stack's gateway;
//! [`keyed`] sees to that. Who is signed in is another question: see `bearer`.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Service;
use super::error::Refusal;
use super::limit::Kind;
use crate::gateway::Peer;
use crate::gateway::caller::{Caller, NoCaller};

/// Largest body in bytes.
const BODY: usize = 64 * 1024;
/// What is kept of a `User-Agent`, in characters.
const AGENT: usize = 512;

const APIKEY: HeaderName = HeaderName::from_static("apikey");

/// See the module.
pub(super) struct Ask {
    parts: Parts,
    /// Never waited for: the lock makes the whole shareable between threads, which a body alone is not.
    body: Mutex<Body>,
}

impl From<Request> for Ask {
    fn from(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            parts,
            body: Mutex::new(body),
        }
    }
}

impl Ask {
    pub(super) fn method(&self) -> &Method {
        &self.parts.method
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The first value of that name, decoded; nothing when it cannot be.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&self.parts.uri)
            .ok()?
            .0
            .into_iter()
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The token after `Authorization: Bearer`.
    pub(super) fn bearer(&self) -> Result<&str, Refusal> {
        let token = only(&self.parts.headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty());
        token.ok_or_else(|| {
            Refusal::new(
                StatusCode::UNAUTHORIZED,
                "no_authorization",
                "This endpoint requires a valid Bearer token",
            )
        })
    }

    /// Where the connection comes from.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.parts
            .extensions
            .get::<Peer>()
            .map(|Peer(address)| *address)
    }

    /// Takes one of the allowance of this address. Who has none shares one.
    pub(super) fn limited(&self, service: &Service, kind: Kind) -> Result<(), Refusal> {
        let address = self.peer().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let taken = service.limiter.take(kind, address, Instant::now());
        taken.map_err(Refusal::too_many)
    }

    pub(super) fn user_agent(&self) -> Option<String> {
        let agent = only(&self.parts.headers, &header::USER_AGENT)?;
        Some(agent.chars().take(AGENT).collect())
    }

    /// The body as JSON of this form.
    pub(super) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let body = self.bytes().await?;
        parsed(&body)
    }

    /// The same where a body may be left out.
    pub(super) async fn maybe_json<T: DeserializeOwned + Default>(&mut self) -> Result<T, Refusal> {
        let body = self.bytes().await?;
        match body.is_empty() {
            true => Ok(T::default()),
            false => parsed(&body),
        }
    }

    async fn bytes(&mut self) -> Result<bytes::Bytes, Refusal> {
        let body = std::mem::take(self.body.get_mut());
        axum::body::to_bytes(body, BODY).await.map_err(|_| {
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request_entity_too_large",
                format!("Request body too large (max {BODY} bytes)"),
            )
        })
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let bad = |error: serde_json::Error| {
        Refusal::bad(
            "bad_json",
            format!("Could not parse request body as JSON: {error}"),
        )
    };
    let value: Value = serde_json::from_slice(body).map_err(bad)?;
    if has_nul(&value) {
        // Postgres has no text with it.
        return Err(Refusal::invalid(
            "Text must not contain the character U+0000",
        ));
    }
    serde_json::from_value(value).map_err(bad)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    match values.next() {
        None => first.to_str().ok(),
        Some(_) => None,
    }
}

/// Lets through who has a key of this project.
pub(super) async fn keyed(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let verified = match headers.contains_key(&APIKEY) {
        true => only(headers, &APIKEY)
            .is_some_and(|key| Caller::with_token(&service.gateway, key).is_ok()),
        false => match Caller::of(&service.gateway, headers, request.uri()) {
            Ok(_) => true,
            Err(NoCaller::NoKey) => {
                return refused(json!({
                    "message": "No API key found in request",
                    "hint": "No `apikey` request header or url param was found."
                }));
            }
            Err(_) => false,
        },
    };
    if verified {
        return next.run(request).await;
    }
    refused(json!({
        "message": "Invalid API key",
        "hint": "Double check the `anon` or `service_role` API key of this server."
    }))
}

/// As a gateway before the service says it: in neither of the service's shapes.
fn refused(body: Value) -> Response {
    (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_wherever_it_is() {
        for (text, there) in [
            (r#"{"a":["b",{"c":"d"}]}"#, false),
            (r#"{"a":["b",{"c":"\u0000"}]}"#, true),
            (r#"{"a":{"\u0000":1}}"#, true),
            (r#"{"a":"\\u0000"}"#, false),
        ] {
            assert_eq!(
                has_nul(&serde_json::from_str(text).unwrap()),
                there,
                "{text}"
            );
        }
    }

    #[test]
    fn a_bearer_is_there_once_and_not_empty() {
        let ask = |values: &[&'static str]| {
            let mut request = Request::new(Body::empty());
            for value in values {
                request
                    .headers_mut()
                    .append(header::AUTHORIZATION, value.parse().unwrap());
            }
            Ask::from(request)
        };
        assert_eq!(ask(&["Bearer a.b.c"]).bearer().unwrap(), "a.b.c");
        assert_eq!(ask(&["bearer a.b.c"]).bearer().unwrap(), "a.b.c");
        for bad in [
            &[][..],
            &["Bearer "],
            &["Bearer"],
            &["Basic a"],
            &["Bearer a", "Bearer b"],
        ] {
            assert!(ask(bad).bearer().is_err(), "{bad:?}");
        }
    }
}
