//! From a row to those who may see it, by look-up: where a policy says that a value of the row equals a value of the reader,
//! readers are found by the row's value, and their number does not matter.

use std::collections::HashMap;

use ahash::RandomState;

use super::expression::{Comparison, Expression, Scope};
use super::value::Value;
use super::{Bound, Columns, Compiled, Unsure};

/// Without one of the keys that belong together being true, a policy is not.
#[derive(Debug)]
pub(super) enum Key {
    /// A value of the row equals a value of the reader.
    Equal {
        row: Expression,
        /// By its place in what is known of the reader.
        reader: usize,
    },
    /// Something holds for the reader, whatever the row.
    Holds(usize),
}

/// The keys of an expression: if none of them is true, neither is the expression. `None` where there are no such.
pub(super) fn keys(of: &mut Expression) -> Option<Vec<Key>> {
    match of {
        Expression::Known(place) => Some(vec![Key::Holds(*place)]),
        Expression::Compare(Comparison::Equal, one, other) => {
            Some(vec![equal(one, other).or_else(|| equal(other, one))?])
        }
        Expression::Any(one, items) => items.iter_mut().map(|item| equal(one, item)).collect(),
        Expression::Or(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(keys(part)?);
            }
            Some(all)
        }
        Expression::And(parts) => {
            let found = parts.iter_mut().filter_map(keys);
            // What depends on the row tells readers apart better than what does not.
            found.min_by_key(|keys| {
                let holds = keys
                    .iter()
                    .filter(|key| matches!(key, Key::Holds(_)))
                    .count();
                (holds, keys.len())
            })
        }
        _ => None,
    }
}

fn equal(row: &mut Expression, reader: &mut Expression) -> Option<Key> {
    match reader {
        Expression::Known(place) if row.reads_row() && !row.reads_known() => Some(Key::Equal {
            row: row.clone(),
            reader: *place,
        }),
        _ => None,
    }
}

/// Positions of readers by the values of a compiled policy's keys.
#[derive(Debug)]
pub struct Readers {
    /// For each key that reads the row.
    by_value: Vec<HashMap<Value<'static>, Vec<u32>, RandomState>>,
    /// Those of whom it depends on more, or on nothing of the row.
    always: Vec<u32>,
}

impl Readers {
    /// `None` if the policy has no keys.
    pub fn new<'a>(
        compiled: &Compiled,
        readers: impl Iterator<Item = (u32, &'a Bound)>,
    ) -> Option<Self> {
        let keys = compiled.keys.as_ref()?;
        let mut by_value: Vec<HashMap<_, Vec<u32>, _>> =
            keys.iter().map(|_| HashMap::default()).collect();
        let mut always = Vec::new();
        for (position, bound) in readers {
            for (key, values) in keys.iter().zip(&mut by_value) {
                let (Key::Equal { reader, .. } | Key::Holds(reader)) = key;
                match (key, bound.0.get(*reader)) {
                    (Key::Equal { .. }, Some(Ok(Value::Null))) => {}
                    (Key::Equal { .. }, Some(Ok(value))) => {
                        values.entry(value.clone()).or_default().push(position);
                    }
                    (Key::Holds(_), Some(Ok(Value::Bool(false) | Value::Null))) => {}
                    (Key::Holds(_), Some(Ok(_))) | (_, Some(Err(Unsure)) | None) => {
                        always.push(position);
                    }
                }
            }
        }
        Some(Self { by_value, always })
    }

    /// Positions of all who may see the row, and perhaps of others, in ascending order. `None`: of anybody.
    pub fn of(&self, compiled: &Compiled, columns: &Columns<'_>) -> Option<Vec<u32>> {
        let keys = compiled.keys.as_ref()?;
        let scope = Scope {
            columns: &columns.0,
            known: &[],
            settings: None,
        };
        let mut found = self.always.clone();
        for (key, values) in keys.iter().zip(&self.by_value) {
            let Key::Equal { row, .. } = key else {
                continue;
            };
            let value = row.evaluate(&scope).ok()?;
            found.extend(values.get(&value).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }
}
