//! `/metrics`: what each tenant has counted, put beside what the rest of the server counts by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics::{counter, gauge};

use super::Doors;
use crate::metrics_names as names;
use crate::tenant::Tenant;

/// Prometheus' text format, for tokens of `METRICS_JWT_SECRET`; closed where that is not set.
pub(super) async fn handle(State(doors): State<Arc<Doors>>, headers: HeaderMap) -> Response {
    if !super::operates(&doors.metrics_keys, &headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    collect(&doors.doorway.directory.served());
    let body = doors.metrics.render();
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// The same for the nodes of one region, of which there is one or none here (protocol.md §8.8).
pub(super) async fn of_region(
    State(doors): State<Arc<Doors>>,
    Path(region): Path<String>,
    headers: HeaderMap,
) -> Response {
    if region == doors.region || !super::operates(&doors.metrics_keys, &headers) {
        return handle(State(doors), headers).await;
    }
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "").into_response()
}

/// What a tenant counts by itself: name by tenant, name of the sum over all, count so far.
fn totals(tenant: &Tenant) -> [(&'static str, &'static str, u64); 6] {
    let meters = &tenant.meters;
    [
        (
            names::CHANNEL_JOINS,
            names::GLOBAL_JOINS,
            meters.joins.total(),
        ),
        (
            names::CHANNEL_EVENTS,
            names::GLOBAL_EVENTS,
            meters.events.total(),
        ),
        (
            names::CHANNEL_PRESENCE_EVENTS,
            names::GLOBAL_PRESENCE_EVENTS,
            meters.presence_events.total(),
        ),
        (
            names::CHANNEL_DB_EVENTS,
            names::GLOBAL_DB_EVENTS,
            meters.db_events.total(),
        ),
        (
            names::CHANNEL_INPUT_BYTES,
            names::GLOBAL_INPUT_BYTES,
            meters.input_bytes.load(Ordering::Relaxed),
        ),
        (
            names::CHANNEL_OUTPUT_BYTES,
            names::GLOBAL_OUTPUT_BYTES,
            meters.output_bytes.load(Ordering::Relaxed),
        ),
    ]
}

fn collect(served: &[Arc<Tenant>]) {
    let (mut sockets, mut all_users, mut open) = (0, 0.0, 0);
    let mut sums = [0; 6];
    for tenant in served {
        let label = || tenant.external_id.to_string();
        sockets += tenant.sockets.count();
        let users = tenant.sockets.users() as f64;
        all_users += users;
        gauge!(names::CONNECTED, "tenant" => label()).set(users);
        gauge!(names::CONNECTED_CLUSTER, "tenant" => label()).set(users);
        let subscribers = tenant.opened().map(|backend| {
            open += 1;
            backend.changes.subscriptions()
        });
        gauge!(names::SUBSCRIBERS, "tenant" => label()).set(subscribers.unwrap_or(0) as f64);
        counter!(names::REQUESTS, "tenant" => label()).absolute(tenant.meters.requests.total());
        for (sum, (name, _, total)) in sums.iter_mut().zip(totals(tenant)) {
            counter!(name, "tenant" => label()).absolute(total);
            *sum += total;
        }
    }
    if let Some(tenant) = served.first() {
        for (sum, (_, name, _)) in sums.into_iter().zip(totals(tenant)) {
            counter!(name).absolute(sum);
        }
    }
    gauge!(names::GLOBAL_CONNECTED).set(all_users);
    gauge!(names::GLOBAL_CONNECTED_CLUSTER).set(all_users);
    gauge!(names::SOCKETS).set(sockets as f64);
    gauge!(names::TENANTS_CONNECTED).set(f64::from(open));
    // Counters that have not begun are shown as zero, so that their first increase is seen.
    for name in [
        names::SLOW_CONSUMERS,
        names::CHANGES_HIDDEN,
        names::CHANGES_ROWS,
    ] {
        counter!(name).increment(0);
    }
}
