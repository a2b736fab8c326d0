//! Expressions as they are evaluated here, in the three-valued logic of SQL.
//!
//! Besides true, false and NULL an expression may be unsure: its value is Postgres' to say, or it may raise an error. Whatever
//! an unsure value goes into is unsure, though Postgres might not have looked at it: so a sure answer never depends on the
//! order in which Postgres evaluates.

use super::Unsure;
use super::json::Json;
use super::value::{Document, Type, Value};

/// A setting whose value is known for an audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// `request.jwt.claims`
    Claims,
    /// `request.jwt.claim.sub`
    Sub,
    /// `request.jwt.claim.role`
    Role,
    /// A setting that nobody sets: NULL.
    Unset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// By its place in the columns that the policy reads.
    Column(usize),
    Setting(Setting),
    Constant(Value<'static>),
    /// What depends on the audience alone, by its place in what is known of it.
    Known(usize),
    Cast(Box<Expression>, Type),
    /// `json -> name`, or `->>` where it is text.
    Member {
        of: Box<Expression>,
        name: Box<str>,
        text: bool,
    },
    Compare(Comparison, Box<Expression>, Box<Expression>),
    /// `one IS DISTINCT FROM other`
    Distinct(Box<Expression>, Box<Expression>),
    /// `one = ANY (ARRAY[...])`
    Any(Box<Expression>, Vec<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    IsNull(Box<Expression>),
    /// `IS TRUE`, `IS FALSE`
    Is(Box<Expression>, bool),
    Coalesce(Vec<Expression>),
    NullIf(Box<Expression>, Box<Expression>),
}

/// What an expression is evaluated over. A column that the row's image lacks is unsure.
pub(super) struct Scope<'a> {
    pub(super) columns: &'a [Result<Value<'a>, Unsure>],
    pub(super) known: &'a [Result<Value<'static>, Unsure>],
    pub(super) settings: Option<&'a Settings<'a>>,
}

/// The settings of an audience.
pub(super) struct Settings<'a> {
    pub(super) claims: &'a str,
    /// Those claims, unless there could be two opinions about them.
    pub(super) document: Option<&'a Json>,
    pub(super) sub: &'a str,
    pub(super) role: &'a str,
}

type Known<'a> = Result<Value<'a>, Unsure>;

