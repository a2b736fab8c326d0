//! `pgoutput` text to JSON (postgres.md §2.15).
use super::schema::{Oid, Types};

/// A value whose type only Postgres can render: a cast to `json` that is not ours, or a type not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("type {type_oid} can only be rendered as JSON by Postgres")]
pub struct NeedsPostgres {
    /// The type that stopped it.
    pub type_oid: Oid,
}

/// Appends the JSON of a column's text value to `out` (§2.15).
///
/// # Errors
/// [`NeedsPostgres`] for types that only Postgres renders; `out` is then as it was.
pub fn render_value(
    types: &Types,
    type_oid: Oid,
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), NeedsPostgres> {
    let _ = (types, text, out);
    Err(NeedsPostgres { type_oid })
}

/// Whether [`render_value`] knows the type, so that a caller can prepare what it does not know.
#[must_use]
pub fn can_render(types: &Types, type_oid: Oid) -> bool {
    let _ = (types, type_oid);
    false
}

/// SQL that renders parameter `$1` (text) as JSON text the way [`render_value`] would.
#[must_use]
pub fn render_sql(types: &Types, type_oid: Oid) -> Option<String> {
    let _ = (types, type_oid);
    None
}
