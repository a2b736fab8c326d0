//! The payload of `phx_join` (protocol.md §3.2–§3.5), read with the leniency of the original: a value of the wrong
//! type costs its own meaning, never the join.

use serde_json::{Map, Value};

/// Entries of `config.postgres_changes` that one channel may have; each costs a validation.
const MAX_BINDINGS: usize = 1000;

/// What a client asked for when it joined.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Private namespace, policies apply.
    pub private: bool,
    /// Reply to each broadcast.
    pub ack: bool,
    /// Deliver own broadcasts back.
    pub self_broadcast: bool,
    /// Announce when broadcasts from the database flow (§3.6).
    pub replication_ready: bool,
    /// The key `replay` was present, with its value (§5.9).
    pub replay: Option<Value>,
    /// Ask for `presence_state`.
    pub presence_enabled: bool,
    /// The key of this channel's presence, `None` for a generated one.
    pub presence_key: Option<String>,
    /// Postgres Changes bindings in the order of the reply.
    pub postgres_changes: Vec<Binding>,
    /// Which token the channel uses.
    pub token: TokenChoice,
}

/// One entry of `config.postgres_changes`, or the one a legacy join stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// Deterministic over the entry, never 0, below 2²⁷ (P-074, P-075).
    pub id: u64,
    /// The entry as sent.
    pub params: Map<String, Value>,
    /// Changes are delivered as events named by the operation, unwrapped (§3.17).
    pub legacy: bool,
}

/// Which token a join uses (§3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChoice {
    /// The one accepted at connect.
    Connection,
    /// The one in the payload.
    Given(String),
}

/// A payload that cannot be read at all; the join fails with `UnknownErrorOnChannel: <this>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not an object.
    #[error("the join payload must be an object")]
    Payload,
    /// `config` is neither object nor null.
    #[error("config must be an object")]
    Config,
    /// `config.broadcast` is neither object nor null.
    #[error("config.broadcast must be an object")]
    Broadcast,
    /// An item of `config.postgres_changes` is neither object nor null.
    #[error("entries of config.postgres_changes must be objects")]
    PostgresChanges,
    /// More entries than one channel may have.
    #[error("config.postgres_changes has more than {MAX_BINDINGS} entries")]
    TooManyPostgresChanges,
}

/// Reads the payload of a join on `sub_topic`.
pub fn parse(payload: &str, sub_topic: &str) -> Result<Join, Unusable> {
    let Ok(Value::Object(mut payload)) = serde_json::from_str(payload) else {
        return Err(Unusable::Payload);
    };
    let token = choose_token(&payload);
    let (config, legacy) = match payload.remove("config") {
        None => (Map::new(), true),
        Some(Value::Null) => (Map::new(), false),
        Some(Value::Object(config)) => (config, false),
        Some(_) => return Err(Unusable::Config),
    };
    let empty = Map::new();
    let broadcast = match config.get("broadcast") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(broadcast)) => broadcast,
        Some(_) => return Err(Unusable::Broadcast),
    };
    let presence = match config.get("presence") {
        Some(Value::Object(presence)) => presence,
        _ => &empty,
    };
    let postgres_changes = if legacy {
        vec![legacy_binding(sub_topic)]
    } else {
        bindings(config.get("postgres_changes"))?
    };
    Ok(Join {
        private: flag(config.get("private")),
        ack: flag(broadcast.get("ack")),
        self_broadcast: flag(broadcast.get("self")),
        replication_ready: !matches!(
            broadcast.get("replication_ready"),
            None | Some(Value::Null | Value::Bool(false))
        ),
        replay: broadcast.get("replay").cloned(),
        presence_enabled: flag(presence.get("enabled")),
        presence_key: presence_key(presence.get("key")),
        postgres_changes,
        token,
    })
}

/// A boolean, or a string that spells one in any case; everything else is the default.
fn flag(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn presence_key(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(key) if !key.is_empty() => Some(key.clone()),
        Value::Number(key) => Some(key.to_string()),
        Value::Bool(key) => Some(key.to_string()),
        _ => None,
    }
}

fn choose_token(payload: &Map<String, Value>) -> TokenChoice {
    let access = payload.get("access_token");
    let user = payload.get("user_token");
    let first = match access {
        None | Some(Value::Null | Value::Bool(false)) => user,
        given => given,
    };
    // Publishable and secret API keys are no JWTs: the connection token stands in.
    if let Some(Value::String(token)) = first
        && token.starts_with("sb_")
    {
        return TokenChoice::Connection;
    }
    match (user, access) {
        (Some(Value::String(token)), _) | (_, Some(Value::String(token))) => {
            TokenChoice::Given(token.clone())
        }
        _ => TokenChoice::Connection,
    }
}

fn bindings(value: Option<&Value>) -> Result<Vec<Binding>, Unusable> {
    let Some(Value::Array(entries)) = value else {
        return Ok(Vec::new());
    };
    if entries.len() > MAX_BINDINGS {
        return Err(Unusable::TooManyPostgresChanges);
    }
    entries
        .iter()
        .filter(|entry| !entry.is_null())
        .map(|entry| match entry {
            Value::Object(params) => Ok(Binding {
                id: binding_id(params),
                params: params.clone(),
                legacy: false,
            }),
            _ => Err(Unusable::PostgresChanges),
        })
        .collect()
}

