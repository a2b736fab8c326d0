//! The replication slot: its name, and making sure there is one to stream from.

use postgres_protocol::escape::{escape_identifier, escape_literal};

use super::Settings;
use super::error::Error;
use super::event::GapReason;
use super::wire::Wire;
use crate::pgoutput::Lsn;

/// Longest name Postgres takes, in bytes.
const NAME_BYTES: usize = 63;

/// Name of the slot: the tenant's `base` (usually `supabase_realtime_replication_slot`), the suffix variable as the
/// original appends it (§1.8.1: also when it is set and empty), then `_dovetail` and `scope`, the tenant or database,
/// because names are unique in a whole Postgres server (§1.8.9).
///
/// Never the name the original would use (G-050), still matching its pattern (§1.8.8); at most 63 bytes of `a-z`,
/// `0-9` and `_`. What has to be cut or replaced is made distinct by a hash.
#[must_use]
pub fn slot_name(base: &str, suffix: Option<&str>, scope: &str) -> String {
    let wanted = match suffix {
        Some(suffix) => format!("{base}_{suffix}_dovetail_{scope}"),
        None => format!("{base}_dovetail_{scope}"),
    };
    let name: String = wanted
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '_' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '_',
        })
        .collect();
    if name == wanted && name.len() <= NAME_BYTES {
        return name;
    }
    let hash = format!("_{:08x}", fnv1a(wanted.as_bytes()));
    let kept: String = name.chars().take(NAME_BYTES - hash.len()).collect();
    kept + &hash
}

/// A second name, for a moment or until the next change of publications: a temporary slot is followed by another
/// before it is given up.
pub(super) fn other_name(settings: &Settings, current: &str) -> String {
    if current != settings.slot {
        return settings.slot.clone();
    }
    let kept: String = current.chars().take(NAME_BYTES - 2).collect();
    let ending = if current.ends_with("_b") { "_c" } else { "_b" };
    kept + ending
}

/// 32-bit FNV-1a: the name must be the same in every build, which the standard hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// A slot to stream from.
pub(super) struct Slot {
    /// What it has confirmed; nothing before comes.
    pub(super) at: Lsn,
    /// It was made just now.
    pub(super) is_new: bool,
    /// It had to be made again although there was one.
    pub(super) lost: Option<GapReason>,
}

/// Finds the durable slot or makes one. `recreate`: the one that exists cannot be used any more.
///
/// Waits for the transactions that are running, as Postgres does before a slot can start.
pub(super) async fn prepare(
    wire: &mut Wire,
    settings: &Settings,
    recreate: Option<GapReason>,
) -> Result<Slot, Error> {
    let name = &settings.slot;
    let Some(found) = find(wire, name).await? else {
        return create(wire, name, settings.durable, None).await;
    };
    if found.active || found.temporary {
        return Err(Error::SlotInUse(name.clone()));
    }
    if found.plugin != "pgoutput" || found.database != settings.connect.dbname {
        return Err(Error::ForeignSlot(
            name.clone(),
            "belongs to another program or database",
        ));
    }
    if !settings.durable {
        return Err(Error::ForeignSlot(
            name.clone(),
            "is permanent, left by a server that was configured with a durable slot",
        ));
    }
    let lost = recreate.or(found.lost.then_some(GapReason::SlotLost));
    if lost.is_some() {
        drop_slot(wire, name).await?;
        return create(wire, name, settings.durable, lost).await;
    }
    Ok(Slot {
        at: found.confirmed,
        is_new: false,
        lost: None,
    })
}

/// Drops our durable slot if there is one: without a publication it would only keep log.
pub(super) async fn discard(wire: &mut Wire, settings: &Settings) -> Result<(), Error> {
    let Some(found) = find(wire, &settings.slot).await? else {
        return Ok(());
    };
    let ours = !found.active
        && !found.temporary
        && found.plugin == "pgoutput"
        && found.database == settings.connect.dbname;
    if settings.durable && ours {
        drop_slot(wire, &settings.slot).await?;
    }
    Ok(())
}

struct Found {
    plugin: String,
    database: String,
    temporary: bool,
    active: bool,
    lost: bool,
    confirmed: Lsn,
}

