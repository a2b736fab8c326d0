//! One entry of `postgres_changes` as a client sends it: which tables, which operations, which columns.
//!
//! Reads and refuses as the original does (postgres.md §2.2 to §2.4), in its order: `select` type, which keys there
//! are, the filter, `select` with wildcards. Knows no database.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::filter::{self, Condition};

/// Operations a binding wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// `*`
    All,
    /// `INSERT`
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
}

impl Wanted {
    fn read(value: Option<&Value>) -> Self {
        let text = value.and_then(Value::as_str).unwrap_or_default();
        match text.to_ascii_uppercase().as_str() {
            "INSERT" => Self::Insert,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            _ => Self::All,
        }
    }

    /// As the original spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::All => "*",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// What an entry asks for. Equal requests of different clients are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    /// Operations.
    pub(crate) wanted: Wanted,
    /// Schema name or `*`.
    pub(crate) schema: String,
    /// Table name or `*`.
    pub(crate) table: String,
    /// All must hold.
    pub(crate) conditions: Vec<Condition>,
    /// Selected columns besides the key, sorted; `None` for all.
    pub(crate) select: Option<Arc<[String]>>,
}

impl Request {
    /// Reads an entry; the error is the text of the `system` message.
    pub(crate) fn read(params: &Map<String, Value>) -> Result<Self, String> {
        let select = match params.get("select") {
            Some(Value::String(_)) => {
                return Err(
                    "Error parsing `select` params: expected a list of column name strings, \
                            e.g. select: [\"col1\", \"col2\"]"
                        .to_owned(),
                );
            }
            Some(Value::Array(names)) => {
                let mut names: Vec<String> = names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                names.sort_unstable();
                (!names.is_empty()).then(|| names.into())
            }
            _ => None,
        };
        let keys = (
            params.get("schema"),
            params.get("table"),
            params.get("filter"),
        );
        let (schema, table, text) = match keys {
            (
                Some(Value::String(schema)),
                Some(Value::String(table)),
                Some(Value::String(text)),
            ) => (schema.as_str(), table.as_str(), text.as_str()),
            (Some(Value::String(schema)), Some(Value::String(table)), None) => {
                (schema.as_str(), table.as_str(), "")
            }
            (Some(Value::String(schema)), None, None) => (schema.as_str(), "*", ""),
            (None, Some(Value::String(table)), None) => ("public", table.as_str(), ""),
            _ => return Err(no_params(params)),
        };
        let conditions = filter::parse(text).map_err(|error| error.to_string())?;
        if select.is_some() && (schema == "*" || table == "*") {
            return Err(
                "Column selection is not supported for wildcard subscriptions. \
                        Provide an explicit schema and table name."
                    .to_owned(),
            );
        }
        Ok(Self {
            wanted: Wanted::read(params.get("event")),
            schema: schema.to_owned(),
            table: table.to_owned(),
            conditions,
            select,
        })
    }

    /// Is the table `name` in `schema` meant?
    pub(crate) fn matches(&self, schema: &str, name: &str) -> bool {
        (self.schema == "*" || self.schema == schema) && (self.table == "*" || self.table == name)
    }

    /// The envelope for a request that no published table matches (§2.6 a).
    pub(crate) fn no_table(&self) -> String {
        format!(
            "Unable to subscribe to changes with given parameters. Please check Realtime is enabled \
             for the given connect parameters: {self}"
        )
    }

    /// The envelope for a request that the database refused (§2.6 b).
    pub(crate) fn refused(&self, refusal: &filter::Refusal) -> String {
        format!(
            "Unable to subscribe to changes with given parameters. An exception happened so please check \
             your connect parameters: {self}. Exception: {refusal}"
        )
    }
}

/// The bracket of both envelopes.
impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "[event: {}, schema: {}, table: {}, filters: {}, select: {}]",
            self.wanted.as_str(),
            self.schema,
            self.table,
            filter::describe_filters(&self.conditions),
            filter::describe_select(self.select.as_deref()),
        )
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn no_params(params: &Map<String, Value>) -> String {
    let tail = if params.contains_key("user_token") || params.contains_key("auth_token") {
        "<redacted>".to_owned()
    } else {
        let mut tail = String::new();
        elixir_map(&mut tail, params);
        tail
    };
    format!(
        "No subscription params provided. Please provide at least a `schema` or `table` to subscribe to: {tail}"
    )
}

/// A value in the notation of the original's language; keys sorted.
fn elixir(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("nil"),
        Value::Object(map) => elixir_map(out, map),
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push_str(", ");
                }
                elixir(out, item);
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

fn elixir_map(out: &mut String, map: &Map<String, Value>) {
    let mut keys: Vec<(&String, &Value)> = map.iter().collect();
    keys.sort_unstable_by_key(|(key, _)| *key);
    out.push_str("%{");
    for (number, (key, value)) in keys.into_iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        out.push_str(&quoted(key));
        out.push_str(" => ");
        elixir(out, value);
    }
    out.push('}');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(entry: Value) -> Result<Request, String> {
        Request::read(entry.as_object().unwrap())
    }

    #[test]
    fn key_combinations_mean_what_the_original_makes_of_them() {
        let of = |entry| {
            read(entry)
                .map(|request| (request.schema, request.table))
                .ok()
        };
        let pair = |schema: &str, table: &str| Some((schema.to_owned(), table.to_owned()));
        assert_eq!(of(json!({"schema": "s", "table": "t"})), pair("s", "t"));
        assert_eq!(of(json!({"schema": "s"})), pair("s", "*"));
        assert_eq!(of(json!({"table": "t"})), pair("public", "t"));
        for refused in [
            json!({}),
            json!({"schema": "s", "filter": "a=eq.1"}),
            json!({"table": "t", "filter": "a=eq.1"}),
            json!({"schema": "s", "table": "t", "filter": null}),
            json!({"schema": "s", "table": null}),
            json!({"schema": 1, "table": "t"}),
        ] {
            assert_eq!(of(refused), None);
        }
    }

    #[test]
    fn a_refusal_shows_the_entry_unless_it_carries_a_token() {
        let message = read(json!({"event": "*", "filter": null})).unwrap_err();
        assert!(
            message.ends_with("to: %{\"event\" => \"*\", \"filter\" => nil}"),
            "{message}"
        );
        let message = read(json!({"event": "*", "user_token": "secret"})).unwrap_err();
        assert!(message.ends_with("to: <redacted>"), "{message}");
    }

    #[test]
    fn the_bracket_is_written_as_by_the_original() {
        let request = read(json!({
            "event": "insert", "schema": "public", "table": "t", "filter": "n=not.eq.a\"b", "select": ["z", 5, "a"]
        }));
        assert_eq!(
            request.unwrap().to_string(),
            "[event: INSERT, schema: public, table: t, filters: [{\"n\", \"eq\", \"a\\\"b\", true}], select: [\"a\", \"z\"]]"
        );
    }

    #[test]
    fn a_selection_needs_a_named_table() {
        let message = read(json!({"schema": "s", "select": ["id"]})).unwrap_err();
        assert!(
            message.starts_with("Column selection is not supported"),
            "{message}"
        );
        assert_eq!(
            read(json!({"schema": "s", "select": [5]})).unwrap().select,
            None
        );
    }
}