impl Expression {
    pub(super) fn evaluate<'a>(&'a self, scope: &Scope<'a>) -> Known<'a> {
        match self {
            Self::Column(place) => scope.columns.get(*place).cloned().unwrap_or(Err(Unsure)),
            Self::Known(place) => scope.known.get(*place).cloned().unwrap_or(Err(Unsure)),
            Self::Constant(value) => Ok(value.clone()),
            Self::Setting(setting) => {
                let settings = scope.settings.ok_or(Unsure)?;
                Ok(match setting {
                    Setting::Claims => Value::Text(settings.claims.into()),
                    Setting::Sub => Value::Text(settings.sub.into()),
                    Setting::Role => Value::Text(settings.role.into()),
                    Setting::Unset => Value::Null,
                })
            }
            Self::Cast(of, Type::Json) => match of.evaluate(scope)? {
                Value::Text(text) => {
                    // Only the claims are known as a document.
                    let settings = scope.settings.ok_or(Unsure)?;
                    let document = settings.document.filter(|_| *text == *settings.claims);
                    document
                        .map(|document| Value::Json(Document(document)))
                        .ok_or(Unsure)
                }
                value => value.cast(Type::Json),
            },
            Self::Cast(of, to) => of.evaluate(scope)?.cast(*to),
            Self::Member { of, name, text } => match of.evaluate(scope)? {
                Value::Null => Ok(Value::Null),
                Value::Json(Document(document)) => member(document, name, *text),
                _ => Err(Unsure),
            },
            Self::Compare(how, one, other) => {
                compare(*how, &one.evaluate(scope)?, &other.evaluate(scope)?)
            }
            Self::Distinct(one, other) => {
                let (one, other) = (one.evaluate(scope)?, other.evaluate(scope)?);
                match (&one, &other) {
                    (Value::Null, Value::Null) => Ok(Value::Bool(false)),
                    (Value::Null, _) | (_, Value::Null) => Ok(Value::Bool(true)),
                    _ => compare(Comparison::Unequal, &one, &other),
                }
            }
            Self::Any(one, items) => {
                let one = one.evaluate(scope)?;
                let equal = items
                    .iter()
                    .map(|item| compare(Comparison::Equal, &one, &item.evaluate(scope)?));
                logic(equal, true)
            }
            Self::And(parts) => logic(parts.iter().map(|part| part.evaluate(scope)), false),
            Self::Or(parts) => logic(parts.iter().map(|part| part.evaluate(scope)), true),
            Self::Not(of) => match of.evaluate(scope)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                Value::Null => Ok(Value::Null),
                _ => Err(Unsure),
            },
            Self::IsNull(of) => Ok(Value::Bool(of.evaluate(scope)? == Value::Null)),
            Self::Is(of, wanted) => match of.evaluate(scope)? {
                Value::Bool(value) => Ok(Value::Bool(value == *wanted)),
                Value::Null => Ok(Value::Bool(false)),
                _ => Err(Unsure),
            },
            Self::Coalesce(parts) => {
                for part in parts {
                    // Postgres promises not to look at what is behind the first that is there.
                    match part.evaluate(scope)? {
                        Value::Null => {}
                        value => return Ok(value),
                    }
                }
                Ok(Value::Null)
            }
            Self::NullIf(one, other) => {
                let (one, other) = (one.evaluate(scope)?, other.evaluate(scope)?);
                match compare(Comparison::Equal, &one, &other)? {
                    Value::Bool(true) => Ok(Value::Null),
                    _ => Ok(one),
                }
            }
        }
    }

    /// The expressions in it, one level down.
    pub(super) fn parts(&mut self) -> Vec<&mut Expression> {
        match self {
            Self::Column(_) | Self::Setting(_) | Self::Constant(_) | Self::Known(_) => Vec::new(),
            Self::Cast(of, _)
            | Self::Member { of, .. }
            | Self::Not(of)
            | Self::IsNull(of)
            | Self::Is(of, _) => vec![&mut **of],
            Self::Compare(_, one, other)
            | Self::Distinct(one, other)
            | Self::NullIf(one, other) => {
                vec![&mut **one, &mut **other]
            }
            Self::Any(one, items) => {
                let mut parts = vec![&mut **one];
                parts.extend(items);
                parts
            }
            Self::And(parts) | Self::Or(parts) | Self::Coalesce(parts) => {
                parts.iter_mut().collect()
            }
        }
    }

    /// Does it read the row?
    pub(super) fn reads_row(&mut self) -> bool {
        matches!(self, Self::Column(_)) || self.parts().into_iter().any(Self::reads_row)
    }

    /// Does it read what is known of the audience?
    pub(super) fn reads_known(&mut self) -> bool {
        matches!(self, Self::Known(_)) || self.parts().into_iter().any(Self::reads_known)
    }

    /// Puts what does not read the row into `known`, and its place there into the expression.
    pub(super) fn split(&mut self, known: &mut Vec<Expression>) {
        if self.reads_row() {
            for part in self.parts() {
                part.split(known);
            }
            return;
        }
        let place = known.iter().position(|one| one == self);
        let place = place.unwrap_or_else(|| {
            known.push(self.clone());
            known.len() - 1
        });
        *self = Self::Known(place);
    }
}

/// `AND` (where `false` decides) and `OR` (where `true` does).
fn logic<'a>(parts: impl Iterator<Item = Known<'a>>, decides: bool) -> Known<'a> {
    let (mut decided, mut null) = (false, false);
    // To the end, also where it is decided: a part may be unsure.
    for part in parts {
        match part? {
            Value::Bool(value) => decided |= value == decides,
            Value::Null => null = true,
            _ => return Err(Unsure),
        }
    }
    Ok(match (decided, null) {
        (true, _) => Value::Bool(decides),
        (false, true) => Value::Null,
        (false, false) => Value::Bool(!decides),
    })
}

fn compare<'a>(how: Comparison, one: &Value<'_>, other: &Value<'_>) -> Known<'a> {
    let order = match (one, other) {
        (Value::Null, _) | (_, Value::Null) => return Ok(Value::Null),
        (Value::Int(one), Value::Int(other)) => one.cmp(other),
        (Value::Uuid(_), Value::Uuid(_))
        | (Value::Text(_), Value::Text(_))
        | (Value::Bool(_), Value::Bool(_)) => {
            return match how {
                Comparison::Equal => Ok(Value::Bool(one == other)),
                Comparison::Unequal => Ok(Value::Bool(one != other)),
                // The order of texts is a matter of collation.
                _ => Err(Unsure),
            };
        }
        _ => return Err(Unsure),
    };
    Ok(Value::Bool(match how {
        Comparison::Equal => order.is_eq(),
        Comparison::Unequal => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }))
}

fn member<'a>(of: &'a Json, name: &str, text: bool) -> Known<'a> {
    let Some(value) = of.member(name) else {
        // Of an array, a text, a number: NULL as well.
        return Ok(Value::Null);
    };
    if !text {
        return Ok(Value::Json(Document(value)));
    }
    match value {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => Ok(Value::Text(if *value { "true" } else { "false" }.into())),
        Json::Integer(number) => Ok(Value::Text(number.as_str().into())),
        Json::Text(text) => Ok(Value::Text(text.as_str().into())),
        // Written differently by json and jsonb.
        Json::Number | Json::Array | Json::Object(_) => Err(Unsure),
    }
}
