//! Who sends a push message (RFC 8292): a key of this server, and a token for each push service signed with it.

use std::sync::Arc;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

/// How long a token holds, in seconds. At most a day is allowed; clocks differ.
const LIFETIME: i64 = 12 * 3600;

/// The key that all browsers subscribed with; with another one they must subscribe again.
#[derive(Clone)]
pub struct VapidKey {
    pair: Arc<EcdsaKeyPair>,
    /// Uncompressed point, base64url.
    public: String,
}

impl VapidKey {
    /// The key whose private half, 32 bytes, is `text` in base64url; none when it is not one.
    pub fn read(text: &str) -> Option<Self> {
        let private = BASE64_URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .ok()?;
        let agreement = PrivateKey::from_private_key(&ECDH_P256, &private).ok()?;
        let public = agreement.compute_public_key().ok()?;
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair =
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, public.as_ref());
        Some(Self {
            pair: Arc::new(pair.ok()?),
            public: BASE64_URL_SAFE_NO_PAD.encode(public.as_ref()),
        })
    }

    /// The private half of a new key, as [`VapidKey::read`] takes it; none when the system has no random numbers.
    pub fn generate() -> Option<String> {
        let key = PrivateKey::generate(&ECDH_P256).ok()?;
        let bytes: EcPrivateKeyBin<'_> = key.as_be_bytes().ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_ref()))
    }

    /// The public half as browsers take it (`applicationServerKey`): the uncompressed point in base64url.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The `Authorization` for a push service at `origin` (`https://host[:port]`); `now` in seconds since 1970. None when
    /// signing fails.
    pub fn authorization(&self, origin: &str, subject: &str, now: i64) -> Option<String> {
        let encode = |part: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let header = json!({ "typ": "JWT", "alg": "ES256" });
        let claims = json!({ "aud": origin, "exp": now + LIFETIME, "sub": subject });
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .ok()?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref());
        Some(format!("vapid t={signed}.{signature}, k={}", self.public))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made() {
        let text = VapidKey::generate().unwrap();
        let key = VapidKey::read(&text).unwrap();
        assert_eq!(key.public(), VapidKey::read(&text).unwrap().public());
        let public = BASE64_URL_SAFE_NO_PAD.decode(key.public()).unwrap();
        assert_eq!((public.len(), public.first()), (65, Some(&4)));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let zero = BASE64_URL_SAFE_NO_PAD.encode([0; 32]);
        // The order of the curve is greater than no key.
        let large = BASE64_URL_SAFE_NO_PAD.encode([255; 32]);
        for text in ["", "no", "AAAA", &zero, &large] {
            assert!(VapidKey::read(text).is_none(), "{text}");
        }
    }
}
