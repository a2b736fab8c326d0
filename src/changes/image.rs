//! One image of a row (as it became, or as it was) and its values by column name.
//!
//! The columns of the stream and those of the catalog are matched by name: the stream may be older than the catalog,
//! and a publication may list some columns only. What is not in the stream is [`Cell::Missing`], which is not NULL:
//! nothing may be concluded from it.

use std::sync::Arc;

use crate::pgoutput::{OldKind, Relation, Tuple, Value};

use super::catalog::Table;

/// A value of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cell<'a> {
    /// Not known.
    Missing,
    /// SQL NULL.
    Null,
    /// The type's text output.
    Text(&'a str),
}

/// One image of a row: as it became, or as it was.
#[derive(Debug, Clone)]
pub struct Image {
    /// The shape of `tuple`.
    pub(crate) relation: Arc<Relation>,
    /// The values that were sent.
    pub(crate) tuple: Tuple,
    /// Where values are that were not sent again: the complete old row.
    pub(crate) fill: Option<Tuple>,
    /// Only the columns of the identity are meant; others read as NULL but are not known.
    pub(crate) key_only: bool,
    /// It is what the transaction left behind, not what it found.
    pub(crate) current: bool,
    /// The transaction (low 32 bits of its id).
    pub(crate) xid: u32,
    /// Values that were asked for afterwards, by column name.
    pub(crate) fetched: Vec<(Arc<str>, Option<Arc<str>>)>,
}

impl Image {
    /// The row a transaction left behind.
    pub fn new(relation: Arc<Relation>, tuple: Tuple, old: Option<&Tuple>, xid: u32) -> Self {
        Self {
            relation,
            tuple,
            fill: old.cloned(),
            key_only: false,
            current: true,
            xid,
            fetched: Vec::new(),
        }
    }

    /// The row a transaction found.
    pub(crate) fn old(relation: Arc<Relation>, tuple: Tuple, kind: OldKind, xid: u32) -> Self {
        Self {
            relation,
            tuple,
            fill: None,
            key_only: kind == OldKind::Key,
            current: false,
            xid,
            fetched: Vec::new(),
        }
    }

    /// The value of the column called `name`.
    pub(crate) fn cell(&self, name: &str) -> Cell<'_> {
        if let Some((_, value)) = self.fetched.iter().find(|(column, _)| &**column == name) {
            return value.as_deref().map_or(Cell::Null, Cell::Text);
        }
        let found = self
            .relation
            .columns
            .iter()
            .enumerate()
            .find(|(_, column)| &*column.name == name);
        let Some((index, column)) = found else {
            return Cell::Missing;
        };
        if self.key_only && !column.is_key {
            return Cell::Missing;
        }
        let value = match self.tuple.get(index) {
            Some(Value::Unchanged) => self.fill.as_ref().and_then(|fill| fill.get(index)),
            value => value,
        };
        match value {
            Some(Value::Null) => Cell::Null,
            Some(Value::Text(bytes)) => {
                std::str::from_utf8(bytes).map_or(Cell::Missing, Cell::Text)
            }
            Some(Value::Unchanged | Value::Binary(_)) | None => Cell::Missing,
        }
    }

    /// Values of columns of `table`, `None` if one is not known.
    pub(crate) fn values<'a>(&'a self, table: &Table, columns: &[usize]) -> Option<Vec<Cell<'a>>> {
        columns
            .iter()
            .map(|index| match self.cell(&table.columns.get(*index)?.name) {
                Cell::Missing => None,
                cell => Some(cell),
            })
            .collect()
    }
}
