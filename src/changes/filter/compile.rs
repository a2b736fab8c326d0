//! From a condition and a column to something that can be evaluated (postgres.md §2.6, §2.10).
//!
//! Owns the decision who compares, us or Postgres, and the refusals that need no database to see. The order in
//! which a subscription uses this: [`validation_sql`] asks Postgres about the value, its answer replaces the
//! value, [`compile`] makes the evaluator.
use super::array::parse_array;
use super::grammar::{Condition, Op};
use super::literal::{Family, Scalar};
use super::native::{Comparison, Native, NullRule, Test};
use super::refusal::Refusal;
use super::sql::{PostgresFilter, is_citext, is_pattern, operator, postgres_filter, typed_literal};
use crate::changes::record::schema::{Column, Oid, TypeKind, Types, oids};
use crate::changes::record::sql_text::{literal, type_name};

/// A condition ready to be asked.
#[derive(Debug, Clone)]
pub enum Compiled {
    /// Evaluated here.
    Native(Native),
    /// Evaluated by Postgres over the row's image.
    Postgres(PostgresFilter),
}

/// Longest list of an `in` filter (§2.6).
const MAX_IN_VALUES: usize = 100;

/// Compiles a condition for a column. The value must be the one [`validation_sql`] gave back.
///
/// # Errors
/// [`Refusal`] when the operator cannot be applied to the column's type, or the value is out of bounds in a
/// way that needs no database to see (§2.6).
pub fn compile(condition: &Condition, column: &Column, types: &Types) -> Result<Compiled, Refusal> {
    check(condition, column, types)?;
    let base = types.base_of(column.type_oid);
    let family = Family::of(types, base);
    let test = match condition.op {
        Op::Is => Some(match condition.value.as_str() {
            "true" => Test::Truth(true),
            "false" => Test::Truth(false),
            _ => Test::Null,
        }),
        _ => match family {
            Some(family) => native_test(condition, family, types)?,
            None => None,
        },
    };
    if let Some(test) = test {
        return Ok(Compiled::Native(Native::new(
            test,
            condition.negate,
            null_rule(base, family),
        )));
    }
    postgres_filter(condition, base, types)
        .map(Compiled::Postgres)
        .ok_or_else(|| unknown_type(column.type_oid))
}

/// A query of one row whose first column, of type text, is the canonical form of the condition's value; it
/// replaces [`Condition::value`] before [`compile`]. It fails exactly as Postgres fails for a bad value, a bad
/// regular expression (see [`Refusal::invalid_regex`]) or an operator the type has not. `None`: nothing to ask,
/// the value stands as it is (or [`compile`] refuses it).
///
/// Run it with `DateStyle` ISO, `bytea_output` hex and `extra_float_digits` ≥ 1, or literals lose digits.
#[must_use]
pub fn validation_sql(condition: &Condition, column: &Column, types: &Types) -> Option<String> {
    check(condition, column, types).ok()?;
    let base = types.base_of(column.type_oid);
    let family = Family::of(types, base);
    let value = literal(&condition.value);
    match condition.op {
        Op::Is | Op::Like | Op::Ilike => None,
        // Matching the empty text compiles the expression without running it over anything.
        Op::Match | Op::Imatch => {
            let typed = if is_citext(types, base) {
                type_name(types, base)?
            } else {
                "pg_catalog.text".to_owned()
            };
            Some(format!(
                "SELECT {value}::pg_catalog.text, ''::{typed} {} {value}::{typed}",
                operator(condition.op)?
            ))
        }
        Op::In => {
            // The original compares texts of bytea, so an element is any text (§2.6.5).
            let element = match base {
                oids::BYTEA | oids::VARCHAR => "pg_catalog.text".to_owned(),
                _ => type_name(types, base)?,
            };
            let list = format!("{value}::{element}[]");
            let shown = printed(&list);
            Some(if family.is_some() {
                format!("SELECT {shown}")
            } else {
                format!(
                    "SELECT {shown}, (SELECT pg_catalog.bool_or(e = ANY ({list})) FROM pg_catalog.unnest({list}) AS e)"
                )
            })
        }
        _ if matches!(
            family,
            Some(Family::Text | Family::PaddedText | Family::Bytea)
        ) =>
        {
            None
        }
        op => {
            let typed = typed_literal(&condition.value, base, types)?;
            let shown = printed(&typed);
            Some(match (family, operator(op)) {
                (Some(_), _) => format!("SELECT {shown}"),
                (None, Some(operator)) => {
                    format!("SELECT {shown}, {typed} {operator} {typed}")
                }
                (None, None) => {
                    format!("SELECT {shown}, {typed} IS DISTINCT FROM {typed}")
                }
            })
        }
    }
}

/// The text a type's output function prints. A cast to text is not it: it says `true` for `t`, and cuts the blanks of `char(n)`.
fn printed(expression: &str) -> String {
    format!("pg_catalog.format('%s', {expression})")
}

