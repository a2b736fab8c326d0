//! From a condition and a column to something that can be evaluated.
use super::grammar::Condition;
use super::native::Native;
use super::refusal::Refusal;
use super::sql::PostgresFilter;
use crate::changes::record::schema::{Column, Types};

/// A condition ready to be asked.
#[derive(Debug, Clone)]
pub enum Compiled {
    /// Evaluated here.
    Native(Native),
    /// Evaluated by Postgres over the row's image.
    Postgres(PostgresFilter),
}

/// Compiles a condition for a column. The value must be the one [`validation_sql`] gave back.
///
/// # Errors
/// [`Refusal`] when the operator cannot be applied to the column's type, or the value is out of bounds in a
/// way that needs no database to see (§2.6).
pub fn compile(condition: &Condition, column: &Column, types: &Types) -> Result<Compiled, Refusal> {
    let _ = (column, types);
    Err(Refusal::invalid_filter_column(&condition.column))
}

/// A query of one row and one text column: the canonical form of the condition's value, which replaces
/// [`Condition::value`] before [`compile`]. It fails exactly as Postgres fails for a bad value or an operator the
/// type has not. `None`: nothing to ask, the value stands as it is.
#[must_use]
pub fn validation_sql(condition: &Condition, column: &Column, types: &Types) -> Option<String> {
    let _ = (condition, column, types);
    None
}
