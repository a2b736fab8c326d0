//! Checks what the tenant API is asked to write (protocol.md §8.5), in the words of the original.
//!
//! Unknown fields are passed over. `null` and blank text take a field back to its default. Nothing here touches the
//! database; whether the tenant exists is the caller's to know.

use serde_json::{Map, Value, json};

use super::record::DATABASE;

/// What is to be written. Values are plain; the store encrypts.
#[derive(Clone, Default, PartialEq)]
pub struct Change {
    /// Columns of `tenants` and their values.
    pub columns: Vec<(&'static str, Value)>,
    /// The secret of client tokens: a new one, or (`Some(None)`) none any more.
    pub jwt_secret: Option<Option<String>>,
    /// Settings of each extension, which replace those there are.
    pub extensions: Option<Vec<Map<String, Value>>>,
}

/// Limits of a tenant that names none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTenant {
    /// From `TENANT_MAX_CONCURRENT_USERS`.
    pub max_concurrent_users: u64,
    /// From `TENANT_MAX_CHANNELS_PER_CLIENT`.
    pub max_channels_per_client: u64,
    /// From `TENANT_MAX_JOINS_PER_SECOND`.
    pub max_joins_per_second: u64,
    /// From `TENANT_MAX_EVENTS_PER_SECOND`.
    pub max_events_per_second: u64,
    /// From `TENANT_MAX_BYTES_PER_SECOND`.
    pub max_bytes_per_second: u64,
}

/// Why a body is refused, for each field a list: the body of the 422.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors(Map<String, Value>);

impl Errors {
    /// One error of one field.
    pub fn of(field: &str, error: &str) -> Self {
        let mut errors = Self::default();
        errors.add(field, error);
        errors
    }

    /// `{"errors":{…}}`
    pub fn to_json(&self) -> Value {
        json!({ "errors": self.0 })
    }

