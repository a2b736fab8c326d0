//! What can go wrong between us and the walsender, and what it means for the next try.

use std::io;
use std::time::Duration;

/// Why the stream could not be started, or why it ended. `Display` is for a DBA: it says what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("could not reach the database")]
    Reach(#[source] io::Error),
    #[error("could not encrypt the connection to the database")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("could not encrypt the connection to the database: {0}")]
    Certificate(
        &'static str,
        #[source] Box<dyn std::error::Error + Send + Sync>,
    ),
    #[error("the database does not offer encryption, but the configuration requires it")]
    TlsRefused,
    #[error("the connection to the database broke")]
    Broken(#[source] io::Error),
    #[error("the database closed the connection")]
    Closed,
    #[error("the database did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("nothing was heard from the database for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("unexpected answer of the database: {0}")]
    Protocol(&'static str),
    #[error("cannot log in at the database: {0}")]
    Login(String),
    #[error("{0}")]
    Postgres(Refusal),
    #[error(
        "wal_level is {0:?}, but changes can only be read with 'logical': run \
         ALTER SYSTEM SET wal_level = 'logical' and restart Postgres"
    )]
    WalLevel(String),
    #[error(
        "neither publication {0:?} nor {1:?} exists, so there is nothing to stream: \
         run CREATE PUBLICATION {0} and add tables to it"
    )]
    NoPublication(String, &'static str),
    #[error(
        "replication slot {0:?} is in use by another connection; waiting until it is free \
         (set SLOT_NAME_SUFFIX if two servers are to work side by side)"
    )]
    SlotInUse(String),
    #[error(
        "replication slot {0:?} exists already and {1}; waiting until it is gone: if nothing needs it, run \
         SELECT pg_drop_replication_slot('{0}')"
    )]
    ForeignSlot(String, &'static str),
}

/// What Postgres said. Messages of the walsender name objects, not values.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        match (&*self.code, &self.hint) {
            ("42501", _) => f.write_str(
                "; the role needs REPLICATION: ALTER ROLE … REPLICATION, run as superuser",
            ),
            ("53300" | "53400", _) => {
                f.write_str("; raise max_wal_senders or max_replication_slots")
            }
            (_, Some(hint)) => write!(f, "; {hint}"),
            (_, None) => Ok(()),
        }
    }
}

impl Error {
    /// The SQLSTATE, if Postgres said it.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Postgres(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// Postgres answered, so a next try soon costs little and may work.
    pub(super) fn database_answers(&self) -> bool {
        !matches!(
            self,
            Self::Reach(_)
                | Self::Timeout(_)
                | Self::Tls(_)
                | Self::Certificate(..)
                | Self::TlsRefused
                | Self::Login(_)
        )
    }

    /// With its causes, on one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            text.push_str(": ");
            text.push_str(&source.to_string());
            next = source.source();
        }
        text
    }
}
