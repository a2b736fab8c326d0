//! Replication slots: leftovers that hold WAL, and other servers.

use tokio_postgres::Client;

use super::report::{Finding, Found, Severity};

/// WAL held back by a slot that nobody reads, from which on it is worth a line.
const MUCH_WAL: i64 = 256 << 20;

pub(super) async fn check(client: &Client) -> Found {
    let rows = client
        .query(
            "select slot_name::text, temporary, active, coalesce(wal_status, ''), coalesce(plugin::text, ''),
                    case when pg_is_in_recovery() then null
                         else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end,
                    slot_name like 'supabase\\_realtime%', database = current_database(), quote_literal(slot_name)
             from pg_replication_slots order by slot_name",
            &[],
        )
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        let (name, temporary, active): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        let (status, plugin): (String, String) = (row.get(3), row.get(4));
        let held: Option<i64> = row.get(5);
        let ours_or_the_originals: bool = row.get(6);
        let here: Option<bool> = row.get(7);
        let literal: String = row.get(8);
        let drop = format!("if no server uses it: select pg_drop_replication_slot({literal})");
        if status == "lost" {
            found.push(Finding::new(
                Severity::Warning,
                "slots",
                format!("slot {name} has lost WAL it needed and is of no use any more"),
                format!("select pg_drop_replication_slot({literal})"),
            ));
        } else if !active && !temporary && ours_or_the_originals {
            found.push(Finding::new(
                Severity::Warning,
                "slots",
                format!(
                    "slot {name} is permanent and nobody reads it: it holds {} MB of WAL, and keeps a server that wants this name from starting",
                    held.unwrap_or(0) >> 20
                ),
                drop,
            ));
        } else if !active && held.is_some_and(|bytes| bytes > MUCH_WAL) {
            found.push(Finding::new(
                Severity::Warning,
                "slots",
                format!(
                    "slot {name} is read by nobody and holds {} MB of WAL",
                    held.unwrap_or(0) >> 20
                ),
                drop,
            ));
        }
        if active && ours_or_the_originals && plugin == "wal2json" && here == Some(true) {
            found.push(Finding::new(
                Severity::Info,
                "slots",
                format!("the original server is connected to this database (slot {name}); side by side works with another SLOT_NAME_SUFFIX"),
                None,
            ));
        }
    }
    Ok(found)
}
