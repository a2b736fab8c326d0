//! From variables to a [`Config`].

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::address::listen;
use super::reader::{NotUnicode, Reader};
use super::{
    Config, Deletes, Janitor, Limits, LogFormat, OldRecord, PresenceExcess, Problems, Source, chat,
    database, keys, surface, tenants,
};
use crate::auth::{ClaimValidators, Jwks};

/// What the settings are read for, which decides what must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: a database and keys, and the keys must fit each other.
    Serve,
    /// To work on the database.
    Database,
    /// Anything else: nothing is required.
    Any,
}

const LEVELS: &[(&str, LevelFilter)] = &[
    ("debug", LevelFilter::DEBUG),
    ("info", LevelFilter::INFO),
    ("warning", LevelFilter::WARN),
    ("error", LevelFilter::ERROR),
    ("off", LevelFilter::OFF),
    ("trace", LevelFilter::TRACE),
    // Words the original's logger knows as well.
    ("warn", LevelFilter::WARN),
    ("notice", LevelFilter::INFO),
    ("critical", LevelFilter::ERROR),
    ("alert", LevelFilter::ERROR),
    ("emergency", LevelFilter::ERROR),
    ("none", LevelFilter::OFF),
];

impl Config {
    /// Reads all settings. `lookup` finds the raw value of a variable; `now` (seconds since 1970)
    /// is for the expiry of `ANON_KEY` and `SERVICE_KEY`.
    ///
    /// # Errors
    ///
    /// Every wrong or missing setting at once.
    pub fn read(
        lookup: &dyn Fn(&str) -> Result<Option<String>, NotUnicode>,
        purpose: Purpose,
        now: i64,
    ) -> Result<Self, Problems> {
        let mut reader = Reader::new(lookup);
        let config = read(&mut reader, purpose, now);
        match reader.problems {
            problems if problems.is_empty() => Ok(config),
            problems => Err(Problems(problems)),
        }
    }

    /// Reads all settings from the environment alone.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn from_env(purpose: Purpose) -> Result<Self, Problems> {
        Self::read(&environment, purpose, chrono::Utc::now().timestamp())
    }
}

impl Default for Config {
    /// Every setting unset: no database and no keys.
    fn default() -> Self {
        read(&mut Reader::new(&|_| Ok(None)), Purpose::Any, 0)
    }
}

/// The raw value of an environment variable, for [`Config::read`].
///
/// # Errors
///
/// When it is not UTF-8.
pub fn environment(name: &str) -> Result<Option<String>, NotUnicode> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(NotUnicode),
    }
}

