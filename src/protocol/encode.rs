//! Frames of the server, complete with their WebSocket header (protocol.md §2.1–§2.5).
//!
//! Every function returns the bytes that go on the wire, so that one frame is built once and shared by all receivers.
//! Payloads and refs are JSON text that the caller vouches for; topics and events are plain text, escaped here.

use bytes::Bytes;

use super::message::{Encoding, NULL};
use super::{Version, websocket};

/// A message produced once per topic and copied to every member: both refs are null.
pub fn fan_out(version: Version, topic: &str, event: &str, payload: &[u8]) -> Bytes {
    message(version, NULL, NULL, topic, event, payload)
}

/// A message addressed to one channel: it carries the channel's `join_ref` (V2 only) and no `ref`.
pub fn push(version: Version, join_ref: &str, topic: &str, event: &str, payload: &[u8]) -> Bytes {
    message(version, join_ref, NULL, topic, event, payload)
}

/// `phx_reply`; `response` is JSON text.
pub fn reply(
    version: Version,
    join_ref: &str,
    reference: &str,
    topic: &str,
    status: Status,
    response: &str,
) -> Bytes {
    let payload = format!(
        "{{\"status\":\"{}\",\"response\":{response}}}",
        status.as_str()
    );
    message(
        version,
        join_ref,
        reference,
        topic,
        "phx_reply",
        payload.as_bytes(),
    )
}

/// `phx_close`: the channel ended in an orderly way. `join_ref` is that of the join (P-037, P-041).
pub fn close(version: Version, join_ref: &str, topic: &str) -> Bytes {
    message(version, join_ref, join_ref, topic, "phx_close", b"{}")
}

/// `phx_error`: the channel died unexpectedly and the client should join again.
pub fn error(version: Version, join_ref: &str, topic: &str) -> Bytes {
    let payload = br#"{"reason":"channel_crash"}"#;
    message(version, join_ref, join_ref, topic, "phx_error", payload)
}

/// Kind 4, V2 only: a user broadcast. `metadata` is JSON text, empty for none.
///
/// `None` when a field is longer than its length byte can say (P-058).
pub fn user_broadcast(
    topic: &str,
    event: &str,
    metadata: &str,
    encoding: Encoding,
    payload: &[u8],
) -> Option<Bytes> {
    let lengths = [
        u8::try_from(topic.len()).ok()?,
        u8::try_from(event.len()).ok()?,
        u8::try_from(metadata.len()).ok()?,
    ];
    let mut frame =
        websocket::Builder::binary(5 + topic.len() + event.len() + metadata.len() + payload.len());
    let flag = match encoding {
        Encoding::Binary => 0,
        Encoding::Json => 1,
    };
    frame.extend(&[4]);
    frame.extend(&lengths);
    frame.extend(&[flag]);
    frame.extend(topic.as_bytes());
    frame.extend(event.as_bytes());
    frame.extend(metadata.as_bytes());
    frame.extend(payload);
    Some(frame.finish())
}

/// Kind 2, V2 only: what a kind 0 `broadcast` push becomes (P-050).
///
/// `None` when a field is longer than its length byte can say.
pub fn raw_broadcast(topic: &str, event: &str, payload: &[u8]) -> Option<Bytes> {
    let lengths = [
        u8::try_from(topic.len()).ok()?,
        u8::try_from(event.len()).ok()?,
    ];
    let mut frame = websocket::Builder::binary(3 + topic.len() + event.len() + payload.len());
    frame.extend(&[2]);
    frame.extend(&lengths);
    frame.extend(topic.as_bytes());
    frame.extend(event.as_bytes());
    frame.extend(payload);
    Some(frame.finish())
}

/// Status of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `ok`
    Ok,
    /// `error`
    Error,
}

impl Status {
    /// As it stands in the frame.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

fn message(
    version: Version,
    join_ref: &str,
    reference: &str,
    topic: &str,
    event: &str,
    payload: &[u8],
) -> Bytes {
    let length = 48 + join_ref.len() + reference.len() + topic.len() + event.len() + payload.len();
    let mut frame = websocket::Builder::text(length);
    match version {
        Version::V1 => {
            frame.extend(b"{\"topic\":");
            frame.json_string(topic);
            frame.extend(b",\"event\":");
            frame.json_string(event);
            frame.extend(b",\"payload\":");
            frame.extend(payload);
            frame.extend(b",\"ref\":");
            frame.extend(reference.as_bytes());
            frame.extend(b"}");
        }
        Version::V2 => {
            frame.extend(b"[");
            frame.extend(join_ref.as_bytes());
            frame.extend(b",");
            frame.extend(reference.as_bytes());
            frame.extend(b",");
            frame.json_string(topic);
            frame.extend(b",");
            frame.json_string(event);
            frame.extend(b",");
            frame.extend(payload);
            frame.extend(b"]");
        }
    }
    frame.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn text(frame: &Bytes) -> &str {
        std::str::from_utf8(&frame[2..]).unwrap()
    }

    #[test]
    fn both_versions_lay_out_a_reply_as_specified() {
        let v2 = reply(
            Version::V2,
            "\"1\"",
            "\"1\"",
            "realtime:r",
            Status::Ok,
            "{}",
        );
        assert_eq!(
            text(&v2),
            r#"["1","1","realtime:r","phx_reply",{"status":"ok","response":{}}]"#
        );
        let v1 = reply(
            Version::V1,
            "\"1\"",
            "\"1\"",
            "realtime:r",
            Status::Ok,
            "{}",
        );
        assert_eq!(
            text(&v1),
            r#"{"topic":"realtime:r","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}"#
        );
    }

    #[test]
    fn kind_4_is_laid_out_as_in_the_worked_example() {
        let frame =
            user_broadcast("realtime:room", "shout", "", Encoding::Json, br#"{"a":1}"#).unwrap();
        assert_eq!(&frame[..2], &[0x82, 30]);
        assert_eq!(&frame[2..7], &[4, 13, 5, 0, 1]);
        assert_eq!(&frame[7..], b"realtime:roomshout{\"a\":1}");
    }

    #[test]
    fn a_name_longer_than_255_bytes_has_no_binary_frame() {
        let long = "x".repeat(256);
        assert!(user_broadcast("t", &long, "", Encoding::Binary, b"").is_none());
        assert!(raw_broadcast(&long, "e", b"").is_none());
    }
}
