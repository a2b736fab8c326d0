//! The tenant of a self-hosted stack, made anew at each start as the original does (postgres.md §6.5, P-236).

use serde_json::{Map, Value, json};

use super::changeset::{Change, NewTenant};
use super::record::TenantRecord;
use super::store::{Store, StoreError};
use crate::postgres::{ConnectOptions, TlsMode};

/// A switch of the original that its own seed turns on.
const FLAG: &str = "gcm_encryption_backfill";

/// What the environment says of the tenant.
#[derive(Clone)]
pub struct Seed {
    /// Its name.
    pub external_id: String,
    /// Secret of client tokens.
    pub jwt_secret: Option<String>,
    /// Public keys of client tokens: an object with `keys`, an array or one key.
    pub jwt_jwks: Option<Value>,
    /// Its limits.
    pub limits: NewTenant,
    /// Its database.
    pub database: ConnectOptions,
}

/// Deletes the tenant and makes it again, in one transaction: what was edited by hand does not survive.
///
/// # Errors
///
/// When the metadata cannot be written; nothing has changed then.
pub(super) async fn seed(store: &Store, seed: &Seed) -> Result<TenantRecord, StoreError> {
    store
        .replace(&seed.external_id, &change(seed.clone()), FLAG)
        .await
}

fn change(seed: Seed) -> Change {
    let limits = &seed.limits;
    let mut columns = vec![
        ("name", json!(seed.external_id)),
        ("max_concurrent_users", json!(limits.max_concurrent_users)),
        (
            "max_channels_per_client",
            json!(limits.max_channels_per_client),
        ),
        ("max_joins_per_second", json!(limits.max_joins_per_second)),
        ("max_events_per_second", json!(limits.max_events_per_second)),
        ("max_bytes_per_second", json!(limits.max_bytes_per_second)),
    ];
    if let Some(keys) = seed.jwt_jwks {
        columns.push(("jwt_jwks", key_set(keys)));
    }
    Change {
        columns,
        jwt_secret: Some(seed.jwt_secret),
        extensions: Some(vec![settings(&seed.database)]),
    }
}

/// The original reads nothing but an object with `keys`.
fn key_set(keys: Value) -> Value {
    match keys {
        Value::Array(_) => json!({ "keys": keys }),
        Value::Object(object) if !object.contains_key("keys") => json!({ "keys": [object] }),
        keys => keys,
    }
}

fn settings(database: &ConnectOptions) -> Map<String, Value> {
    let encrypted = !matches!(database.tls, TlsMode::Disable | TlsMode::Prefer);
    [
        ("db_host", json!(database.host)),
        ("db_port", json!(database.port.to_string())),
        ("db_name", json!(database.dbname)),
        ("db_user", json!(database.user)),
        (
            "db_password",
            json!(database.password.as_deref().unwrap_or_default()),
        ),
        ("region", json!("us-east-1")),
        ("poll_interval_ms", json!(100)),
        ("poll_max_changes", json!(100)),
        ("poll_max_record_bytes", json!(1_048_576)),
        ("publication", json!("supabase_realtime")),
        ("slot_name", json!("supabase_realtime_replication_slot")),
        ("ssl_enforced", json!(encrypted)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_stored_as_the_original_reads_them() {
        let key = json!({ "kty": "oct", "k": "AQ" });
        let set = json!({ "keys": [key] });
        for given in [set.clone(), json!([key]), key] {
            assert_eq!(key_set(given), set);
        }
    }
}
