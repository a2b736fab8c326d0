//! Schema `realtime`, its partitions, the publications, and the event triggers.

use tokio_postgres::Client;

use super::report::{Finding, Found, Severity};
use super::{CHANGES, MESSAGES, is_true};

const MIGRATE: &str = "dovetail migrate";

pub(super) async fn check(client: &Client) -> Found {
    let mut found = Vec::new();
    publications(client, &mut found).await?;
    signals(client, &mut found).await?;
    let messages = client
        .query_opt(
            "select c.relkind = 'p', c.relrowsecurity, exists (select from pg_policy where polrelid = c.oid)
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'realtime' and c.relname = 'messages'",
            &[],
        )
        .await?;
    let Some(messages) = messages else {
        found.push(Finding::new(
            Severity::Error,
            "realtime-schema",
            "table realtime.messages does not exist: there are no private channels and no broadcasts from the database",
            MIGRATE.to_owned(),
        ));
        return Ok(found);
    };
    if !messages.get::<_, bool>(0) {
        found.push(Finding::new(
            Severity::Error,
            "realtime-schema",
            "realtime.messages has no partitions: it comes from a version of 2024",
            MIGRATE.to_owned(),
        ));
    }
    if !messages.get::<_, bool>(1) {
        found.push(Finding::new(
            Severity::Error,
            "realtime-schema",
            "row level security of realtime.messages is off: every client may read and write every private channel",
            "alter table realtime.messages enable row level security".to_owned(),
        ));
    } else if !messages.get::<_, bool>(2) {
        found.push(Finding::new(
            Severity::Info,
            "private-channels",
            "realtime.messages has no policy: every private channel is refused to everybody",
            "create policy \"members read\" on realtime.messages for select to authenticated using (realtime.topic() = '...')".to_owned(),
        ));
    }
    let whole = "(select count(distinct p.proname) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                  where n.nspname = 'realtime' and p.proname in ('send', 'send_binary', 'broadcast_changes', 'topic')) = 4";
    if !is_true(client, whole).await? {
        found.push(Finding::new(
            Severity::Error,
            "realtime-schema",
            "functions of schema realtime are missing (send, send_binary, broadcast_changes or topic)",
            MIGRATE.to_owned(),
        ));
    }
    if messages.get(0) {
        partitions(client, &mut found).await?;
    }
    Ok(found)
}

async fn partitions(
    client: &Client,
    found: &mut Vec<Finding>,
) -> Result<(), tokio_postgres::Error> {
    let missing = client
        .query(
            "select ahead, to_char(day, 'YYYY-MM-DD')
             from (select ahead, (now() at time zone 'utc')::date + ahead as day from generate_series(0, 1) ahead) d
             where not exists (
               select from pg_inherits i join pg_class c on c.oid = i.inhrelid
               join pg_class p on p.oid = i.inhparent join pg_namespace n on n.oid = p.relnamespace
               where n.nspname = 'realtime' and p.relname = 'messages'
                 and c.relname = 'messages_' || to_char(day, 'YYYY_MM_DD'))
             order by ahead",
            &[],
        )
        .await?;
    for row in &missing {
        let (ahead, day): (i32, String) = (row.get(0), row.get(1));
        let severity = if ahead == 0 {
            Severity::Error
        } else {
            Severity::Warning
        };
        found.push(Finding::new(
            severity,
            "partitions",
            format!("realtime.messages has no partition for {day} (UTC): messages of that day are lost and private channels cannot be joined"),
            "start the server, which makes them daily; or: dovetail migrate".to_owned(),
        ));
    }
    let strange = client
        .query(
            "select c.oid::regclass::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
             join pg_class p on p.oid = i.inhparent join pg_namespace n on n.oid = p.relnamespace
             where n.nspname = 'realtime' and p.relname = 'messages' and c.relname !~ '^messages_\\d{4}_\\d{2}_\\d{2}$'",
            &[],
        )
        .await?;
    for row in &strange {
        let name: String = row.get(0);
        found.push(Finding::new(
            Severity::Warning,
            "partitions",
            format!("{name} is a partition of realtime.messages with a name of another kind: the original server's housekeeping fails on it"),
            format!("alter table realtime.messages detach partition {name}"),
        ));
    }
    Ok(())
}

async fn publications(
    client: &Client,
    found: &mut Vec<Finding>,
) -> Result<(), tokio_postgres::Error> {
    let rows = client
        .query(
            "select p.pubname::text, p.puballtables, p.pubinsert and p.pubupdate and p.pubdelete,
                    (select count(*) from pg_publication_tables t where t.pubname = p.pubname),
                    (select count(*) from pg_publication_tables t where t.pubname = p.pubname
                     and not (t.schemaname = 'realtime' and (t.tablename = 'messages' or t.tablename like 'messages\\_%')))
             from pg_publication p where p.pubname in ($1, $2)",
            &[&CHANGES, &MESSAGES],
        )
        .await?;
    let of = |name: &str| rows.iter().find(|row| row.get::<_, String>(0) == name);
    match of(CHANGES) {
        None => found.push(Finding::new(
            Severity::Error,
            "publication",
            format!("publication {CHANGES} does not exist: no table sends changes"),
            format!("create publication {CHANGES} for table public.your_table"),
        )),
        Some(row) => {
            if row.get::<_, i64>(3) == 0 {
                found.push(Finding::new(
                    Severity::Warning,
                    "publication",
                    format!("publication {CHANGES} is empty: no table sends changes"),
                    format!("alter publication {CHANGES} add table public.your_table"),
                ));
            }
            if !row.get::<_, bool>(2) {
                found.push(Finding::new(
                    Severity::Info,
                    "publication",
                    format!("publication {CHANGES} does not publish all of insert, update and delete"),
                    format!("alter publication {CHANGES} set (publish = 'insert, update, delete, truncate')"),
                ));
            }
        }
    }
    match of(MESSAGES) {
        None => found.push(Finding::new(
            Severity::Error,
            "publication",
            format!("publication {MESSAGES} does not exist: no broadcasts from the database"),
            MIGRATE.to_owned(),
        )),
        Some(row) if row.get::<_, i64>(4) > 0 => found.push(Finding::new(
            Severity::Warning,
            "publication",
            format!("publication {MESSAGES} holds tables other than realtime.messages; their rows are ignored, and cost"),
            format!("alter publication {MESSAGES} set table realtime.messages"),
        )),
        Some(_) => {}
    }
    Ok(())
}

async fn signals(client: &Client, found: &mut Vec<Finding>) -> Result<(), tokio_postgres::Error> {
    let there = "(select count(*) from pg_event_trigger
                  where evtname in ('dovetail_ddl', 'dovetail_drop') and evtenabled <> 'D') = 2";
    if !is_true(client, there).await? {
        found.push(Finding::new(
            Severity::Warning,
            "event-triggers",
            "the event triggers dovetail_ddl and dovetail_drop are missing or disabled: the catalog is compared at every batch of changes instead",
            "dovetail migrate, with a superuser login".to_owned(),
        ));
    }
    Ok(())
}
