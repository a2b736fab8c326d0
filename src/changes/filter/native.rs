//! Conditions evaluated here.
use super::literal::Key;
use crate::changes::record::Value;

/// A condition whose comparison is proven equal to Postgres'.
#[derive(Debug, Clone)]
pub struct Native {}

impl Native {
    /// Three-valued answer for one row value (§2.10.3). [`Value::Missing`] is unknown.
    #[must_use]
    pub fn evaluate(&self, value: Value<'_>) -> Option<bool> {
        let _ = value;
        None
    }

    /// True, and not unknown.
    #[must_use]
    pub fn matches(&self, value: Value<'_>) -> bool {
        self.evaluate(value) == Some(true)
    }

    /// The keys of the values that satisfy an `eq` or `in` condition without `not.`; `None` for any other.
    /// An empty list satisfies nothing.
    #[must_use]
    pub fn index_keys(&self) -> Option<&[Key]> {
        None
    }
}
