//! Broadcast over HTTP: `POST /api/broadcast` and `POST /api/broadcast/{topic}/events/{event}` (protocol.md §5.5–§5.6a).
//!
//! Who sends is found out from the head of a request, before its body is read: only who may broadcast can make the server
//! keep one. What was accepted is delivered on a task of its own, so a client that hangs up cannot leave half a batch.

mod batch;
mod deliver;
mod fields;
mod single;
mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;

use self::deliver::Sender;
use self::upload::Upload;
use super::gate::{self, Admitted};
use super::{Doors, answers};
use crate::tenant::Tenant;

const UNSUPPORTED: &str =
    "Unsupported Media Type. Use application/json or application/octet-stream";
const RATE: &str = "You have exceeded your rate limit";

/// `POST /api/broadcast`.
pub(super) async fn batch(State(doors): State<Arc<Doors>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut upload = Upload::new(&head.headers, body);
    let response = match gate::enter(&doors.doorway.directory, &head.headers).await {
        Ok(admitted) => {
            let answer = batch_of(&admitted, &head.headers, &mut upload).await;
            admitted.stamp(answer.unwrap_or_else(|refusal| refusal))
        }
        Err(refusal) => refusal,
    };
    upload.discard().await;
    cors(&head.headers, response)
}

/// `POST /api/broadcast/{topic}/events/{event}`.
pub(super) async fn single(
    State(doors): State<Arc<Doors>>,
    names: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    // Names that are no UTF-8.
    let Ok(Path((topic, event))) = names else {
        return answers::page(StatusCode::BAD_REQUEST);
    };
    let (head, body) = request.into_parts();
    let mut upload = Upload::new(&head.headers, body);
    let response = match single::Kind::of(&head.headers) {
        None => answers::json(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            &json!({ "error": UNSUPPORTED }),
        ),
        Some(kind) => match gate::enter(&doors.doorway.directory, &head.headers).await {
            Ok(admitted) => {
                let message = Single {
                    topic,
                    event,
                    kind,
                    private: single::is_private(head.uri.query()),
                };
                let answer = single_of(&admitted, &head.headers, &mut upload, message).await;
                admitted.stamp(answer.unwrap_or_else(|refusal| refusal))
            }
            Err(refusal) => refusal,
        },
    };
    upload.discard().await;
    cors(&head.headers, response)
}

/// The answer, or the answer that refuses.
type Answer = Result<Response, Response>;

