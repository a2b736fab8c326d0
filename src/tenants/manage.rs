//! What the tenant API does to the tenants of the metadata (protocol.md §8.5, §8.6).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::NoTenant;
use super::changeset::{self, Errors};
use super::many::Many;
use super::record::{RecordError, TenantRecord};
use super::store::StoreError;
use crate::hub::Attention;
use crate::postgres;
use crate::tenant::{DatabaseSettings, Tenant, prepare_database};

/// A tenant that was written.
pub struct Written {
    /// Its row.
    pub record: TenantRecord,
    /// There was none of the name before.
    pub created: bool,
}

/// Why a tenant was not written, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The body is refused.
    #[error("the body is not acceptable")]
    Invalid(Errors),
    /// The metadata cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row makes no sense.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The row is there, its database was not prepared.
    #[error("the tenant was created, but its database could not be prepared: {0}")]
    Database(String),
}

impl Many {
    /// The rows of all tenants.
    ///
    /// # Errors
    ///
    /// When the metadata cannot be read.
    pub async fn list(&self) -> Result<Vec<TenantRecord>, StoreError> {
        self.heard(self.store.list().await)
    }

    /// The row of one tenant.
    ///
    /// # Errors
    ///
    /// When the metadata cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<TenantRecord>, StoreError> {
        self.heard(self.store.get(name).await)
    }

    /// Writes the tenant that the body names.
    ///
    /// # Errors
    ///
    /// See [`WriteError`].
    pub async fn post(&self, body: &Map<String, Value>) -> Result<Written, WriteError> {
        // The original checks the body as that of a new tenant first, whether there is one or not.
        let checked = changeset::check(body, 0, &self.template.new_tenant);
        match (changeset::external_id(body), checked) {
            (Ok(name), Ok(_)) => self.put(&name, body).await,
            (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => Err(WriteError::Invalid(errors)),
            (Err(one), Err(two)) => Err(WriteError::Invalid(one.and(two))),
        }
    }

    /// Creates or changes a tenant, in the metadata and where it is served.
    ///
    /// # Errors
    ///
    /// See [`WriteError`].
    pub async fn put(&self, name: &str, body: &Map<String, Value>) -> Result<Written, WriteError> {
        let defaults = &self.template.new_tenant;
        let gate = self.gate(name).await;
        let existing = self.heard(self.store.get(name).await)?;
        let extensions = existing
            .as_ref()
            .map_or(0, |record| record.extensions.len());
        let change = changeset::check(body, extensions, defaults).map_err(WriteError::Invalid)?;
        if existing.is_some() {
            let updated = self.store.update(name, &change).await.map_err(refused)?;
            // Deleted by somebody else since it was read: as if it had been deleted after.
            let record = updated.or(existing).ok_or(StoreError::Timeout)?;
            self.apply(record.clone(), &gate)?;
            return Ok(Written {
                record,
                created: false,
            });
        }
        let change = change
            .into_new(name, defaults)
            .map_err(WriteError::Invalid)?;
        let record = self.store.insert(name, &change).await.map_err(refused)?;
        let tenant = self.apply(record.clone(), &gate)?;
        drop(gate);
        self.prepare_database(&tenant)
            .await
            .map_err(WriteError::Database)?;
        Ok(Written {
            record,
            created: true,
        })
    }

    /// Brings a tenant's database to the schema it needs and notes that in the metadata.
    async fn prepare_database(&self, tenant: &Tenant) -> Result<(), String> {
        let connect = tenant.settings().database.connect.clone();
        let prepared = prepare_database(&tenant.external_id, &connect).await;
        let versions = prepared.map_err(|error| format!("{error:#}"))?;
        let count = i32::try_from(versions).unwrap_or(i32::MAX);
        let noted = self
            .store
            .set_migrations_ran(&tenant.external_id, count)
            .await;
        // The row only says so to the original; a question to the database answers it as well.
        if let Err(error) = noted {
            tracing::warn!(%error, "the migrations of a tenant could not be noted");
        }
        Ok(())
    }

    /// Whether a tenant's database is known to have been prepared. If not, that is begun.
    ///
    /// # Errors
    ///
    /// When the metadata cannot be read.
    pub async fn is_prepared(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Result<bool, StoreError> {
        let record = self.get(&tenant.external_id).await?;
        let ran = record.and_then(|record| record.migrations_ran);
        if ran.unwrap_or(0) > 0 {
            return Ok(true);
        }
        let (many, tenant) = (Arc::clone(self), Arc::clone(tenant));
        tokio::spawn(async move {
            if let Err(error) = many.prepare_database(&tenant).await {
                let tenant = &*tenant.external_id;
                tracing::warn!(
                    tenant,
                    error,
                    "the database of a tenant could not be prepared"
                );
            }
        });
        Ok(false)
    }

    /// Deletes a tenant; its sockets are closed, its connections and its slot given back. It is no error when there is
    /// none.
    ///
    /// # Errors
    ///
    /// When the metadata cannot be written.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let gate = self.gate(name).await;
        self.heard(self.store.delete(name).await)?;
        let opened = self.known(name).and_then(|tenant| tenant.opened());
        let Some(tenant) = self.forget(name, &gate) else {
            return Ok(());
        };
        drop(gate);
        if let Some(backend) = opened {
            backend.close().await;
        }
        let database = tenant.settings().database.clone();
        if database.slot_durable {
            drop_slot(&database).await;
        }
        Ok(())
    }

    /// Reads the tenant again and makes everybody come back (§3.18).
    ///
    /// # Errors
    ///
    /// [`NoTenant`].
    pub async fn reload(&self, name: &str) -> Result<(), NoTenant> {
        let gate = self.gate(name).await;
        let tenant = self.read(name, &gate).await?;
        drop(gate);
        restart(&tenant);
        Ok(())
    }
}

