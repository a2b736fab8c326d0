//! What a tenant is told: keys, limits, switches, and where its database is.

use std::sync::Arc;
use std::time::Duration;

use crate::access;
use crate::auth::Keys;
use crate::changes;
use crate::config::{Janitor, Secret};
use crate::hub;
use crate::limits::Rates;
use crate::postgres::ConnectOptions;

/// Everything a tenant is told. Replaced as a whole.
#[derive(Clone)]
pub struct Settings {
    /// Keys that verify the tokens of clients. A socket keeps those it connected with.
    pub keys: Arc<Keys>,
    /// Limits of sockets and channels.
    pub limits: Limits,
    /// Limits of averages.
    pub rates: Rates,
    /// Sockets that joined a channel, at the same time; `None` is no limit.
    pub max_users: Option<u64>,
    /// Nobody is served (P-012, P-187).
    pub suspend: bool,
    /// Public channels cannot be joined (P-113).
    pub private_only: bool,
    /// Every channel takes part in presence (P-201).
    pub presence_enabled: bool,
    /// Where its database is and how it is used.
    pub database: DatabaseSettings,
}

/// Where a tenant's database is and how it is used. A change opens it anew.
#[derive(Clone, PartialEq)]
pub struct DatabaseSettings {
    /// The database and the login.
    pub connect: ConnectOptions,
    /// Name of the replication slot.
    pub slot: String,
    /// Keep the slot when the connection ends.
    pub slot_durable: bool,
    /// Postgres Changes.
    pub changes: changes::Settings,
    /// Policies of private channels.
    pub access: access::Settings,
    /// Whether it is also brought to what the embedded Supabase surface needs.
    pub embedded: Option<Embedded>,
    /// Partitions of `realtime.messages`.
    pub janitor: Janitor,
}

/// What the embedded Supabase surface needs of a database besides its schema.
#[derive(Clone, PartialEq)]
pub struct Embedded {
    /// Given to the roles that the surface logs in as, where they have none.
    pub password: Option<Secret>,
}

pub use crate::config::PresenceExcess;

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
    /// What becomes of a channel that makes more of them.
    pub presence_excess: PresenceExcess,
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
    /// How often the rights to a private channel are asked for again; zero is never.
    pub rights_interval: Duration,
}
