//! Decodes a request: everything of its head and body that does not need the catalog.

use axum::body::Body as Stream;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};

use super::body::{self, Body};
use super::errors::{Rejection, shortened};
use super::grammar::{self, Plain, Query};
use super::media::Form;
use super::plan;
use super::prefer::Prefer;
use super::request::{self, Target};
use crate::gateway::Gateway;
use crate::gateway::caller::{Caller, Facts};

/// A request, decoded.
pub(super) struct Asking<'g> {
    pub(super) gateway: &'g Gateway,
    pub(super) caller: Caller,
    pub(super) facts: Facts,
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) schema: &'g str,
    /// The schema was named, or could have been another.
    pub(super) profiled: bool,
    pub(super) prefer: Prefer,
    pub(super) form: Form,
    pub(super) query: Query,
    pub(super) range: Option<plan::Range>,
    pub(super) text: String,
    pub(super) body: Body,
}

/// See the module.
pub(super) async fn asking(
    gateway: &Gateway,
    head: Parts,
    stream: Stream,
) -> Result<Asking<'_>, Rejection> {
    let target = Target::of(head.uri.path())?;
    let caller = Caller::of(gateway, &head.headers, &head.uri)?;
    let settings = &gateway.settings.rest;
    let (schema, profiled) = request::schema(&head.method, &head.headers, &settings.schemas)?;
    let prefer = Prefer::of(&head.headers)?;
    allowed(&target, &head.method)?;
    let form = Form::of(&head.headers)?;
    let called = matches!(target, Target::Function(_));
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    let plain = if called && reads {
        Plain::Argument
    } else {
        Plain::Refused
    };
    let query = grammar::parse(&request::pairs(&head.uri)?, plain)?;
    let text = match reads || head.method == Method::DELETE {
        true => String::new(),
        false => text(&head, stream, settings.max_body, called).await?,
    };
    let body = match (&target, &head.method) {
        (_, &Method::POST | &Method::PATCH) => members(&text, &query, called)?,
        _ => Body::default(),
    };
    Ok(Asking {
        facts: Facts::of(&head.method, head.uri.path(), &head.headers),
        range: request::range(&head.method, &head.headers),
        gateway,
        caller,
        method: head.method,
        target,
        schema,
        profiled,
        prefer,
        form,
        query,
        text,
        body,
    })
}

/// Whether there is an answer to this method at all.
fn allowed(target: &Target, method: &Method) -> Result<(), Rejection> {
    let refused = |code, message: String| {
        Err(Rejection::new(
            StatusCode::METHOD_NOT_ALLOWED,
            code,
            message,
        ))
    };
    match (target, method) {
        (Target::Root, &Method::GET | &Method::HEAD) => Err(no_description()),
        (Target::Relation(_), &Method::PUT) => Err(Rejection::unsupported(
            "PUT of a single row",
            "POST with header `Prefer: resolution=merge-duplicates` does the same",
        )),
        (Target::Relation(_), &Method::GET | &Method::HEAD | &Method::POST)
        | (Target::Relation(_), &Method::PATCH | &Method::DELETE)
        | (Target::Function(_), &Method::GET | &Method::HEAD | &Method::POST) => Ok(()),
        (Target::Function(_), method) => refused(
            "PGRST101",
            format!(
                "Cannot use the {} method on RPC",
                shortened(method.as_str())
            ),
        ),
        (_, method) => refused(
            "PGRST117",
            format!("Unsupported HTTP method: {}", shortened(method.as_str())),
        ),
    }
}

/// The body, if it is text of a type that is taken, and no longer than it may be.
async fn text(
    head: &Parts,
    stream: Stream,
    most: usize,
    called: bool,
) -> Result<String, Rejection> {
    let kind = head.headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(Some("application/json"), |kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default();
    let name = kind.split(';').next().unwrap_or_default().trim();
    let too_large = || {
        let message = format!("The body is longer than {most} bytes");
        Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, "PGRST102", message)
            .hint("Send rows in several requests")
    };
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let bytes = axum::body::to_bytes(stream, most)
        .await
        .map_err(|_| too_large())?;
    // A call without arguments needs no body, and no type of one.
    if !(name.eq_ignore_ascii_case("application/json") || (called && bytes.is_empty())) {
        return Err(Rejection::body(&format!(
            "Content-Type not acceptable: {}",
            shortened(name)
        )));
    }
    let text =
        String::from_utf8(bytes.into()).map_err(|_| Rejection::body("The body is not UTF-8"))?;
    match text.contains('\0') {
        true => Err(Rejection::body("The body contains a NUL character")),
        false => Ok(text),
    }
}

fn members(text: &str, query: &Query, called: bool) -> Result<Body, Rejection> {
    if called && text.trim().is_empty() {
        return Ok(Body {
            object: true,
            ..Body::default()
        });
    }
    match (called, body::read(text, query.columns.as_deref())) {
        // Whatever it is, it may be the one argument of a function.
        (true, Err(_)) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            Ok(Body::default())
        }
        (true, Ok(body)) if !body.object => Ok(Body::default()),
        (_, read) => read,
    }
}

/// The root, where PostgREST describes the schema unless that is turned off.
pub(super) fn no_description() -> Rejection {
    let message = "Root endpoint metadata is disabled";
    Rejection::new(StatusCode::NOT_FOUND, "PGRST126", message)
        .hint("The schema is not described as OpenAPI here; ask the database's catalog for tables and functions")
}
