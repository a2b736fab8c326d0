//! Answers that many doors give.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// JSON (protocol.md §8.1 item 3).
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    text(status, JSON, body.to_string())
}

/// `{"message":…}`.
pub(super) fn message(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "message": message }))
}

/// What is refused before any handler could say why: the name of the status, as the original's error pages.
pub(super) fn page(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    text(status, HTML, reason.to_owned())
}

/// A status and nothing else.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// No such route, or not with this method.
pub(super) async fn not_found() -> Response {
    page(StatusCode::NOT_FOUND)
}

fn text(status: StatusCode, kind: HeaderValue, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
