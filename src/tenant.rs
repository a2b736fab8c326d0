//! One tenant: a database with keys and limits, and everything that hangs on it. There are no globals.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Keys;
use crate::changes::Changes;
use crate::hub::{self, Hub};
use crate::presence::Presence;

/// See the module. Shared by every socket of the tenant.
pub struct Tenant {
    /// Name in URLs and metrics; the first label of the host when tenants are chosen by host (protocol.md §1.3).
    pub external_id: String,
    /// Keys that verify the tokens of clients.
    pub keys: Keys,
    /// Limits of sockets and channels.
    pub limits: Limits,
    /// Topics and their members.
    pub hub: Arc<Hub>,
    /// Who is where.
    pub presence: Arc<Presence>,
    /// Postgres Changes.
    pub changes: Arc<Changes>,
}

/// Limits and delays that one socket or channel lives under.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Size of one broadcast or track payload in bytes, measured as in protocol.md §5.7.
    pub payload_bytes: usize,
    /// Simultaneous channels of one socket.
    pub channels_per_client: usize,
    /// Presence calls of one channel per window.
    pub presence_calls: u32,
    /// Length of that window.
    pub presence_window: Duration,
    /// Delay before a failed join is answered.
    pub channel_error_backoff: Duration,
    /// Delay before a refused connect is answered.
    pub connect_error_backoff: Duration,
    /// A socket without a byte from its client for this long is closed with 1000.
    pub idle_timeout: Duration,
    /// A socket that joined once and has no channel for this long is closed.
    pub no_channel_timeout: Duration,
    /// Longest frame or message of a client in bytes.
    pub frame_bytes: usize,
    /// Queue of one socket.
    pub outbox: hub::Limits,
}
