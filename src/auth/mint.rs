//! Making tokens: for the `token` command, the keys of `dev`, and tests.

use base64::Engine;
use serde_json::{Map, Value};

use super::signature::{Sha, hmac_key};
use super::token::BASE64;

/// A token with these claims, signed HS256 with `secret` (raw bytes).
pub fn mint(secret: &[u8], claims: Map<String, Value>) -> String {
    let header = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = BASE64.encode(Value::Object(claims).to_string());
    let signed = format!("{header}.{claims}");
    let signature = aws_lc_rs::hmac::sign(&hmac_key(Sha::S256, secret), signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(signature.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{ClaimValidators, Keys};

    #[test]
    fn what_is_minted_is_accepted_with_the_same_secret_only() {
        let Value::Object(claims) = serde_json::json!({"role": "anon", "exp": 2, "x": [1]}) else {
            unreachable!()
        };
        let token = mint(b"secret", claims);
        let keys = |secret| Keys::new(Some(secret), None, ClaimValidators::default());
        let verified = keys(b"secret").verify(&token, 1).unwrap();
        assert_eq!(verified.get("x"), Some(serde_json::json!([1])));
        assert!(keys(b"Secret").verify(&token, 1).is_err());
    }
}
