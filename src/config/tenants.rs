//! One tenant from the environment, or many from the original's metadata.

use std::time::Duration;

use super::reader::Reader;
use super::{Limits, Secret};
use crate::tenants::changeset::NewTenant;
use crate::tenants::crypt::{Crypt, CryptError};

/// Where tenants come from, and how their metadata is read.
#[derive(Clone)]
pub struct Tenants {
    /// From `TENANTS`; when that is not set, the metadata if `DB_ENC_KEY` is set and `SEED_SELF_HOST` is not.
    pub source: Source,
    /// The tenant of the environment is made anew in the metadata at each start. Default `false`.
    pub seed_self_host: bool,
    /// Key of AES-128-ECB, from `DB_ENC_KEY`: 16 bytes when the source is the metadata.
    pub enc_key: Option<Secret>,
    /// Key of AES-256-GCM, from `DB_ENC_KEY_GCM`: 32 bytes.
    pub enc_key_gcm: Option<Secret>,
    /// Which of them encrypts, from `DB_ENC_WRITE_GCM`. Default `false`: the first.
    pub enc_write_gcm: bool,
    /// SQL for each connection to the metadata, from `DB_AFTER_CONNECT_QUERY`.
    pub after_connect_query: String,
    /// Connections to the metadata, from `DB_POOL_SIZE`. Default 5.
    pub pool_size: usize,
    /// How long a tenant is served as it was read, from `TENANT_CACHE_EXPIRATION_IN_MS`. Default 30 s.
    pub cache_expiration: Duration,
    /// A tenant without a socket for this long gives its connections back, from `TENANT_IDLE_RELEASE_MS`.
    /// Default 11 min.
    pub idle_release: Duration,
    /// Limits of a tenant that is created without: the original's where `TENANT_MAX_*` is not set.
    pub new_tenant: NewTenant,
}

/// Where tenants come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `single`: one tenant, from the environment.
    Single,
    /// `database`: the original's metadata.
    Database,
}

impl Tenants {
    /// What encrypts and decrypts the metadata.
    ///
    /// # Errors
    ///
    /// When a key is of the wrong length, which reading the settings has excluded.
    pub fn crypt(&self) -> Result<Crypt, CryptError> {
        let bytes = |secret: &Option<Secret>| {
            let secret = secret.as_ref();
            secret.map(|secret| secret.expose().as_bytes().to_vec())
        };
        Crypt::new(
            bytes(&self.enc_key).as_deref(),
            bytes(&self.enc_key_gcm).as_deref(),
            self.enc_write_gcm,
        )
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Tenants {
    let source = reader.maybe_choice(
        "TENANTS",
        &[("single", Source::Single), ("database", Source::Database)],
    );
    let seed_self_host = reader.flag("SEED_SELF_HOST");
    let enc_key = reader.secret("DB_ENC_KEY");
    let tenants = Tenants {
        source: source.unwrap_or(match (&enc_key, seed_self_host) {
            (Some(_), false) => Source::Database,
            _ => Source::Single,
        }),
        seed_self_host,
        enc_key,
        enc_key_gcm: reader.secret("DB_ENC_KEY_GCM"),
        enc_write_gcm: reader.flag("DB_ENC_WRITE_GCM"),
        after_connect_query: reader.text("DB_AFTER_CONNECT_QUERY"),
        pool_size: reader.size("DB_POOL_SIZE", 1..=100),
        cache_expiration: reader.millis("TENANT_CACHE_EXPIRATION_IN_MS", 0),
        idle_release: reader.millis("TENANT_IDLE_RELEASE_MS", 100),
        new_tenant: NewTenant::default(),
    };
    check(reader, &tenants);
    tenants
}

/// The limits of one tenant are generous when they are not set; those of one among many are the original's.
pub(super) fn new_tenant(reader: &Reader<'_>, limits: &Limits) -> NewTenant {
    let given = |name, value: u64, original| match value {
        _ if !reader.is_set(name) => original,
        // The metadata have no word for "no limit".
        0 => u64::from(i32::MAX.unsigned_abs()),
        value => value.min(u64::from(i32::MAX.unsigned_abs())),
    };
    NewTenant {
        max_concurrent_users: given(
            "TENANT_MAX_CONCURRENT_USERS",
            limits.max_concurrent_users,
            200,
        ),
        max_channels_per_client: given(
            "TENANT_MAX_CHANNELS_PER_CLIENT",
            limits.max_channels_per_client,
            100,
        ),
        max_joins_per_second: given(
            "TENANT_MAX_JOINS_PER_SECOND",
            limits.max_joins_per_second,
            100,
        ),
        max_events_per_second: given(
            "TENANT_MAX_EVENTS_PER_SECOND",
            limits.max_events_per_second,
            100,
        ),
        max_bytes_per_second: given(
            "TENANT_MAX_BYTES_PER_SECOND",
            limits.max_bytes_per_second,
            100_000,
        ),
    }
}

fn check(reader: &mut Reader<'_>, tenants: &Tenants) {
    // The original stops as well, whatever the key is needed for (G-061).
    match Crypt::new(None, bytes(&tenants.enc_key_gcm), false) {
        Err(CryptError::GcmKey(length)) => reader.problem(
            "DB_ENC_KEY_GCM",
            format!("must be exactly 32 bytes for AES-256-GCM, got {length} bytes"),
            "write 32 characters, for example from openssl rand -hex 16, or leave it out",
        ),
        _ if tenants.enc_write_gcm && tenants.enc_key_gcm.is_none() => {
            let warning =
                "DB_ENC_WRITE_GCM is set but DB_ENC_KEY_GCM is not, so DB_ENC_KEY encrypts";
            reader.warnings.push(warning.to_owned());
        }
        _ => {}
    }
    if tenants.source != Source::Database {
        return;
    }
    match Crypt::new(bytes(&tenants.enc_key), None, false) {
        Err(CryptError::LegacyKey(length)) => reader.problem(
            "DB_ENC_KEY",
            format!("must be exactly 16 bytes for AES-128, got {length} bytes"),
            "write the 16 characters the original server was given",
        ),
        _ if tenants.enc_key.is_none() && tenants.enc_key_gcm.is_none() => reader.problem(
            "DB_ENC_KEY",
            "is not set, and neither is DB_ENC_KEY_GCM: the metadata of tenants is encrypted",
            "write the key the original server was given, or 16 characters of your own, or set TENANTS=single",
        ),
        _ => {}
    }
}

fn bytes(secret: &Option<Secret>) -> Option<&[u8]> {
    secret.as_ref().map(|secret| secret.expose().as_bytes())
}
