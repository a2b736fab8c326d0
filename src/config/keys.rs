//! Do secret, key set and the keys handed to clients belong together (pains row 53)?
//!
//! A stack whose `ANON_KEY` was made with another secret answers every client 401 and nobody knows
//! why. Where the keys are given, the start says which of them is wrong, and how.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::reader::Reader;
use super::{Config, Secret};
use crate::auth::{ClaimValidators, Keys, TokenError};

/// Shorter secrets can be found by trying; the rest of a Supabase stack refuses them too.
const LEAST_SECRET: usize = 32;

pub(super) fn check(reader: &mut Reader<'_>, config: &Config, now: i64) {
    let has_keys = config
        .api_jwt_jwks
        .as_ref()
        .is_some_and(|jwks| !jwks.is_empty());
    match &config.api_jwt_secret {
        None if !has_keys => {
            // A set that could not be read is already reported.
            if reader.problems.iter().all(|p| p.name != "API_JWT_JWKS") {
                reader.problem(
                    "API_JWT_SECRET",
                    "is not set, and API_JWT_JWKS has no key: no client could log in",
                    "set it to the secret your keys are signed with (JWT_SECRET of a Supabase stack)",
                );
            }
            return;
        }
        Some(secret) if secret.expose().len() < LEAST_SECRET => {
            let warning =
                format!("API_JWT_SECRET is shorter than {LEAST_SECRET} bytes and can be guessed");
            reader.warnings.push(warning);
        }
        _ => {}
    }
    let keys = config.client_keys();
    for (name, key, role) in [
        ("ANON_KEY", &config.anon_key, "anon"),
        ("SERVICE_KEY", &config.service_key, "service_role"),
    ] {
        let Some(key) = key else { continue };
        // Opaque keys of the gateway are no tokens; it replaces them before they come here.
        if key.expose().starts_with("sb_") {
            continue;
        }
        let (what, fix) = match keys.verify(key.expose(), now) {
            Ok(claims) if &*claims.role == role => continue,
            Ok(claims) => (
                format!("has the role {}, not {role}", claims.role),
                "check whether ANON_KEY and SERVICE_KEY are exchanged".to_owned(),
            ),
            Err(error) => explain(&error, key, config.api_jwt_secret.as_ref(), now),
        };
        reader.problem(
            name,
            what,
            format!("{fix}; a new one: dovetail token --role {role}"),
        );
    }
}

fn explain(
    error: &TokenError,
    key: &Secret,
    secret: Option<&Secret>,
    now: i64,
) -> (String, String) {
    let (what, fix) = match error {
        TokenError::Malformed | TokenError::Undecodable | TokenError::Missing => (
            "is not a JWT".to_owned(),
            "copy the whole key: three parts with dots between them",
        ),
        TokenError::NoKey { .. } => (
            "is signed in a way for which neither API_JWT_SECRET nor API_JWT_JWKS has a key"
                .to_owned(),
            "add the key it was signed with",
        ),
        TokenError::BadSignature => {
            return match secret.and_then(|secret| other_reading(key, secret, now)) {
                Some(reading) => (
                    format!("is signed with API_JWT_SECRET {reading}"),
                    "set API_JWT_SECRET to exactly the secret the key was made with".to_owned(),
                ),
                None => (
                    "is signed with another secret than API_JWT_SECRET".to_owned(),
                    "set API_JWT_SECRET to the secret the key was made with".to_owned(),
                ),
            };
        }
        TokenError::Expired { seconds } => (
            format!("expired {seconds} seconds ago"),
            "replace it, and check this machine's clock",
        ),
        TokenError::MissingClaims => (
            "lacks the claim role or exp".to_owned(),
            "replace it by one that has both",
        ),
        TokenError::Unacceptable(why) => (format!("is not acceptable: {why}"), "replace it"),
    };
    (what, fix.to_owned())
}

/// The usual ways to copy a secret wrongly, tried out.
fn other_reading(key: &Secret, secret: &Secret, now: i64) -> Option<&'static str> {
    let text = secret.expose();
    let trimmed = text.trim();
    let unquoted = trimmed.trim_matches(['"', '\'']);
    let decoded = BASE64_STANDARD
        .decode(trimmed)
        .or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(trimmed))
        .unwrap_or_default();
    let readings: [(&[u8], &str); 3] = [
        (trimmed.as_bytes(), "without the blanks around it"),
        (unquoted.as_bytes(), "without the quotes around it"),
        (&decoded, "decoded from base64"),
    ];
    readings.into_iter().find_map(|(bytes, reading)| {
        let keys = Keys::new(Some(bytes), None, ClaimValidators::default());
        match keys.verify(key.expose(), now) {
            Ok(_) | Err(TokenError::Expired { .. } | TokenError::MissingClaims) => Some(reading),
            Err(_) => None,
        }
    })
}
