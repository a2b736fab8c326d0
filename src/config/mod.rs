//! Environment variables and flags.
//!
//! [`Config`] is plain data that the rest of the crate uses; nothing else reads the environment.
//! The table in `settings.rs` is the one list of settings: flags, `--help` and `.env.example` are made
//! from it, and a test holds reader and table together. All wrong settings are reported at once
//! ([`Problems`]), each with what is wrong and what to write instead. Secrets are never printed.
//!
//! Nothing is reloaded while the server runs: a changed setting takes effect at the next start.
//! Names are the original's where the concept is the same (postgres.md §6.2, §6.3); its other
//! variables are ignored.

use std::net::SocketAddr;
use std::time::Duration;

use crate::auth::{ApiKeys, ClaimValidators, Jwks, Keys};
use crate::postgres::ConnectOptions;
pub use crate::postgres::IpVersion;

mod address;
mod chat;
mod database;
mod keys;
mod problems;
mod read;
mod reader;
mod settings;
mod surface;
mod tenants;

pub use chat::ChatConfig;
pub use problems::{Problem, Problems};
pub use read::{Purpose, environment};
pub use reader::NotUnicode;
pub use settings::{Group, SETTINGS, Setting, Shape, env_example};
pub use surface::{AuthSettings, Parts, RestSettings, StorageBackend, StorageSettings, Surface};
pub use tenants::{Source, Tenants};

/// Everything the server can be told. Made by [`Config::read`].
///
/// Unless a field says otherwise the variable has the field's name in capitals.
#[derive(Clone)]
pub struct Config {
    /// Addresses to listen on, from `HOST`, `PORT` (4000; 0 picks a free one) and
    /// `REALTIME_IP_VERSION`. The first that can be bound is used: without `HOST` that is `[::]`,
    /// which serves IPv4 too, and `0.0.0.0` where there is no IPv6.
    pub listen: Vec<SocketAddr>,
    /// Largest request header value in bytes. Default 4096.
    pub max_header_length: usize,
    /// Connections of this node that are accepted at the same time. Default 16384.
    pub max_connections: usize,
    /// How long a stop takes at most to close the sockets, from `DRAIN_SECONDS`. Default 7 s: `docker stop` kills after 10,
    /// and up to 2 are for giving slots and locks back.
    pub drain: Duration,
    /// Soft limit of open files to set, capped by the hard limit; none raises it to the hard limit.
    pub rlimit_nofile: Option<u64>,
    /// Serve the page at `/inspector`. Default `true`: it shows nothing without a token.
    pub inspector: bool,

    /// The tenant's database, from `DATABASE_URL` or `DB_*`. None when none of them is set.
    pub database: Option<ConnectOptions>,

    /// External id of the one tenant, from `SELF_HOST_TENANT_NAME`. Default `realtime-dev`.
    pub tenant: String,
    /// `true`: the first label of the request's host must be [`Config::tenant`], as the original
    /// demands (protocol.md §1.3). Default `false`: any host is the one tenant.
    pub tenant_from_host: bool,
    /// Limits of the tenant.
    pub limits: Limits,
    /// Public channels cannot be joined, from `TENANT_PRIVATE_ONLY`. Default `false`.
    pub private_only: bool,
    /// Every channel takes part in presence, from `TENANT_PRESENCE_ENABLED`. Default `false`.
    pub presence_enabled: bool,
    /// How often rights to joined private channels are asked for again, from `RIGHTS_INTERVAL_MS`. Default 60 s; zero
    /// is never.
    pub rights_interval: Duration,
    /// Connections that ask the policies of private channels. Default 2.
    pub access_connections: usize,

    /// Where the tenants come from.
    pub tenants: Tenants,

    /// Secret of client tokens and of the tenant API, from `API_JWT_SECRET`.
    pub api_jwt_secret: Option<Secret>,
    /// A second secret the tenant API accepts while the first is being replaced, from
    /// `API_JWT_SECRET_NEXT`.
    pub api_jwt_secret_next: Option<Secret>,
    /// Public keys of client tokens, from `API_JWT_JWKS`: an object with `keys`, an array or one key.
    pub api_jwt_jwks: Option<Jwks>,
    /// The same as it was written, for the metadata of tenants.
    pub api_jwt_jwks_json: Option<serde_json::Value>,
    /// Secret of tokens for `/metrics`, from `METRICS_JWT_SECRET`. None closes `/metrics`.
    pub metrics_jwt_secret: Option<Secret>,
    /// Tokens the tenant API refuses, from `API_TOKEN_BLOCKLIST` (comma-separated).
    pub api_token_blocklist: Vec<Secret>,
    /// Tokens `/metrics` refuses, from `METRICS_TOKEN_BLOCKLIST` (comma-separated).
    pub metrics_token_blocklist: Vec<Secret>,
    /// Claims that must have a certain value where present, from `JWT_CLAIM_VALIDATORS`.
    pub claim_validators: ClaimValidators,
    /// The key browsers use, from `ANON_KEY`; only checked against the secret at start.
    pub anon_key: Option<Secret>,
    /// The key of servers, from `SERVICE_KEY`; only checked against the secret at start.
    pub service_key: Option<Secret>,

