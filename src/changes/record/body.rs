//! The `data` object of a `postgres_changes` event (postgres.md §2.8, §2.14).
use super::change::{Change, Operation, Value};
use super::columns::ColumnSet;
use super::render::NeedsPostgres;
use super::schema::{Table, Types};

/// How much of the old row may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OldValues {
    /// Whatever the replica identity sent (§2.14.1).
    Identity,
    /// Only columns of the primary key: DELETE on a table with row level security (§2.13).
    PrimaryKey,
}

/// A value Postgres rendered because this module could not ([`NeedsPostgres`]).
#[derive(Debug, Clone, Copy)]
pub struct Prepared<'a> {
    /// Position in `Table::columns`.
    pub column: usize,
    /// The text that was rendered, so that the same answer serves new and old values that are equal.
    pub text: &'a [u8],
    /// Its JSON.
    pub json: &'a [u8],
}

/// What one group of subscribers gets to see of a change.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Selectable ∩ (selected ∪ primary key), §2.11.4.
    pub visible: &'a ColumnSet,
    /// How much of the old row.
    pub old_values: OldValues,
    /// Above this size (see [`measure`]) values are cut as `Error 413` says. `poll_max_record_bytes`.
    pub max_bytes: usize,
    /// Values rendered by Postgres.
    pub prepared: &'a [Prepared<'a>],
}

/// Why a body carries no values at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyError {
    /// INSERT or UPDATE on a table without primary key (§2.14.2).
    NoPrimaryKey,
    /// The role may not select the whole primary key (§2.14.3).
    Unauthorized,
}

/// Appends the `data` object of the event to `out` (§2.8).
///
/// # Errors
/// [`NeedsPostgres`] when a visible value is of a type only Postgres renders and is not in
/// [`View::prepared`]; `out` is then as it was.
pub fn write_body(
    types: &Types,
    change: &Change<'_>,
    view: &View<'_>,
    out: &mut Vec<u8>,
) -> Result<(), NeedsPostgres> {
    let _ = (types, change, view, out, Value::Null);
    Err(NeedsPostgres { type_oid: 0 })
}

/// Appends the `data` object of an error row (§2.14.2, §2.14.3).
pub fn write_error_body(table: &Table, operation: Operation, error: BodyError, out: &mut Vec<u8>) {
    let _ = (table, operation, error, out);
}

/// Approximates the length of the change in the original's own text form, in bytes (§2.14.4 item 3).
#[must_use]
pub fn measure(types: &Types, change: &Change<'_>) -> usize {
    let _ = (types, change);
    0
}