    /// These and those.
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    fn add(&mut self, field: &str, error: &str) {
        self.0.insert(field.to_owned(), json!([error]));
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Object,
    Adapter,
}

/// Columns that may be written, and what `null` makes of them.
const COLUMNS: [(&str, Kind, Value); 17] = [
    ("name", Kind::Text, Value::Null),
    ("jwt_jwks", Kind::Object, Value::Null),
    ("postgres_cdc_default", Kind::Text, Value::Null),
    ("max_concurrent_users", Kind::Integer, Value::Null),
    ("max_events_per_second", Kind::Integer, Value::Null),
    ("max_bytes_per_second", Kind::Integer, Value::Null),
    ("max_channels_per_client", Kind::Integer, Value::Null),
    ("max_joins_per_second", Kind::Integer, Value::Null),
    ("max_presence_events_per_second", Kind::Integer, Value::Null),
    ("max_payload_size_in_kb", Kind::Integer, Value::Null),
    (
        "max_client_presence_events_per_window",
        Kind::Integer,
        Value::Null,
    ),
    ("client_presence_window_ms", Kind::Integer, Value::Null),
    ("suspend", Kind::Boolean, Value::Bool(false)),
    ("private_only", Kind::Boolean, Value::Bool(false)),
    ("presence_enabled", Kind::Boolean, Value::Bool(false)),
    ("migrations_ran", Kind::Integer, Value::Null),
    ("broadcast_adapter", Kind::Adapter, Value::Null),
];

const INVALID: &str = "is invalid";
const BLANK: &str = "can't be blank";

/// Checks a body for a tenant that has `existing` extensions (0 when it is new): their number shows in the errors.
///
/// # Errors
///
/// Every field that is wrong.
pub fn check(
    body: &Map<String, Value>,
    existing: usize,
    defaults: &NewTenant,
) -> Result<Change, Errors> {
    let mut errors = Errors::default();
    let mut change = Change::default();
    for (column, kind, empty) in COLUMNS {
        let Some(given) = body.get(column) else {
            continue;
        };
        match cast(kind, given) {
            Some(Value::Null) => change
                .columns
                .push((column, reset(column, empty, defaults))),
            Some(value) => change.columns.push((column, value)),
            None => errors.add(column, INVALID),
        }
    }
    match body.get("feature_flags") {
        None => {}
        Some(Value::Null) => change.columns.push(("feature_flags", json!({}))),
        Some(flags @ Value::Object(_)) => change.columns.push(("feature_flags", flags.clone())),
        Some(_) => errors.add("feature_flags", INVALID),
    }
    match body.get("jwt_secret").map(|given| cast(Kind::Text, given)) {
        None => {}
        Some(Some(Value::String(secret))) => change.jwt_secret = Some(Some(secret)),
        Some(Some(_)) => change.jwt_secret = Some(None),
        Some(None) => errors.add("jwt_secret", INVALID),
    }
    match body
        .get("extensions")
        .map(|given| extensions(given, existing))
    {
        None => {}
        Some(Ok(list)) => change.extensions = Some(list),
        Some(Err(found)) => {
            errors.0.insert("extensions".to_owned(), found);
        }
    }
    if errors.0.is_empty() {
        Ok(change)
    } else {
        Err(errors)
    }
}

/// The name of the tenant that `POST` is to write.
///
/// # Errors
///
/// When it is missing or no text.
pub fn external_id(body: &Map<String, Value>) -> Result<String, Errors> {
    let given = body.get("external_id").unwrap_or(&Value::Null);
    match cast(Kind::Text, given) {
        Some(Value::String(name)) => Ok(name),
        Some(_) => Err(Errors::of("external_id", BLANK)),
        None => Err(Errors::of("external_id", INVALID)),
    }
}

impl Change {
    /// Completes the change to a whole new tenant of this name.
    ///
    /// # Errors
    ///
    /// When there is no extension, or nothing to verify tokens with.
    pub fn into_new(mut self, external_id: &str, defaults: &NewTenant) -> Result<Self, Errors> {
        if self.extensions.as_ref().is_none_or(Vec::is_empty) {
            return Err(Errors::of("extensions", BLANK));
        }
        let has_keys = self.column("jwt_jwks").is_some_and(|keys| !keys.is_null());
        if !has_keys && !matches!(self.jwt_secret, Some(Some(_))) {
            return Err(no_keys());
        }
        self.columns.retain(|(column, _)| *column != "name");
        self.columns.push(("name", json!(external_id)));
        for column in [
            "max_concurrent_users",
            "max_channels_per_client",
            "max_joins_per_second",
            "max_events_per_second",
            "max_bytes_per_second",
        ] {
            if self.column(column).is_none() {
                let value = reset(column, Value::Null, defaults);
                self.columns.push((column, value));
            }
        }
        Ok(self)
    }

    /// What a column becomes, if it is written.
    pub fn column(&self, name: &str) -> Option<&Value> {
        let found = self.columns.iter().find(|(column, _)| *column == name);
        found.map(|(_, value)| value)
    }
}

/// A tenant would be left without a secret and without keys.
pub fn no_keys() -> Errors {
    Errors::of(
        "jwt_secret",
        "either jwt_secret or jwt_jwks must be provided",
    )
}

/// The value as its column takes it, `null` when it is empty; none when it is of another kind.
fn cast(kind: Kind, given: &Value) -> Option<Value> {
    if given.is_null() || given.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Some(Value::Null);
    }
    match (kind, given) {
        (Kind::Text, Value::String(_)) | (Kind::Object, Value::Object(_)) => Some(given.clone()),
        (Kind::Adapter, Value::String(text)) if text == "phoenix" || text == "gen_rpc" => {
            Some(given.clone())
        }
        (Kind::Boolean, Value::Bool(_)) => Some(given.clone()),
        (Kind::Boolean, Value::String(text)) => match text.as_str() {
            "true" | "1" => Some(json!(true)),
            "false" | "0" => Some(json!(false)),
            _ => None,
        },
        (Kind::Integer, Value::Number(number)) => integer(number.as_i64()?),
        (Kind::Integer, Value::String(text)) => integer(text.parse().ok()?),
        _ => None,
    }
}

fn integer(number: i64) -> Option<Value> {
    let fits = (0..=i64::from(i32::MAX)).contains(&number);
    fits.then(|| json!(number))
}

