//! Reads and writes the metadata: `tenants` and `extensions` in the schema of the search path (postgres.md §1.10).
//!
//! A few connections are kept and opened again when they are lost. One that was in the middle of something when its
//! question was given up is closed, not used again. Columns that are not ours are neither read nor written.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use super::changeset::Change;
use super::crypt::{Crypt, CryptError};
use super::record::{DATABASE, TenantRecord, encrypted};
use super::schema::{self, SchemaError};
use crate::postgres::{self, ConnectOptions};

/// Name of the connections, the original's (G-201).
const APPLICATION_NAME: &str = "supabase_mt_realtime";
/// Longest question to the metadata, connecting and waiting for a connection included.
const PATIENCE: Duration = Duration::from_secs(5);

/// Timestamps are in seconds and in the past, as the original writes them.
const NOW: &str = "date_trunc('second', timezone('utc', now()))";

const SELECT: &str = "select (to_jsonb(t) || jsonb_build_object('extensions', coalesce(
    (select jsonb_agg(to_jsonb(e) order by e.inserted_at, e.id) from extensions e
     where e.tenant_external_id = t.external_id), '[]'))) from tenants t";

/// The metadata database.
pub struct Store {
    options: ConnectOptions,
    after_connect: String,
    crypt: Arc<Crypt>,
    room: Semaphore,
    idle: Mutex<Vec<Client>>,
}

