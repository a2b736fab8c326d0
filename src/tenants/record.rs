//! Rows of `tenants` and `extensions` as they are stored (postgres.md §1.10), and what they mean.
//!
//! A row is read as JSON: columns that are not known are passed over, and those an older schema lacks have their
//! default (G-056).

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::crypt::{Crypt, CryptError};
use crate::postgres::{ConnectOptions, TlsMode};

/// The type of the extension that holds the database of a tenant.
pub const DATABASE: &str = "postgres_cdc_rls";
/// Its name until 2022 (G-058).
const DATABASE_ALIAS: &str = "postgres";

/// The settings that say where the database is, all stored encrypted and all required.
pub const SECRETS: [&str; 5] = ["db_host", "db_port", "db_name", "db_user", "db_password"];

/// A tenant as it is stored.
#[derive(Clone, PartialEq, Deserialize)]
pub struct TenantRecord {
    /// The row's own id, which no URL accepts.
    pub id: Uuid,
    /// The name in hosts and URLs.
    pub external_id: String,
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// Encrypted secret of client tokens.
    #[serde(default)]
    pub jwt_secret: Option<String>,
    /// Public keys of client tokens.
    #[serde(default)]
    pub jwt_jwks: Option<Value>,
    /// See [`StoredLimits`].
    #[serde(flatten)]
    pub limits: StoredLimits,
    /// Nobody may connect.
    #[serde(default)]
    suspend: Option<bool>,
    /// Only private channels may be joined.
    #[serde(default)]
    private_only: Option<bool>,
    /// Presence is on in every public channel.
    #[serde(default)]
    presence_enabled: Option<bool>,
    /// How many migrations of the original its database has.
    #[serde(default)]
    pub migrations_ran: Option<i32>,
    /// ISO 8601 in seconds, without a zone.
    #[serde(default)]
    inserted_at: Option<String>,
    /// What hangs on the tenant.
    #[serde(default)]
    pub extensions: Vec<ExtensionRecord>,
}

/// Limits as stored (protocol.md §7.1). What is missing has the column's default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StoredLimits {
    max_concurrent_users: Option<i64>,
    max_channels_per_client: Option<i64>,
    max_joins_per_second: Option<i64>,
    max_events_per_second: Option<i64>,
    max_presence_events_per_second: Option<i64>,
    max_payload_size_in_kb: Option<i64>,
    max_client_presence_events_per_window: Option<i64>,
    client_presence_window_ms: Option<i64>,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $default:literal;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> u64 {
            self.$name.map_or($default, |number| u64::try_from(number).unwrap_or(0))
        })*
    };
}

impl StoredLimits {
    limits! {
        /// Sockets with a channel.
        max_concurrent_users: 200;
        /// Channels of one socket.
        max_channels_per_client: 100;
        /// Joins a second on average.
        max_joins_per_second: 500;
        /// Events a second on average.
        max_events_per_second: 100;
        /// Presence events a second on average.
        max_presence_events_per_second: 1000;
        /// Largest payload in units of 1000 bytes.
        max_payload_size_in_kb: 3000;
    }

    /// Presence calls of one channel in a window; none where the server's own default counts.
    pub fn max_client_presence_events_per_window(&self) -> Option<u64> {
        let number = self.max_client_presence_events_per_window?;
        u64::try_from(number).ok()
    }

    /// Length of that window in milliseconds, never 0; none where the server's own default counts.
    pub fn client_presence_window_ms(&self) -> Option<u64> {
        let number = self.client_presence_window_ms?;
        u64::try_from(number).ok().map(|number| number.max(1))
    }
}