async fn find(wire: &mut Wire, name: &str) -> Result<Option<Found>, Error> {
    let rows = wire
        .query(&format!(
            "SELECT plugin, database, temporary, active, wal_status, confirmed_flush_lsn \
             FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
            escape_literal(name)
        ))
        .await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let mut columns = row.into_iter().map(Option::unwrap_or_default);
    let mut column = || columns.next().unwrap_or_default();
    Ok(Some(Found {
        plugin: column(),
        database: column(),
        temporary: column() == "t",
        active: column() == "t",
        lost: column() == "lost",
        confirmed: column().parse().unwrap_or(Lsn::ZERO),
    }))
}

async fn drop_slot(wire: &mut Wire, name: &str) -> Result<(), Error> {
    let command = format!("DROP_REPLICATION_SLOT {}", escape_identifier(name));
    wire.query(&command).await.map(|_| ())
}

/// Makes a slot. Waits for the transactions that are running, as Postgres does before a slot can start.
pub(super) async fn create(
    wire: &mut Wire,
    name: &str,
    durable: bool,
    lost: Option<GapReason>,
) -> Result<Slot, Error> {
    let kind = if durable { "" } else { "TEMPORARY " };
    let command = format!(
        "CREATE_REPLICATION_SLOT {} {kind}LOGICAL pgoutput NOEXPORT_SNAPSHOT",
        escape_identifier(name)
    );
    let rows = match wire.query_patiently(&command).await {
        // Somebody was faster between the look and the creation.
        Err(error) if error.code() == Some("42710") => {
            return Err(Error::SlotInUse(name.to_owned()));
        }
        other => other?,
    };
    let at = rows
        .first()
        .and_then(|row| row.get(1))
        .and_then(|column| column.as_deref())
        .and_then(|text| text.parse().ok())
        .ok_or(Error::Protocol("a new slot without a position"))?;
    Ok(Slot {
        at,
        is_new: true,
        lost,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::postgres::{ConnectOptions, TlsMode};

    const BASE: &str = "supabase_realtime_replication_slot";

    #[test]
    fn a_slot_never_has_the_name_of_the_original() {
        for suffix in [None, Some(""), Some("v2_86_3_1")] {
            let theirs = suffix.map_or(BASE.to_owned(), |suffix| format!("{BASE}_{suffix}"));
            let ours = slot_name(BASE, suffix, "postgres");
            assert_ne!(ours, theirs);
            assert!(ours.starts_with(&theirs), "{ours}");
        }
        assert_eq!(
            slot_name(BASE, None, "postgres"),
            "supabase_realtime_replication_slot_dovetail_postgres"
        );
        assert_eq!(
            slot_name(BASE, Some(""), "postgres"),
            "supabase_realtime_replication_slot__dovetail_postgres"
        );
    }

    #[test]
    fn long_and_odd_scopes_stay_distinct() {
        let long = "x".repeat(80);
        assert_ne!(
            slot_name(BASE, None, &format!("{long}1")),
            slot_name(BASE, None, &format!("{long}2"))
        );
        assert_ne!(slot_name(BASE, None, "a-b"), slot_name(BASE, None, "a_b"));
        assert_ne!(slot_name(BASE, None, "A"), slot_name(BASE, None, "a"));
    }

    #[test]
    fn the_other_name_is_another_and_leads_back() {
        for tail in ["", "_b", &"x".repeat(80)] {
            let first = slot_name(BASE, None, &format!("postgres{tail}"));
            let connect = ConnectOptions {
                host: String::new(),
                port: 0,
                user: String::new(),
                password: None,
                dbname: String::new(),
                tls: TlsMode::Disable,
                tls_ca_file: None,
                ip_version: None,
            };
            let settings = Settings::new("t", connect, "p", first.clone());
            let second = other_name(&settings, &first);
            assert_ne!(first, second);
            assert!(second.len() <= 63, "{second}");
            assert_eq!(other_name(&settings, &second), first);
        }
    }

    proptest! {
        #[test]
        fn every_name_is_one_postgres_takes(base in "\\PC{0,80}", suffix in proptest::option::of("\\PC{0,40}"), scope in "\\PC{0,80}") {
            let name = slot_name(&base, suffix.as_deref(), &scope);
            prop_assert!(!name.is_empty() && name.len() <= 63);
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        }
    }
}
