//! Broadcast from the database: rows of `realtime.messages`, as the replication stream brings them (postgres.md §4).
//!
//! Runs on the task of the changes worker, so rows are published in commit order and, within a transaction, in the order
//! they were inserted. Only inserts count; a row that lacks what a message needs is dropped and counted with the reason,
//! its content is never logged.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::hub::{Event, Hub, StoredId, TopicKey};
use crate::limits::Meter;
use crate::metrics_names::{
    DATABASE_BROADCAST_LATENCY as LATENCY, DATABASE_BROADCASTS as DELIVERED,
    DATABASE_BROADCASTS_DROPPED as DROPPED,
};
use crate::pgoutput::{Begin, Relation, Tuple, Value};
use crate::protocol::Encoding;
use crate::replication::{Change, Row};

/// Added to the body before it is compared with the limit (postgres.md §4.3 item 2).
const OVERHEAD: usize = 6;
/// Microseconds between 1970 and 2000, where Postgres begins to count.
const EPOCH: i64 = 946_684_800_000_000;

/// Publishes stored messages to the topics of one tenant.
pub struct Stored {
    tenant: String,
    hub: Arc<Hub>,
    events: Arc<Meter>,
    latency: metrics::Histogram,
    delivered: metrics::Counter,
}

/// A row that can be broadcast.
#[derive(Debug, PartialEq)]
struct Message<'a> {
    id: Uuid,
    topic: &'a str,
    event: &'a str,
    private: bool,
    encoding: Encoding,
    body: std::borrow::Cow<'a, [u8]>,
}

impl Stored {
    /// For the topics of `hub`; each message counts as one of `events`. `tenant` names it in metrics and logs.
    pub fn new(tenant: &str, hub: Arc<Hub>, events: Arc<Meter>) -> Self {
        Self {
            latency: metrics::histogram!(LATENCY, "tenant" => tenant.to_owned()),
            delivered: metrics::counter!(DELIVERED, "tenant" => tenant.to_owned()),
            tenant: tenant.to_owned(),
            hub,
            events,
        }
    }

    /// Takes one committed change of `realtime.messages`; `limit` is the tenant's payload limit in bytes.
    /// It waited when it was taken before: members that entered since [`Hub::entered`] was `newer` came
    /// after it.
    pub fn take(&self, change: &Change, begin: &Begin, limit: usize, newer: Option<u64>) {
        let Row::Insert { new } = &change.row else {
            return;
        };
        let message = match read(&change.relation, new) {
            Ok(message) => message,
            Err(reason) => return self.drop_row(reason),
        };
        if message.body.len() + OVERHEAD > limit {
            return self.drop_row("payload_size_exceeded");
        }
        if self.events.exceeded() {
            return self.drop_row("too_many_requests");
        }
        self.events.add(1);
        let key = TopicKey {
            private: message.private,
            topic: format!("realtime:{}", message.topic).into(),
        };
        let metadata = format!("{{\"id\":\"{}\"}}", message.id);
        let event = Event::UserBroadcast {
            event: message.event,
            metadata: &metadata,
            encoding: message.encoding,
            payload: &message.body,
        };
        let id = StoredId {
            id: message.id,
            xid: begin.xid,
        };
        self.hub.publish_stored(&key, event, id, newer);
        self.delivered.increment(1);
        if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
            let committed = begin.commit_time.saturating_add(EPOCH);
            let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
            self.latency
                .record(now.saturating_sub(committed).max(0) as f64 / 1000.0);
        }
    }

    /// A message waited too long for somebody to say who may read it.
    pub fn give_up(&self) {
        self.drop_row("policies_unknown");
    }

    fn drop_row(&self, reason: &'static str) {
        metrics::counter!(DROPPED, "tenant" => self.tenant.clone(), "reason" => reason)
            .increment(1);
        tracing::warn!(
            code = "UnableToBroadcastChanges",
            tenant = %self.tenant,
            reason,
            "a stored message is not broadcast"
        );
    }
}

/// Reads a row by the names of its columns; they stand in another order in older databases, and some are missing there
/// (G-224). The error is the reason, in the order of postgres.md §4.3.
fn read<'a>(relation: &Relation, row: &'a Tuple) -> Result<Message<'a>, &'static str> {
    let bytes = |name: &str| {
        let at = relation
            .columns
            .iter()
            .position(|column| &*column.name == name)?;
        match row.get(at)? {
            Value::Text(text) => Some(text),
            Value::Null | Value::Unchanged | Value::Binary(_) => None,
        }
    };
    let text = |name: &str| bytes(name).and_then(|text| std::str::from_utf8(text).ok());
    bytes("inserted_at").ok_or("inserted_at_missing")?;
    let event = text("event").ok_or("event_missing")?;
    let id = text("id")
        .and_then(|id| Uuid::parse_str(id).ok())
        .ok_or("id_missing")?;
    let topic = text("topic").ok_or("topic_missing")?;
    let private = bytes("private").ok_or("private_missing")? == b"t";
    let (encoding, body) = match (bytes("binary_payload"), bytes("payload")) {
        (Some(hex), _) => (
            Encoding::Binary,
            unhex(hex).ok_or("payload_missing")?.into(),
        ),
        (None, Some(json)) => (Encoding::Json, json.into()),
        (None, None) => return Err("payload_missing"),
    };
    Ok(Message {
        id,
        topic,
        event,
        private,
        encoding,
        body,
    })
}

/// Postgres' text form of `bytea` under `bytea_output = hex`.
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"\\x")?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| {
            let digit = |byte: u8| {
                char::from(byte)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
            };
            Some(digit(*high)? << 4 | digit(*low)?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_back() {
        assert_eq!(unhex(b"\\x00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(unhex(b"\\x"), Some(vec![]));
        assert_eq!(unhex(b"\\x0"), None);
        assert_eq!(unhex(b"00"), None);
        assert_eq!(unhex(b"\\xzz"), None);
    }
}
