//! Why the database (or we in its name) refuses a filter or a selection (postgres.md §2.6).
use std::borrow::Cow;
use std::fmt;

use super::grammar::Op;

/// The exception of envelope (b): displays as `ERROR <sqlstate> (<condition name>) <message>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// Five characters.
    pub sqlstate: Cow<'static, str>,
    /// First line of the message.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ERROR {} ({}) {}",
            self.sqlstate,
            condition_name(&self.sqlstate),
            self.message
        )
    }
}

impl Refusal {
    /// What Postgres said while it validated something.
    #[must_use]
    pub fn from_database(sqlstate: &str, message: &str) -> Self {
        Self {
            sqlstate: Cow::Owned(sqlstate.to_owned()),
            message: message.to_owned(),
        }
    }

    /// The filter's column does not exist, is a system column, or may not be selected by the role.
    #[must_use]
    pub fn invalid_filter_column(column: &str) -> Self {
        Self::raised(format!("invalid column for filter {column}"))
    }

    /// A column of `select` does not exist or may not be selected by the role.
    #[must_use]
    pub fn invalid_select_column(column: &str) -> Self {
        Self::raised(format!("invalid column for select {column}"))
    }

    /// The role in the claims does not exist.
    #[must_use]
    pub fn unknown_role(role: &str) -> Self {
        Self::with_code("42704", format!("role \"{role}\" does not exist"))
    }

    /// What the original makes of a regular expression Postgres refused (2201B); `message` is Postgres' own.
    #[must_use]
    pub fn invalid_regex(op: Op, message: &str) -> Self {
        Self::raised(format!(
            "invalid regular expression for {} filter: {message}",
            op.as_str()
        ))
    }

    pub(super) fn raised(message: String) -> Self {
        Self::with_code("P0001", message)
    }

    pub(super) fn with_code(sqlstate: &'static str, message: String) -> Self {
        Self {
            sqlstate: Cow::Borrowed(sqlstate),
            message,
        }
    }
}

/// Postgres' name of the codes a filter can meet; the code itself for others.
fn condition_name(sqlstate: &str) -> &str {
    match sqlstate {
        "P0001" => "raise_exception",
        "22P02" => "invalid_text_representation",
        "22003" => "numeric_value_out_of_range",
        "22007" => "invalid_datetime_format",
        "22008" => "datetime_field_overflow",
        "22009" => "invalid_time_zone_displacement_value",
        "22021" => "character_not_in_repertoire",
        "22023" => "invalid_parameter_value",
        "22025" => "invalid_escape_sequence",
        "2200M" => "invalid_xml_document",
        "2201B" => "invalid_regular_expression",
        "2202E" => "array_subscript_error",
        "22P03" => "invalid_binary_representation",
        "23502" => "not_null_violation",
        "23514" => "check_violation",
        "42501" => "insufficient_privilege",
        "42601" => "syntax_error",
        "42704" => "undefined_object",
        "42804" => "datatype_mismatch",
        "42883" => "undefined_function",
        "42P22" => "indeterminate_collation",
        "54000" => "program_limit_exceeded",
        "57014" => "query_canceled",
        other => other,
    }
}
