//! A message to all members of a topic, encoded at most once per serializer.

use std::borrow::Cow;
use std::cell::OnceCell;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::protocol::{Encoding, Version, encode};

/// What a message is about: decides its event name and which members receive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A broadcast; members without the right to read broadcasts do not receive it (P-158).
    Broadcast,
    /// Who came and who left; for members that take part in presence (protocol.md §6.3).
    PresenceDiff,
    /// A message of the server to everybody.
    System,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::PresenceDiff => "presence_diff",
            Self::System => "system",
        }
    }
}

/// What is published (protocol.md §2.4 says which form reaches whom).
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A text message; `payload` is JSON text of an object.
    Text {
        /// What it is about.
        kind: Kind,
        /// JSON text.
        payload: &'a [u8],
    },
    /// A user broadcast: binary on V2, text on V1 when it is JSON.
    UserBroadcast {
        /// The user's event name.
        event: &'a str,
        /// JSON text of the metadata, empty for none.
        metadata: &'a str,
        /// What the payload is.
        encoding: Encoding,
        /// The payload as published.
        payload: &'a [u8],
    },
    /// A kind 0 push with event `broadcast`: kind 2 on V2, nothing on V1 (P-050).
    Raw {
        /// The payload as published.
        payload: &'a [u8],
    },
}

impl Event<'_> {
    /// What it is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text { kind, .. } => *kind,
            Self::UserBroadcast { .. } | Self::Raw { .. } => Kind::Broadcast,
        }
    }

    /// The frame for a serializer, `None` when receivers of that serializer get nothing.
    pub fn encode(&self, version: Version, topic: &str) -> Option<Bytes> {
        match *self {
            Self::Text { kind, payload } => {
                Some(encode::fan_out(version, topic, kind.name(), payload))
            }
            Self::UserBroadcast {
                event,
                metadata,
                encoding,
                payload,
            } => match version {
                Version::V2 => encode::user_broadcast(topic, event, metadata, encoding, payload)
                    // Names too long for a binary frame: JSON still fits into text (protocol.md §2.4 item 4).
                    .or_else(|| Self::as_text(version, topic, event, metadata, encoding, payload)),
                Version::V1 => Self::as_text(version, topic, event, metadata, encoding, payload),
            },
            Self::Raw { payload } => match version {
                Version::V2 => encode::raw_broadcast(topic, "broadcast", payload),
                Version::V1 => None,
            },
        }
    }

    fn as_text(
        version: Version,
        topic: &str,
        event: &str,
        metadata: &str,
        encoding: Encoding,
        payload: &[u8],
    ) -> Option<Bytes> {
        if encoding == Encoding::Binary {
            return None;
        }
        // Not validated until now: a payload that is not JSON must not break the frame around it.
        let payload = serde_json::from_slice::<&RawValue>(payload).ok()?;
        let event = serde_json::to_string(event).ok()?;
        let meta = match metadata {
            "" => Cow::Borrowed(""),
            metadata => Cow::Owned(format!(",\"meta\":{metadata}")),
        };
        let body = format!(
            "{{\"type\":\"broadcast\",\"event\":{event},\"payload\":{}{meta}}}",
            payload.get()
        );
        Some(encode::fan_out(
            version,
            topic,
            "broadcast",
            body.as_bytes(),
        ))
    }
}

/// The frames of one event for one topic, built when the first receiver needs them.
pub(super) struct Frames<'a> {
    event: Event<'a>,
    topic: &'a str,
    v1: OnceCell<Option<Bytes>>,
    v2: OnceCell<Option<Bytes>>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(event: Event<'a>, topic: &'a str) -> Self {
        Self {
            event,
            topic,
            v1: OnceCell::new(),
            v2: OnceCell::new(),
        }
    }

    pub(super) fn get(&self, version: Version) -> Option<&Bytes> {
        let cell = match version {
            Version::V1 => &self.v1,
            Version::V2 => &self.v2,
        };
        cell.get_or_init(|| self.event.encode(version, self.topic))
            .as_ref()
    }
}
