//! A changed row as the JSON clients know (postgres.md §2.8, §2.14–2.16, §2.20).
//!
//! Owns the plain data that describes tables and types, the rendering of `pgoutput` text values as JSON, and the
//! bytes of the `data` object of a `postgres_changes` event. Pure: no I/O, no catalog look-ups, no knowledge of
//! subscribers; the caller says which columns are visible. Never panics, whatever the bytes.
mod body;
pub(crate) mod calendar;
mod change;
mod columns;
mod commit_time;
mod render;
pub mod schema;
pub(crate) mod sql_text;

pub use body::{BodyError, OldValues, Prepared, View, measure, write_body, write_error_body};
pub use change::{Change, OldTuple, Operation, Value};
pub use columns::ColumnSet;
pub use render::{NeedsPostgres, can_render, render_sql, render_value};
