//! Conditions evaluated here (postgres.md §2.10).
//!
//! Answers are three-valued like SQL's. A value that was not sent is unknown to every condition, also to `is`
//! and `isdistinct`: nothing is delivered on a guess.
use std::cmp::Ordering;

use super::grammar::Op;
use super::literal::{Family, Key, Scalar};
use crate::changes::record::Value;

/// A condition whose comparison is proven equal to Postgres'.
#[derive(Debug, Clone)]
pub struct Native {
    test: Test,
    negate: bool,
    null: NullRule,
    keys: Option<Vec<Key>>,
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    /// `IS NULL`, `IS UNKNOWN`.
    Null,
    /// `IS TRUE`, `IS FALSE`.
    Truth(bool),
    Compare {
        family: Family,
        comparison: Comparison,
        literal: Scalar<'static>,
    },
    AnyOf {
        family: Family,
        literals: Vec<Scalar<'static>>,
        has_null: bool,
    },
    Distinct {
        family: Family,
        literal: Scalar<'static>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
}

impl Comparison {
    pub(super) fn of(op: Op) -> Option<Self> {
        Some(match op {
            Op::Eq => Self::Eq,
            Op::Neq => Self::Neq,
            Op::Lt => Self::Lt,
            Op::Lte => Self::Lte,
            Op::Gt => Self::Gt,
            Op::Gte => Self::Gte,
            _ => return None,
        })
    }

    pub(super) fn needs_order(self) -> bool {
        !matches!(self, Self::Eq | Self::Neq)
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Neq => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
        }
    }
}

/// Which values besides NULL count as NULL, because clients get `null` for them (§2.10.6, §2.10.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NullRule {
    Plain,
    /// NaN and infinities of this family.
    NotFinite(Family),
    /// JSON `null` of json and jsonb.
    JsonNull,
}

impl NullRule {
    fn applies(self, text: &[u8]) -> bool {
        match self {
            Self::Plain => false,
            Self::NotFinite(family) => family.counts_as_null(text),
            Self::JsonNull => text.trim_ascii() == b"null",
        }
    }
}

impl Native {
    pub(super) fn new(test: Test, negate: bool, null: NullRule) -> Self {
        let keys = match &test {
            Test::Compare {
                comparison: Comparison::Eq,
                literal,
                ..
            } if !negate => Some(vec![literal.key()]),
            Test::AnyOf { literals, .. } if !negate => {
                Some(literals.iter().map(Scalar::key).collect())
            }
            _ => None,
        };
        Self {
            test,
            negate,
            null,
            keys,
        }
    }

    /// Three-valued answer for one row value (§2.10.3). [`Value::Missing`] is unknown.
    #[must_use]
    pub fn evaluate(&self, value: Value<'_>) -> Option<bool> {
        let text = match value {
            Value::Missing => return None,
            Value::Null => None,
            Value::Text(text) => Some(text).filter(|text| !self.null.applies(text)),
        };
        self.test.evaluate(text).map(|answer| answer != self.negate)
    }

    /// True, and not unknown.
    #[must_use]
    pub fn matches(&self, value: Value<'_>) -> bool {
        self.evaluate(value) == Some(true)
    }

    /// The keys of the values that satisfy an `eq` or `in` condition without `not.`; `None` for any other.
    /// An empty list satisfies nothing. Compare with [`key_of`](super::key_of) of the row's value.
    #[must_use]
    pub fn index_keys(&self) -> Option<&[Key]> {
        self.keys.as_deref()
    }
}

impl Test {
    /// `None` as text is SQL NULL; `None` as answer is unknown.
    fn evaluate(&self, text: Option<&[u8]>) -> Option<bool> {
        match self {
            Self::Null => Some(text.is_none()),
            Self::Truth(truth) => match text {
                None => Some(false),
                Some(b"t") => Some(*truth),
                Some(b"f") => Some(!*truth),
                Some(_) => None,
            },
            Self::Compare {
                family,
                comparison,
                literal,
            } => {
                let value = family.parse(text?)?;
                value
                    .compare(literal)
                    .map(|ordering| comparison.holds(ordering))
            }
            // An empty list decides before the value is looked at, as in SQL.
            Self::AnyOf {
                literals,
                has_null: false,
                ..
            } if literals.is_empty() => Some(false),
            Self::AnyOf {
                family,
                literals,
                has_null,
            } => {
                let value = family.parse(text?)?;
                if literals
                    .iter()
                    .any(|literal| value.compare(literal) == Some(Ordering::Equal))
                {
                    Some(true)
                } else if *has_null {
                    None
                } else {
                    Some(false)
                }
            }
            Self::Distinct { family, literal } => match text {
                None => Some(true),
                Some(text) => family.parse(text)?.compare(literal).map(Ordering::is_ne),
            },
        }
    }
}
