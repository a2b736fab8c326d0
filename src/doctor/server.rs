//! Settings of the Postgres server, and its clock.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio_postgres::Client;

use super::report::{Finding, Found, Severity};

/// Clocks that differ more make tokens expire early or live on.
const CLOCK_TOLERANCE_S: f64 = 5.0;

pub(super) async fn check(client: &Client) -> Found {
    let mut found = Vec::new();
    settings(client, &mut found).await?;
    room(client, &mut found).await?;
    clock(client, &mut found).await?;
    Ok(found)
}

async fn settings(client: &Client, found: &mut Vec<Finding>) -> Result<(), tokio_postgres::Error> {
    let row = client
        .query_one(
            "select current_setting('server_version_num')::int, current_setting('wal_level'),
                    (select setting::bigint from pg_settings where name = 'max_slot_wal_keep_size'),
                    current_setting('TimeZone'), quote_ident(current_database()), pg_is_in_recovery()",
            &[],
        )
        .await?;
    let version: i32 = row.get(0);
    if version < 140_000 {
        found.push(Finding::new(
            Severity::Error,
            "version",
            format!(
                "Postgres {} is too old; 14 or later is needed",
                version / 10_000
            ),
            None,
        ));
    }
    let wal_level: String = row.get(1);
    if wal_level != "logical" {
        found.push(Finding::new(
            Severity::Error,
            "wal-level",
            format!("wal_level is {wal_level}, so that no changes can be streamed"),
            "alter system set wal_level = logical; then restart Postgres (managed services have a switch for logical replication)".to_owned(),
        ));
    }
    if row.get::<_, Option<i64>>(2) == Some(-1) {
        found.push(Finding::new(
            Severity::Warning,
            "wal-keep",
            "max_slot_wal_keep_size is unlimited: a slot that nobody reads can fill the disk",
            "alter system set max_slot_wal_keep_size = '4GB'; select pg_reload_conf()".to_owned(),
        ));
    }
    let zone: String = row.get(3);
    if !["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/UCT", "UCT"].contains(&zone.as_str()) {
        let database: String = row.get(4);
        found.push(Finding::new(
            Severity::Warning,
            "timezone",
            format!("TimeZone is {zone}: partitions and replay of realtime.messages assume UTC"),
            format!("alter database {database} set timezone to 'UTC'; then reconnect"),
        ));
    }
    if row.get(5) {
        found.push(Finding::new(
            Severity::Error,
            "standby",
            "this is a standby: it can neither be written nor, before Postgres 16, be streamed from",
            "connect to the primary".to_owned(),
        ));
    }
    Ok(())
}

async fn room(client: &Client, found: &mut Vec<Finding>) -> Result<(), tokio_postgres::Error> {
    let row = client
        .query_one(
            "select current_setting('max_replication_slots')::bigint, (select count(*) from pg_replication_slots),
                    current_setting('max_wal_senders')::bigint,
                    (select count(*) from pg_stat_get_wal_senders()),
                    exists (select from pg_replication_slots where active and slot_name like 'supabase\\_realtime%'
                            and database = current_database())",
            &[],
        )
        .await?;
    // A server that runs has what it needs.
    let severity = if row.get(4) {
        Severity::Info
    } else {
        Severity::Error
    };
    for (check, setting, total, used) in [
        (
            "slots-free",
            "max_replication_slots",
            row.get::<_, i64>(0),
            row.get::<_, i64>(1),
        ),
        ("walsenders-free", "max_wal_senders", row.get(2), row.get(3)),
    ] {
        if used >= total {
            found.push(Finding::new(
                severity,
                check,
                format!("{used} of {total} {setting} are in use; the stream needs one"),
                format!(
                    "alter system set {setting} = {}; then restart Postgres; or free some: select slot_name, active from pg_replication_slots",
                    total + 10
                ),
            ));
        }
    }
    Ok(())
}

async fn clock(client: &Client, found: &mut Vec<Finding>) -> Result<(), tokio_postgres::Error> {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64())
    };
    let before = now();
    let row = client
        .query_one("select extract(epoch from clock_timestamp())::float8", &[])
        .await?;
    let after = now();
    // Theirs was read somewhere between our two; only what lies outside is a difference.
    let theirs: f64 = row.get(0);
    let ahead = (theirs - after).max(before - theirs).max(0.0);
    if ahead > CLOCK_TOLERANCE_S {
        found.push(Finding::new(
            Severity::Warning,
            "clock",
            format!("the clocks of this machine and of the database differ by {ahead:.0} s: tokens expire too early or too late"),
            "switch on time synchronisation on both, for example: timedatectl set-ntp true".to_owned(),
        ));
    }
    Ok(())
}