/// `schema[:table[:filter]]`, as the API before 2022 had it.
fn legacy_binding(sub_topic: &str) -> Binding {
    let params: Map<String, Value> = ["schema", "table", "filter"]
        .into_iter()
        .zip(sub_topic.splitn(3, ':'))
        .map(|(key, part)| (key.to_owned(), Value::String(part.to_owned())))
        .collect();
    Binding {
        id: binding_id(&params),
        params,
        legacy: true,
    }
}

/// FNV-1a over the entry's canonical text (keys sorted), folded into 1 … 2²⁷−1. The entry's own `id` does not count,
/// because the reply overwrites it.
fn binding_id(params: &Map<String, Value>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for (key, value) in params.iter().filter(|(key, _)| *key != "id") {
        add(key);
        add(&value.to_string());
    }
    (hash ^ (hash >> 32)) % ((1 << 27) - 1) + 1
}

impl Join {
    /// JSON text of the response of a successful join: every binding as sent, plus its id (P-073, P-074).
    pub fn response(&self) -> String {
        let entries: Vec<Value> = self
            .postgres_changes
            .iter()
            .map(|binding| {
                let mut entry = binding.params.clone();
                entry.insert("id".to_owned(), binding.id.into());
                Value::Object(entry)
            })
            .collect();
        serde_json::json!({ "postgres_changes": entries }).to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn join(payload: &str) -> Join {
        parse(payload, "room").unwrap()
    }

    #[test]
    fn flags_are_lenient() {
        let text = r#"{"config":{"private":"TRUE","broadcast":{"ack":"true","self":"yes"},"presence":{"enabled":1}}}"#;
        let join = join(text);
        assert!(join.private && join.ack);
        assert!(!join.self_broadcast && !join.presence_enabled);
    }

    #[test]
    fn only_hopeless_payloads_are_refused() {
        for (payload, error) in [
            ("[]", Unusable::Payload),
            ("\"x\"", Unusable::Payload),
            (r#"{"config":"x"}"#, Unusable::Config),
            (r#"{"config":{"broadcast":1}}"#, Unusable::Broadcast),
            (
                r#"{"config":{"postgres_changes":["x"]}}"#,
                Unusable::PostgresChanges,
            ),
        ] {
            assert_eq!(parse(payload, "room"), Err(error), "{payload}");
        }
        for payload in [
            r#"{"config":null}"#,
            r#"{"config":{"config":{"private":true}}}"#,
            r#"{"config":{"presence":[],"broadcast":null,"postgres_changes":{}}}"#,
            r#"{"config":{"postgres_changes":[null]},"access_token":null}"#,
        ] {
            assert!(join(payload).postgres_changes.is_empty(), "{payload}");
        }
    }

    #[test]
    fn equal_entries_have_equal_ids_and_a_sent_id_is_overwritten() {
        let join = join(
            r#"{"config":{"postgres_changes":[{"event":"*","schema":"public","x":1},{"schema":"public","id":5,"event":"*","x":1},{"event":"INSERT","schema":"public"}]}}"#,
        );
        let ids: Vec<u64> = join.postgres_changes.iter().map(|b| b.id).collect();
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
        let response: Value = serde_json::from_str(&join.response()).unwrap();
        assert_eq!(response["postgres_changes"][1]["id"], ids[1]);
        assert_eq!(response["postgres_changes"][0]["x"], 1);
    }

    #[test]
    fn a_legacy_join_subscribes_by_its_topic() {
        let join = parse("{}", "public:todos:id=eq.1:2").unwrap();
        let binding = &join.postgres_changes[0];
        assert!(binding.legacy);
        assert_eq!(binding.params["filter"], "id=eq.1:2");
        assert_eq!(
            parse("{}", "*").unwrap().postgres_changes[0].params["schema"],
            "*"
        );
    }

    #[test]
    fn the_token_is_chosen_in_the_specified_order() {
        let given = |token: &str| TokenChoice::Given(token.to_owned());
        for (payload, token) in [
            (r#"{"access_token":"a","user_token":"u"}"#, given("u")),
            (r#"{"access_token":"a"}"#, given("a")),
            (r#"{"access_token":""}"#, given("")),
            (r#"{"access_token":5}"#, TokenChoice::Connection),
            (r#"{"access_token":null,"user_token":"u"}"#, given("u")),
            (
                r#"{"access_token":"sb_publishable_x","user_token":"u"}"#,
                TokenChoice::Connection,
            ),
            ("{}", TokenChoice::Connection),
        ] {
            assert_eq!(join(payload).token, token, "{payload}");
        }
    }

    #[test]
    fn presence_keys_of_scalars_are_text() {
        for (key, expected) in [
            ("\"\"", None),
            ("null", None),
            ("[1]", None),
            ("7", Some("7")),
            ("true", Some("true")),
            ("\"a\"", Some("a")),
        ] {
            let payload = format!(r#"{{"config":{{"presence":{{"key":{key}}}}}}}"#);
            assert_eq!(join(&payload).presence_key.as_deref(), expected, "{key}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = parse(&text, &text);
        }

        #[test]
        fn ids_are_positive_and_small(schema in ".{0,20}", filter in ".{0,20}") {
            let mut params = Map::new();
            params.insert("schema".into(), schema.into());
            params.insert("filter".into(), filter.into());
            let id = binding_id(&params);
            prop_assert!(id > 0 && id < 1 << 27);
        }
    }
}
