//! Brings a database to the state the server needs: ordered, idempotent SQL files with their own bookkeeping.
//!
//! A set is applied in one transaction under an advisory lock, so that several servers may start at once and a failure
//! leaves nothing half done. What was applied is kept in `dovetail.migrations`, never in the original server's table
//! (G-022). A second start asks one question and makes no DDL (G-066). Where the original has already brought schema
//! `realtime` to its newest state, or beyond, the files that build it are skipped (G-065).

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

mod files;
mod remove;

use files::{File, Guard};
pub use remove::remove;

/// The advisory lock of everything that changes the schema; the number is the word "dovetail" in ASCII.
pub(super) const LOCK: i64 = 0x646f_7665_7461_696c;

/// The last version of the original server whose state the files establish, and how many there are up to it.
const LAST_ORIGINAL: (i64, i64) = (20_260_709_120_000, 81);

/// Which files to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// `sql/supabase`: roles and helpers that a Supabase database has and a plain one lacks.
    Supabase,
    /// `sql/realtime`: the schema `realtime` and what the server keeps in schema `dovetail`. Needs the roles of
    /// [`Set::Supabase`].
    Realtime,
    /// `sql/embedded`: what the embedded Supabase surface stands on: users and sessions, buckets and objects. Needs the
    /// roles of [`Set::Supabase`].
    Embedded,
    /// `sql/chat`: the messaging system. Needs the other sets; the tables of Auth and Storage may be those of Supabase.
    Chat,
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Self::Supabase => "supabase",
            Self::Realtime => "realtime",
            Self::Embedded => "embedded",
            Self::Chat => "chat",
        }
    }

    fn files(self) -> &'static [File] {
        match self {
            Self::Supabase => files::SUPABASE,
            Self::Realtime => files::REALTIME,
            Self::Embedded => files::EMBEDDED,
            Self::Chat => files::CHAT,
        }
    }
}

/// What one run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Names of the files applied in this run, in order; empty when the database was up to date.
    pub applied: Vec<String>,
    /// What could not be done with the rights of this login and is not essential, each with what to run.
    pub notes: Vec<String>,
}

/// Why the database could not be brought up to date; nothing of the set has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres refused a file.
    #[error("migration {file} failed: {reason}")]
    Apply {
        /// Name of the file.
        file: String,
        /// What Postgres said, and what to do.
        reason: String,
        /// The cause.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The connection failed or the bookkeeping could not be read.
    #[error("the state of the migrations could not be read")]
    State(#[source] tokio_postgres::Error),
}

/// Applies what is missing of `set`, in one transaction, under an advisory lock: several servers may start at once.
///
/// Give it a connection of its own: when the future is dropped half-way the transaction stays open until the connection
/// is closed.
///
/// # Errors
/// See [`Error`].
pub async fn migrate(client: &Client, set: Set) -> Result<Report, Error> {
    if pending(client, set).await?.is_empty() {
        return Ok(Report::default());
    }
    client
        .batch_execute(&format!(
            "begin; set local statement_timeout = 0; set local lock_timeout = 0; select pg_advisory_xact_lock({LOCK})"
        ))
        .await
        .map_err(Error::State)?;
    match apply(client, set).await {
        Ok(report) => {
            client
                .batch_execute("commit")
                .await
                .map_err(|source| failed("commit", source))?;
            Ok(report)
        }
        Err(error) => {
            // The first error says what is wrong; a failing rollback means a lost connection, which rolls back by itself.
            let _ = client.batch_execute("rollback").await;
            Err(error)
        }
    }
}

/// Under the lock, in the transaction.
async fn apply(client: &Client, set: Set) -> Result<Report, Error> {
    // Who waited for the lock finds everything done.
    let pending = pending(client, set).await?;
    let mut report = Report::default();
    if pending.is_empty() {
        return Ok(report);
    }
    // Names in the files are qualified; nothing of the user's search path may be taken for an object of Postgres. A table
    // that somebody holds is not waited for long: others would queue up behind us.
    client
        .batch_execute(
            "set local search_path = pg_catalog, pg_temp; set local check_function_bodies = on;
             set local client_min_messages = warning; set local statement_timeout = '5min'; set local lock_timeout = '10s'",
        )
        .await
        .map_err(Error::State)?;
    client
        .batch_execute(include_str!("../../sql/bookkeeping.sql"))
        .await
        .map_err(|source| failed("bookkeeping.sql", source))?;
    let behind = is_behind(client).await?;
    for file in pending {
        if file.guard == Guard::Always || behind {
            client
                .batch_execute(file.sql)
                .await
                .map_err(|source| failed(file.name, source))?;
            report.applied.push(file.name.to_owned());
        }
        client
            .execute(
                "insert into dovetail.migrations (set_name, version, name) values ($1, $2, $3)
                 on conflict (set_name, version) do update set name = excluded.name, applied_at = now()",
                &[&set.name(), &file.version, &file.name],
            )
            .await
            .map_err(|source| failed(file.name, source))?;
    }
    let notes = client
        .query(
            "select distinct note from pg_temp.dovetail_notes order by note",
            &[],
        )
        .await
        .map_err(Error::State)?;
    report.notes = notes.iter().map(|row| row.get(0)).collect();
    Ok(report)
}

/// The files that are not recorded, or whose effect somebody has removed since.
async fn pending(client: &Client, set: Set) -> Result<Vec<&'static File>, Error> {
    let kept: bool = client
        .query_one(
            "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                            where n.nspname = 'dovetail' and c.relname = 'migrations')",
            &[],
        )
        .await
        .map_err(Error::State)?
        .get(0);
    if !kept {
        return Ok(set.files().iter().collect());
    }
    let recorded: Vec<i32> = client
        .query(
            "select version from dovetail.migrations where set_name = $1",
            &[&set.name()],
        )
        .await
        .map_err(Error::State)?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let mut list = Vec::new();
    for file in set.files() {
        if !recorded.contains(&file.version) || !holds(client, file.holds).await? {
            list.push(file);
        }
    }
    Ok(list)
}