fn reset(column: &str, empty: Value, defaults: &NewTenant) -> Value {
    match column {
        "max_concurrent_users" => json!(defaults.max_concurrent_users),
        "max_channels_per_client" => json!(defaults.max_channels_per_client),
        "max_joins_per_second" => json!(defaults.max_joins_per_second),
        "max_events_per_second" => json!(defaults.max_events_per_second),
        "max_bytes_per_second" => json!(defaults.max_bytes_per_second),
        "max_presence_events_per_second" => json!(1000),
        "max_payload_size_in_kb" => json!(3000),
        "migrations_ran" => json!(0),
        "postgres_cdc_default" => json!(DATABASE),
        "broadcast_adapter" => json!("gen_rpc"),
        _ => empty,
    }
}

/// The settings of each entry with defaults, or what is wrong: first an empty object for each extension that would be
/// replaced, then one for each entry.
fn extensions(given: &Value, existing: usize) -> Result<Vec<Map<String, Value>>, Value> {
    let Value::Array(entries) = given else {
        return Err(json!([INVALID]));
    };
    if entries.is_empty() {
        return Err(json!([BLANK]));
    }
    let mut list = Vec::new();
    let mut found = vec![json!({}); existing];
    let mut wrong = false;
    for entry in entries {
        let Value::Object(entry) = entry else {
            return Err(json!([INVALID]));
        };
        let checked = match list.is_empty() {
            true => extension(entry),
            // All are of one type, and a tenant has one of a type.
            false => Err(json!({ "tenant_external_id": ["has already been taken"] })),
        };
        match checked {
            Ok(settings) => {
                list.push(settings);
                found.push(json!({}));
            }
            Err(errors) => {
                wrong = true;
                found.push(errors);
            }
        }
    }
    if wrong { Err(json!(found)) } else { Ok(list) }
}

fn extension(entry: &Map<String, Value>) -> Result<Map<String, Value>, Value> {
    match entry.get("type") {
        Some(Value::String(kind)) if kind == DATABASE || kind == "postgres" => {}
        None | Some(Value::Null) => return Err(json!({ "type": [BLANK] })),
        Some(_) => return Err(json!({ "type": [INVALID] })),
    }
    let given = match entry.get("settings") {
        Some(Value::Object(given)) => given,
        None | Some(Value::Null) => return Err(json!({ "settings": [BLANK] })),
        Some(_) => return Err(json!({ "settings": [INVALID] })),
    };
    let mut settings = Map::new();
    for (name, default) in [
        ("poll_interval_ms", json!(100)),
        ("poll_max_changes", json!(100)),
        ("poll_max_record_bytes", json!(1_048_576)),
        ("publication", json!("supabase_realtime")),
        ("slot_name", json!("supabase_realtime_replication_slot")),
    ] {
        settings.insert(name.to_owned(), default);
    }
    for (name, value) in given {
        // The stored name has lost a letter.
        let name = match name.as_str() {
            "postgres_changes_pool" => "subcriber_pool_size",
            name => name,
        };
        settings.insert(name.to_owned(), value.clone());
    }
    // The original lists them in this order.
    let required = [
        "db_password",
        "db_user",
        "db_name",
        "db_port",
        "db_host",
        "region",
    ];
    let wrong = required.into_iter().filter_map(|name| {
        let error = wrong_setting(name, settings.get(name))?;
        Some(format!("{name} {error}"))
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() {
        Ok(settings)
    } else {
        Err(json!({ "settings": wrong }))
    }
}

fn wrong_setting(name: &str, value: Option<&Value>) -> Option<&'static str> {
    match value {
        None | Some(Value::Null) => Some(BLANK),
        Some(Value::String(text)) => match name {
            "db_port" if text.parse::<u16>().is_ok_and(|port| port != 0) => None,
            "db_port" => Some(INVALID),
            "db_password" | "region" => None,
            _ if text.is_empty() => Some(BLANK),
            _ => None,
        },
        Some(_) => Some(INVALID),
    }
}

#[cfg(test)]
mod tests;
