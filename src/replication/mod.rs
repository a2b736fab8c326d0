//! The stream of committed changes of one database: slot, `START_REPLICATION`, keepalive, confirmed position, reconnect.
//!
//! One task per database, started by [`start`] and supervised by itself for ever: whatever fails, it says so, waits
//! with a bounded back-off and tries again. It owns the slot and the walsender connection
//! (`realtime_replication_connection`) and knows nothing of subscriptions or sockets: decoded messages go to one
//! consumer through a [`Feed`]. It creates nothing but its slot; publications are only read (§1.7).
//!
//! Nothing is polled. While the stream runs it learns of new and dropped publications from the logical messages
//! (prefix [`DDL_PREFIX`]) that our event trigger writes into the log; the only query that is ever repeated is the one
//! that waits for a first publication to exist.

mod assemble;
mod error;
mod event;
mod feed;
mod follow;
mod login;
mod position;
mod server;
mod slot;
mod stream;
mod supervise;
mod telemetry;
mod wire;

pub use event::{Change, Event, GapReason, LostReason, Row};
pub use feed::{Feed, Status, Watch};
pub use slot::slot_name;

use tokio_util::sync::CancellationToken;

use crate::postgres::ConnectOptions;

/// Prefix of the logical messages our event trigger writes for every DDL command.
pub const DDL_PREFIX: &str = "dovetail";

/// The publication of `realtime.messages`; its name is fixed (§1.7).
pub const MESSAGES_PUBLICATION: &str = "supabase_realtime_messages_publication";

/// What to stream, and how.
#[derive(Clone)]
pub struct Settings {
    /// Name of the tenant, for logs and metrics.
    pub tenant: String,
    /// The database. Its role needs REPLICATION.
    pub connect: ConnectOptions,
    /// The publication of Postgres Changes, usually `supabase_realtime`. Streamed beside [`MESSAGES_PUBLICATION`].
    pub publication: String,
    /// Name of the slot.
    pub slot: String,
    /// Keep the slot when the connection ends: nothing is lost then, and log is kept while this server is away.
    pub durable: bool,
    /// Bytes that may wait for the consumer before Postgres has to wait.
    pub buffer_bytes: usize,
    /// Largest message (one row) that is taken; a larger one is left out with a gap.
    pub max_message_bytes: usize,
}

impl Settings {
    /// Settings with a temporary slot, a buffer of 16 MiB, messages up to 256 MiB.
    #[must_use]
    pub fn new(
        tenant: impl Into<String>,
        connect: ConnectOptions,
        publication: impl Into<String>,
        slot: impl Into<String>,
    ) -> Self {
        Self {
            tenant: tenant.into(),
            connect,
            publication: publication.into(),
            slot: slot.into(),
            durable: false,
            buffer_bytes: 16 << 20,
            max_message_bytes: 256 << 20,
        }
    }
}

/// Starts the stream on a task of its own; cancelling `stop` or dropping the feed ends it.
#[must_use]
pub fn start(settings: Settings, stop: &CancellationToken) -> (Feed, Watch) {
    let (producer, feed, watch) = feed::feed(settings.buffer_bytes, stop);
    tokio::spawn(supervise::supervise(settings, producer));
    (feed, watch)
}
