//! Management of tenants (protocol.md §8.2 to §8.6).

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder};
use utoipa::openapi::request_body::RequestBody;

use super::Route;
use super::parts::{
    OPERATOR, any_message, any_message_schema, body, in_path, json_of, json_only, message, nothing,
    operation, page, secured,
};

const TAG: &str = "tenants";

pub(super) fn routes() -> Vec<Route> {
    let list = one(
        "listTenants",
        "All tenants",
        "What is stored, secrets left out.",
    )
    .response(
        "200",
        json_of(
            "The tenants",
            json!({
                "type": "object",
                "required": ["data"],
                "properties": { "data": { "type": "array", "items": tenant() } },
            }),
        ),
    );
    let create = written(one(
        "createTenant",
        "Creates a tenant",
        "Prepares its database. One with this `external_id` is updated instead.",
    ));
    let show = found(one(
        "showTenant",
        "A tenant",
        "What is stored, secrets left out.",
    ))
    .response("200", json_of("The tenant", data(tenant())));
    let delete = named(one(
        "deleteTenant",
        "Deletes a tenant",
        "Its sockets are closed, its replication slot is dropped. It need not exist.",
    ))
    .response("204", nothing("There is none of that name now"))
    .response(
        "409",
        any_message("The one tenant comes from the environment"),
    )
    .response("500", any_message("It could not be deleted"));
    let reload = found(one(
        "reloadTenant",
        "Begins anew",
        "Closes its sockets and opens its database again.",
    ))
    .response("204", nothing("Done"));
    let shutdown = found(one(
        "shutdownTenant",
        "Releases the database",
        "Sockets stay; the database is opened again when it is needed.",
    ))
    .response("204", nothing("Done"));
    let health = found(one(
        "tenantHealth",
        "Is it well?",
        "200 also when it is not.",
    ))
    .response("200", json_of("How it is", data(health_object())));
    vec![
        ("/api/tenants", HttpMethod::Get, json_only(list)),
        ("/api/tenants", HttpMethod::Post, json_only(create)),
        ("/api/tenants/{id}", HttpMethod::Get, json_only(show)),
        (
            "/api/tenants/{id}",
            HttpMethod::Put,
            json_only(update("putTenant")),
        ),
        (
            "/api/tenants/{id}",
            HttpMethod::Patch,
            json_only(update("patchTenant")),
        ),
        ("/api/tenants/{id}", HttpMethod::Delete, json_only(delete)),
        (
            "/api/tenants/{id}/reload",
            HttpMethod::Post,
            json_only(reload),
        ),
        (
            "/api/tenants/{id}/shutdown",
            HttpMethod::Post,
            json_only(shutdown),
        ),
        (
            "/api/tenants/{id}/health",
            HttpMethod::Get,
            json_only(health),
        ),
    ]
}

fn one(id: &str, summary: &str, description: &str) -> OperationBuilder {
    secured(operation(id, TAG, summary, description), &[OPERATOR])
        .response("403", nothing("No valid token of the operator"))
        .response("500", any_message("The tenants cannot be read"))
}

fn named(operation: OperationBuilder) -> OperationBuilder {
    operation
        .parameter(in_path("id", "The `external_id`."))
        .response("400", page("Not a path"))
}

fn found(operation: OperationBuilder) -> OperationBuilder {
    named(operation).response("404", message("No such tenant", &["not found"]))
}

fn update(id: &str) -> OperationBuilder {
    let operation = one(
        id,
        "Creates or updates a tenant",
        "Changed keys, `suspend` or `private_only` close its sockets; a changed database is opened anew.",
    );
    written(operation.parameter(in_path("id", "The `external_id`.")))
}

fn written(operation: OperationBuilder) -> OperationBuilder {
    let location = |description: &str| json_of(description, data(tenant()));
    operation
        .request_body(Some(tenant_body()))
        .response("200", location("Updated"))
        .response("201", location("Created"))
        .response("400", any_message("No JSON object with `tenant`"))
        .response(
            "409",
            any_message("The one tenant comes from the environment"),
        )
        .response("413", page("The body is too large"))
        .response(
            "422",
            json_of(
                "Fields with problems, or the database could not be prepared",
                json!({ "anyOf": [
                    {
                        "type": "object",
                        "required": ["errors"],
                        "properties": { "errors": { "type": "object" } },
                    },
                    any_message_schema(),
                ]}),
            ),
        )
}

fn tenant_body() -> RequestBody {
    let number = || json!({ "type": "integer" });
    let flag = || json!({ "type": "boolean", "default": false });
    let fields = json!({
        "type": "object",
        "properties": {
            "external_id": { "type": "string", "description": "Required to create; in the path otherwise." },
            "jwt_secret": { "type": "string", "description": "This or `jwt_jwks` is required." },
            "jwt_jwks": { "type": "object", "properties": { "keys": { "type": "array", "items": { "type": "object" } } } },
            "max_concurrent_users": number(),
            "max_channels_per_client": number(),
            "max_events_per_second": number(),
            "max_joins_per_second": number(),
            "max_presence_events_per_second": number(),
            "max_payload_size_in_kb": number(),
            "max_bytes_per_second": number(),
            "max_client_presence_events_per_window": number(),
            "client_presence_window_ms": number(),
            "postgres_cdc_default": { "type": "string" },
            "suspend": flag(),
            "private_only": flag(),
            "presence_enabled": flag(),
            "extensions": { "type": "array", "items": {
                "type": "object",
                "properties": { "type": { "type": "string" }, "settings": { "type": "object" } },
            }},
        },
    });
    body(
        "What to store.",
        true,
        [(
            "application/json",
            json!({
                "type": "object",
                "required": ["tenant"],
                "properties": { "tenant": fields },
            }),
        )],
    )
}

fn data(content: Value) -> Value {
    json!({ "type": "object", "required": ["data"], "properties": { "data": content } })
}

fn tenant() -> Value {
    let number = || json!({ "type": ["integer", "null"] });
    let time = || json!({ "type": ["string", "null"] });
    json!({
        "type": "object",
        "required": ["id", "external_id", "name", "extensions"],
        "properties": {
            "id": { "type": "string" },
            "external_id": { "type": "string" },
            "name": { "type": ["string", "null"] },
            "max_concurrent_users": number(),
            "max_channels_per_client": number(),
            "max_events_per_second": number(),
            "max_joins_per_second": number(),
            "max_client_presence_events_per_window": number(),
            "client_presence_window_ms": number(),
            "presence_enabled": { "type": ["boolean", "null"] },
            "private_only": { "type": ["boolean", "null"] },
            "inserted_at": time(),
            "extensions": { "type": "array", "items": {
                "type": "object",
                "required": ["type", "settings"],
                "properties": {
                    "type": { "type": "string" },
                    "inserted_at": time(),
                    "updated_at": time(),
                    "settings": { "type": "object" },
                },
            }},
        },
    })
}

fn health_object() -> Value {
    let flag = || json!({ "type": "boolean" });
    json!({
        "type": "object",
        "required": ["healthy", "db_connected", "replication_connected", "connected_cluster"],
        "properties": {
            "healthy": flag(),
            "db_connected": flag(),
            "replication_connected": flag(),
            "connected_cluster": { "type": "integer" },
            "region": { "type": ["string", "null"] },
            "node": { "type": "string" },
        },
    })
}
