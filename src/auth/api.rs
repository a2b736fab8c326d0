//! Tokens of the tenant API and of `/metrics` (protocol.md §8.3): signed with a secret of the
//! operator, with no claim required.

use super::token::{clean, split};
use super::validators::ClaimValidators;
use super::{Keys, TokenError};

/// The secrets that open the tenant API or `/metrics`, and the tokens that are refused all the same.
pub struct ApiKeys {
    keys: Vec<Keys>,
    blocked: Vec<Spelling>,
}

/// A token as nobody can spell it differently: base64 lets the same signature be written in several
/// ways, and a blocked token must stay blocked in all of them.
#[derive(PartialEq, Eq)]
struct Spelling {
    signed: String,
    signature: Vec<u8>,
}

impl Spelling {
    fn of(cleaned: &str) -> Result<Self, TokenError> {
        let parts = split(cleaned)?;
        Ok(Self {
            signed: parts.signed.to_owned(),
            signature: parts.signature,
        })
    }
}

impl ApiKeys {
    /// `secrets` are used as raw bytes, any of them opens the door; empty ones are left out.
    /// `blocked` lists whole tokens. With no secret every token is refused.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a [u8]>,
        blocked: impl IntoIterator<Item = String>,
        validators: &ClaimValidators,
    ) -> Self {
        let keys = secrets
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .map(|secret| Keys::new(Some(secret), None, validators.clone()))
            .collect();
        let blocked = blocked
            .into_iter()
            .filter_map(|token| Spelling::of(&clean(&token).ok()?).ok())
            .collect();
        Self { keys, blocked }
    }

    /// Whether there is any secret, that is, whether the door can be opened at all.
    pub fn is_closed(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks a token (without `Bearer `). Every failure is the same 403 for the client. `now` is in
    /// seconds since 1970.
    pub fn verify(&self, token: &str, now: i64) -> Result<(), TokenError> {
        self.verify_cleaned(&clean(token)?, now)
    }

    /// The same, for what clients may not do: in a Supabase stack the secret is also that of their tokens and of the
    /// signed addresses of Storage, and neither may manage tenants. A token of an operator is one of `service_role` or
    /// names no role.
    pub fn verify_operator(&self, token: &str, now: i64) -> Result<(), TokenError> {
        let token = clean(token)?;
        self.verify_cleaned(&token, now)?;
        let claims = split(&token)?.claims;
        let trusted = claims.get("role").is_none_or(|role| role == "service_role");
        match trusted && !claims.contains_key("url") {
            true => Ok(()),
            false => Err(TokenError::Unacceptable("the token is that of a client")),
        }
    }

    fn verify_cleaned(&self, token: &str, now: i64) -> Result<(), TokenError> {
        if self.blocked.contains(&Spelling::of(token)?) {
            return Err(TokenError::Unacceptable("the token is on the blocklist"));
        }
        let mut error = TokenError::NoKey { kid: None };
        for keys in &self.keys {
            match keys.verify_any(token, now) {
                Ok(()) => return Ok(()),
                Err(refused) => error = refused,
            }
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::mint;
    use serde_json::json;

    fn token(secret: &[u8], claims: serde_json::Value) -> String {
        mint(secret, claims.as_object().unwrap().clone())
    }

    fn doors(secrets: &[&'static str], blocked: &[String]) -> ApiKeys {
        ApiKeys::new(
            secrets.iter().map(|secret| secret.as_bytes()),
            blocked.to_vec(),
            &ClaimValidators::parse(r#"{"iss":"us"}"#).unwrap(),
        )
    }

    #[test]
    fn any_of_the_secrets_opens_and_no_claim_is_needed() {
        let doors = doors(&["one", "two", ""], &[]);
        assert_eq!(doors.verify(&token(b"one", json!({})), 5), Ok(()));
        assert_eq!(doors.verify(&token(b"two", json!({"exp": 6})), 5), Ok(()));
        assert_eq!(
            doors.verify(&token(b"three", json!({})), 5),
            Err(TokenError::BadSignature)
        );
        assert!(doors.verify(&token(b"", json!({})), 5).is_err());
        assert!(doors.verify(&token(b"one", json!({"exp": 5})), 5).is_err());
        assert!(
            doors
                .verify(&token(b"one", json!({"iss": "them"})), 5)
                .is_err()
        );
        assert!(doors.verify("garbage", 5).is_err());
    }

    #[test]
    fn tokens_of_clients_are_no_operators() {
        let doors = doors(&["one"], &[]);
        for (claims, operator) in [
            (json!({}), true),
            (json!({ "role": "service_role" }), true),
            (json!({ "role": "anon" }), false),
            (json!({ "role": "authenticated", "sub": "a" }), false),
            (json!({ "role": "" }), false),
            (json!({ "role": ["service_role"] }), false),
            (json!({ "role": null }), false),
            (json!({ "url": "bucket/a.png" }), false),
        ] {
            let token = token(b"one", claims.clone());
            assert_eq!(doors.verify(&token, 5), Ok(()));
            let verified = doors.verify_operator(&token, 5);
            assert_eq!(verified.is_ok(), operator, "{claims}");
        }
        let forged = token(b"two", json!({}));
        assert!(doors.verify_operator(&forged, 5).is_err());
    }

    #[test]
    fn a_blocked_token_is_refused_however_it_is_spelled() {
        let leaked = token(b"one", json!({}));
        let doors = doors(&["one"], &[format!(" {leaked}")]);
        assert!(doors.verify(&leaked, 5).is_err());
        assert!(doors.verify(&leaked.replace('.', "%2E"), 5).is_err());
        assert!(doors.verify(&format!("{leaked}="), 5).is_err());
        assert_eq!(doors.verify(&token(b"one", json!({"a": 1})), 5), Ok(()));
    }

    #[test]
    fn without_a_secret_nothing_opens() {
        let doors = doors(&[], &[]);
        assert!(doors.is_closed());
        assert!(doors.verify(&token(b"", json!({})), 5).is_err());
    }
}
