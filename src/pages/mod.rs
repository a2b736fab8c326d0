//! The pages of the chat: what `make clients` built into `clients/dist`, part of the binary (in a debug build read from that folder).
//!
//! `/chat` is the application, `/widget.js` the guest's widget. They hold nothing; everything they show they ask for with a token.
//! They may run their own scripts and styles only.

mod config;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

pub use config::Settings;

/// Scripts, styles and fonts come from this server alone. Pictures and videos may be signed addresses elsewhere, and data may come
/// from a Supabase project elsewhere.
const POLICY: &str = "default-src 'self'; connect-src 'self' http: https: ws: wss:; img-src 'self' http: https: data: blob:; \
    media-src 'self' http: https: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const FIXED: [(header::HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
];

#[derive(RustEmbed)]
#[folder = "clients/dist"]
#[allow_missing = true]
struct Built;

/// The routes of the pages.
pub fn router(settings: Settings) -> Router {
    Router::new()
        .route("/chat", get(|| async { Redirect::permanent("chat/") }))
        .route(
            "/chat/",
            get(|headers: HeaderMap| async move { answer("chat/index.html", &headers) }),
        )
        // Not everything below: `/chat/v1` is the server's.
        .route(
            "/chat/{file}",
            get(|Path(file): Path<String>, headers: HeaderMap| async move {
                answer(&format!("chat/{file}"), &headers)
            }),
        )
        .route(
            "/chat/assets/{file}",
            get(|Path(file): Path<String>, headers: HeaderMap| async move {
                answer(&format!("chat/assets/{file}"), &headers)
            }),
        )
        .route(
            "/widget.js",
            get(|headers: HeaderMap| async move { answer("widget/widget.js", &headers) }),
        )
        .route(
            "/widget/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move {
                answer(&format!("widget/{path}"), &headers)
            }),
        )
        .merge(config::router(settings))
}

/// A file; compressed where the browser takes that and the build made it.
fn answer(path: &str, headers: &HeaderMap) -> Response {
    let compressed = header_has(headers, header::ACCEPT_ENCODING, "gzip")
        .then(|| Built::get(&format!("{path}.gz")))
        .flatten();
    let is_compressed = compressed.is_some();
    let Some(file) = compressed.or_else(|| Built::get(path)) else {
        return missing(path);
    };
    let tag = tag(&file);
    let mut response = match header_has(headers, header::IF_NONE_MATCH, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::new(Body::from(file.data.into_owned())),
    };
    let set = response.headers_mut();
    for (name, value) in FIXED {
        set.insert(name, HeaderValue::from_static(value));
    }
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    set.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Names below assets/ carry a digest of the content; the others stay and their content changes.
    let keep = match path.contains("/assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if is_compressed {
        set.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if path.starts_with("widget/") {
        // Pages of others load it.
        set.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        set.insert(
            header::HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        set.insert(header::ETAG, tag);
    }
    response
}

fn missing(path: &str) -> Response {
    match Built::get("chat/index.html") {
        Some(_) => (StatusCode::NOT_FOUND, format!("there is no {path}\n")),
        None => (
            StatusCode::NOT_IMPLEMENTED,
            "the pages of the chat are not part of this program: run `make clients` and build it again\n".to_owned(),
        ),
    }
    .into_response()
}

fn tag(file: &EmbeddedFile) -> String {
    let digest = file.metadata.sha256_hash();
    let hex: String = digest
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

fn header_has(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| {
            part.split(';')
                .next()
                .is_some_and(|part| part.trim() == wanted)
        })
}

/// The few kinds that the build makes.
fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("map" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
