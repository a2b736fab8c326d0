//! JWTs signed with HS256, made without the server's own code.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The secret that test servers run with.
pub const SECRET: &str = "a-secret-for-tests-of-at-least-32-characters";

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("a clock after 1970").as_secs()).expect("a sane clock")
}

/// Any header and claims, as JSON text, signed with any secret.
pub fn sign(header: &str, claims: &str, secret: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// Claims signed with the secret of the test servers; `exp` is in an hour unless given.
pub fn mint(mut claims: Value) -> String {
    if claims.get("exp").is_none() {
        claims["exp"] = json!(now() + 3600);
    }
    sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        &claims.to_string(),
        SECRET,
    )
}

/// A token of the role `anon`.
pub fn anon() -> String {
    mint(json!({ "role": "anon" }))
}

/// A token of the role `service_role`.
pub fn service() -> String {
    mint(json!({ "role": "service_role" }))
}

/// A token of the role `authenticated` with this `sub`.
pub fn user(sub: &str) -> String {
    mint(json!({ "role": "authenticated", "sub": sub }))
}
