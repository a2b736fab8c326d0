//! The one way to the database for a request: a transaction under the caller's role and claims.
//!
//! [`Database::once`] runs one statement in one round trip; [`Database::begin`] opens a transaction for several. Both
//! take a connection, set role, claims and the facts of the request *for the transaction only*, and give the connection
//! back after it was rolled back or committed and reset, whatever a function of the database may have left in its
//! session. A future that is dropped half-way cleans up on a task of its own before anybody else gets the connection.
//!
//! Plans are never kept across callers: a function that is wrongly declared immutable would be folded into a kept plan
//! and answer for the next one. Statements are prepared once per role, so that rights to schemas are looked at for each.

mod error;
mod lease;
mod link;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{Pool, Timeouts};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Settings;
use super::caller::{Caller, Facts};
use crate::postgres::ConnectOptions;
pub(super) use error::Error;
use lease::Lease;
use link::{End, Links, Scene};
pub(super) use text::Text;

/// How long a request waits for a free connection.
const WAIT: Duration = Duration::from_secs(10);

/// Values of a statement, in order.
pub(super) type Params<'a> = [&'a (dyn ToSql + Sync)];

/// Whether a transaction may change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// `READ ONLY`.
    Read,
    /// May change what the role may change.
    Write,
}

/// Connections of one login. Cheap to clone.
#[derive(Clone)]
pub(super) struct Database {
    pool: Pool<Links>,
    /// Grows when tables, functions or types may have changed.
    generation: Arc<AtomicU64>,
    /// Value of `search_path` where the caller names none.
    search_path: String,
}

impl Database {
    /// Opens nothing yet.
    pub(super) fn new(login: ConnectOptions, settings: &Settings) -> Self {
        let generation = Arc::<AtomicU64>::default();
        let links = Links::new(login, settings.statement_timeout, Arc::clone(&generation));
        let pool = Pool::builder(links)
            .max_size(settings.connections)
            .runtime(deadpool::Runtime::Tokio1)
            .build();
        // Only a timeout without a runtime is an error, and there is one.
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => unreachable!("a pool with a runtime: {error}"),
        };
        let rest = &settings.rest;
        let search_path = quoted_path(
            rest.schemas
                .first()
                .into_iter()
                .chain(&rest.extra_search_path),
        );
        Self {
            pool,
            generation,
            search_path,
        }
    }

    /// Tables, functions or types may have changed: statements that were prepared before are not used again, since the
    /// types of their parameters are those of then.
    pub(super) fn forget_statements(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// One statement in a transaction of its own, in one round trip once the statement is known. `search_path` as
    /// [`quoted_path`] writes it.
    ///
    /// # Errors
    /// [`Error`]; nothing has been changed then.
    pub(super) async fn once(
        &self,
        search_path: &str,
        who: &Caller,
        facts: &Facts,
        access: Access,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let lease = self.lease().await?;
        let scene = Scene::new(who, facts, access, search_path);
        lease.once(&scene, sql, params).await
    }

    /// A transaction. Dropping it rolls it back.
    ///
    /// # Errors
    /// [`Error`], also when the role cannot be assumed.
    pub(super) async fn begin(
        &self,
        who: &Caller,
        facts: &Facts,
        access: Access,
    ) -> Result<Transaction, Error> {
        self.begin_in(&self.search_path, who, facts, access).await
    }

    /// The same with another search path, as [`quoted_path`] writes it.
    pub(super) async fn begin_in(
        &self,
        search_path: &str,
        who: &Caller,
        facts: &Facts,
        access: Access,
    ) -> Result<Transaction, Error> {
        let lease = self.lease().await?;
        let scene = Scene::new(who, facts, access, search_path);
        lease.begin(&scene).await?;
        Ok(Transaction {
            lease,
            role: who.role.to_string(),
        })
    }

    async fn lease(&self) -> Result<Lease, Error> {
        let timeouts = Timeouts {
            wait: Some(WAIT),
            create: Some(WAIT),
            // It asks nothing of the database.
            recycle: None,
        };
        Ok(Lease::new(self.pool.timeout_get(&timeouts).await?))
    }
}

/// An open transaction under one caller's role.
pub(super) struct Transaction {
    lease: Lease,
    role: String,
}

impl Transaction {
    /// Rows of a statement.
    ///
    /// # Errors
    /// [`Error`]; the transaction can only be rolled back then.
    pub(super) async fn query(&self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, Error> {
        self.lease.query(&self.role, sql, params).await
    }

    /// The row of a statement that gives at most one.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub(super) async fn query_opt(
        &self,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Ends it; deferred constraints may still refuse.
    ///
    /// # Errors
    /// [`Error`]; nothing has been changed then.
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.lease.end(End::Commit).await
    }

    /// Undoes it and waits until that is done. Dropping it does the same without waiting.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.lease.end(End::Rollback).await
    }
}

/// A search path of these schemas.
pub(super) fn quoted_path<'a>(schemas: impl IntoIterator<Item = &'a String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for schema in schemas {
        let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
        if !seen.contains(&quoted) {
            seen.push(quoted);
        }
    }
    seen.join(", ")
}
