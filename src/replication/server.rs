//! What we need to know of the server before we stream from it: its settings, which one it is, its publications.

use std::time::Duration;

use postgres_protocol::escape::escape_literal;

use super::error::Error;
use super::wire::Wire;
use super::{MESSAGES_PUBLICATION, Settings};

/// What is known of the server.
pub(super) struct Server {
    /// `wal_sender_timeout`; `None` if it is off.
    pub(super) sender_timeout: Option<Duration>,
    pub(super) identity: Identity,
}

/// Which history of which database: its positions mean nothing in another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    system: String,
    timeline: String,
}

/// Asks what we need to know of the server.
pub(super) async fn server(wire: &mut Wire) -> Result<Server, Error> {
    let rows = wire
        .query(
            "SELECT name, setting FROM pg_catalog.pg_settings \
             WHERE name IN ('wal_level', 'wal_sender_timeout')",
        )
        .await?;
    let system = wire.query("IDENTIFY_SYSTEM").await?;
    let mut system = system.into_iter().flatten().map(Option::unwrap_or_default);
    let identity = Identity {
        system: system.next().unwrap_or_default(),
        timeline: system.next().unwrap_or_default(),
    };
    let mut sender_timeout = None;
    for row in rows {
        let mut columns = row.into_iter().map(Option::unwrap_or_default);
        let name = columns.next().unwrap_or_default();
        let setting = columns.next().unwrap_or_default();
        match &*name {
            "wal_level" if setting != "logical" => return Err(Error::WalLevel(setting)),
            // In milliseconds; 0 is off.
            "wal_sender_timeout" => {
                sender_timeout = setting
                    .parse()
                    .ok()
                    .filter(|limit| *limit > 0)
                    .map(Duration::from_millis);
            }
            _ => {}
        }
    }
    Ok(Server {
        sender_timeout,
        identity,
    })
}

/// Those of our publications that exist: naming another one would stop the stream at the next change (§2.20).
pub(super) async fn publications(
    wire: &mut Wire,
    settings: &Settings,
) -> Result<Vec<Box<str>>, Error> {
    let rows = wire
        .query(&format!(
            "SELECT pubname FROM pg_catalog.pg_publication WHERE pubname IN ({}, {}) ORDER BY 1",
            escape_literal(&settings.publication),
            escape_literal(MESSAGES_PUBLICATION),
        ))
        .await?;
    let names = rows.into_iter().flatten().flatten();
    Ok(names.map(String::into_boxed_str).collect())
}
