//! HTTP doors: health, readiness, metrics here; ping, broadcast and the OpenAPI document in files of their own.

mod answers;
mod broadcast;
mod channels;
mod envelope;
mod gate;
mod inspector;
mod metrics;
mod openapi;
mod ping;
mod tenants;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

pub use self::envelope::RequestId;

use self::answers::json as json_response;
use crate::auth::ApiKeys;
use crate::socket::{self, Doorway};

/// What the HTTP doors show and ask.
pub struct Doors {
    /// Where sockets enter.
    pub doorway: Arc<Doorway>,
    /// Cancelled when the server begins to stop.
    pub draining: CancellationToken,
    /// Opens the tenant API.
    pub api_keys: ApiKeys,
    /// Opens `/metrics`.
    pub metrics_keys: ApiKeys,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Whether the inspector page is served.
    pub inspector: bool,
    /// Shown in the health answer.
    pub region: String,
    /// The embedded Supabase surface.
    pub surface: Option<Router>,
}

/// Every route of the server.
///
/// What clients use is also routed under the gateway's public path, so that one pointed at this binary alone finds it;
/// the tenant API is not, as the gateway forbids it there.
pub fn router(mut doors: Doors) -> Router {
    let surface = doors.surface.take();
    let doorway = Arc::clone(&doors.doorway);
    let sockets = Router::new()
        .route("/socket/websocket", any(socket::handle))
        .route("/realtime/v1/websocket", any(socket::handle))
        .with_state(doorway);
    let channels = channels::router(Arc::clone(&doors.doorway.directory));
    let inspector = if doors.inspector {
        inspector::router()
    } else {
        Router::new()
    };
    Router::new()
        .route("/healthcheck", get(|| async { "ok" }))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .merge(clients("/api"))
        .merge(clients("/realtime/v1/api"))
        .merge(tenants::routes())
        .route("/metrics", get(metrics::handle))
        .route("/metrics/{region}", get(metrics::of_region))
        .with_state(Arc::new(doors))
        .merge(sockets)
        .merge(channels)
        .merge(inspector)
        .route_layer(middleware::from_fn(envelope::json_only))
        .fallback(answers::not_found)
        .method_not_allowed_fallback(answers::not_found)
        .layer(CompressionLayer::new())
        // Not compressed: what is stored is served as it is, in ranges too.
        .merge(surface.unwrap_or_default())
        .layer(middleware::from_fn(envelope::request_id))
}

/// What clients of a tenant ask for, under the API's own path and under the one that the gateway gives it.
fn clients(prefix: &str) -> Router<Arc<Doors>> {
    let routes = Router::new()
        .route("/ping", get(ping::ping))
        .route("/openapi", get(openapi::openapi))
        .route("/broadcast", post(broadcast::batch))
        .route("/broadcast/{topic}/events/{event}", post(broadcast::single));
    Router::new().nest(prefix, routes)
}

async fn readyz(State(doors): State<Arc<Doors>>) -> Response {
    if !doors.draining.is_cancelled() && doors.doorway.directory.is_ready() {
        "ready".into_response()
    } else {
        let reason = "the replication stream is not live yet";
        (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
    }
}

fn allowed(keys: &ApiKeys, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|token| keys.verify(token, socket::unix_now()).is_ok())
}

/// The same for what is nobody's business among the clients.
fn operates(keys: &ApiKeys, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|token| keys.verify_operator(token, socket::unix_now()).is_ok())
}

/// The token; the value must start with exactly `Bearer ` (P-225).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}
