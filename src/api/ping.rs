//! `GET /api/ping`: is there somebody, and does this tenant exist (protocol.md §8.7)?

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{Doors, answers, gate};

/// Answers also for a tenant that is suspended.
pub(super) async fn ping(State(doors): State<Arc<Doors>>, headers: HeaderMap) -> Response {
    match gate::enter(&doors.doorway.directory, &headers).await {
        Ok(admitted) => admitted.stamp(answers::message(StatusCode::OK, "Success")),
        Err(refusal) => refusal,
    }
}
