//! What is going on, for servers.

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder};

use super::Route;
use super::parts::{
    APIKEY, TENANT, in_path, in_query, json_of, json_only, message, operation, page, problems,
    secured,
};

const TAG: &str = "channels";

pub(super) fn routes() -> Vec<Route> {
    let private = || {
        in_query(
            "private",
            "`true`: the private channel of that name.",
            json!({ "type": "string" }),
        )
    };
    let topic = || in_path("topic", "Name of the channel, without `realtime:`.");
    let list = operation(
        "listChannels",
        TAG,
        "Channels with members",
        "In the order of their names, a page at a time, as far as this node knows.",
    )
    .parameter(in_query(
        "limit",
        "Channels of one page.",
        json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
    ))
    .parameter(in_query(
        "after",
        "`next` of the page before.",
        json!({ "type": "string", "pattern": "^(public|private):" }),
    ))
    .response(
        "200",
        json_of(
            "A page",
            json!({
                "type": "object",
                "required": ["channels", "next"],
                "properties": {
                    "channels": { "type": "array", "items": channel() },
                    "next": { "type": ["string", "null"] },
                },
            }),
        ),
    )
    .response(
        "422",
        json_of(
            "A parameter is wrong",
            json!({
                "type": "object",
                "required": ["errors"],
                "properties": { "errors": problems() },
            }),
        ),
    );
    let one = operation(
        "showChannel",
        TAG,
        "Members of a channel",
        "How many there are; zero when nobody is there.",
    )
    .parameter(topic())
    .parameter(private())
    .response("200", json_of("The channel", channel()));
    let presence = operation(
        "showPresence",
        TAG,
        "Who is present",
        "The presence state of a channel as its members see it.",
    )
    .parameter(topic())
    .parameter(private())
    .response(
        "200",
        json_of(
            "Keys, each with the states tracked under it",
            json!({
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["metas"],
                    "properties": { "metas": { "type": "array", "items": { "type": "object" } } },
                },
            }),
        ),
    );
    vec![
        ("/api/channels", HttpMethod::Get, json_only(looked(list))),
        (
            "/api/channels/{topic}",
            HttpMethod::Get,
            json_only(looked(one)),
        ),
        (
            "/api/channels/{topic}/presence",
            HttpMethod::Get,
            json_only(looked(presence)),
        ),
    ]
}

fn channel() -> Value {
    json!({
        "type": "object",
        "required": ["topic", "private", "subscribers"],
        "properties": {
            "topic": { "type": "string" },
            "private": { "type": "boolean" },
            "subscribers": { "type": "integer", "minimum": 0 },
        },
    })
}

fn looked(operation: OperationBuilder) -> OperationBuilder {
    let suspended = "Tenant is suspended";
    let role = "Only tokens of the role service_role may look at channels";
    secured(operation, &[TENANT, APIKEY])
        .response("400", page("Not a path or a query"))
        .response(
            "401",
            message(
                "No such tenant, or no valid token of it",
                &["Unauthorized", "Tenant not found in database"],
            )
            .build(),
        )
        .response(
            "403",
            message("Not a server, or nobody is served", &[suspended, role]).build(),
        )
}
