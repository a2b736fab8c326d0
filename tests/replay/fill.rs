//! What is filled in before sending: tokens, times, repetitions.

use std::sync::{Arc, OnceLock};

use crate::compare::Verdict;
use crate::json::Json;
use crate::support::cluster::{Database, PASSWORD};
use crate::support::token;

const WRONG_SECRET: &str = "another-secret-of-at-least-32-characters-long";

/// Fills placeholders of one scenario.
pub struct Filler<'a> {
    pub tokens: &'a Json,
    pub tenant: Arc<str>,
    /// The database of tenants that are created.
    pub database: Option<&'a Database>,
}

impl Filler<'_> {
    /// The token of that name, freshly signed.
    pub fn token(&self, name: &str) -> String {
        let Some(token) = self.tokens.get(name) else {
            panic!("the scenario has no token {name}");
        };
        if let Some(raw) = token.get("raw").and_then(Json::text) {
            return raw.to_owned();
        }
        let claims = token.get("claims").expect("claims");
        let claims = claims.map_texts(&mut |text| match seconds_from_now(text) {
            Some(time) => Json::Number(time.to_string()),
            None => Json::Text(text.to_owned()),
        });
        let header = match token.get("header") {
            Some(header) => header.to_string(),
            None => r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(),
        };
        let secret = match token.get("sign_with").and_then(Json::text) {
            Some("wrong") => WRONG_SECRET,
            _ => token::SECRET,
        };
        token::sign(&header, &claims.to_string(), secret)
    }

    /// Every placeholder in a text.
    pub fn text(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            let (before, after) = rest.split_at(at);
            filled.push_str(before);
            let end = after.find('>').map_or(after.len(), |end| end + 1);
            let (placeholder, after) = after.split_at(end);
            match self.value(placeholder) {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(placeholder),
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    fn value(&self, placeholder: &str) -> Option<String> {
        let inner = placeholder.strip_prefix('<')?.strip_suffix('>')?;
        match inner {
            "tenant" => return Some(self.tenant.to_string()),
            "jwt_secret" => return Some(token::SECRET.to_owned()),
            _ => {}
        }
        let (kind, rest) = inner.split_once(':')?;
        match kind {
            "token" => Some(self.token(rest)),
            "db" => self.place(rest),
            "repeat" => {
                let (what, times) = rest.rsplit_once(':')?;
                Some(what.repeat(times.parse().ok()?))
            }
            _ => None,
        }
    }

    /// Where the database of created tenants is.
    fn place(&self, part: &str) -> Option<String> {
        let database = self.database?;
        Some(match part {
            "host" => "127.0.0.1".to_owned(),
            "port" => database.port.to_string(),
            "name" => database.name.clone(),
            "user" => "postgres".to_owned(),
            "password" => PASSWORD.to_owned(),
            _ => return None,
        })
    }

    /// Every placeholder in a value.
    pub fn json(&self, value: &Json) -> Json {
        value.map_texts(&mut |text| match milliseconds_from_now(text) {
            Some(time) => Json::Number(time.to_string()),
            None => Json::Text(self.text(text)),
        })
    }
}

/// `<now_ms-1000>`: milliseconds since 1970, as a number.
fn milliseconds_from_now(text: &str) -> Option<i64> {
    let offset = text.strip_prefix("<now_ms")?.strip_suffix('>')?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.ok()?.as_millis()).ok()?;
    Some(now + offset.parse::<i64>().ok()?)
}

/// `<now+3600>`, `<now-100>`: seconds since 1970.
fn seconds_from_now(text: &str) -> Option<i64> {
    let offset = text.strip_prefix("<now")?.strip_suffix('>')?;
    Some(token::now() + offset.parse::<i64>().ok()?)
}

/// Percent-encodes a query value.
pub fn query(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Bytes written as hex digits.
pub fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| {
        let value = char::from(byte).to_digit(16).expect("a hex digit");
        u8::try_from(value).expect("below 16")
    };
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// The inverse of [`hex`].
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Factor on every time limit, from `SLOW`.
pub fn slow() -> f64 {
    static SLOW: OnceLock<f64> = OnceLock::new();
    *SLOW.get_or_init(|| {
        let given = std::env::var("SLOW").ok();
        given.and_then(|slow| slow.parse().ok()).unwrap_or(1.0)
    })
}

/// What filling promises; run as one more test of the suite.
pub fn holds_its_own_rules() -> Verdict {
    let tokens = Json::parse(r#"{"t":{"raw":"abc"}}"#).map_err(|err| err.to_string())?;
    let filler = Filler {
        tokens: &tokens,
        tenant: "dev".into(),
        database: None,
    };
    let cases = [
        ("x<token:t>y", "xabcy"),
        ("<repeat:ab:3>", "ababab"),
        ("<tenant>.host", "dev.host"),
        ("a < b <int> <>", "a < b <int> <>"),
    ];
    for (text, wanted) in cases {
        let filled = filler.text(text);
        if filled != wanted {
            return Err(format!("{text} became {filled}, not {wanted}"));
        }
    }
    if hex(&to_hex(&[0, 15, 255])) != [0, 15, 255] {
        return Err("hex does not survive a round trip".into());
    }
    Ok(())
}
