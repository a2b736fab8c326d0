//! The tenant API (protocol.md §8.2 to §8.6). With one tenant from the environment it shows that one; only tenants of
//! the metadata can be written.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use super::{Doors, allowed, json_response, operates};
use crate::tenant::Tenant;
use crate::tenants::{Many, NoTenant, StoreError, WriteError, Written, restart, shutdown};

/// Its routes, relative to nothing.
pub(super) fn routes() -> Router<Arc<Doors>> {
    Router::new()
        .route("/api/tenants", get(list).post(create))
        .route(
            "/api/tenants/{id}",
            get(show).put(update).patch(update).delete(delete),
        )
        .route("/api/tenants/{id}/reload", post(reload))
        .route("/api/tenants/{id}/shutdown", post(end))
        .route("/api/tenants/{id}/health", get(health))
}

/// Proof that the request may do what it asks for (P-225). Tokens of clients, which the same secret signs in a Supabase
/// stack, may only ask for health.
struct Admin;

impl FromRequestParts<Arc<Doors>> for Admin {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, doors: &Arc<Doors>) -> Result<Self, StatusCode> {
        match operates(&doors.api_keys, &parts.headers) {
            true => Ok(Self),
            false => Err(StatusCode::FORBIDDEN),
        }
    }
}

/// Proof that the request has any token of the API, also one of a client: the stack's health check sends the anon key.
struct Known;

impl FromRequestParts<Arc<Doors>> for Known {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, doors: &Arc<Doors>) -> Result<Self, StatusCode> {
        match allowed(&doors.api_keys, &parts.headers) {
            true => Ok(Self),
            false => Err(StatusCode::FORBIDDEN),
        }
    }
}

/// Everything that is not the answer asked for.
enum Refusal {
    NotFound,
    /// The body is no JSON object with a `tenant`.
    Body,
    /// There is one tenant, and the environment says what it is like.
    OneTenant,
    /// The body says something wrong.
    Write(WriteError),
    Store(StoreError),
    Unavailable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let message = |status, text: &str| json_response(status, &json!({ "message": text }));
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "the tenant API failed");
            message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        };
        match self {
            Self::NotFound => message(StatusCode::NOT_FOUND, "not found"),
            Self::Body => message(
                StatusCode::BAD_REQUEST,
                "the body must be JSON: {\"tenant\":{...}}",
            ),
            Self::OneTenant => message(
                StatusCode::CONFLICT,
                "the one tenant of this server comes from its environment; start it with TENANTS=database to manage tenants here",
            ),
            Self::Write(WriteError::Invalid(errors)) => {
                json_response(StatusCode::UNPROCESSABLE_ENTITY, &errors.to_json())
            }
            // The row is there; what failed is the caller's to repair.
            Self::Write(error @ WriteError::Database(_)) => {
                message(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())
            }
            Self::Write(error) => failed(&error),
            Self::Store(error) => failed(&error),
            Self::Unavailable => message(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the tenant cannot be read now; see the log of the server",
            ),
        }
    }
}

