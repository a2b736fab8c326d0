//! `GET /api/openapi`: every HTTP route of the server in one OpenAPI document, written by hand beside the handlers so
//! that it says what clients may rely on; `tests/it/rest_openapi.rs` holds the server to it.

mod broadcast;
mod channels;
mod parts;
mod service;
mod tenants;

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::Response;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths,
};

use super::answers;

/// A method on a path, and what is said about it.
type Route = (&'static str, HttpMethod, Operation);

/// Serves the document.
pub(super) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<serde_json::Value> =
        LazyLock::new(|| serde_json::to_value(document()).unwrap_or_default());
    answers::json(StatusCode::OK, &DOCUMENT)
}

/// The whole document.
fn document() -> OpenApi {
    let mut paths = Paths::new();
    let routes = [
        broadcast::routes(),
        channels::routes(),
        service::routes(),
        tenants::routes(),
    ];
    for (path, method, operation) in routes.into_iter().flatten() {
        paths.add_path_operation(path, vec![method], operation);
    }
    let info = InfoBuilder::new()
        .title("Dovetail")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "HTTP API. Sockets connect to `/socket/websocket`. Which tenant a request is for is decided by the first label of its `Host`.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
        .build();
    let bearer = |description: &str| {
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some(description))
                .build(),
        )
    };
    let components = ComponentsBuilder::new()
        .security_scheme(
            parts::TENANT,
            bearer("A token of the tenant: of a user, the anon key or the service key."),
        )
        .security_scheme(
            parts::APIKEY,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("apikey"))),
        )
        .security_scheme(
            parts::OPERATOR,
            bearer("Signed with `API_JWT_SECRET`; no claim is required."),
        )
        .security_scheme(
            parts::METRICS,
            bearer("Signed with `METRICS_JWT_SECRET`; no claim is required."),
        )
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components))
        .build()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_and_operation_came_through() {
        let document = serde_json::to_value(document()).unwrap();
        let mut ids = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(!ids.contains(&id), "{id} twice");
                ids.push(id);
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    for content in answer["content"].as_object().into_iter().flatten() {
                        // What a schema's text could not be read into.
                        assert_ne!(content.1["schema"], serde_json::json!({ "default": null }));
                        assert!(content.1["schema"].is_object(), "{method} {path} {status}");
                    }
                }
            }
        }
        assert_eq!(ids.len(), 19);
    }
}