/// Fields are read in the order of the table, which is the order problems are listed in.
pub(super) fn read(reader: &mut Reader<'_>, purpose: Purpose, now: i64) -> Config {
    let mut jwks_json = None;
    let mut config = Config {
        listen: listen(reader),
        max_header_length: reader.size("MAX_HEADER_LENGTH", 256..=1_048_576),
        max_connections: reader.size("MAX_CONNECTIONS", 1..=10_000_000),
        drain: Duration::from_secs(reader.number("DRAIN_SECONDS", 0..=3600)),
        rlimit_nofile: reader.maybe_number("RLIMIT_NOFILE", 64..=u64::MAX),
        inspector: reader.flag("INSPECTOR"),
        database: database::read(reader),
        tenant: reader.text("SELF_HOST_TENANT_NAME"),
        tenant_from_host: reader.flag("TENANT_FROM_HOST"),
        limits: limits(reader),
        private_only: reader.flag("TENANT_PRIVATE_ONLY"),
        presence_enabled: reader.flag("TENANT_PRESENCE_ENABLED"),
        rights_interval: reader.millis("RIGHTS_INTERVAL_MS", 0),
        access_connections: reader.size("ACCESS_CONNECTIONS", 1..=64),
        tenants: tenants::read(reader),
        api_jwt_secret: reader.secret("API_JWT_SECRET"),
        api_jwt_secret_next: reader.secret("API_JWT_SECRET_NEXT"),
        api_jwt_jwks_json: None,
        api_jwt_jwks: jwks(reader, &mut jwks_json),
        metrics_jwt_secret: reader.secret("METRICS_JWT_SECRET"),
        api_token_blocklist: reader.secrets("API_TOKEN_BLOCKLIST"),
        metrics_token_blocklist: reader.secrets("METRICS_TOKEN_BLOCKLIST"),
        claim_validators: claim_validators(reader),
        anon_key: reader.secret("ANON_KEY"),
        service_key: reader.secret("SERVICE_KEY"),
        connect_error_backoff: reader.millis("CONNECT_ERROR_BACKOFF_MS", 0),
        channel_error_backoff: reader.millis("CHANNEL_ERROR_BACKOFF_MS", 0),
        no_channel_timeout: reader.millis("NO_CHANNEL_TIMEOUT_IN_MS", 1),
        idle_timeout: reader.millis("IDLE_TIMEOUT_MS", 1000),
        outbox_max_bytes: reader.size("OUTBOX_MAX_BYTES", 65_536..=1 << 40),
        outbox_max_frames: reader.size("OUTBOX_MAX_FRAMES", 16..=1 << 30),
        presence_leave_grace: reader.millis("PRESENCE_LEAVE_GRACE_MS", 0),
        deletes: reader.choice(
            "DELETES",
            &[("keys", Deletes::Keys), ("authorised", Deletes::Authorised)],
            Deletes::default(),
        ),
        old_record: reader.choice(
            "OLD_RECORD",
            &[
                ("proven", OldRecord::Proven),
                ("original", OldRecord::Original),
            ],
            OldRecord::default(),
        ),
        max_record_bytes: reader.size("POLL_MAX_RECORD_BYTES", 1024..=1 << 30),
        publication: reader.text("PUBLICATION"),
        slot_name: reader.text("SLOT_NAME"),
        slot_name_suffix: reader.raw("SLOT_NAME_SUFFIX"),
        slot_durable: reader.flag("SLOT_DURABLE"),
        visibility_connections: reader.size("VISIBILITY_CONNECTIONS", 1..=64),
        compile_policies: reader.flag("COMPILE_POLICIES"),
        compare_policies_every: reader.size("COMPARE_POLICIES_EVERY", 0..=u64::MAX) as u64,
        statement_timeout: reader.millis("STATEMENT_TIMEOUT_MS", 10),
        janitor: Janitor {
            run: reader.flag("RUN_JANITOR"),
            interval: reader.millis("JANITOR_SCHEDULE_TIMER_IN_MS", 1000),
            randomize: reader.flag("JANITOR_SCHEDULE_RANDOMIZE"),
            run_after: reader.millis("JANITOR_RUN_AFTER_IN_MS", 0),
        },
        surface: surface::read(reader),
        chat: chat::read(reader),
        log_level: reader.choice("LOG_LEVEL", LEVELS, LevelFilter::INFO),
        log_format: reader.choice(
            "LOG_FORMAT",
            &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)],
            LogFormat::default(),
        ),
        quiet_health_checks: reader.flag("DISABLE_HEALTHCHECK_LOGGING"),
        region: reader.text("REGION"),
        warnings: Vec::new(),
    };
    config.api_jwt_jwks_json = jwks_json;
    config.tenants.new_tenant = tenants::new_tenant(reader, &config.limits);
    check_names(reader, &config);
    check_delays(reader, &config);
    check_surface(reader, &config);
    if purpose != Purpose::Any && config.database.is_none() {
        no_database(reader);
    }
    // Tenants of the metadata bring keys of their own.
    let own_keys = config.tenants.source == Source::Database && !config.tenants.seed_self_host;
    if purpose == Purpose::Serve && !own_keys {
        keys::check(reader, &config, now);
        chat::check(reader, &config, now);
    }
    config.warnings = std::mem::take(&mut reader.warnings);
    config
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let any = 0..=u64::from(u32::MAX);
    Limits {
        max_concurrent_users: reader.number("TENANT_MAX_CONCURRENT_USERS", any.clone()),
        max_channels_per_client: reader.number("TENANT_MAX_CHANNELS_PER_CLIENT", any.clone()),
        max_joins_per_second: reader.number("TENANT_MAX_JOINS_PER_SECOND", any.clone()),
        max_events_per_second: reader.number("TENANT_MAX_EVENTS_PER_SECOND", any.clone()),
        max_bytes_per_second: reader.number("TENANT_MAX_BYTES_PER_SECOND", any.clone()),
        max_presence_events_per_second: reader
            .number("TENANT_MAX_PRESENCE_EVENTS_PER_SECOND", any.clone()),
        // The largest frame is 5,000,000 bytes, so more could never arrive.
        max_payload_size_in_kb: reader.number("MAX_PAYLOAD_SIZE_IN_KB", 1..=5000),
        client_presence_max_calls: reader.number("CLIENT_PRESENCE_MAX_CALLS", any),
        client_presence_window: reader.millis("CLIENT_PRESENCE_WINDOW_MS", 1),
        presence_excess: reader.choice(
            "PRESENCE_EXCESS",
            &[
                ("coalesce", PresenceExcess::Coalesce),
                ("close", PresenceExcess::Close),
            ],
            PresenceExcess::default(),
        ),
    }
}