/// Why the metadata could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer.
    #[error(transparent)]
    Connect(#[from] postgres::Error),
    /// No answer in time.
    #[error("the metadata database did not answer within {} s", PATIENCE.as_secs())]
    Timeout,
    /// `DB_AFTER_CONNECT_QUERY` failed.
    #[error("DB_AFTER_CONNECT_QUERY failed: {0}")]
    AfterConnect(tokio_postgres::Error),
    /// Postgres refused the question.
    #[error("the metadata could not be read or written: {0}")]
    Query(#[from] tokio_postgres::Error),
    /// A row makes no sense.
    #[error("the row of a tenant cannot be read: {0}")]
    Row(#[from] serde_json::Error),
    /// A value could not be encrypted.
    #[error(transparent)]
    Crypt(#[from] CryptError),
    /// The tables are not there and could not be made.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Somebody else has just made a tenant of this name.
    #[error("there is a tenant of this name already")]
    Taken,
    /// The tenant would have neither a secret nor keys.
    #[error("either jwt_secret or jwt_jwks must be provided")]
    NoKeys,
}

impl Store {
    /// Connects when asked something. At most `connections` at a time.
    pub fn new(
        options: ConnectOptions,
        after_connect: String,
        connections: usize,
        crypt: Arc<Crypt>,
    ) -> Self {
        Self {
            options,
            after_connect,
            crypt,
            room: Semaphore::new(connections.max(1)),
            idle: Mutex::default(),
        }
    }

    /// The keys of what is stored.
    pub fn crypt(&self) -> &Crypt {
        &self.crypt
    }

    /// Makes the tables where they are missing; `true` when something had to be done.
    ///
    /// # Errors
    ///
    /// When the database is away or the tables cannot be made or brought forward.
    pub async fn prepare(&self) -> Result<bool, StoreError> {
        // Not under the time limit of questions: somebody else may be at it.
        let mut client = self.connect().await?;
        let done = schema::prepare(&mut client).await?;
        self.give_back(client);
        Ok(done)
    }

    /// Every tenant, the oldest first. Rows that cannot be read are left out and logged.
    ///
    /// # Errors
    ///
    /// When the database is away.
    pub async fn list(&self) -> Result<Vec<TenantRecord>, StoreError> {
        self.timed(async {
            let lease = self.lease().await?;
            let sql = format!("{SELECT} order by t.inserted_at, t.external_id");
            let rows = lease.client.query(&sql, &[]).await?;
            lease.done();
            Ok(readable(rows))
        })
        .await
    }

    /// Those of these tenants that there are.
    ///
    /// # Errors
    ///
    /// When the database is away.
    pub async fn find(&self, names: &[String]) -> Result<Vec<TenantRecord>, StoreError> {
        self.timed(async {
            let lease = self.lease().await?;
            let sql = format!("{SELECT} where t.external_id = any($1)");
            let rows = lease.client.query(&sql, &[&names]).await?;
            lease.done();
            Ok(readable(rows))
        })
        .await
    }

    /// One tenant.
    ///
    /// # Errors
    ///
    /// When the database is away or the row cannot be read.
    pub async fn get(&self, external_id: &str) -> Result<Option<TenantRecord>, StoreError> {
        self.timed(async {
            let lease = self.lease().await?;
            let sql = format!("{SELECT} where t.external_id = $1");
            let row = lease.client.query_opt(&sql, &[&external_id]).await?;
            lease.done();
            Ok(row
                .map(|row| serde_json::from_value(row.get(0)))
                .transpose()?)
        })
        .await
    }

    /// Makes a tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] and [`StoreError::NoKeys`]; otherwise as [`Store::get`].
    pub async fn insert(
        &self,
        external_id: &str,
        change: &Change,
    ) -> Result<TenantRecord, StoreError> {
        self.timed(async {
            let mut lease = self.lease().await?;
            let work = lease.client.transaction().await?;
            self.insert_in(&work, external_id, change).await?;
            let record = read_back(&work, external_id).await?;
            work.commit().await?;
            lease.done();
            Ok(record)
        })
        .await
        .map_err(known)
    }

    /// Makes the tenant anew, whatever there was under its name, and the switch that goes with it, in one transaction.
    pub(super) async fn replace(
        &self,
        external_id: &str,
        change: &Change,
        flag: &str,
    ) -> Result<TenantRecord, StoreError> {
        self.timed(async {
            let mut lease = self.lease().await?;
            let work = lease.client.transaction().await?;
            work.execute(
                "delete from tenants where external_id = $1",
                &[&external_id],
            )
            .await?;
            self.insert_in(&work, external_id, change).await?;
            let enable = format!(
                "insert into feature_flags (id, name, enabled, inserted_at, updated_at)
                 values ($1, $2, true, {NOW}, {NOW})
                 on conflict (name) do update set enabled = true, updated_at = excluded.updated_at"
            );
            work.execute(&enable, &[&Uuid::new_v4(), &flag]).await?;
            let record = read_back(&work, external_id).await?;
            work.commit().await?;
            lease.done();
            Ok(record)
        })
        .await
        .map_err(known)
    }

    async fn insert_in(
        &self,
        work: &Transaction<'_>,
        external_id: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let mut columns = vec!["id", "external_id"];
        let mut row = Map::new();
        row.insert("id".to_owned(), json!(Uuid::new_v4()));
        row.insert("external_id".to_owned(), json!(external_id));
        self.columns(change, &mut columns, &mut row)?;
        let columns = columns.join(", ");
        let insert = format!(
            "insert into tenants ({columns}, inserted_at, updated_at)
             select {columns}, {NOW}, {NOW} from jsonb_populate_record(null::tenants, $1)"
        );
        work.execute(&insert, &[&Value::Object(row)]).await?;
        for settings in change.extensions.iter().flatten() {
            self.write_extension(work, external_id, settings).await?;
        }
        Ok(())
    }

    /// Writes the fields that change. None: there is no such tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoKeys`]; otherwise as [`Store::get`].
    pub async fn update(
        &self,
        external_id: &str,
        change: &Change,
    ) -> Result<Option<TenantRecord>, StoreError> {
        self.timed(async {
            let mut lease = self.lease().await?;
            let work = lease.client.transaction().await?;
            let (mut columns, mut row) = (Vec::new(), Map::new());
            self.columns(change, &mut columns, &mut row)?;
            let set: String = columns
                .iter()
                .map(|column| format!("{column} = r.{column}, "))
                .collect();
            let update = format!(
                "update tenants t set {set} updated_at = {NOW}
                 from jsonb_populate_record(null::tenants, $1) r where t.external_id = $2"
            );
            let row = Value::Object(row);
            if work.execute(&update, &[&row, &external_id]).await? == 0 {
                return Ok(None);
            }
            if let Some(extensions) = &change.extensions {
                let delete =
                    "delete from extensions where tenant_external_id = $1 and type is distinct from $2";
                work.execute(delete, &[&external_id, &DATABASE]).await?;
                for settings in extensions {
                    self.write_extension(&work, external_id, settings).await?;
                }
            }
            let record = read_back(&work, external_id).await?;
            work.commit().await?;
            lease.done();
            Ok(Some(record))
        })
        .await
        .map_err(known)
    }

    fn columns(
        &self,
        change: &Change,
        columns: &mut Vec<&'static str>,
        row: &mut Map<String, Value>,
    ) -> Result<(), StoreError> {
        for (column, value) in &change.columns {
            columns.push(column);
            row.insert((*column).to_owned(), value.clone());
        }
        if let Some(secret) = &change.jwt_secret {
            let stored = secret.as_deref().map(|plain| self.crypt.encrypt(plain));
            columns.push("jwt_secret");
            row.insert("jwt_secret".to_owned(), json!(stored.transpose()?));
        }
        Ok(())
    }

    async fn write_extension(
        &self,
        work: &Transaction<'_>,
        external_id: &str,
        settings: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        let settings = Value::Object(encrypted(settings.clone(), &self.crypt)?);
        let write = format!(
            "insert into extensions (id, type, settings, tenant_external_id, inserted_at, updated_at)
             values ($1, $2, $3, $4, {NOW}, {NOW})
             on conflict (tenant_external_id, type)
             do update set settings = excluded.settings, updated_at = excluded.updated_at"
        );
        work.execute(
            &write,
            &[&Uuid::new_v4(), &DATABASE, &settings, &external_id],
        )
        .await?;
        Ok(())
    }

    /// Deletes a tenant and what hangs on it. `false`: there was none.
    ///
    /// # Errors
    ///
    /// When the database is away.
    pub async fn delete(&self, external_id: &str) -> Result<bool, StoreError> {
        self.timed(async {
            let lease = self.lease().await?;
            let delete = "delete from tenants where external_id = $1";
            let deleted = lease.client.execute(delete, &[&external_id]).await?;
            lease.done();
            Ok(deleted > 0)
        })
        .await
    }

    /// Notes how many migrations of the original the tenant's database has.
    ///
    /// # Errors
    ///
    /// When the database is away.
    pub async fn set_migrations_ran(
        &self,
        external_id: &str,
        count: i32,
    ) -> Result<(), StoreError> {
        self.timed(async {
            let lease = self.lease().await?;
            let update = "update tenants set migrations_ran = $2
                          where external_id = $1 and migrations_ran is distinct from $2";
            lease
                .client
                .execute(update, &[&external_id, &count])
                .await?;
            lease.done();
            Ok(())
        })
        .await
    }

    /// Gives work its time.
    async fn timed<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(PATIENCE, work)
            .await
            .unwrap_or(Err(StoreError::Timeout))
    }

    /// A connection that answers, as soon as there is room for it.
    async fn lease(&self) -> Result<Lease<'_>, StoreError> {
        let place = self.room.acquire().await.map_err(|_| StoreError::Timeout)?;
        loop {
            let kept = self.idle.lock().pop();
            let client = match kept {
                None => self.connect().await?,
                // It may have been lost while it lay idle.
                Some(client) if client.simple_query("").await.is_err() => continue,
                Some(client) => client,
            };
            return Ok(Lease {
                client,
                store: self,
                _place: place,
            });
        }
    }

    async fn connect(&self) -> Result<Client, StoreError> {
        let client = postgres::connect_with(
            &self.options,
            APPLICATION_NAME,
            &[("statement_timeout", "5000")],
        )
        .await?;
        client
            .batch_execute(&self.after_connect)
            .await
            .map_err(StoreError::AfterConnect)?;
        Ok(client)
    }

    fn give_back(&self, client: Client) {
        if !client.is_closed() {
            self.idle.lock().push(client);
        }
    }
}

/// A connection in use. It is closed by dropping, because nobody knows then what it was in the middle of.
struct Lease<'a> {
    client: Client,
    store: &'a Store,
    _place: SemaphorePermit<'a>,
}

impl Lease<'_> {
    /// Everything is done: it may be used again.
    fn done(self) {
        self.store.give_back(self.client);
    }
}

async fn read_back(work: &Transaction<'_>, external_id: &str) -> Result<TenantRecord, StoreError> {
    let sql = format!("{SELECT} where t.external_id = $1");
    let row = work.query_one(&sql, &[&external_id]).await?;
    Ok(serde_json::from_value(row.get(0))?)
}

fn readable(rows: Vec<tokio_postgres::Row>) -> Vec<TenantRecord> {
    let records = rows.iter().map(|row| serde_json::from_value(row.get(0)));
    let readable = records.filter_map(|record| {
        record
            .inspect_err(|error| tracing::warn!(%error, "the row of a tenant cannot be read"))
            .ok()
    });
    readable.collect()
}

/// Violations that have a meaning of their own.
fn known(error: StoreError) -> StoreError {
    let StoreError::Query(source) = &error else {
        return error;
    };
    match source.code() {
        Some(&SqlState::UNIQUE_VIOLATION) => StoreError::Taken,
        Some(&SqlState::CHECK_VIOLATION) => StoreError::NoKeys,
        _ => error,
    }
}
