//! The filter of one entry on one table, ready to be evaluated: here where that is proven equal to Postgres, by
//! Postgres otherwise.

use std::hash::{Hash, Hasher};

use super::catalog::Table;
use super::filter::{self, Compiled, Condition, Native, PostgresFilter, Refusal};
use super::record::{Change, Value};

pub(crate) use super::filter::Key;

/// Conditions that must all hold. Equal filters are evaluated once.
#[derive(Debug)]
pub struct Filter {
    /// What the filter is, for equality: position, type and canonical condition, sorted. Positions and texts are those of
    /// one reading of the catalog: what was compiled from another is another filter.
    identity: Vec<(usize, u32, Condition)>,
    native: Vec<(usize, Native)>,
    asked: Vec<(usize, PostgresFilter)>,
    key: Option<(usize, Vec<Key>)>,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity && self.asked == other.asked
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
        self.asked.hash(state);
    }
}

impl Filter {
    /// Compiles conditions whose values are canonical, each with the place of its column in the table.
    ///
    /// # Errors
    /// [`Refusal`] as [`filter::compile`], or where there is no such column.
    pub fn compile(table: &Table, conditions: &[(usize, Condition)]) -> Result<Self, Refusal> {
        let mut filter = Self {
            identity: Vec::with_capacity(conditions.len()),
            native: Vec::new(),
            asked: Vec::new(),
            key: None,
        };
        for (position, condition) in conditions {
            let Some(column) = table.shape.columns.get(*position) else {
                return Err(Refusal::invalid_filter_column(&condition.column));
            };
            filter
                .identity
                .push((*position, column.type_oid, condition.clone()));
            match filter::compile(condition, column, &table.types)? {
                Compiled::Native(native) => {
                    let keys = native.index_keys().map(<[Key]>::to_vec);
                    // The shortest list of keys is the best guess at the rarest rows.
                    let shorter = |keys: &Vec<Key>| {
                        filter
                            .key
                            .as_ref()
                            .is_none_or(|(_, best)| keys.len() < best.len())
                    };
                    if let Some(keys) = keys.filter(shorter) {
                        filter.key = Some((*position, keys));
                    }
                    filter.native.push((*position, native));
                }
                Compiled::Postgres(asked) => filter.asked.push((*position, asked)),
            }
        }
        filter.identity.sort_unstable();
        Ok(filter)
    }

    /// The column whose values decide, and the values that pass.
    pub(crate) fn key(&self) -> Option<(usize, &[Key])> {
        self.key
            .as_ref()
            .map(|(column, keys)| (*column, keys.as_slice()))
    }

    /// Do the conditions hold that can be evaluated here?
    pub(crate) fn passes(&self, change: &Change<'_>) -> bool {
        self.native
            .iter()
            .all(|(column, native)| native.matches(change.filter_value(*column)))
    }

    /// Are there conditions that Postgres has to evaluate?
    pub(crate) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Columns of the conditions that Postgres evaluates.
    pub(crate) fn asked_columns(&self) -> impl Iterator<Item = usize> {
        self.asked.iter().map(|(column, _)| *column)
    }

    /// The conditions that Postgres evaluates, over a row called `alias`.
    pub(crate) fn expression(&self, alias: &str) -> String {
        let parts: Vec<String> = self
            .asked
            .iter()
            .map(|(_, asked)| format!("({})", asked.expression(Some(alias))))
            .collect();
        parts.join(" and ")
    }
}

/// The key of a change's value in a column.
pub(crate) fn key_of(table: &Table, column: usize, change: &Change<'_>) -> Option<Key> {
    let Value::Text(text) = change.filter_value(column) else {
        return None;
    };
    filter::key_of(
        &table.types,
        table.shape.columns.get(column)?.type_oid,
        text,
    )
}
