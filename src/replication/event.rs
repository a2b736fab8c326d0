//! What the stream tells its consumer.

use std::sync::Arc;

use crate::pgoutput::{Begin, Commit, LogicalMessage, Lsn, OldTuple, Relation, Tuple};

/// One thing that happened, in the order of the log.
#[derive(Clone, Debug)]
pub enum Event {
    /// The stream runs: everything committed from now on will be seen (until [`Event::Lost`]).
    Live {
        /// The slot was made just now, so nothing committed before `at` will come.
        slot_is_new: bool,
        /// Where the stream starts.
        at: Lsn,
    },
    /// From here on the changes of these publications come, and of no others. Follows [`Event::Live`], and comes again
    /// when publications were created or dropped. With a temporary slot, changes of a *new* publication committed
    /// before this event may be missing; those of publications that stay are complete.
    Publications(Vec<Box<str>>),
    /// The stream stopped. It is being restarted; [`Event::Live`] follows when that works, with an [`Event::Gap`]
    /// before it if commits may have been missed. A transaction that was begun and not committed goes on where it
    /// stopped (without a second [`Event::Begin`]) if the slot is the same; after a gap it is void.
    Lost {
        /// Why.
        reason: LostReason,
    },
    /// Commits may have been missed before this point, never silently (G-205).
    Gap {
        /// Why.
        reason: GapReason,
    },
    /// A committed transaction starts; its changes follow one by one, then [`Event::Commit`]. Transactions without
    /// anything in them are not reported.
    Begin(Begin),
    /// The transaction is complete. Confirm [`Commit::end_lsn`] when it has been dealt with.
    Commit(Commit),
    /// The shape of a table is new or may have changed: what was derived from the catalogue for it is stale.
    Relation(Arc<Relation>),
    /// A row changed.
    Change(Change),
    /// Tables were emptied.
    Truncate(Vec<Arc<Relation>>),
    /// Somebody called `pg_logical_emit_message`. Only transactional ones wait for their commit.
    Message(LogicalMessage),
}

/// A row changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// The table, as it was at this point of the log.
    pub relation: Arc<Relation>,
    /// What happened to the row.
    pub row: Row,
}

/// What happened to a row.
#[derive(Clone, Debug)]
pub enum Row {
    /// It appeared.
    Insert {
        /// The row.
        new: Tuple,
    },
    /// It changed.
    Update {
        /// What it was, if the replica identity is FULL or the key changed.
        old: Option<OldTuple>,
        /// What it is now.
        new: Tuple,
    },
    /// It vanished.
    Delete {
        /// What it was.
        old: OldTuple,
    },
}

/// Why the stream stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// The connection ended, or nothing came for so long that it must be dead.
    Connection,
    /// Postgres ended the stream with an error.
    Postgres,
    /// No publication exists any more, so nothing can be streamed.
    NoPublication,
}

impl LostReason {
    /// A word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Postgres => "postgres",
            Self::NoPublication => "no_publication",
        }
    }
}

/// Why commits may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The temporary slot vanished with its connection; the new one starts at the present.
    TemporarySlot,
    /// The durable slot was dropped, or Postgres invalidated it, and was made again.
    SlotLost,
    /// Postgres could not get past a point of the log, typically a publication that was dropped and created again:
    /// the durable slot was made again.
    SlotStuck,
    /// The database is not the one it was: a standby was promoted, or a backup restored.
    Failover,
    /// One message was too large or could not be decoded, and was left out.
    MessageSkipped,
}

impl GapReason {
    /// A word for metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TemporarySlot => "temporary_slot",
            Self::SlotLost => "slot_lost",
            Self::SlotStuck => "slot_stuck",
            Self::Failover => "failover",
            Self::MessageSkipped => "message_skipped",
        }
    }
}

impl Event {
    /// What it costs to keep it, in bytes, near enough for a budget.
    pub(super) fn cost(&self) -> usize {
        let content = match self {
            Self::Change(change) => match &change.row {
                Row::Insert { new } => new.size(),
                Row::Update { old, new } => {
                    new.size() + old.as_ref().map_or(0, |old| old.tuple.size())
                }
                Row::Delete { old } => old.tuple.size(),
            },
            Self::Message(message) => message.content.len(),
            _ => 0,
        };
        size_of::<Self>() + content
    }
}