/// Ends everything a tenant does and makes its clients come back (§8.6).
pub fn restart(tenant: &Tenant) {
    tenant.release();
    tenant.disconnect_all();
}

/// Ends the database connections of a tenant; its sockets stay, and what they need is opened again at once (§8.6).
pub fn shutdown(tenant: &Arc<Tenant>) {
    if tenant.release() && tenant.sockets.count() > 0 {
        tenant.backend();
        tenant.sockets.attend_all(Attention::DATABASE);
    }
}

fn refused(error: StoreError) -> WriteError {
    match error {
        StoreError::NoKeys => WriteError::Invalid(changeset::no_keys()),
        StoreError::Taken => {
            WriteError::Invalid(Errors::of("external_id", "has already been taken"))
        }
        error => WriteError::Store(error),
    }
}

/// Gives a durable slot back, so that Postgres need not keep the log for nobody.
async fn drop_slot(database: &DatabaseSettings) {
    const ATTEMPTS: u32 = 50;
    let dropped = async {
        let client = postgres::connect(&database.connect, "realtime_replication_slot_teardown")
            .await
            .map_err(|error| error.to_string())?;
        // The sender of the stream takes a moment to end.
        for _ in 0..ATTEMPTS {
            let sql = "select pg_drop_replication_slot(slot_name) from pg_replication_slots
                       where slot_name = $1 and not active";
            let there = "select exists (select from pg_replication_slots where slot_name = $1)";
            let _ = client.execute(sql, &[&database.slot]).await;
            let row = client.query_one(there, &[&database.slot]).await;
            let there: bool = row.map_err(|error| error.to_string())?.get(0);
            if !there {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("it stays in use".to_owned())
    };
    if let Err::<(), String>(error) = dropped.await {
        let slot = &database.slot;
        tracing::warn!(
            slot,
            error,
            "the replication slot of a deleted tenant could not be dropped; drop it with pg_drop_replication_slot"
        );
    }
}
