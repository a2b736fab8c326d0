//! One connection to Postgres, made when it is first needed and again when it was lost.
//!
//! Statements of several requests are sent over it one behind the other. All of them are calls of functions of schema
//! `chat`, each a short transaction of its own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Notification};

use super::error::Error;
use crate::postgres::{self, ConnectOptions, connect_heard, connect_with};

/// What the connection is called in `pg_stat_activity`.
const NAME: &str = "dovetail_chat";

/// See the module.
pub(super) struct Database {
    options: ConnectOptions,
    /// Of one statement, in milliseconds.
    timeout: String,
    client: Mutex<Option<Arc<Client>>>,
}

impl Database {
    /// Opens nothing yet. `timeout` is the longest run of one statement.
    pub(super) fn new(options: ConnectOptions, timeout: Duration) -> Self {
        Self {
            options,
            timeout: timeout.as_millis().to_string(),
            client: Mutex::default(),
        }
    }

    /// The one JSON value of the one row that this statement gives.
    ///
    /// # Errors
    /// Whatever Postgres says, in the words of [`Error`].
    pub(super) async fn value(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Value, Error> {
        let client = self.client().await?;
        let row = match client.query_one(sql, params).await {
            // It was lost while nobody looked. If the statement arrived all the same, a session more is no harm.
            Err(error) if error.is_closed() => self.client().await?.query_one(sql, params).await?,
            other => other?,
        };
        Ok(row.try_get(0)?)
    }

    async fn client(&self) -> Result<Arc<Client>, postgres::Error> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let settings = [("statement_timeout", self.timeout.as_str())];
        let client = Arc::new(connect_with(&self.options, NAME, &settings).await?);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }
}

/// A connection for one worker, and the task that ends with it; `hear` is called with what is told on the channels it
/// listens to.
///
/// # Errors
/// When Postgres is not there.
pub(super) async fn worker(
    options: &ConnectOptions,
    timeout: Duration,
    hear: impl Fn(Notification) + Send + 'static,
) -> Result<(Client, JoinHandle<()>), postgres::Error> {
    let timeout = timeout.as_millis().to_string();
    let settings = [("statement_timeout", timeout.as_str())];
    connect_heard(options, NAME, &settings, hear).await
}
