//! One joined channel as the hub sees it: where its frames go and how they are laid out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::Outbox;
use crate::protocol::{Version, encode};

/// What is needed to send to one joined channel. Shared by everything that delivers to it.
pub struct Member {
    /// Unique in this process; tells a sender apart from the others.
    pub id: u64,
    /// The wire topic it joined, for example `realtime:room-1`.
    pub topic: Arc<str>,
    /// Serializer of its socket.
    pub version: Version,
    /// JSON text of the `join_ref` that pushes carry.
    pub join_ref: Box<str>,
    /// The queue of its socket.
    pub outbox: Arc<Outbox>,
}

impl Member {
    /// A member with a fresh id.
    pub fn new(topic: Arc<str>, version: Version, join_ref: &str, outbox: Arc<Outbox>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            topic,
            version,
            join_ref: join_ref.into(),
            outbox,
        }
    }

    /// The topic without its leading `realtime:`.
    pub fn sub_topic(&self) -> &str {
        self.topic.strip_prefix("realtime:").unwrap_or(&self.topic)
    }

    /// Queues a finished frame; `false` when the socket is closing. Never blocks.
    pub fn send(&self, frame: Bytes) -> bool {
        self.outbox.push(frame)
    }

    /// Queues a push of this channel; `payload` is a JSON object.
    pub fn push(&self, event: &str, payload: &[u8]) -> bool {
        self.send(encode::push(
            self.version,
            &self.join_ref,
            &self.topic,
            event,
            payload,
        ))
    }

    /// Queues a `system` message (protocol.md §3.15).
    pub fn system(&self, extension: &str, status: encode::Status, message: &str) -> bool {
        let payload = serde_json::json!({
            "extension": extension,
            "status": status.as_str(),
            "message": message,
            "channel": self.sub_topic(),
        });
        self.push("system", payload.to_string().as_bytes())
    }
}