async fn holds(client: &Client, condition: &str) -> Result<bool, Error> {
    let row = client
        .query_one(&format!("select {condition}"), &[])
        .await
        .map_err(Error::State)?;
    Ok(row.get(0))
}

/// Whether schema `realtime` lacks something of the state the files build.
async fn is_behind(client: &Client) -> Result<bool, Error> {
    if !holds(client, files::SCHEMA_IS_WHOLE).await? {
        return Ok(true);
    }
    let (last, count) = LAST_ORIGINAL;
    let readable = "select has_table_privilege(c.oid, 'select') from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'realtime' and c.relname = 'schema_migrations'";
    let readable = client
        .query_opt(readable, &[])
        .await
        .map_err(Error::State)?;
    match readable.map(|row| row.get::<_, bool>(0)) {
        Some(true) => {}
        _ => return Ok(true),
    }
    let known: i64 = client
        .query_one(
            "select count(*) from realtime.schema_migrations where version <= $1",
            &[&last],
        )
        .await
        .map_err(Error::State)?
        .get(0);
    Ok(known < count)
}

fn failed(file: &str, source: tokio_postgres::Error) -> Error {
    let reason = match source.as_db_error() {
        None => "the connection was lost".to_owned(),
        Some(db) => {
            let mut text = format!("{} ({})", db.message(), db.code().code());
            for more in [db.detail(), db.hint()].into_iter().flatten() {
                text.push_str("; ");
                text.push_str(more);
            }
            if let Some(advice) = advice(db.code()) {
                text.push_str("; ");
                text.push_str(advice);
            }
            text
        }
    };
    Error::Apply {
        file: file.to_owned(),
        reason,
        source,
    }
}

fn advice(code: &SqlState) -> Option<&'static str> {
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        Some(
            "this login may not do that: run `dovetail migrate` once with a superuser (in Supabase: supabase_admin), after which the server itself can run without",
        )
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        Some("somebody holds a lock on the table: try again when long transactions have ended")
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        Some("this is a standby or a read-only database: connect to the primary")
    } else if *code == SqlState::DEPENDENT_OBJECTS_STILL_EXIST {
        Some(
            "an object of yours is built on it: move or drop that first (and create it again after a migration)",
        )
    } else {
        None
    }
}
