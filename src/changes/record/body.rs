//! The `data` object of a `postgres_changes` event (postgres.md §2.8, §2.14, §2.16).
//!
//! Owns which keys are present and in what state: `record` and `old_record` by operation, values cut when the
//! change is too large, and the rows that carry nothing but an error. Written once for each group of subscribers
//! that sees the same columns, as bytes that every frame shares.
use super::change::{Change, Operation, Value};
use super::columns::ColumnSet;
use super::commit_time::push_commit_time;
use super::render::{NeedsPostgres, push_string, render_value};
use super::schema::{Table, Types};

/// How much of the old row may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OldValues {
    /// Whatever the replica identity sent (§2.14.1).
    Identity,
    /// Only columns of the primary key: DELETE on a table with row level security (§2.13).
    PrimaryKey,
    /// Only what the new row says too, of the primary key: an UPDATE of a row that was not seen before.
    SameKey,
}

/// A value Postgres rendered because this module could not ([`NeedsPostgres`]).
#[derive(Debug, Clone, Copy)]
pub struct Prepared<'a> {
    /// Position in [`Table::columns`].
    pub column: usize,
    /// The text that was rendered: one answer serves the new and the old row when they are equal.
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
    /// Above this many bytes (see [`measure`]) long values are cut and the event carries `Error 413`
    /// (§2.14.4). The setting `poll_max_record_bytes`, by default 1,048,576.
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

impl BodyError {
    fn message(self) -> &'static str {
        match self {
            Self::NoPrimaryKey => "Error 400: Bad Request, no primary key",
            Self::Unauthorized => "Error 401: Unauthorized",
        }
    }
}

/// In a change that is too large, values whose JSON is longer than this are left out (§2.14.4 item 2).
const MAX_VALUE_WHEN_CUT: usize = 64;

const TOO_LARGE: &str = "Error 413: Payload Too Large";

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
    let start = out.len();
    let written = write_body_parts(types, change, view, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn write_body_parts(
    types: &Types,
    change: &Change<'_>,
    view: &View<'_>,
    out: &mut Vec<u8>,
) -> Result<(), NeedsPostgres> {
    let writer = RecordWriter {
        types,
        change,
        view,
        cut: measure(change) > view.max_bytes,
    };
    push_head(change.table, change.operation, out);
    out.push(b'"');
    push_commit_time(change.commit_time, out);
    out.extend_from_slice(b"\",\"columns\":");
    push_columns(types, change.table, view.visible, out);
    if change.operation != Operation::Delete {
        out.extend_from_slice(b",\"record\":");
        writer.push_record(|column| change.new_value(column), out)?;
    }
    if change.operation != Operation::Insert {
        out.extend_from_slice(b",\"old_record\":");
        writer.push_record(|column| writer.old_value(column), out)?;
    }
    push_errors(writer.cut.then_some(TOO_LARGE), out);
    Ok(())
}

/// Appends the `data` object of an error row (§2.14.2, §2.14.3): empty objects, no columns, no time.
pub fn write_error_body(table: &Table, operation: Operation, error: BodyError, out: &mut Vec<u8>) {
    push_head(table, operation, out);
    out.extend_from_slice(b"null,\"columns\":[]");
    if operation != Operation::Delete {
        out.extend_from_slice(b",\"record\":{}");
    }
    if operation != Operation::Insert {
        out.extend_from_slice(b",\"old_record\":{}");
    }
    push_errors(Some(error.message()), out);
}

/// Everything up to the value of `commit_timestamp`.
fn push_head(table: &Table, operation: Operation, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"schema\":");
    push_string(table.schema.as_bytes(), out);
    out.extend_from_slice(b",\"table\":");
    push_string(table.name.as_bytes(), out);
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(operation.as_str().as_bytes());
    out.extend_from_slice(b"\",\"commit_timestamp\":");
}

fn push_errors(error: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"errors\":");
    match error {
        None => out.extend_from_slice(b"null"),
        Some(message) => {
            out.push(b'[');
            push_string(message.as_bytes(), out);
            out.push(b']');
        }
    }
    out.push(b'}');
}

