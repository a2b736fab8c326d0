//! Filters of Postgres Changes: grammar, validation, evaluation (postgres.md §2.3, §2.6, §2.10).
//!
//! Owns the way from the text of a `filter` to an answer for one row. Pure: what only Postgres can decide is
//! handed back as SQL text, what Postgres says is handed in. A comparison is done here only where it is proven
//! equal to SQL's; everything else is an expression for the database.
mod array;
mod compile;
mod datetime;
mod decimal;
mod describe;
mod grammar;
mod literal;
mod native;
mod refusal;
mod sql;

pub use array::{ArrayError, parse_array};
pub use compile::{Compiled, compile, validation_sql};
pub use describe::{describe_filters, describe_select};
pub use grammar::{Condition, FilterError, Op, parse};
pub use literal::{Key, key_of};
pub use native::Native;
pub use refusal::Refusal;
pub use sql::PostgresFilter;