/// The part of validation that needs no database.
fn check(condition: &Condition, column: &Column, types: &Types) -> Result<(), Refusal> {
    if condition.value.contains('\0') || condition.column.contains('\0') {
        return Err(Refusal::with_code(
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0x00".to_owned(),
        ));
    }
    let info = types
        .get(column.type_oid)
        .ok_or_else(|| unknown_type(column.type_oid))?;
    let base = types.base_of(column.type_oid);
    let is_domain = matches!(info.kind, TypeKind::Domain { .. });
    match condition.op {
        Op::Is => match condition.value.as_str() {
            "null" => Ok(()),
            "true" | "false" | "unknown" if base == oids::BOOL => Ok(()),
            word @ ("true" | "false" | "unknown") => Err(Refusal::raised(format!(
                "is {word} filter requires a boolean column, got {}",
                info.sql_name
            ))),
            _ => Err(Refusal::raised(
                "invalid value for is filter: must be null, true, false, or unknown".to_owned(),
            )),
        },
        op if is_pattern(op) => {
            let accepted = match op {
                Op::Like | Op::Ilike => {
                    matches!(
                        base,
                        oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::NAME | oids::BYTEA
                    )
                }
                _ => matches!(base, oids::TEXT | oids::VARCHAR),
            } || is_citext(types, base);
            if is_domain || !accepted {
                return Err(Refusal::raised(format!(
                    "operator {} requires a text-compatible column type, got {}",
                    op.as_str(),
                    info.sql_name
                )));
            }
            if matches!(op, Op::Like | Op::Ilike) && ends_in_escape(&condition.value) {
                return Err(Refusal::with_code(
                    "22025",
                    "LIKE pattern must not end with escape character".to_owned(),
                ));
            }
            Ok(())
        }
        op => {
            let is_array = types
                .get(base)
                .is_some_and(|info| matches!(info.kind, TypeKind::Array { .. }));
            if matches!(base, oids::JSON | oids::XML | oids::POINT) || (op == Op::In && is_array) {
                let symbol = operator(op).unwrap_or("=");
                let name = types
                    .get(base)
                    .map_or(info.sql_name.as_str(), |info| info.sql_name.as_str());
                return Err(Refusal::with_code(
                    "42883",
                    format!("operator does not exist: {name} {symbol} {name}"),
                ));
            }
            if op == Op::In
                && parse_array(&condition.value)
                    .is_ok_and(|elements| elements.len() > MAX_IN_VALUES)
            {
                return Err(Refusal::raised(format!(
                    "too many values for `in` filter. Maximum {MAX_IN_VALUES}"
                )));
            }
            Ok(())
        }
    }
}

/// The test we can do ourselves; `None` when only Postgres knows the order.
fn native_test(
    condition: &Condition,
    family: Family,
    types: &Types,
) -> Result<Option<Test>, Refusal> {
    let parse = |text: &str| -> Result<Scalar<'static>, Refusal> {
        family.parse_literal(text).ok_or_else(|| {
            Refusal::with_code(
                "22P02",
                format!(
                    "invalid input syntax for {} filter: \"{text}\"",
                    condition.op.as_str()
                ),
            )
        })
    };
    Ok(match (condition.op, Comparison::of(condition.op)) {
        (Op::In, _) => {
            let elements = parse_array(&condition.value).map_err(|_| {
                Refusal::with_code(
                    "22P02",
                    format!("malformed array literal: \"{}\"", condition.value),
                )
            })?;
            let has_null = elements.iter().any(Option::is_none);
            let literals = elements
                .iter()
                .flatten()
                .map(|text| parse(text))
                .collect::<Result<_, _>>()?;
            Some(Test::AnyOf {
                family,
                literals,
                has_null,
            })
        }
        (Op::IsDistinct, _) => Some(Test::Distinct {
            family,
            literal: parse(&condition.value)?,
        }),
        (_, Some(comparison)) if !comparison.needs_order() || family.is_ordered(types) => {
            Some(Test::Compare {
                family,
                comparison,
                literal: parse(&condition.value)?,
            })
        }
        _ => None,
    })
}

fn null_rule(base: Oid, family: Option<Family>) -> NullRule {
    match (base, family) {
        (oids::JSON | oids::JSONB, _) => NullRule::JsonNull,
        (_, Some(family)) => NullRule::NotFinite(family),
        _ => NullRule::Plain,
    }
}

/// A pattern that Postgres would call unfinished as soon as a value reaches its end.
fn ends_in_escape(pattern: &str) -> bool {
    pattern
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'\\')
        .count()
        % 2
        == 1
}

fn unknown_type(type_oid: Oid) -> Refusal {
    Refusal::with_code("42704", format!("type with OID {type_oid} does not exist"))
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