/// `[{"name":"id","type":"int8"}]`: all visible columns of the catalog, sent or not (§2.16).
fn push_columns(types: &Types, table: &Table, visible: &ColumnSet, out: &mut Vec<u8>) {
    out.push(b'[');
    let mut first = true;
    for (position, column) in table.columns.iter().enumerate() {
        if !visible.contains(position) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":");
        push_string(column.name.as_bytes(), out);
        out.extend_from_slice(b",\"type\":");
        let name = types
            .get(column.type_oid)
            .map_or("unknown", |info| info.name.as_str());
        push_string(name.as_bytes(), out);
        out.push(b'}');
    }
    out.push(b']');
}

struct RecordWriter<'a> {
    types: &'a Types,
    change: &'a Change<'a>,
    view: &'a View<'a>,
    cut: bool,
}

impl RecordWriter<'_> {
    fn old_value(&self, column: usize) -> Value<'_> {
        let key = || self.change.table.primary_key.contains(&column);
        let old = self.change.old_value(column);
        let told = match self.view.old_values {
            OldValues::Identity => true,
            OldValues::PrimaryKey => key(),
            OldValues::SameKey => key() && old == self.change.new_value(column),
        };
        if told { old } else { Value::Missing }
    }

    fn push_record<'v>(
        &self,
        value_of: impl Fn(usize) -> Value<'v>,
        out: &mut Vec<u8>,
    ) -> Result<(), NeedsPostgres> {
        out.push(b'{');
        let mut first = true;
        for (position, column) in self.change.table.columns.iter().enumerate() {
            if !self.view.visible.contains(position) {
                continue;
            }
            let value = value_of(position);
            if value == Value::Missing || (self.cut && value == Value::Null) {
                continue;
            }
            let before_key = out.len();
            if !first {
                out.push(b',');
            }
            push_string(column.name.as_bytes(), out);
            out.push(b':');
            let before_value = out.len();
            match value {
                Value::Text(text) => self.push_value(position, column.type_oid, text, out)?,
                Value::Null | Value::Missing => out.extend_from_slice(b"null"),
            }
            if self.cut && !fits_when_cut(out.get(before_value..).unwrap_or_default()) {
                out.truncate(before_key);
            } else {
                first = false;
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn push_value(
        &self,
        position: usize,
        type_oid: u32,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NeedsPostgres> {
        let prepared = self
            .view
            .prepared
            .iter()
            .find(|prepared| prepared.column == position && prepared.text == text);
        match prepared {
            Some(prepared) => {
                out.extend_from_slice(prepared.json);
                Ok(())
            }
            None => render_value(self.types, type_oid, text, out),
        }
    }
}

/// Whether a value survives in a change that is too large. JSON `null` counts as NULL and goes too.
fn fits_when_cut(json: &[u8]) -> bool {
    json != b"null" && jsonb_length(json) <= MAX_VALUE_WHEN_CUT
}

/// Length of the value in `jsonb`'s spacing, which the limit of 64 bytes is about: one blank after each
/// comma and colon, none elsewhere.
fn jsonb_length(json: &[u8]) -> usize {
    let mut length = 0;
    let mut quoted = false;
    let mut escaped = false;
    for byte in json {
        length += match byte {
            _ if quoted => 1,
            b' ' | b'\n' | b'\r' | b'\t' => 0,
            b',' | b':' => 2,
            _ => 1,
        };
        if escaped {
            escaped = false;
        } else if quoted && *byte == b'\\' {
            escaped = true;
        } else if *byte == b'"' {
            quoted = !quoted;
        }
    }
    length
}

/// Approximates the length of the change in the original's own text form, in bytes (§2.14.4 item 3): the bytes
/// of all values, new and old, plus what surrounds each of them there.
#[must_use]
pub fn measure(change: &Change<'_>) -> usize {
    /// `{"pk": [], "table": "", "action": "U", "schema": "", "columns": [], "identity": [], "timestamp": "…"}`
    const AROUND_CHANGE: usize = 140;
    /// `{"name": "", "type": "integer", "value": "", "typeoid": 1043}, `
    const AROUND_VALUE: usize = 64;
    let table = change.table;
    let mut total = AROUND_CHANGE + table.schema.len() + table.name.len();
    for (position, column) in table.columns.iter().enumerate() {
        for value in [change.new_value(position), change.old_value(position)] {
            let value_length = match value {
                Value::Missing => continue,
                Value::Null => 4,
                Value::Text(text) => text.len(),
            };
            total += AROUND_VALUE + column.name.len() + value_length;
        }
    }
    total
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
