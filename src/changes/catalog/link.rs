//! The connection that the catalog is read on, and how it is asked: within the time limit, one question after the other.
//!
//! It pins every setting that answers depend on, cannot write, and is made again when it is lost.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::{Catalog, Error};
use crate::postgres;

/// A connection and the statements that were prepared on it.
pub(super) struct Link {
    client: Client,
    statements: Mutex<HashMap<String, tokio_postgres::Statement>>,
}

impl Link {
    async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        let known = self.statements.lock().get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = self.client.prepare(sql).await?;
                self.statements
                    .lock()
                    .insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        self.client.query(&statement, params).await
    }
}

impl Catalog {
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<T, Error> {
        let rows = self.query(sql, params).await?;
        let text: &str = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => "[]",
        };
        Ok(serde_json::from_str(text)?)
    }

    /// A query that is asked once, within the time limit; one text column of one row.
    pub(crate) async fn text(&self, sql: &str) -> Result<Option<String>, Error> {
        // Operators of extensions are found as in any other session of ours.
        self.simple(&format!("set local search_path to default; {sql}"))
            .await
    }

    pub(super) async fn simple(&self, sql: &str) -> Result<Option<String>, Error> {
        let client = tokio::time::timeout(self.timeout, self.client())
            .await
            .map_err(|_| Error::Timeout)??;
        let rows = tokio::time::timeout(self.timeout, client.client.simple_query(sql))
            .await
            .map_err(|_| Error::Timeout)??;
        Ok(rows.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// One statement, within the time limit, on a connection that is made when there is none.
    pub(super) async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        let client = tokio::time::timeout(self.timeout, self.client())
            .await
            .map_err(|_| Error::Timeout)??;
        match tokio::time::timeout(self.timeout, client.query(sql, params)).await {
            Ok(rows) => Ok(rows?),
            Err(_) => {
                // Whatever it is still busy with, the next question must not wait for it.
                *self.client.lock().await = None;
                Err(Error::Timeout)
            }
        }
    }

    async fn client(&self) -> Result<Arc<Link>, Error> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|link| !link.client.is_closed()) {
            return Ok(client.clone());
        }
        let client = postgres::connect(&self.options, "realtime_subscription_manager").await?;
        client
            .batch_execute(&format!(
                "set search_path = ''; set standard_conforming_strings = on; set default_transaction_read_only = on; \
                 set statement_timeout = {}; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; \
                 set bytea_output = 'hex'; set timezone = 'UTC'; set row_security = on",
                self.timeout.as_millis()
            ))
            .await?;
        let client = Arc::new(Link {
            client,
            statements: Mutex::default(),
        });
        *slot = Some(client.clone());
        Ok(client)
    }
}