fn jwks(reader: &mut Reader<'_>, json: &mut Option<serde_json::Value>) -> Option<Jwks> {
    let text = reader.optional("API_JWT_JWKS")?;
    match Jwks::parse(&text) {
        Ok(jwks) => {
            *json = serde_json::from_str(&text).ok();
            let problems = jwks.problems().into_iter();
            let warnings = problems.map(|problem| format!("API_JWT_JWKS: {problem}"));
            reader.warnings.extend(warnings);
            Some(jwks)
        }
        Err(error) => {
            reader.problem(
                "API_JWT_JWKS",
                error.to_string(),
                "write the JSON key set your tokens are signed with, or leave it out",
            );
            None
        }
    }
}

fn claim_validators(reader: &mut Reader<'_>) -> ClaimValidators {
    let Some(text) = reader.optional("JWT_CLAIM_VALIDATORS") else {
        return ClaimValidators::default();
    };
    ClaimValidators::parse(&text).unwrap_or_else(|error| {
        reader.problem(
            "JWT_CLAIM_VALIDATORS",
            error.to_string(),
            "write for example {\"iss\":\"https://auth.example.com\"}, or leave it out",
        );
        ClaimValidators::default()
    })
}

fn check_names(reader: &mut Reader<'_>, config: &Config) {
    let plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let slot_fix = "use lower-case letters, digits and underscores only";
    for (name, value) in [
        ("SLOT_NAME", config.slot_name.as_str()),
        (
            "SLOT_NAME_SUFFIX",
            config.slot_name_suffix.as_deref().unwrap_or_default(),
        ),
    ] {
        if !plain(value) {
            let what =
                format!("is \"{value}\", which Postgres does not take as part of a slot name");
            reader.problem(name, what, slot_fix);
        }
    }
    let slot = config.replication_slot();
    if slot.len() > 63 {
        let what = format!(
            "makes the slot name {} bytes long, Postgres allows 63",
            slot.len()
        );
        reader.problem("SLOT_NAME_SUFFIX", what, "shorten it, or SLOT_NAME");
    }
    if config.publication.len() > 63 {
        let what = "is longer than the 63 bytes Postgres allows";
        reader.problem("PUBLICATION", what, "name a publication that exists");
    }
    let label = &config.tenant;
    if config.tenant_from_host && (label.contains('.') || label.to_ascii_lowercase() != *label) {
        reader.problem(
            "SELF_HOST_TENANT_NAME",
            format!("is \"{label}\", which is never the first label of a host"),
            "use lower case without dots, or set TENANT_FROM_HOST=false",
        );
    }
}

fn check_delays(reader: &mut Reader<'_>, config: &Config) {
    if config.channel_error_backoff >= Duration::from_secs(10) {
        reader.warnings.push(
            "CHANNEL_ERROR_BACKOFF_MS is 10 s or more: clients give up a join before they learn \
             why it failed"
                .to_owned(),
        );
    }
    if config.idle_timeout < Duration::from_secs(40) {
        reader.warnings.push(
            "IDLE_TIMEOUT_MS is under 40 s: clients send a heartbeat every 25 to 30 s and may be \
             cut off"
                .to_owned(),
        );
    }
}

fn check_surface(reader: &mut Reader<'_>, config: &Config) {
    if config.tenants.source != Source::Database {
        return;
    }
    if config.surface.parts.is_some_and(|parts| parts.any()) {
        reader.problem(
            "SURFACE",
            "serves one database, but TENANTS=database serves many",
            "set TENANTS=single, or leave SURFACE out",
        );
    }
}

fn no_database(reader: &mut Reader<'_>) {
    // Where the URL is set and wrong, that is already said.
    if reader.problems.iter().all(|p| p.name != "DATABASE_URL") {
        reader.problem(
            "DATABASE_URL",
            "is not set, and neither is DB_HOST: there is no database to work with",
            "set DATABASE_URL=postgres://user:password@host:5432/database, or try it without one: \
             dovetail dev",
        );
    }
}

#[cfg(test)]
mod tests;
