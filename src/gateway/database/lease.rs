//! A connection while a request has it: it goes back clean, or not at all.

use deadpool::managed::Object;
use tokio_postgres::{Row, Statement};

use super::link::{Link, Links, Scene};
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
                Err(error) if is_stale(&error) => self.link().forget(role, sql),
                Err(error) => return Err(error),
                Ok(rows) => {
                    self.give_back();
                    return Ok(rows);
                }
            }
            self.link().end("rollback").await?;
        }
        self.link().begin(scene).await?;
        let statement = self.link().statement(role, sql).await?;
        // Values are parameters, so the text has none.
        tracing::debug!(?sql, "statement");
        let rows = self.run(&statement, params).await?;
        self.end("commit").await?;
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
        if rows.as_ref().is_err_and(is_stale) {
            self.link().forget(role, sql);
        }
        rows
    }

    async fn run(&self, statement: &Statement, params: &Params<'_>) -> Result<Vec<Row>, Error> {
        Ok(self.link().client.query(statement, params).await?)
    }

    /// Ends the transaction by this word and gives the connection back.
    pub(super) async fn end(self, word: &str) -> Result<(), Error> {
        self.link().end(word).await?;
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
            if link.end("rollback").await.is_err() {
                drop(Object::take(link));
            }
        });
    }
}

/// A prepared statement whose meaning DDL has changed (`cached plan must not change result type`), or that somebody has
/// deallocated.
fn is_stale(error: &Error) -> bool {
    match error {
        Error::Postgres(error) => error.as_db_error().is_some_and(|db| {
            db.code().code() == "26000"
                || (db.code().code() == "0A000" && db.message().contains("cached plan"))
        }),
        _ => false,
    }
}
