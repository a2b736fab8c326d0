//! Signs the tokens of guests, and those of the service itself for the Storage API.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Settings;
use crate::auth::{ClaimValidators, SigningKey, mint};
use crate::config::Secret;

/// Lifetime of a token of the service, in seconds: one request.
const SERVICE_LIFETIME: i64 = 300;

#[derive(Clone)]
enum Key {
    /// HS256.
    Secret(Secret),
    /// `CHAT_JWT_KEY`.
    Private(Arc<SigningKey>),
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(super) struct Signer {
    key: Key,
    issuer: String,
    validators: ClaimValidators,
}

impl Signer {
    /// With `CHAT_JWT_KEY` where it is given, else with the project's secret. None where there is neither.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let private = settings.config.jwt_key.as_ref();
        // The configuration was refused if it cannot be read.
        let private = private.and_then(|key| SigningKey::from_jwk(key.expose()).ok());
        let key = match (private, &settings.jwt_secret) {
            (Some(key), _) => Key::Private(Arc::new(key)),
            (None, Some(secret)) => Key::Secret(secret.clone()),
            (None, None) => return None,
        };
        let issuer = match &settings.external_url {
            Some(url) => format!("{url}/auth/v1"),
            None => "dovetail".to_owned(),
        };
        Some(Self {
            key,
            issuer,
            validators: settings.claim_validators.clone(),
        })
    }

    /// A token with these claims, and with `iss` and `aud` as the project's tokens have them. None where the system has no
    /// random numbers.
    pub(super) fn sign(&self, mut claims: Map<String, Value>) -> Option<String> {
        claims.insert("iss".to_owned(), self.issuer.clone().into());
        claims.insert("aud".to_owned(), "authenticated".into());
        for name in ["iss", "aud"] {
            if let Some(value) = self.validators.expected(name) {
                claims.insert(name.to_owned(), value.clone());
            }
        }
        match &self.key {
            Key::Secret(secret) => Some(mint(secret.expose().as_bytes(), claims)),
            Key::Private(key) => key.sign(&claims),
        }
    }

    /// A token of the service for a few minutes; `now` in seconds since 1970.
    pub(super) fn service(&self, now: i64) -> Option<String> {
        self.sign(Map::from_iter([
            ("role".to_owned(), "service_role".into()),
            ("iat".to_owned(), now.into()),
            ("exp".to_owned(), (now + SERVICE_LIFETIME).into()),
        ]))
    }
}
