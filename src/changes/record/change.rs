//! One committed row change, borrowed from the stream: its values, its old tuple, and which of them filters see.
//!
//! Owns the rules that differ between the stream and what clients know (postgres.md §2.13, §2.14.1, §2.20):
//! unchanged TOAST values are taken from the old row where there is one, a missing old tuple is made from the
//! key of the new one, and a key tuple speaks only for the columns of the replica identity.
use super::schema::Table;

/// A value as `pgoutput` sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// Text output of the type.
    Text(&'a [u8]),
    /// Not sent: an unchanged TOAST value, or a column the stream does not carry.
    Missing,
}

/// What happened to the row. TRUNCATE is never delivered (§2.17) and has no variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
    /// A removed row.
    Delete,
}

impl Operation {
    /// `INSERT`, `UPDATE`, `DELETE`: the value of `type` in the event (§2.8).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// The old tuple as the stream carried it. Slices are aligned with [`Table::columns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldTuple<'a> {
    /// Nothing was sent: an INSERT, or an UPDATE that kept its key under default identity.
    None,
    /// Kind `K`: only identity columns count, the others are NULL placeholders.
    Key(&'a [Value<'a>]),
    /// Kind `O`: the whole old row (`REPLICA IDENTITY FULL`).
    Full(&'a [Value<'a>]),
}

/// One change of one row.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The table as the catalog shows it now.
    pub table: &'a Table,
    /// What happened.
    pub operation: Operation,
    /// Commit time, microseconds since 2000-01-01 00:00 UTC, as in the stream's Begin message.
    pub commit_time: i64,
    /// New row, aligned with [`Table::columns`]; empty for DELETE.
    pub new: &'a [Value<'a>],
    /// Old tuple.
    pub old: OldTuple<'a>,
}

impl<'a> Change<'a> {
    /// The column in `record`: unchanged TOAST values come from the old row where it was sent (§2.20).
    /// [`Value::Missing`] for a DELETE or a value nobody sent.
    #[must_use]
    pub fn new_value(&self, column: usize) -> Value<'a> {
        if self.operation == Operation::Delete {
            return Value::Missing;
        }
        match value_at(self.new, column) {
            Value::Missing => self.sent_old_value(column),
            value => value,
        }
    }

    /// The column in `old_record`, [`Value::Missing`] when the identity does not cover it. An UPDATE without
    /// an old tuple kept its key, so the key of the new row is the old key (§2.14.1 item 3).
    #[must_use]
    pub fn old_value(&self, column: usize) -> Value<'a> {
        match (self.operation, self.old) {
            (Operation::Insert, _) | (Operation::Delete, OldTuple::None) => Value::Missing,
            (Operation::Update, OldTuple::None) if self.is_identity(column) => {
                value_at(self.new, column)
            }
            _ => self.sent_old_value(column),
        }
    }

    /// What a filter on this column is evaluated on: the new row for INSERT and UPDATE, the identity of the
    /// old row for DELETE (§2.10.1 and 2; with D18, unchanged TOAST under FULL is known).
    #[must_use]
    pub fn filter_value(&self, column: usize) -> Value<'a> {
        match self.operation {
            Operation::Delete => self.old_value(column),
            Operation::Insert | Operation::Update => self.new_value(column),
        }
    }

    fn sent_old_value(&self, column: usize) -> Value<'a> {
        match self.old {
            OldTuple::None => Value::Missing,
            OldTuple::Key(values) if self.is_identity(column) => value_at(values, column),
            OldTuple::Key(_) => Value::Missing,
            OldTuple::Full(values) => value_at(values, column),
        }
    }

    fn is_identity(&self, column: usize) -> bool {
        self.table
            .columns
            .get(column)
            .is_some_and(|column| column.in_identity)
    }
}

fn value_at<'a>(values: &'a [Value<'a>], column: usize) -> Value<'a> {
    values.get(column).copied().unwrap_or(Value::Missing)
}
