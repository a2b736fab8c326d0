//! A connection while a request has it: it goes back clean, or not at all.

use deadpool::managed::Object;
use tokio_postgres::{Row, Statement};

use super::link::{End, Link, Links, Scene};
use super::{Error, Params};

/// See the module. Dropped before it was given back (an error, a client that went away), it is cleaned on a task of its
/// own; meanwhile nobody else has it.
pub(super) struct Lease {
    link: Option<Object<Links>>,
}

impl Lease {
    pub(super) fn new(link: Object<Links>) -> Self {
        Self { link: Some(link) }
    }

    fn link(&self) -> &Link {
        match &self.link {
            Some(link) => link,
            // Taken only by what consumes the lease.
            None => unreachable!("a lease that was given back"),
        }
    }

    /// A whole transaction.
    pub(super) async fn once(
        self,
        scene: &Scene<'_>,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let role = scene.role();
        if let Some(statement) = self.link().known(role, sql) {
            match self.link().once(scene, &statement, params).await {
                // The transaction is over and nothing of it stayed: once more with the statement prepared anew.
                Err(error) if may_be_stale(&error) => self.link().forget_all(),
                Err(error) => return Err(error),
                Ok(rows) => {
                    self.give_back();
                    return Ok(rows);
                }
            }
            self.link().end(End::Rollback).await?;
        }
        self.link().begin(scene).await?;
        let statement = self.link().statement(role, sql).await?;
        // Values are parameters, so the text has none.
        tracing::debug!(?sql, "statement");
        let rows = self.run(&statement, params).await?;
        self.end(End::Commit).await?;
        Ok(rows)
    }

    pub(super) async fn begin(&self, scene: &Scene<'_>) -> Result<(), Error> {
        self.link().begin(scene).await
    }

    pub(super) async fn query(
        &self,
        role: &str,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let statement = self.link().statement(role, sql).await?;
        let rows = self.run(&statement, params).await;
        if rows.as_ref().is_err_and(may_be_stale) {
            self.link().forget_all();
        }
        rows
    }

    async fn run(&self, statement: &Statement, params: &Params<'_>) -> Result<Vec<Row>, Error> {
        Ok(self.link().client.query(statement, params).await?)
    }

    /// Ends the transaction and gives the connection back; after an error it is cleaned first, as when it is dropped.
    pub(super) async fn end(self, end: End) -> Result<(), Error> {
        self.link().end(end).await?;
        self.give_back();
        Ok(())
    }

    fn give_back(mut self) {
        // Dropping the object is giving it back.
        drop(self.link.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        if link.client.is_closed() {
            drop(Object::take(link));
            return;
        }
        tokio::spawn(async move {
            if link.end(End::Rollback).await.is_err() {
                drop(Object::take(link));
            }
        });
    }
}

/// What Postgres says to a statement whose tables, functions or types have changed since it was prepared, and the word of
/// that has not come yet. The client may as well have sent a value that does not fit: then it is told so the second time.
const STALE: [&str; 11] = [
    "26000", // the statement is not there
    "0A000", // cached plan must not change result type
    "XX000", // cache lookup failed for type
    "22P02", "22003", "22007", "22008", // a value for a parameter of the type that was
    "42883", "42804", "42703", "42P01", // a name, or a pair of types, of then
];

fn may_be_stale(error: &Error) -> bool {
    matches!(error, Error::Postgres(_)) && error.code().is_some_and(|code| STALE.contains(&code))
}
