//! Building blocks of the document.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{
    ContentBuilder, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
};

/// Security schemes.
pub(super) const TENANT: &str = "tenant";
pub(super) const APIKEY: &str = "apikey";
pub(super) const OPERATOR: &str = "operator";
pub(super) const METRICS: &str = "metrics";

/// An operation that anybody may call.
pub(super) fn operation(id: &str, tag: &str, summary: &str, description: &str) -> OperationBuilder {
    OperationBuilder::new()
        .operation_id(Some(id))
        .tag(tag)
        .summary(Some(summary))
        .description(Some(description))
}

/// The same for those who bring one of these kinds of token.
pub(super) fn secured(mut operation: OperationBuilder, schemes: &[&str]) -> OperationBuilder {
    for scheme in schemes {
        let none: [&str; 0] = [];
        operation = operation.security(SecurityRequirement::new(*scheme, none));
    }
    operation
}

/// A schema from its JSON text; the unit test of the document finds those that are none.
pub(super) fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).unwrap_or_else(|_| RefOr::T(Schema::default()))
}

/// A part of the path. Like every name here it is never empty.
pub(super) fn in_path(name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema(json!({ "type": "string", "minLength": 1 }))))
        .build()
}

pub(super) fn in_query(name: &str, description: &str, kind: Value) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema(kind)))
        .build()
}

pub(super) fn body(
    description: &str,
    required: bool,
    contents: impl IntoIterator<Item = (&'static str, Value)>,
) -> RequestBody {
    let required = if required {
        Required::True
    } else {
        Required::False
    };
    let mut body = RequestBodyBuilder::new()
        .description(Some(description))
        .required(Some(required));
    for (kind, content) in contents {
        let content = ContentBuilder::new().schema(Some(schema(content))).build();
        body = body.content(kind, content);
    }
    body.build()
}

/// An answer without a body.
pub(super) fn nothing(description: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(description)
}

/// An answer in JSON.
pub(super) fn json_of(description: &str, content: Value) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(schema(content))).build();
    nothing(description).content("application/json", content)
}

/// An answer in text of this type.
pub(super) fn text(kind: &str, description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(schema(json!({ "type": "string" }))))
        .build();
    nothing(description).content(kind, content)
}

/// An answer without words: the name of its status.
pub(super) fn page(description: &str) -> Response {
    text("text/html", description).build()
}

/// `{"message":…}`, one of these.
pub(super) fn message(description: &str, messages: &[&str]) -> ResponseBuilder {
    json_of(
        description,
        json!({
            "type": "object",
            "properties": { "message": { "type": "string", "enum": messages } },
            "required": ["message"],
            "additionalProperties": false,
        }),
    )
}

/// `{"message":…}` in whatever words.
pub(super) fn any_message(description: &str) -> ResponseBuilder {
    json_of(description, any_message_schema())
}

pub(super) fn any_message_schema() -> Value {
    json!({
        "type": "object",
        "properties": { "message": { "type": "string" } },
        "required": ["message"],
        "additionalProperties": false,
    })
}

/// Names of fields, each with its problems.
pub(super) fn problems() -> Value {
    json!({
        "type": "object",
        "additionalProperties": { "type": "array", "items": { "type": "string" } },
    })
}

/// Adds the headers that say how many requests the tenant gets.
pub(super) fn rated(response: ResponseBuilder) -> Response {
    [
        (
            "x-rate-rolling",
            "Requests per second, averaged over a minute.",
        ),
        ("x-rate-limit", "How many there may be."),
        ("x-rate-limit-remaining", "The difference of the two."),
    ]
    .into_iter()
    .fold(response, |response, (name, description)| {
        response.header(name, integer(description))
    })
    .build()
}

/// 429 with the time to wait.
pub(super) fn too_many(messages: &[&str]) -> Response {
    let wait = "Seconds until the limit can be lifted; absent when waiting does not help.";
    rated(message("Too much", messages).header("retry-after", integer(wait)))
}

fn integer(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(schema(json!({ "type": "integer" }))))
        .description(Some(description))
        .build()
}

/// 406: the client does not take JSON.
pub(super) fn json_only(operation: OperationBuilder) -> Operation {
    operation
        .response("406", page("`Accept` leaves out JSON"))
        .build()
}
