//! Takes away what is this server's own, and leaves what is the original's (postgres.md 1.13).

use tokio_postgres::Client;

use super::{Error, LOCK, failed};

/// What is dropped, in this order. Nothing cascades: what somebody has built upon it stops the removal in words.
const STEPS: [(&str, &str); 4] = [
    (
        "event trigger dovetail_ddl",
        "drop event trigger if exists dovetail_ddl",
    ),
    (
        "event trigger dovetail_drop",
        "drop event trigger if exists dovetail_drop",
    ),
    (
        "functions and tables of schema dovetail",
        "do $$ begin
           if to_regnamespace('dovetail') is not null then
             drop function if exists dovetail.signal_ddl();
             drop table if exists dovetail.migrations;
           end if;
         end $$",
    ),
    ("schema dovetail", "drop schema if exists dovetail"),
];

/// Slots that a server with `SLOT_DURABLE` left in this database and nobody reads now.
const SLOTS: &str = "
    select slot_name::text, pg_catalog.pg_drop_replication_slot(slot_name)::text
    from pg_catalog.pg_replication_slots
    where strpos(slot_name, '_dovetail_') > 0 and database = pg_catalog.current_database() and not active";

/// Removes the event triggers, schema `dovetail` and unused replication slots, in one transaction but for the slots.
/// A server that runs or starts later makes them again. Returns what was removed.
///
/// # Errors
/// See [`Error`]; nothing is removed then. Schema `dovetail` may hold old messages of yours
/// (`messages_before_partitions`): they are not removed, and must be dropped or moved first.
pub async fn remove(client: &Client) -> Result<Vec<String>, Error> {
    let begin = format!(
        "begin; set local lock_timeout = '10s'; set local search_path = pg_catalog, pg_temp;
         set local client_min_messages = warning; select pg_advisory_xact_lock({LOCK})"
    );
    client.batch_execute(&begin).await.map_err(Error::State)?;
    for (what, sql) in STEPS {
        if let Err(source) = client.batch_execute(sql).await {
            // The first error says what is wrong.
            let _ = client.batch_execute("rollback").await;
            return Err(failed(what, source));
        }
    }
    client
        .batch_execute("commit")
        .await
        .map_err(|source| failed("commit", source))?;
    let mut removed: Vec<String> = STEPS.iter().map(|(what, _)| (*what).to_owned()).collect();
    let slots = client.query(SLOTS, &[]).await.map_err(Error::State)?;
    for row in slots {
        let name: String = row.get(0);
        removed.push(format!("replication slot {name}"));
    }
    Ok(removed)
}
