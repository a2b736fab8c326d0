//! What one tenant trusts, and the whole check of a token against it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::cache::{Cache, fingerprint};
use super::claims::{check_times, expiry, not_expired};
use super::jwks::Jwks;
use super::signature::{Algorithm, Material, Outcome};
use super::token::{Parts, clean, split};
use super::validators::ClaimValidators;
use super::{Claims, TokenError};

/// The keys of one tenant: its secret, its key set, and the claims it demands. A socket keeps the
/// keys it connected with (protocol.md §9.5), so share it behind an [`Arc`].
///
/// Verified tokens are remembered, their expiry is not: it is checked every time.
pub struct Keys {
    secret: Material,
    jwks: Option<Jwks>,
    validators: ClaimValidators,
    cache: Cache,
}

impl Keys {
    /// `secret` is used as raw bytes; absent or empty means that no token is verified with it.
    /// `jwks` absent is not the same as an empty set: only with a set does a failure to find a key
    /// name the key id (transcript 020).
    pub fn new(secret: Option<&[u8]>, jwks: Option<Jwks>, validators: ClaimValidators) -> Self {
        let secret = match secret {
            Some(secret) if !secret.is_empty() => Material::Secret(secret.to_vec()),
            _ => Material::Unusable("is not set"),
        };
        Self {
            secret,
            jwks,
            validators,
            cache: Cache::default(),
        }
    }

    /// Checks everything about a token as connect, join, `access_token` and REST want it: form, key,
    /// signature, claims. `now` is in seconds since 1970. Never panics, whatever the text.
    pub fn verify(&self, token: &str, now: i64) -> Result<Arc<Claims>, TokenError> {
        let token = clean(token)?;
        let fingerprint = fingerprint(&token);
        if let Some(claims) = self.cache.get(&fingerprint) {
            claims.check_expiry(now)?;
            return Ok(claims);
        }
        let parts = self.signed(&token)?;
        self.check_claims(&parts.claims, now)?;
        let claims = Arc::new(Claims::from_map(&parts.claims_json, &parts.claims)?);
        self.cache.put(fingerprint, Arc::clone(&claims));
        Ok(claims)
    }

    /// The same for tokens of the tenant API and of `/metrics`, which need carry no claim at all
    /// (protocol.md §8.3).
    pub(super) fn verify_any(&self, cleaned: &str, now: i64) -> Result<(), TokenError> {
        let parts = self.signed(cleaned)?;
        self.check_claims(&parts.claims, now)
    }

    /// Takes a cleaned token apart and verifies its signature.
    fn signed<'a>(&self, token: &'a str) -> Result<Parts<'a>, TokenError> {
        let parts = split(token)?;
        let (algorithm, key, kid) = self.choose(&parts.header)?;
        match key.verify(algorithm, parts.signed.as_bytes(), &parts.signature) {
            Outcome::Valid => Ok(parts),
            Outcome::Invalid => Err(TokenError::BadSignature),
            Outcome::Unsuitable => Err(no_key(kid)),
        }
    }

    /// The table of protocol.md §9.2: only a shared secret verifies HS, only a public key of the
    /// right kind verifies the rest, and those never fall back to the secret.
    fn choose<'a>(
        &'a self,
        header: &'a Map<String, Value>,
    ) -> Result<(Algorithm, &'a Material, Option<&'a str>), TokenError> {
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::from_name)
            .ok_or_else(|| no_key(None))?;
        let kid = header.get("kid").and_then(Value::as_str);
        let (kid, found) = match (&self.jwks, kid) {
            (Some(jwks), Some(kid)) => (Some(kid), jwks.find(algorithm, kid)),
            _ => (None, None),
        };
        let key = match (found, algorithm) {
            (Some(key), _) => key,
            (None, Algorithm::Hs(_)) => &self.secret,
            (None, _) => return Err(no_key(kid)),
        };
        Ok((algorithm, key, kid))
    }

    /// Claims that are there must be right (protocol.md §9.3). Expiry first: it is what happens to
    /// honest clients, and they are told so.
    fn check_claims(&self, claims: &Map<String, Value>, now: i64) -> Result<(), TokenError> {
        check_times(claims)?;
        if let Some(exp) = expiry(claims) {
            not_expired(exp, now)?;
        }
        self.validators.check(claims)
    }
}

fn no_key(kid: Option<&str>) -> TokenError {
    TokenError::NoKey {
        kid: kid.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
