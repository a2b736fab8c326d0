//! Daily partitions of `realtime.messages`.
//!
//! A message whose day has no partition is lost with a warning in somebody's log, and no private channel can be joined on
//! such a day; so partitions are made days ahead, at start and at least daily, whoever is connected (G-014, G-222).
//! Making one takes no lock that a reader or writer of messages waits for; dropping one takes such a lock, briefly or not
//! at all.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::migrate::LOCK;

/// Attempts for one partition when somebody holds a lock.
const ATTEMPTS: u32 = 5;

/// What one run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Names of the partitions created.
    pub created: Vec<String>,
    /// Names of the partitions dropped.
    pub dropped: Vec<String>,
    /// What failed, in words, and will be tried again at the next run.
    pub warnings: Vec<String>,
}

/// Why the partitions could not be looked after at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog could not be read.
    #[error("the partitions of realtime.messages could not be read")]
    State(#[source] tokio_postgres::Error),
}

/// Creates the partitions of yesterday … today + 3 (UTC) and, if `drop_old`, drops those whose day is before the date
/// of 72 hours ago (`postgres.md` 1.3.1, G-014 to G-018). The clock is that of the database.
///
/// # Errors
/// When the catalog cannot be read; a partition that fails is reported in [`Maintained::warnings`].
pub async fn maintain(client: &Client, drop_old: bool) -> Result<Maintained, Error> {
    let mut report = Maintained::default();
    let missing = client.query(MISSING, &[]).await.map_err(Error::State)?;
    for row in &missing {
        let (suffix, from, to): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let name = format!("messages_{suffix}");
        match persistently(client, &create_sql(&name, &from, &to)).await {
            Ok(()) => report.created.push(name),
            Err(reason) => report.warnings.push(format!(
                "partition realtime.{name} could not be created: {reason}"
            )),
        }
    }
    if drop_old {
        let old = client.query(OLD, &[]).await.map_err(Error::State)?;
        for row in &old {
            let name: String = row.get(0);
            match persistently(client, &drop_sql(&name)).await {
                Ok(()) => report.dropped.push(name),
                Err(reason) => report.warnings.push(format!(
                    "partition realtime.{name} could not be dropped: {reason}"
                )),
            }
        }
    }
    Ok(report)
}

/// Days from today (UTC) on that have a partition, without a gap: 0 when today has none, 4 when all is well.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn days_ahead(client: &Client) -> Result<i32, Error> {
    let row = client.query_one(AHEAD, &[]).await.map_err(Error::State)?;
    row.try_get(0).map_err(Error::State)
}

const AHEAD: &str = "
    with days as (
      select ahead, exists (
        select from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        join pg_class p on p.oid = i.inhparent
        join pg_namespace n on n.oid = p.relnamespace
        where n.nspname = 'realtime' and p.relname = 'messages'
          and c.relname = 'messages_' || to_char((now() at time zone 'utc')::date + ahead, 'YYYY_MM_DD')) as made
      from generate_series(0, 3) ahead)
    select coalesce((select min(ahead) from days where not made), 4)";

/// Names and bounds of the days that must have a partition and have none.
const MISSING: &str = "
    select to_char(day, 'YYYY_MM_DD') as suffix, to_char(day, 'YYYY-MM-DD'), to_char(day + 1, 'YYYY-MM-DD')
    from (select (now() at time zone 'utc')::date + ahead as day from generate_series(-1, 3) ahead) days
    cross join lateral (select 'messages_' || to_char(day, 'YYYY_MM_DD') as name) wanted
    where not exists (
      select from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
      join pg_class p on p.oid = i.inhparent
      join pg_namespace n on n.oid = p.relnamespace
      where n.nspname = 'realtime' and p.relname = 'messages' and c.relname = wanted.name)
    order by day";

/// Names of the partitions that are too old; a child with a name of another kind is not ours to drop.
const OLD: &str = "
    select c.relname::text
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    join pg_namespace cn on cn.oid = c.relnamespace
    join pg_class p on p.oid = i.inhparent
    join pg_namespace n on n.oid = p.relnamespace
    where n.nspname = 'realtime' and p.relname = 'messages' and cn.nspname = 'realtime'
      and c.relname ~ '^messages_\\d{4}_\\d{2}_\\d{2}$'
      and substr(c.relname, 10) < to_char((now() at time zone 'utc') - interval '72 hours', 'YYYY_MM_DD')
    order by 1";

/// Made beside and then attached: `create table ... partition of` would lock out readers and writers of the parent.
fn create_sql(name: &str, from: &str, to: &str) -> String {
    let name = format!("realtime.{name}");
    format!(
        "do $$
         begin
           perform set_config('lock_timeout', '2s', true);
           perform pg_advisory_xact_lock({LOCK});
           if exists (select from pg_inherits where inhrelid = to_regclass('{name}')) then
             return;
           end if;
           create table if not exists {name} (like realtime.messages including defaults including constraints);
           alter table realtime.messages attach partition {name} for values from ('{from}') to ('{to}');
           if exists (select from pg_roles where rolname = 'supabase_realtime_admin')
              and pg_has_role('supabase_realtime_admin', case
                    when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end) then
             alter table {name} owner to supabase_realtime_admin;
           end if;
         end
         $$"
    )
}

fn drop_sql(name: &str) -> String {
    format!(
        "do $$
         begin
           perform set_config('lock_timeout', '500ms', true);
           drop table if exists realtime.{name};
         end
         $$"
    )
}

/// Runs one statement, again when somebody was in the way.
async fn persistently(client: &Client, sql: &str) -> Result<(), String> {
    let mut attempt = 1;
    loop {
        let Err(error) = client.batch_execute(sql).await else {
            return Ok(());
        };
        let in_the_way = error.code().is_some_and(|code| {
            [
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::UNIQUE_VIOLATION,
                SqlState::DUPLICATE_TABLE,
            ]
            .contains(code)
        });
        if !in_the_way || attempt == ATTEMPTS {
            return Err(match error.as_db_error() {
                Some(db) => format!("{} ({})", db.message(), db.code().code()),
                None => "the connection was lost".to_owned(),
            });
        }
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        attempt += 1;
    }
}