impl From<NoTenant> for Refusal {
    fn from(error: NoTenant) -> Self {
        match error {
            NoTenant::Unknown => Self::NotFound,
            NoTenant::Unavailable => Self::Unavailable,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

type Answer = Result<Response, Refusal>;

async fn list(_: Admin, State(doors): State<Arc<Doors>>) -> Answer {
    let directory = &doors.doorway.directory;
    let tenants: Vec<Value> = match directory.managed() {
        Some(many) => many.list().await?.iter().map(|r| r.to_api()).collect(),
        None => directory.served().iter().map(|t| as_row(t)).collect(),
    };
    Ok(json_response(StatusCode::OK, &json!({ "data": tenants })))
}

async fn show(_: Admin, State(doors): State<Arc<Doors>>, Path(id): Path<String>) -> Answer {
    let directory = &doors.doorway.directory;
    let tenant = match directory.managed() {
        Some(many) => many.get(&id).await?.ok_or(Refusal::NotFound)?.to_api(),
        None => as_row(&*directory.find(&id).await?),
    };
    Ok(json_response(StatusCode::OK, &json!({ "data": tenant })))
}

async fn create(_: Admin, State(doors): State<Arc<Doors>>, body: Bytes) -> Answer {
    let many = managed(&doors)?;
    written(many.post(&tenant_of(&body)?).await)
}

async fn update(
    _: Admin,
    State(doors): State<Arc<Doors>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let many = managed(&doors)?;
    written(many.put(&id, &tenant_of(&body)?).await)
}

async fn delete(_: Admin, State(doors): State<Arc<Doors>>, Path(id): Path<String>) -> Answer {
    managed(&doors)?.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn reload(_: Admin, State(doors): State<Arc<Doors>>, Path(id): Path<String>) -> Answer {
    let directory = &doors.doorway.directory;
    match directory.managed() {
        Some(many) => many.reload(&id).await?,
        None => {
            let tenant = directory.find(&id).await?;
            restart(&tenant);
            tenant.backend();
        }
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn end(_: Admin, State(doors): State<Arc<Doors>>, Path(id): Path<String>) -> Answer {
    let directory = &doors.doorway.directory;
    let tenant = directory.find(&id).await?;
    shutdown(&tenant);
    if directory.managed().is_none() {
        // Nobody opens the database of the one tenant when it is needed: it is always open.
        tenant.backend();
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Health as the compose file asks for it (protocol.md §8.6, postgres.md §6.4).
async fn health(_: Known, State(doors): State<Arc<Doors>>, Path(id): Path<String>) -> Answer {
    let directory = &doors.doorway.directory;
    let tenant = directory.find(&id).await?;
    let opened = tenant.opened();
    let replication_connected = opened.as_ref().is_some_and(|backend| backend.live());
    let db_connected = match &opened {
        Some(backend) => replication_connected || backend.access.reachable().await,
        None => false,
    };
    let users = tenant.sockets.users();
    let healthy = db_connected
        || match directory.managed() {
            Some(many) if users == 0 => many.is_prepared(&tenant).await?,
            _ => false,
        };
    let body = json!({ "data": {
        "healthy": healthy,
        "db_connected": db_connected,
        "replication_connected": replication_connected,
        "connected_cluster": users,
        "region": doors.region,
        "node": "dovetail",
    }});
    Ok(json_response(StatusCode::OK, &body))
}

fn managed(doors: &Doors) -> Result<&Arc<Many>, Refusal> {
    doors.doorway.directory.managed().ok_or(Refusal::OneTenant)
}

fn tenant_of(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    match body.and_then(|mut body| body.remove("tenant")) {
        Some(Value::Object(tenant)) => Ok(tenant),
        _ => Err(Refusal::Body),
    }
}

fn written(outcome: Result<Written, WriteError>) -> Answer {
    let written = outcome.map_err(Refusal::Write)?;
    let status = match written.created {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let mut response = json_response(status, &json!({ "data": written.record.to_api() }));
    // The row's id, which no route accepts, as in the original (transcript 950).
    let location = format!("/api/tenants/{}", written.record.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The tenant of the environment in the shape of a row; its database is not told.
fn as_row(tenant: &Tenant) -> Value {
    let settings = tenant.settings();
    let limits = &settings.limits;
    let name = &*tenant.external_id;
    json!({
        "id": uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()),
        "external_id": name,
        "name": name,
        "max_concurrent_users": settings.max_users.unwrap_or(0),
        "max_channels_per_client": limits.channels_per_client,
        "max_events_per_second": settings.rates.events.unwrap_or(0),
        "max_joins_per_second": settings.rates.joins.unwrap_or(0),
        "max_client_presence_events_per_window": limits.presence_calls,
        "client_presence_window_ms": u64::try_from(limits.presence_window.as_millis()).unwrap_or(u64::MAX),
        "private_only": settings.private_only,
        "presence_enabled": settings.presence_enabled,
        "inserted_at": null,
        "extensions": [{
            "type": "postgres_cdc_rls",
            "inserted_at": null,
            "updated_at": null,
            "settings": {
                "publication": settings.database.changes.publication,
                "slot_name": settings.database.slot,
                "poll_max_record_bytes": settings.database.changes.max_record_bytes,
            },
        }],
    })
}
