//! Broadcast.

use serde_json::json;
use utoipa::openapi::path::{HttpMethod, OperationBuilder};

use super::Route;
use super::parts::{
    APIKEY, TENANT, body, in_path, in_query, json_of, json_only, message, nothing, operation, page,
    problems, rated, secured, too_many,
};

const TAG: &str = "broadcast";

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/api/broadcast", HttpMethod::Post, json_only(batch())),
        (
            "/api/broadcast/{topic}/events/{event}",
            HttpMethod::Post,
            json_only(single()),
        ),
    ]
}

fn batch() -> OperationBuilder {
    let one = json!({
        "type": "object",
        "required": ["topic", "event", "payload"],
        "properties": {
            "topic": { "type": "string", "pattern": "\\S", "description": "Name of the channel, without `realtime:`." },
            "event": { "type": "string", "pattern": "\\S" },
            "payload": { "type": "object", "description": "Any object within the tenant's size limit." },
            "private": {
                "description": "To the private channel of that name; needs the right to write to it.",
                "anyOf": [
                    { "type": "boolean" },
                    { "type": "string", "enum": ["true", "false", "1", "0"] },
                    { "type": "null" },
                ],
            },
            "id": { "type": ["string", "null"], "description": "Receivers find it in `meta.id`." },
        },
    });
    let described = json!({
        "type": "object",
        "required": ["errors"],
        "properties": { "errors": {
            "type": "object",
            "required": ["messages"],
            "properties": { "messages": {
                "type": "array",
                "items": { "anyOf": [{ "type": "string" }, problems()] },
            }},
        }},
    });
    let operation = operation(
        "broadcast",
        TAG,
        "Sends messages",
        "To all members of their channels. Public ones come first; of the private ones those that the sender may not \
         send are left out without a word.",
    )
    .request_body(Some(body(
        "At least one message. If one is wrong none is sent. At most 8,000,000 bytes.",
        true,
        [(
            "application/json",
            json!({
                "type": "object",
                "required": ["messages"],
                "properties": { "messages": { "type": "array", "minItems": 1, "items": one } },
            }),
        )],
    )))
    .response("202", rated(nothing("Sent")))
    .response(
        "422",
        rated(json_of(
            "Nothing was sent: what is wrong with the whole, or with each message (at most 1,000 wrong ones are described)",
            described,
        )),
    )
    .response(
        "429",
        too_many(&[
            "Too many requests",
            "You have exceeded your rate limit",
            "Too many messages to broadcast, please reduce the batch size",
        ]),
    )
    .response("403", rated(message("Nobody is served", &["Tenant is suspended"])));
    sent(operation)
}

fn single() -> OperationBuilder {
    let operation = operation(
        "broadcastOne",
        TAG,
        "Sends one message",
        "Its payload is the body: a JSON object (other JSON is put into the key `_json`), or bytes, which only sockets \
         with serializer 2.0.0 receive.",
    )
    .parameter(in_path("topic", "Name of the channel, without `realtime:`."))
    .parameter(in_path("event", "Name of the event."))
    .parameter(in_query(
        "private",
        "`true`: to the private channel of that name. Anything else is public.",
        json!({ "type": "string" }),
    ))
    .request_body(Some(body(
        "The payload; without a content type it is `{}`. At most 8,000,000 bytes.",
        false,
        [
            ("application/json", json!({})),
            (
                "application/octet-stream",
                json!({ "type": "string", "format": "binary" }),
            ),
        ],
    )))
    .response("202", rated(nothing("Sent")))
    .response(
        "403",
        rated(message(
            "The sender may not write to this private channel, or nobody is served",
            &["Unauthorized", "Tenant is suspended"],
        )),
    )
    .response(
        "415",
        json_of(
            "Another content type",
            json!({
                "type": "object",
                "required": ["error"],
                "properties": { "error": { "type": "string" } },
            }),
        ),
    )
    .response(
        "422",
        rated(json_of(
            "A blank name, too large a payload, or the right to write could not be checked",
            json!({
                "type": "object",
                "properties": { "errors": problems(), "message": { "type": "string" } },
            }),
        )),
    )
    .response(
        "429",
        too_many(&[
            "Too many requests",
            "You have exceeded your rate limit",
            "Connection pool exhausted",
        ]),
    )
    .response(
        "500",
        rated(message(
            "The right to write could not be checked",
            &["Unable to authorize broadcast"],
        )),
    );
    sent(operation)
}

/// What both have in common.
fn sent(operation: OperationBuilder) -> OperationBuilder {
    secured(operation, &[TENANT, APIKEY])
        .response("400", page("Not JSON, or not a path"))
        .response(
            "401",
            message(
                "No such tenant, or no valid token of it",
                &["Unauthorized", "Tenant not found in database"],
            )
            .build(),
        )
        .response("408", page("The body did not come in time"))
        .response("413", page("The body is too large"))
}