async fn batch_of(admitted: &Admitted, headers: &HeaderMap, upload: &mut Upload) -> Answer {
    let claims = admitted.person(headers)?;
    // A body of another type is not looked at, so it has no messages (§5.5 item 8).
    let body = match is_json(headers) {
        true => upload.read().await?,
        false => Bytes::new(),
    };
    let sender = Sender {
        claims,
        headers: all_headers(headers),
    };
    let tenant = Arc::clone(&admitted.tenant);
    let answer = tokio::spawn(async move { accept_batch(&tenant, &sender, &body).await });
    match answer.await {
        Ok(answer) => answer,
        Err(_) => Err(answers::page(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

async fn accept_batch(tenant: &Arc<Tenant>, sender: &Sender, body: &[u8]) -> Answer {
    let Ok(json) = fields::document(body) else {
        return Err(answers::page(StatusCode::BAD_REQUEST));
    };
    let limit = tenant.settings().limits.payload_bytes;
    let messages = batch::read(json, limit)
        .map_err(|problems| answers::json(StatusCode::UNPROCESSABLE_ENTITY, &problems))?;
    let events = &tenant.meters.events;
    if let Some(limit) = events.limit().map(|limit| limit as f64) {
        let (average, count) = (events.average(), messages.len() as f64);
        if average > limit {
            let until = events.lifted_in(|average| average <= limit);
            return Err(gate::too_many(RATE, until));
        }
        if average + count > limit {
            let until = events.lifted_in(|average| average + count <= limit);
            let reduce = "Too many messages to broadcast, please reduce the batch size";
            return Err(gate::too_many(reduce, until));
        }
    }
    deliver::batch(tenant, sender, &messages).await;
    Ok(answers::bare(StatusCode::ACCEPTED))
}

/// One message, but for its body.
struct Single {
    topic: String,
    event: String,
    kind: single::Kind,
    private: bool,
}

async fn single_of(
    admitted: &Admitted,
    headers: &HeaderMap,
    upload: &mut Upload,
    message: Single,
) -> Answer {
    let claims = admitted.person(headers)?;
    let body = match message.kind {
        single::Kind::Nothing => Bytes::new(),
        single::Kind::Json | single::Kind::Binary => upload.read().await?,
    };
    let sender = Sender {
        claims,
        headers: all_headers(headers),
    };
    let tenant = Arc::clone(&admitted.tenant);
    let answer =
        tokio::spawn(async move { accept_single(&tenant, &sender, &message, &body).await });
    match answer.await {
        Ok(answer) => answer,
        Err(_) => Err(answers::page(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

async fn accept_single(
    tenant: &Arc<Tenant>,
    sender: &Sender,
    message: &Single,
    body: &Bytes,
) -> Answer {
    let payload = single::Payload::of(message.kind, body)
        .ok_or_else(|| answers::page(StatusCode::BAD_REQUEST))?;
    let mut problems = BTreeMap::new();
    for (field, text) in [("topic", &message.topic), ("event", &message.event)] {
        if text.trim().is_empty() {
            problems.insert(field, ["can't be blank"]);
        }
    }
    if !payload.fits(tenant.settings().limits.payload_bytes) {
        problems.insert("payload", [batch::TOO_LARGE]);
    }
    if !problems.is_empty() {
        return Err(answers::json(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({ "errors": problems }),
        ));
    }
    let events = &tenant.meters.events;
    if let Some(limit) = events.limit().map(|limit| limit as f64)
        && events.average() >= limit
    {
        let until = events.lifted_in(|average| average < limit);
        return Err(gate::too_many(RATE, until));
    }
    if message.private {
        match deliver::may_write(tenant, sender, (&*message.topic).into()).await {
            Ok(true) => {}
            Ok(false) => return Err(answers::message(StatusCode::FORBIDDEN, "Unauthorized")),
            Err(failure) => {
                deliver::log(tenant, &failure);
                let (status, reason) = failure.rest();
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return Err(match status {
                    // Whoever waits now has been answered by then.
                    StatusCode::TOO_MANY_REQUESTS => {
                        let patience = tenant.settings().database.access.queue_timeout;
                        gate::too_many(reason, Some(patience))
                    }
                    status => answers::message(status, reason),
                });
            }
        }
    }
    let event = payload.event(&message.event);
    deliver::publish(tenant, &message.topic, message.private, event);
    Ok(answers::bare(StatusCode::ACCEPTED))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .map(single::essence)
        .unwrap_or_default();
    kind.strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// What policies see as `request.headers`: every header of the request, of equal ones the last (protocol.md §9.6).
fn all_headers(headers: &HeaderMap) -> Arc<str> {
    let headers: BTreeMap<&str, _> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    json!(headers).to_string().into()
}

/// Pages of other origins may send, and may see what became of it.
fn cors(headers: &HeaderMap, mut response: Response) -> Response {
    if headers.contains_key(header::ORIGIN) {
        response.headers_mut().insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn policies_see_every_header_and_of_equal_ones_the_last() {
        let mut headers = HeaderMap::new();
        headers.append("X-One", "1".parse().unwrap());
        headers.append("x-one", "2\"'".parse().unwrap());
        headers.append("cookie", HeaderValue::from_bytes(b"a\xff").unwrap());
        assert_eq!(
            &*all_headers(&headers),
            "{\"cookie\":\"a\u{fffd}\",\"x-one\":\"2\\\"'\"}"
        );
    }
}
