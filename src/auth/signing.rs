//! Signing with a private key, where a project has asymmetric keys only.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine;
use serde_json::{Map, Value, json};

use super::token::BASE64;

/// Why text is no key to sign with. Never says what the key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Not a JSON object.
    #[error("is not a JSON object")]
    Json,
    /// Without `kid` nobody finds the key that verifies.
    #[error("has no kid")]
    NoId,
    /// RSA, another curve, or no key at all.
    #[error("is neither an EC key on P-256 nor an OKP key on Ed25519")]
    Kind,
    /// Only half of a key, or halves of different keys.
    #[error("has no private half, or one that does not belong to its public half")]
    Parts,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key and its name.
pub struct SigningKey {
    pair: Pair,
    kid: String,
}

impl SigningKey {
    /// Reads a private JWK: `EC` on `P-256` (ES256), or `OKP` on `Ed25519` (EdDSA).
    ///
    /// # Errors
    /// See [`SigningKeyError`].
    pub fn from_jwk(text: &str) -> Result<Self, SigningKeyError> {
        let Ok(Value::Object(jwk)) = serde_json::from_str(text) else {
            return Err(SigningKeyError::Json);
        };
        let word = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| word(name).and_then(|text| BASE64.decode(text).ok());
        let kid = word("kid").filter(|kid| !kid.is_empty());
        let kid = kid.ok_or(SigningKeyError::NoId)?.to_owned();
        let pair = match (word("kty"), word("crv")) {
            (Some("EC"), Some("P-256")) => {
                let (Some(x), Some(y), Some(d)) = (bytes("x"), bytes("y"), bytes("d")) else {
                    return Err(SigningKeyError::Parts);
                };
                let point: Vec<u8> = [4].into_iter().chain(x).chain(y).collect();
                let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_private_key_and_public_key(algorithm, &d, &point)
                    .map(Pair::Es256)
                    .map_err(|_| SigningKeyError::Parts)?
            }
            (Some("OKP"), Some("Ed25519")) => {
                let (Some(x), Some(d)) = (bytes("x"), bytes("d")) else {
                    return Err(SigningKeyError::Parts);
                };
                Ed25519KeyPair::from_seed_and_public_key(&d, &x)
                    .map(Pair::Ed25519)
                    .map_err(|_| SigningKeyError::Parts)?
            }
            _ => return Err(SigningKeyError::Kind),
        };
        Ok(Self { pair, kid })
    }

    /// A token with these claims. None where the system has no random numbers.
    pub fn sign(&self, claims: &Map<String, Value>) -> Option<String> {
        let algorithm = match self.pair {
            Pair::Es256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        };
        let header = json!({ "alg": algorithm, "kid": self.kid, "typ": "JWT" });
        let claims = BASE64.encode(serde_json::to_string(claims).ok()?);
        let signed = format!("{}.{claims}", BASE64.encode(header.to_string()));
        let signature = match &self.pair {
            Pair::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
                BASE64.encode(signature.as_ref())
            }
            Pair::Ed25519(pair) => BASE64.encode(pair.sign(signed.as_bytes()).as_ref()),
        };
        Some(format!("{signed}.{signature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{ClaimValidators, Jwks, Keys};

    // Of RFC 7515, appendix A.3, and RFC 8037, appendix A.
    const P256: &str = r#"{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
    const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"b","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn what_is_signed_is_verified_by_the_public_half_and_no_other() {
        let claims = json!({ "role": "chat_guest", "exp": 10, "x": [1] });
        let claims = claims.as_object().unwrap();
        for (key, other) in [(P256, ED25519), (ED25519, P256)] {
            let token = SigningKey::from_jwk(key).ok().unwrap().sign(claims);
            let token = token.unwrap();
            let keys = |jwk: &str| {
                let jwks = Jwks::parse(jwk).ok();
                Keys::new(None, jwks, ClaimValidators::default())
            };
            let verified = keys(key).verify(&token, 1).unwrap();
            assert_eq!(&*verified.role, "chat_guest");
            assert!(keys(other).verify(&token, 1).is_err());
        }
    }

    #[test]
    fn what_cannot_sign_is_named() {
        for (text, error) in [
            ("", SigningKeyError::Json),
            ("[]", SigningKeyError::Json),
            (r#"{"kty":"EC"}"#, SigningKeyError::NoId),
            (r#"{"kty":"RSA","kid":"a"}"#, SigningKeyError::Kind),
            (
                r#"{"kty":"EC","crv":"P-384","kid":"a"}"#,
                SigningKeyError::Kind,
            ),
            (&P256.replace("\"d\"", "\"e\""), SigningKeyError::Parts),
            (&P256.replace("jpsQ", "jpsR"), SigningKeyError::Parts),
            (&ED25519.replace("nWGx", "nWGy"), SigningKeyError::Parts),
        ] {
            assert_eq!(SigningKey::from_jwk(text).err(), Some(error), "{text}");
        }
    }
}
