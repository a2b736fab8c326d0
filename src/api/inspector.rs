//! The inspector: a static page that connects to this server with a token pasted into it (`clients/inspector`).
//!
//! It is part of the binary and served without a token: it holds nothing, and shows only what the token that somebody
//! pastes may see. Its policy lets it run its own scripts only, and no data become markup (Trusted Types).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;

/// Scripts, styles and pictures come from this server alone. Connections may go elsewhere, since the page asks for the
/// server to inspect.
const POLICY: &str = "default-src 'self'; connect-src 'self' http: https: ws: wss:; object-src 'none'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $kind:expr) => {
        (
            concat!("/inspector/", $name),
            $kind,
            include_bytes!(concat!("../../clients/inspector/", $name)).as_slice(),
        )
    };
}

/// Path, content type and content.
#[rustfmt::skip]
const FILES: &[(&str, &str, &[u8])] = &[
    ("/inspector", HTML, include_bytes!("../../clients/inspector/index.html")),
    file!("inspector.css", CSS),
    file!("icon.svg", PICTURE),
    file!("main.mjs", SCRIPT),
    file!("client.mjs", SCRIPT),
    file!("channel.mjs", SCRIPT),
    file!("presence.mjs", SCRIPT),
    file!("frames.mjs", SCRIPT),
    file!("token.mjs", SCRIPT),
    file!("explain.mjs", SCRIPT),
    file!("reasons.mjs", SCRIPT),
    file!("snippets.mjs", SCRIPT),
    file!("dom.mjs", SCRIPT),
    file!("connect-view.mjs", SCRIPT),
    file!("join-view.mjs", SCRIPT),
    file!("channel-view.mjs", SCRIPT),
    file!("server-view.mjs", SCRIPT),
    file!("frame-list.mjs", SCRIPT),
];

/// The routes of the page, at `/inspector`.
pub(super) fn router() -> Router {
    let router = Router::new().route("/inspector/", get(elsewhere));
    FILES.iter().fold(router, |router, &(path, kind, content)| {
        let tag = Arc::new(tag(content));
        let answer = move |headers: HeaderMap| {
            let tag = Arc::clone(&tag);
            async move { answer(kind, content, &tag, &headers) }
        };
        router.route(path, get(answer))
    })
}

/// The page's links are relative to `/inspector`, so that it also works below a prefix.
async fn elsewhere() -> Response {
    (
        StatusCode::PERMANENT_REDIRECT,
        [(header::LOCATION, "../inspector")],
    )
        .into_response()
}

/// The entity tag of a content, in its quotes.
fn tag(content: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    let hex: String = digest
        .as_ref()
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

fn answer(kind: &'static str, content: &'static [u8], tag: &str, headers: &HeaderMap) -> Response {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|known| known.trim() == tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(Bytes::from_static(content)))
    };
    let set = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in fixed {
        set.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        set.insert(header::ETAG, tag);
    }
    response
}