    /// Delay of a refused upgrade, from `CONNECT_ERROR_BACKOFF_MS`. Default 2 s.
    pub connect_error_backoff: Duration,
    /// Delay of a refused join, from `CHANNEL_ERROR_BACKOFF_MS`. Default 5 s; clients give up after 10.
    pub channel_error_backoff: Duration,
    /// How often sockets without a channel are closed, from `NO_CHANNEL_TIMEOUT_IN_MS`. Default 10 min.
    pub no_channel_timeout: Duration,
    /// A socket from which nothing came for so long is closed, from `IDLE_TIMEOUT_MS`. Default 60 s.
    pub idle_timeout: Duration,
    /// Bytes that may wait for one slow socket before it is closed. Default 8 MiB.
    pub outbox_max_bytes: usize,
    /// Frames that may wait for one slow socket before it is closed. Default 16384.
    pub outbox_max_frames: usize,
    /// How long a leave is held back after an abnormal close, from `PRESENCE_LEAVE_GRACE_MS`.
    /// Default 5 s; 0 is the original.
    pub presence_leave_grace: Duration,

    /// Who learns of deleted rows.
    pub deletes: Deletes,
    /// Who sees the old values of updated rows.
    pub old_record: OldRecord,
    /// Rows whose JSON is larger lose their large values, from `POLL_MAX_RECORD_BYTES`. Default 1 MiB.
    pub max_record_bytes: usize,
    /// The publication whose tables can be subscribed. Default `supabase_realtime`.
    pub publication: String,
    /// Base name of the replication slot, from `SLOT_NAME`. Default
    /// `supabase_realtime_replication_slot`. See [`Config::replication_slot`].
    pub slot_name: String,
    /// Suffix of the slot's name. Set but empty is not the same as unset: it leaves the underscore
    /// (postgres.md §1.8).
    pub slot_name_suffix: Option<String>,
    /// Keep the slot when the connection or the server goes: nothing is lost, and write-ahead log is
    /// retained meanwhile. Default `false`.
    pub slot_durable: bool,
    /// Connections that ask Postgres who may see a row. Default 2.
    pub visibility_connections: usize,
    /// Evaluate policies here where their meaning is known. Default `true`.
    pub compile_policies: bool,
    /// One decision of a compiled policy in so many is compared with the database's own, from
    /// `COMPARE_POLICIES_EVERY`; 0: none. Default 10,000.
    pub compare_policies_every: u64,
    /// Longest run of one statement on the tenant's database, from `STATEMENT_TIMEOUT_MS`. Default 5 s.
    pub statement_timeout: Duration,
    /// Removal of old message partitions.
    pub janitor: Janitor,

    /// The embedded Supabase surface.
    pub surface: Surface,
    /// The messaging system.
    pub chat: ChatConfig,

    /// What is logged, from `LOG_LEVEL`. Default `info`.
    pub log_level: tracing::level_filters::LevelFilter,
    /// How it is logged.
    pub log_format: LogFormat,
    /// No lines about health checks, from `DISABLE_HEALTHCHECK_LOGGING`. Default `false`.
    pub quiet_health_checks: bool,
    /// Where this node is, for the health answer. Default `us-east-1`.
    pub region: String,
    /// Settings that work but are probably not what was meant; to be logged at start.
    pub warnings: Vec<String>,
}

