//! What every request to the surface passes: CORS as the stack's gateway has it, and counting. `/rest/v1` passes the
//! same in [`super::direct`].
//!
//! Any origin may ask: who may see what is decided by the token, which no browser sends by itself. The headers that a
//! page may read are those of PostgREST, Auth and resumable uploads together.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use futures_util::FutureExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::unread;
use crate::metrics_names::{SURFACE_REQUESTS, SURFACE_SECONDS};

/// How long a browser may remember the answer to a preflight.
const PREFLIGHT: Duration = Duration::from_secs(3600);

/// What a page may read of an answer besides the few headers that browsers always show.
const EXPOSED: [&str; 24] = [
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-location",
    "content-profile",
    "content-range",
    "date",
    "etag",
    "link",
    "location",
    "preference-applied",
    "range-unit",
    "retry-after",
    "tus-extension",
    "tus-max-size",
    "tus-resumable",
    "tus-version",
    "upload-expires",
    "upload-length",
    "upload-metadata",
    "upload-offset",
    "x-request-id",
    "x-supabase-api-version",
    "x-total-count",
];

/// The router with everything that stands before it.
pub(crate) fn guarded(router: Router) -> Router {
    router.layer(from_fn(unread::drained)).layer(cors())
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::PATCH,
            Method::POST,
            Method::DELETE,
            Method::OPTIONS,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(PREFLIGHT)
}

/// What CORS adds to every answer but those to preflights; the same whoever asks.
pub(super) struct Shown(HeaderMap);

impl Shown {
    pub(super) fn new() -> Self {
        let nothing =
            service_fn(|_: Request| async { Ok::<Response, Infallible>(Response::default()) });
        let answered = cors().layer(nothing).oneshot(Request::new(Body::empty()));
        Self(match answered.now_or_never() {
            Some(Ok(answer)) => answer.into_parts().0.headers,
            Some(Err(never)) => match never {},
            // Neither CORS nor the service waits for anything.
            None => HeaderMap::new(),
        })
    }

    pub(super) fn add(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if name == header::VARY {
                // It may be there, and have several values.
                headers.append(name, value.clone());
            } else {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// Counts the requests to one service, and how long they take until their answer begins.
pub(crate) fn counted(service: &'static str, router: Router) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| async move {
        let begun = Instant::now();
        let answer: Response = next.run(request).await;
        count(service, answer.status(), begun);
        answer
    }))
}

/// Counts one request.
pub(super) fn count(service: &'static str, status: StatusCode, begun: Instant) {
    let status = match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!(SURFACE_REQUESTS, "service" => service, "status" => status).increment(1);
    metrics::histogram!(SURFACE_SECONDS, "service" => service)
        .record(begun.elapsed().as_secs_f64());
}
