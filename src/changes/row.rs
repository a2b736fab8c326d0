//! One committed row change on its way to subscribers, and its values in the order of a table of the catalog.
//!
//! Columns are matched by name: the stream may be older than the catalog, a publication may list some columns only,
//! and partitions may have another order than their root.

use std::sync::Arc;

use smallvec::SmallVec;

use super::image::Image;
use super::record::{self, Operation, Value, schema};
use crate::pgoutput::{self, OldKind, OldTuple, Relation, Tuple};

/// A change as it came.
#[derive(Debug, Clone)]
pub struct RowChange {
    /// The table as the stream described it.
    pub relation: Arc<Relation>,
    /// What happened.
    pub operation: Operation,
    /// The row now; none for a DELETE.
    pub new: Option<Tuple>,
    /// What was sent of the row before.
    pub old: Option<OldTuple>,
    /// Microseconds since 2000-01-01 00:00 UTC.
    pub commit_time: i64,
    /// Low 32 bits of the transaction's id.
    pub xid: u32,
}

/// Values that were not in the stream, by position in the table.
pub(crate) type Fetched = Vec<(usize, Option<Box<[u8]>>)>;

/// The values of a change in the order of a table's columns.
pub(crate) struct Aligned<'a> {
    new: SmallVec<[Value<'a>; 16]>,
    old: SmallVec<[Value<'a>; 16]>,
    kind: Option<OldKind>,
}

impl RowChange {
    /// Bytes received for it.
    pub(crate) fn size(&self) -> usize {
        self.new.as_ref().map_or(0, Tuple::size)
            + self.old.as_ref().map_or(0, |old| old.tuple.size())
    }

    /// The values in the order of `table`.
    pub(crate) fn aligned<'a>(
        &'a self,
        table: &schema::Table,
        fetched: &'a Fetched,
        fetched_old: &'a Fetched,
    ) -> Aligned<'a> {
        Aligned {
            new: self
                .new
                .as_ref()
                .map(|tuple| align(&self.relation, tuple, table, fetched))
                .unwrap_or_default(),
            old: self
                .old
                .as_ref()
                .map(|old| align(&self.relation, &old.tuple, table, fetched_old))
                .unwrap_or_default(),
            kind: self.old.as_ref().map(|old| old.kind),
        }
    }

    /// The row as the transaction left it.
    pub(crate) fn new_image(&self) -> Option<Image> {
        let full = self
            .old
            .as_ref()
            .filter(|old| old.kind == OldKind::Full)
            .map(|old| &old.tuple);
        let tuple = self.new.clone()?;
        Some(Image::new(self.relation.clone(), tuple, full, self.xid))
    }

    /// The row as the transaction found it, as far as it was sent.
    pub(crate) fn old_image(&self) -> Option<Image> {
        let old = self.old.as_ref()?;
        Some(Image::old(
            self.relation.clone(),
            old.tuple.clone(),
            old.kind,
            self.xid,
        ))
    }

    /// An old row was sent, and more of it than the primary key.
    pub(crate) fn old_tells_more_than_key(&self, table: &schema::Table) -> bool {
        self.old.is_some()
            && self.relation.columns.iter().any(|column| {
                column.is_key
                    && !table
                        .primary_key
                        .iter()
                        .filter_map(|position| table.columns.get(*position))
                        .any(|key| *key.name == *column.name)
            })
    }
}

impl<'a> Aligned<'a> {
    /// The change as rendering and filters read it.
    pub(crate) fn change<'s>(
        &'s self,
        row: &RowChange,
        table: &'s schema::Table,
    ) -> record::Change<'s>
    where
        'a: 's,
    {
        record::Change {
            table,
            operation: row.operation,
            commit_time: row.commit_time,
            new: &self.new,
            old: match self.kind {
                None => record::OldTuple::None,
                Some(OldKind::Key) => record::OldTuple::Key(&self.old),
                Some(OldKind::Full) => record::OldTuple::Full(&self.old),
            },
        }
    }
}

fn align<'a>(
    relation: &Relation,
    tuple: &'a Tuple,
    table: &schema::Table,
    fetched: &'a Fetched,
) -> SmallVec<[Value<'a>; 16]> {
    table
        .columns
        .iter()
        .enumerate()
        .map(|(position, column)| {
            let sent = sent_position(relation, position, &column.name)
                .and_then(|index| tuple.get(index))
                .map_or(Value::Missing, value);
            match sent {
                Value::Missing => fetched
                    .iter()
                    .find(|(index, _)| *index == position)
                    .map_or(Value::Missing, |(_, value)| {
                        value.as_deref().map_or(Value::Null, Value::Text)
                    }),
                sent => sent,
            }
        })
        .collect()
}

/// Where the stream has a column; mostly at the same position.
pub(crate) fn sent_position(relation: &Relation, hint: usize, name: &str) -> Option<usize> {
    if relation
        .columns
        .get(hint)
        .is_some_and(|column| &*column.name == name)
    {
        return Some(hint);
    }
    relation
        .columns
        .iter()
        .position(|column| &*column.name == name)
}

fn value(value: pgoutput::Value<'_>) -> Value<'_> {
    match value {
        pgoutput::Value::Null => Value::Null,
        pgoutput::Value::Text(text) => Value::Text(text),
        // Binary is never asked for.
        pgoutput::Value::Unchanged | pgoutput::Value::Binary(_) => Value::Missing,
    }
}