/// Limits of a tenant (protocol.md §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets with a channel, from `TENANT_MAX_CONCURRENT_USERS`. Default 0: no limit.
    pub max_concurrent_users: u64,
    /// Channels of one socket, from `TENANT_MAX_CHANNELS_PER_CLIENT`. Default 1000.
    pub max_channels_per_client: u64,
    /// Joins a second on average, from `TENANT_MAX_JOINS_PER_SECOND`. Default 0: no limit.
    pub max_joins_per_second: u64,
    /// Events a second on average, from `TENANT_MAX_EVENTS_PER_SECOND`. Default 0: no limit.
    pub max_events_per_second: u64,
    /// Shown, not enforced, from `TENANT_MAX_BYTES_PER_SECOND`. Default 100000.
    pub max_bytes_per_second: u64,
    /// Presence events a second on average, from `TENANT_MAX_PRESENCE_EVENTS_PER_SECOND` (ours).
    /// Default 0: no limit.
    pub max_presence_events_per_second: u64,
    /// Largest payload in units of 1000 bytes, from `MAX_PAYLOAD_SIZE_IN_KB` (ours). Default 3000.
    pub max_payload_size_in_kb: u64,
    /// Presence calls of one channel in a window, from `CLIENT_PRESENCE_MAX_CALLS`. Default 5.
    pub client_presence_max_calls: u64,
    /// Length of that window, from `CLIENT_PRESENCE_WINDOW_MS`. Default 30 s.
    pub client_presence_window: Duration,
    /// What becomes of a channel that makes more calls, from `PRESENCE_EXCESS` (ours).
    pub presence_excess: PresenceExcess,
}

/// What becomes of a channel that makes more presence calls than its window allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PresenceExcess {
    /// The last state goes out as soon as the rate allows; only abuse closes the channel.
    #[default]
    Coalesce,
    /// The channel is closed, as in the original.
    Close,
}

/// Housekeeping of `realtime.messages` (postgres.md §4.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Janitor {
    /// Whether old partitions are dropped, from `RUN_JANITOR`. Default `true`.
    pub run: bool,
    /// Time between runs, from `JANITOR_SCHEDULE_TIMER_IN_MS`. Default 4 h.
    pub interval: Duration,
    /// Whether the interval is varied at random so that nodes do not run together, from
    /// `JANITOR_SCHEDULE_RANDOMIZE`. Default `true`.
    pub randomize: bool,
    /// Time from the start to the first run, from `JANITOR_RUN_AFTER_IN_MS`. Default 10 min.
    pub run_after: Duration,
}

/// Who learns of deleted rows, from `DELETES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletes {
    /// `keys`, the original's rule: every matching subscriber, primary key only when RLS is on.
    #[default]
    Keys,
    /// `authorised`: only whom the policies let see the row before it was deleted.
    Authorised,
}

/// Who sees the old values of an updated row under RLS, from `OLD_RECORD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldRecord {
    /// `proven`: only whom the policies let see the old row, everyone else its key.
    #[default]
    Proven,
    /// `original`: whoever sees the new row.
    Original,
}

/// How lines are logged, from `LOG_FORMAT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `HH:MM:SS.mmm [level] message` (postgres.md §6.8).
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text` from everything that prints.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Not for logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("<hidden>")
    }
}

impl std::fmt::Debug for Config {
    /// What is safe and useful in a log line.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("listen", &self.listen)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Name of the replication slot: base, then `_` and the suffix when a suffix is set, even an
    /// empty one (postgres.md §1.8).
    pub fn replication_slot(&self) -> String {
        match &self.slot_name_suffix {
            Some(suffix) => format!("{}_{suffix}", self.slot_name),
            None => self.slot_name.clone(),
        }
    }

    /// What verifies the tokens of clients.
    pub fn client_keys(&self) -> Keys {
        let secret = self.api_jwt_secret.as_ref();
        Keys::new(
            secret.map(|secret| secret.expose().as_bytes()),
            self.api_jwt_jwks.clone(),
            self.claim_validators.clone(),
        )
    }

    /// What opens the tenant API.
    pub fn api_keys(&self) -> ApiKeys {
        let secrets = [&self.api_jwt_secret, &self.api_jwt_secret_next];
        self.door(secrets, &self.api_token_blocklist)
    }

    /// What opens `/metrics`.
    pub fn metrics_keys(&self) -> ApiKeys {
        self.door([&self.metrics_jwt_secret], &self.metrics_token_blocklist)
    }

    fn door<const N: usize>(&self, secrets: [&Option<Secret>; N], blocked: &[Secret]) -> ApiKeys {
        ApiKeys::new(
            secrets.into_iter().flatten().map(|s| s.expose().as_bytes()),
            blocked.iter().map(|token| token.expose().to_owned()),
            &self.claim_validators,
        )
    }
}
