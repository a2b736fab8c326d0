//! From a stored tenant to what the running one is told: its own settings over those that all tenants share.

use std::sync::Arc;
use std::time::Duration;

use super::changeset::NewTenant;
use super::crypt::Crypt;
use super::record::{RecordError, TenantRecord};
use crate::auth::{ClaimValidators, Jwks, Keys};
use crate::replication;
use crate::tenant::{Settings, Tenant};

/// What all tenants share.
pub struct Template {
    /// Settings of which keys, limits, switches and the database are replaced by the tenant's own.
    pub settings: Settings,
    /// Claims that must have a certain value.
    pub validators: ClaimValidators,
    /// Appended to the name of each replication slot, see [`replication::slot_name`].
    pub slot_suffix: Option<String>,
    /// See [`Tenant::new`].
    pub presence_leave_grace: Duration,
    /// Limits of a tenant that is created without.
    pub new_tenant: NewTenant,
}

impl Template {
    /// What this tenant is told. `before` is what it was told and stored so far: keys that are the same stay the same.
    ///
    /// # Errors
    ///
    /// When what is stored cannot be read.
    pub(super) fn settings(
        &self,
        record: &TenantRecord,
        before: Option<(&TenantRecord, &Settings)>,
        crypt: &Crypt,
    ) -> Result<Settings, RecordError> {
        let mut settings = self.settings.clone();
        settings.keys = match before {
            Some((old, told)) if same_keys(old, record, crypt) => Arc::clone(&told.keys),
            _ => self.keys(record, crypt)?,
        };
        settings.suspend = record.suspend();
        settings.private_only = record.private_only();
        settings.presence_enabled = record.presence_enabled();
        self.set_limits(&mut settings, record);
        let database = record.database(crypt)?;
        settings.database.slot = replication::slot_name(
            &database.slot_name,
            self.slot_suffix.as_deref(),
            &record.external_id,
        );
        settings.database.connect = database.connect;
        settings.database.changes.publication = database.publication;
        settings.database.changes.max_record_bytes = database.max_record_bytes;
        let connections = &mut settings.database.access.connections;
        *connections = database.pool.max(*connections);
        Ok(settings)
    }

    fn keys(&self, record: &TenantRecord, crypt: &Crypt) -> Result<Arc<Keys>, RecordError> {
        let secret = record.secret(crypt)?;
        let jwks = record.jwt_jwks.clone().map(Jwks::from_value).transpose();
        let jwks = jwks.unwrap_or_else(|error| {
            // As in the original, which then knows the secret only.
            tracing::warn!(tenant = record.external_id, %error, "jwt_jwks of a tenant is not used");
            None
        });
        let secret = secret.as_deref().map(str::as_bytes);
        Ok(Arc::new(Keys::new(secret, jwks, self.validators.clone())))
    }

    /// In the metadata 0 means none, as in the original; there is no way to say "no limit" but a large number.
    fn set_limits(&self, settings: &mut Settings, record: &TenantRecord) {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let stored = &record.limits;
        settings.max_users = Some(stored.max_concurrent_users());
        settings.rates.joins = Some(stored.max_joins_per_second());
        settings.rates.events = Some(stored.max_events_per_second());
        settings.rates.presence_events = Some(stored.max_presence_events_per_second());
        let limits = &mut settings.limits;
        limits.channels_per_client = size(stored.max_channels_per_client());
        // The original's slack for its own envelope (protocol.md §5.1).
        limits.payload_bytes = size(stored.max_payload_size_in_kb())
            .saturating_mul(1000)
            .saturating_add(500);
        if let Some(calls) = stored.max_client_presence_events_per_window() {
            limits.presence_calls = u32::try_from(calls).unwrap_or(u32::MAX);
        }
        if let Some(window) = stored.client_presence_window_ms() {
            limits.presence_window = Duration::from_millis(window);
        }
    }

    pub(super) fn tenant(&self, record: &TenantRecord, settings: Settings) -> Arc<Tenant> {
        let name = record.external_id.as_str();
        Tenant::new(name, settings, self.presence_leave_grace)
    }
}

/// Whether tokens are verified as before. The stored form may differ although the secret does not: each encryption with
/// AES-256-GCM is another text.
fn same_keys(old: &TenantRecord, new: &TenantRecord, crypt: &Crypt) -> bool {
    let same_secret = old.jwt_secret == new.jwt_secret
        || match (old.secret(crypt), new.secret(crypt)) {
            (Ok(old), Ok(new)) => old == new,
            _ => false,
        };
    same_secret && old.jwt_jwks == new.jwt_jwks
}