/// A row of `extensions`.
#[derive(Clone, PartialEq, Deserialize)]
pub struct ExtensionRecord {
    /// What it is; `postgres` is an old name of [`DATABASE`].
    #[serde(rename = "type", default)]
    kind: Option<String>,
    /// Its settings, the secret ones encrypted, with whatever else somebody put there.
    #[serde(default)]
    pub settings: Map<String, Value>,
    #[serde(default)]
    inserted_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

/// Where a tenant's database is and how it is used, decrypted and with defaults (G-057).
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseRecord {
    /// How to connect.
    pub connect: ConnectOptions,
    /// Publication of Postgres Changes.
    pub publication: String,
    /// Base name of the replication slot.
    pub slot_name: String,
    /// Rows whose JSON is larger lose their large values.
    pub max_record_bytes: usize,
    /// Connections for checks of policies.
    pub pool: usize,
}

/// Why a tenant cannot be served although its row is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is no extension that names a database.
    #[error("the tenant has no extension of type {DATABASE}; give it one with the tenant API")]
    NoDatabase,
    /// A setting is missing or of the wrong kind.
    #[error("{0} in the settings of the tenant's extension is missing or not text")]
    Missing(&'static str),
    /// A secret cannot be decrypted.
    #[error("{0} of the tenant cannot be read: {1}")]
    Secret(&'static str, CryptError),
    /// The port is no port.
    #[error("db_port in the settings of the tenant's extension is not a number from 1 to 65535")]
    Port,
}

impl TenantRecord {
    /// Nobody may connect.
    pub fn suspend(&self) -> bool {
        self.suspend.unwrap_or(false)
    }

    /// Only private channels may be joined.
    pub fn private_only(&self) -> bool {
        self.private_only.unwrap_or(false)
    }

    /// Presence is on in every public channel.
    pub fn presence_enabled(&self) -> bool {
        self.presence_enabled.unwrap_or(false)
    }

    /// The decrypted secret of client tokens.
    ///
    /// # Errors
    ///
    /// When it cannot be decrypted.
    pub fn secret(&self, crypt: &Crypt) -> Result<Option<String>, RecordError> {
        let stored = self.jwt_secret.as_deref();
        stored
            .map(|stored| crypt.decrypt(stored))
            .transpose()
            .map_err(|error| RecordError::Secret("jwt_secret", error))
    }

    /// The tenant's database.
    ///
    /// # Errors
    ///
    /// When it is not named, incomplete or cannot be decrypted.
    pub fn database(&self, crypt: &Crypt) -> Result<DatabaseRecord, RecordError> {
        let found = self
            .extensions
            .iter()
            .find(|extension| matches!(extension.kind.as_deref(), Some(DATABASE | DATABASE_ALIAS)));
        let settings = &found.ok_or(RecordError::NoDatabase)?.settings;
        let secret = |name: &'static str| {
            let stored = settings.get(name).and_then(Value::as_str);
            crypt
                .decrypt(stored.ok_or(RecordError::Missing(name))?)
                .map_err(|error| RecordError::Secret(name, error))
        };
        let port = secret("db_port")?;
        let port = port.trim().parse().ok().filter(|port| *port != 0);
        // Absent means encrypted, and so does everything that is not a boolean; no certificate is verified (§1.10).
        let encrypted = settings.get("ssl_enforced").and_then(Value::as_bool);
        let tls = match encrypted.unwrap_or(true) {
            true => TlsMode::Require,
            false => TlsMode::Disable,
        };
        Ok(DatabaseRecord {
            connect: ConnectOptions {
                ip_version: None,
                host: secret("db_host")?,
                port: port.ok_or(RecordError::Port)?,
                user: secret("db_user")?,
                password: Some(secret("db_password")?),
                dbname: secret("db_name")?,
                tls,
                tls_ca_file: None,
            },
            publication: name(settings, "publication", "supabase_realtime"),
            slot_name: name(settings, "slot_name", "supabase_realtime_replication_slot"),
            max_record_bytes: number(settings, "poll_max_record_bytes", 1_048_576).max(1024),
            pool: number(settings, "db_pool", 1).clamp(1, 64),
        })
    }

    /// The object the tenant API shows: no secret, the place of the database in its encrypted form (P-227).
    pub fn to_api(&self) -> Value {
        let extensions: Vec<Value> = self
            .extensions
            .iter()
            .map(|extension| {
                let mut settings = extension.settings.clone();
                settings.remove("db_password");
                json!({
                    "type": extension.kind,
                    "inserted_at": extension.inserted_at,
                    "updated_at": extension.updated_at,
                    "settings": settings,
                })
            })
            .collect();
        let limits = &self.limits;
        json!({
            "id": self.id,
            "external_id": self.external_id,
            "name": self.name,
            "max_concurrent_users": limits.max_concurrent_users(),
            "max_channels_per_client": limits.max_channels_per_client(),
            "max_events_per_second": limits.max_events_per_second(),
            "max_joins_per_second": limits.max_joins_per_second(),
            "max_client_presence_events_per_window": limits.max_client_presence_events_per_window,
            "client_presence_window_ms": limits.client_presence_window_ms,
            "private_only": self.private_only(),
            "presence_enabled": self.presence_enabled(),
            "inserted_at": self.inserted_at,
            "extensions": extensions,
        })
    }
}

/// The stored form of settings: what says where the database is, encrypted.
///
/// # Errors
///
/// When there is no key to encrypt with.
pub fn encrypted(
    mut settings: Map<String, Value>,
    crypt: &Crypt,
) -> Result<Map<String, Value>, CryptError> {
    for name in SECRETS {
        if let Some(Value::String(text)) = settings.get_mut(name) {
            *text = crypt.encrypt(text)?;
        }
    }
    Ok(settings)
}

/// A name that Postgres could take, or the default.
fn name(settings: &Map<String, Value>, key: &str, default: &str) -> String {
    let given = settings.get(key).and_then(Value::as_str);
    let usable = given.filter(|name| (1..=63).contains(&name.len()) && !name.contains('\0'));
    usable.unwrap_or(default).to_owned()
}

fn number(settings: &Map<String, Value>, key: &str, default: usize) -> usize {
    let given = settings.get(key).and_then(Value::as_u64);
    given
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}

impl std::fmt::Debug for TenantRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TenantRecord")
            .field("external_id", &self.external_id)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for DatabaseRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DatabaseRecord")
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
