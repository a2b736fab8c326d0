//! What a verified token says about its bearer.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::TokenError;

/// The claims of a verified token. Two are equal when their JSON text is the same, so that they can
/// be the key of an audience: what one may see, the other may see.
///
/// Only the JSON text is kept besides the few claims every request needs; [`Claims::get`] parses it
/// again, because other claims are asked for once in a while and a parsed map costs a kilobyte or
/// two for every socket.
#[derive(Clone, Debug)]
pub struct Claims {
    /// All claims, exactly the JSON text that was signed; what `request.jwt.claims` becomes (P-246).
    pub json: Arc<str>,
    /// Claim `role`, the database role to assume. Empty when the claim is not a string: no role of
    /// Postgres has that name, so nothing can be done with it.
    pub role: Arc<str>,
    /// Claim `sub`; a number as its decimal text, none when absent or of another type.
    pub sub: Option<Arc<str>>,
    /// Claim `exp`: seconds since 1970, a decimal rounded.
    pub exp: i64,
}

impl Claims {
    /// Reads claims from JSON text as a verified token carries them: an object in which `exp` (a
    /// number) and `role` are present, and `iat` is a number if present. Does not look at the clock
    /// or at a signature.
    pub fn from_json(json: &str) -> Result<Self, TokenError> {
        let map = object(json)?;
        check_times(&map)?;
        Self::from_map(json, &map)
    }

    /// The claims of an object that [`check_times`] has accepted and `json` is the text of.
    pub(super) fn from_map(json: &str, map: &Map<String, Value>) -> Result<Self, TokenError> {
        let (Some(role), Some(exp)) = (map.get("role"), map.get("exp")) else {
            return Err(TokenError::MissingClaims);
        };
        let role = role.as_str().unwrap_or_default();
        // `SET ROLE none` means "back to the login role", which is a superuser in most stacks.
        if role.eq_ignore_ascii_case("none") {
            return Err(TokenError::Unacceptable("role must not be none"));
        }
        let sub = match map.get("sub") {
            Some(Value::String(sub)) => Some(Arc::from(sub.as_str())),
            Some(Value::Number(sub)) => Some(Arc::from(sub.to_string())),
            _ => None,
        };
        Ok(Self {
            json: Arc::from(json),
            role: Arc::from(role),
            sub,
            exp: seconds(exp).ok_or(TokenError::Unacceptable("exp is not a number"))?,
        })
    }

    /// Any claim by name. Parses the claims each time.
    pub fn get(&self, name: &str) -> Option<Value> {
        object(&self.json).ok()?.remove(name)
    }

    /// Whether the claims are past their time: `exp` ≤ `now` (seconds since 1970), no leeway
    /// (P-244). This is what the expiry timer of a channel asks (protocol.md §3.12).
    pub fn check_expiry(&self, now: i64) -> Result<(), TokenError> {
        not_expired(self.exp, now)
    }
}

impl PartialEq for Claims {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Eq for Claims {}

impl Hash for Claims {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.json.hash(state);
    }
}

/// JSON text as an object: not JSON and not an object are different failures.
pub(super) fn object(json: &str) -> Result<Map<String, Value>, TokenError> {
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(TokenError::Unacceptable("header or claims are no object")),
        Err(_) => Err(TokenError::Undecodable),
    }
}

/// `exp` and `iat` must be numbers if they are there; a future `iat` is fine (protocol.md §9.3).
pub(super) fn check_times(map: &Map<String, Value>) -> Result<(), TokenError> {
    if map.get("exp").is_some_and(|exp| !exp.is_number()) {
        return Err(TokenError::Unacceptable("exp is not a number"));
    }
    if map.get("iat").is_some_and(|iat| !iat.is_number()) {
        return Err(TokenError::Unacceptable("iat is not a number"));
    }
    Ok(())
}

/// The `exp` of claims that may have none.
pub(super) fn expiry(map: &Map<String, Value>) -> Option<i64> {
    map.get("exp").and_then(seconds)
}

pub(super) fn not_expired(exp: i64, now: i64) -> Result<(), TokenError> {
    if exp > now {
        Ok(())
    } else {
        Err(TokenError::Expired {
            seconds: now.saturating_sub(exp),
        })
    }
}

/// A number as whole seconds, rounded, held at the ends of the range.
fn seconds(value: &Value) -> Option<i64> {
    if let Some(whole) = value.as_i64() {
        return Some(whole);
    }
    // Also the way for whole numbers beyond i64: a float's cast stops at the ends of the range.
    value.as_f64().map(|float| float.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_text_is_kept_as_it_was_signed() {
        let text = "{ \"exp\": 10, \"role\":\"anon\",\"b\":1,  \"a\":{\"k\":[1.50]} }";
        let claims = Claims::from_json(text).unwrap();
        assert_eq!(&*claims.json, text);
        assert_eq!(&*claims.role, "anon");
        assert_eq!(claims.sub, None);
        assert_eq!(claims.get("b"), Some(Value::from(1)));
        assert_eq!(claims.get("none"), None);
    }

    #[test]
    fn decimals_and_huge_numbers_are_accepted_as_expiry() {
        for (exp, seconds) in [
            ("10", 10),
            ("10.4", 10),
            ("10.5", 11),
            ("1e3", 1000),
            ("-5", -5),
            ("18446744073709551615", i64::MAX),
            ("1e300", i64::MAX),
            ("-1e300", i64::MIN),
        ] {
            let claims = Claims::from_json(&format!("{{\"exp\":{exp},\"role\":\"r\"}}")).unwrap();
            assert_eq!(claims.exp, seconds, "{exp}");
        }
    }

    #[test]
    fn expiry_has_no_leeway() {
        let claims = Claims::from_json(r#"{"exp":100,"role":"r"}"#).unwrap();
        assert_eq!(claims.check_expiry(99), Ok(()));
        assert_eq!(
            claims.check_expiry(100),
            Err(TokenError::Expired { seconds: 0 })
        );
        assert_eq!(
            claims.check_expiry(107),
            Err(TokenError::Expired { seconds: 7 })
        );
    }

    #[test]
    fn role_none_is_refused_because_postgres_takes_it_as_the_login_role() {
        for role in ["none", "NONE"] {
            assert_eq!(
                Claims::from_json(&format!("{{\"exp\":1,\"role\":\"{role}\"}}")),
                Err(TokenError::Unacceptable("role must not be none"))
            );
        }
    }

    #[test]
    fn a_role_that_is_no_string_can_do_nothing() {
        let claims = Claims::from_json(r#"{"exp":1,"role":null,"sub":7}"#).unwrap();
        assert_eq!(&*claims.role, "");
        assert_eq!(claims.sub.as_deref(), Some("7"));
    }

    #[test]
    fn what_is_wrong_with_claims_is_told_apart() {
        for (json, error) in [
            ("", TokenError::Undecodable),
            ("{", TokenError::Undecodable),
            (
                "[]",
                TokenError::Unacceptable("header or claims are no object"),
            ),
            (r#"{"role":"r"}"#, TokenError::MissingClaims),
            (r#"{"exp":1}"#, TokenError::MissingClaims),
            (
                r#"{"exp":"1","role":"r"}"#,
                TokenError::Unacceptable("exp is not a number"),
            ),
            (
                r#"{"exp":null}"#,
                TokenError::Unacceptable("exp is not a number"),
            ),
            (
                r#"{"exp":1,"iat":"x","role":"r"}"#,
                TokenError::Unacceptable("iat is not a number"),
            ),
        ] {
            assert_eq!(Claims::from_json(json), Err(error), "{json}");
        }
    }
}
