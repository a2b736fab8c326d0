//! A line for each HTTP request, at debug: the route and the answer. Never the path as it was sent, whose query holds keys.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

/// What a stack's container engine asks every few seconds.
const HEALTH_CHECKS: [&str; 4] = [
    "/healthcheck",
    "/healthz",
    "/api/tenants/{id}/health",
    "/realtime/v1/api/tenants/{id}/health",
];

/// Logs the requests to `router`, those of health checks unless `quiet` (`DISABLE_HEALTHCHECK_LOGGING`).
pub(super) fn logged(router: Router, quiet: bool) -> Router {
    router.layer(from_fn(move |request: Request, next: Next| async move {
        let route = request.extensions().get::<MatchedPath>().cloned();
        let method = request.method().clone();
        let answer: Response = next.run(request).await;
        let route = route.as_ref().map_or("(none)", MatchedPath::as_str);
        if !(quiet && HEALTH_CHECKS.contains(&route)) {
            tracing::debug!(%method, route, status = answer.status().as_u16(), "request");
        }
        answer
    }))
}
