//! The service itself: is it there, is it well, what is it like.

use serde_json::json;
use utoipa::openapi::path::HttpMethod;

use super::Route;
use super::parts::{
    METRICS, in_path, json_of, json_only, message, nothing, operation, rated, secured, text,
    too_many,
};

const TAG: &str = "service";

pub(super) fn routes() -> Vec<Route> {
    let ping = operation(
        "ping",
        TAG,
        "Is this tenant there?",
        "Counts as a request of the tenant.",
    )
    .response("200", rated(message("It is", &["Success"])))
    .response(
        "401",
        message("No such tenant", &["Tenant not found in database"]).build(),
    )
    .response("429", too_many(&["Too many requests"]));
    let openapi = operation("openapi", TAG, "This document", "OpenAPI 3.1.").response(
        "200",
        json_of("The document", json!({ "type": "object" })).build(),
    );
    let mut routes = vec![
        ("/api/ping", HttpMethod::Get, json_only(ping)),
        ("/api/openapi", HttpMethod::Get, json_only(openapi)),
    ];
    for (path, id) in [("/healthcheck", "healthcheck"), ("/healthz", "healthz")] {
        let alive = operation(id, TAG, "Is the process alive?", "Asks for nothing else.")
            .response("200", text("text/plain", "`ok`").build());
        routes.push((path, HttpMethod::Get, alive.build()));
    }
    let ready = operation(
        "readyz",
        TAG,
        "Can it serve?",
        "Not while it stops, and not before the stream of changes is live.",
    )
    .response("200", text("text/plain", "`ready`").build())
    .response("503", text("text/plain", "What is missing").build());
    routes.push(("/readyz", HttpMethod::Get, ready.build()));
    let metrics = |id, summary| {
        secured(
            operation(id, TAG, summary, "Prometheus text format."),
            &[METRICS],
        )
        .response("200", text("text/plain", "The metrics").build())
        .response("403", nothing("No valid token for metrics").build())
    };
    routes.push((
        "/metrics",
        HttpMethod::Get,
        metrics("metrics", "Metrics").build(),
    ));
    let region = in_path("region", "Name of a region; one node answers for all.");
    let of_region = metrics("metricsOfRegion", "Metrics of a region").parameter(region);
    routes.push(("/metrics/{region}", HttpMethod::Get, of_region.build()));
    routes
}
