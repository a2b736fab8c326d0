//! Conditions as SQL, for what only Postgres can decide: patterns, the order of text, and every type whose
//! comparison is not done here. Literals carry their type by its full name and are quoted so that no setting
//! changes their meaning.
use super::grammar::{Condition, Op};
use super::native::Comparison;
use crate::changes::record::schema::{Oid, TypeKind, Types, oids};
use crate::changes::record::sql_text::{identifier, literal, type_name};

/// A condition that Postgres evaluates. Equal conditions have equal text, so distinct ones can be interned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PostgresFilter {
    before: String,
    column: String,
    after: String,
}

impl PostgresFilter {
    /// A boolean SQL expression over the column, in parentheses. `row` qualifies the column with an alias
    /// (unquoted here, quoted in the text). Three-valued: wrap it in `coalesce(…, false)` or test `is true`.
    #[must_use]
    pub fn expression(&self, row: Option<&str>) -> String {
        let qualifier = row
            .map(|row| format!("{}.", identifier(row)))
            .unwrap_or_default();
        format!("{}{qualifier}{}{}", self.before, self.column, self.after)
    }
}

/// Builds the expression; `None` when the type is not known.
pub(super) fn postgres_filter(
    condition: &Condition,
    base: Oid,
    types: &Types,
) -> Option<PostgresFilter> {
    let (left_before, left_after) = left_side(condition.op, base, types)?;
    let right = right_side(condition, base, types)?;
    let (not, close) = if condition.negate {
        ("(NOT (", "))")
    } else {
        ("(", ")")
    };
    Some(PostgresFilter {
        before: format!("{not}{left_before}"),
        column: identifier(&condition.column),
        after: format!("{left_after} {}{close}", right),
    })
}

/// What stands before and after the column.
fn left_side(op: Op, base: Oid, types: &Types) -> Option<(String, String)> {
    let name = type_name(types, base)?;
    Some(match base {
        // Comparisons follow the default collation of the database, not the column's own (§2.10.4).
        oids::TEXT | oids::VARCHAR => (
            "(".to_owned(),
            "::pg_catalog.text COLLATE pg_catalog.\"default\")".to_owned(),
        ),
        oids::BPCHAR => (
            "(".to_owned(),
            format!("::{name} COLLATE pg_catalog.\"default\")"),
        ),
        // Patterns see what clients see (§2.10.9).
        oids::BYTEA if is_pattern(op) => ("pg_catalog.encode(".to_owned(), ", 'hex')".to_owned()),
        // JSON null counts as NULL (§2.10.8).
        oids::JSONB => ("nullif(".to_owned(), format!(", 'null'::{name})")),
        _ => ("(".to_owned(), format!("::{name})")),
    })
}

/// Operator and literal.
fn right_side(condition: &Condition, base: Oid, types: &Types) -> Option<String> {
    let value = literal(&condition.value);
    let typed = typed_literal(&condition.value, base, types)?;
    Some(match condition.op {
        Op::In => format!("= ANY ({value}::{}[])", type_name(types, base)?),
        Op::IsDistinct => format!("IS DISTINCT FROM {typed}"),
        op if is_pattern(op) => {
            let pattern = if is_citext(types, base) {
                typed
            } else {
                format!("{value}::pg_catalog.text")
            };
            format!("{} {pattern}", operator(op)?)
        }
        op => format!("{} {typed}", operator(op)?),
    })
}

/// The value as a literal of the (base) type.
pub(super) fn typed_literal(value: &str, base: Oid, types: &Types) -> Option<String> {
    let name = match base {
        oids::VARCHAR => "pg_catalog.text".to_owned(),
        _ => type_name(types, base)?,
    };
    Some(format!("{}::{name}", literal(value)))
}

/// The SQL operator between a column and one value.
pub(super) fn operator(op: Op) -> Option<&'static str> {
    Some(match op {
        Op::Like => "LIKE",
        Op::Ilike => "ILIKE",
        Op::Match => "~",
        Op::Imatch => "~*",
        _ => match Comparison::of(op)? {
            Comparison::Eq => "=",
            Comparison::Neq => "<>",
            Comparison::Lt => "<",
            Comparison::Lte => "<=",
            Comparison::Gt => ">",
            Comparison::Gte => ">=",
        },
    })
}

pub(super) fn is_pattern(op: Op) -> bool {
    matches!(op, Op::Like | Op::Ilike | Op::Match | Op::Imatch)
}

/// The extension's type, wherever it is installed.
pub(super) fn is_citext(types: &Types, base: Oid) -> bool {
    types
        .get(base)
        .is_some_and(|info| info.name == "citext" && info.kind == TypeKind::Base)
}
