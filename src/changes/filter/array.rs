//! Array literals of Postgres, `{a,"b c",NULL}`: the values of an `in` filter (postgres.md §2.3.9).

/// The text is not an array literal; Postgres says `malformed array literal: "…"` (22P02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed array literal")]
pub struct ArrayError;

/// The elements of an array literal, sub-arrays flattened as `= any` does; `None` is a NULL element.
///
/// # Errors
/// [`ArrayError`] when braces, quotes or commas do not fit.
pub fn parse_array(literal: &str) -> Result<Vec<Option<String>>, ArrayError> {
    let _ = literal;
    Err(ArrayError)
}
