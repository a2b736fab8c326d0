//! HTTP doors: health, readiness, ping, metrics, and a clear answer where a feature is not there yet.

mod channels;
mod inspector;
mod metrics;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::auth::ApiKeys;
use crate::socket::{self, Doorway};
use crate::tenant::Tenant;

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
}

/// Every route of the server.
///
/// The socket is also routed under the gateway's public path, so that a client pointed at this binary alone finds it.
pub fn router(doors: Doors) -> Router {
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
        .route("/api/ping", get(ping))
        .route("/realtime/v1/api/ping", get(ping))
        .route("/api/tenants/{id}/health", get(health))
        .route("/metrics", get(metrics::handle))
        .route("/api/broadcast", any(not_yet))
        .route("/api/broadcast/{topic}/events/{event}", any(not_yet))
        .route("/realtime/v1/api/{*rest}", any(not_yet))
        .with_state(Arc::new(doors))
        .merge(sockets)
        .merge(channels)
        .merge(inspector)
}

async fn readyz(State(doors): State<Arc<Doors>>) -> Response {
    let live = |tenant: &Arc<Tenant>| tenant.opened().is_none_or(|backend| backend.live());
    if !doors.draining.is_cancelled() && doors.doorway.directory.served().iter().all(live) {
        "ready".into_response()
    } else {
        let reason = "the replication stream is not live yet";
        (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
    }
}

async fn ping() -> Response {
    json_response(StatusCode::OK, &json!({ "message": "Success" }))
}

/// Health as the compose file asks for it (protocol.md §8.6, postgres.md §6.4).
async fn health(
    State(doors): State<Arc<Doors>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !allowed(&doors.api_keys, &headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(tenant) = doors.doorway.directory.find(&id).await else {
        return json_response(StatusCode::NOT_FOUND, &json!({ "message": "not found" }));
    };
    let connected = tenant.opened().is_some_and(|backend| backend.live());
    let body = json!({ "data": {
        "healthy": connected,
        "db_connected": connected,
        "replication_connected": connected,
        "connected_cluster": tenant.sockets.users(),
        "region": doors.region,
        "node": "dovetail",
    }});
    json_response(StatusCode::OK, &body)
}

async fn not_yet() -> Response {
    let message = "This version of the server has no REST broadcast and no tenant API yet";
    json_response(StatusCode::NOT_IMPLEMENTED, &json!({ "message": message }))
}

/// The value must start with exactly `Bearer ` (P-225).
fn allowed(keys: &ApiKeys, headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .is_some_and(|token| keys.verify(token, socket::unix_now()).is_ok())
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}
