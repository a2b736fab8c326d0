//! Whether the keys that clients use are keys of this server: the mistake behind most failing first connections.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::report::{Finding, Report, Severity};

/// Shorter secrets can be guessed from one token; HS256 wants 256 bits.
const SHORTEST_SECRET: usize = 32;

/// The keys a client will use, and how this server verifies a token.
pub struct KeysInfo<'a> {
    /// The token meant to be the anon key (`ANON_KEY`), when known.
    pub anon_key: Option<&'a str>,
    /// The token meant to be the service key (`SERVICE_KEY`), when known.
    pub service_key: Option<&'a str>,
    /// The secret tokens are verified against, when one is set; only its length is looked at.
    pub jwt_secret: Option<&'a str>,
    /// Verifies a token as the server would; the error says which part is wrong.
    pub verify: &'a dyn Fn(&str) -> Result<(), String>,
}

pub(super) fn check(keys: &KeysInfo<'_>, report: &mut Report) {
    if let Some(secret) = keys.jwt_secret
        && secret.len() < SHORTEST_SECRET
    {
        report.findings.push(Finding::new(
            Severity::Warning,
            "jwt-secret",
            format!(
                "the JWT secret has {} characters; with fewer than {SHORTEST_SECRET} it can be guessed from a token",
                secret.len()
            ),
            "openssl rand -base64 48, set it as API_JWT_SECRET, and sign the keys anew".to_owned(),
        ));
    }
    for (name, role, key) in [
        ("ANON_KEY", "anon", keys.anon_key),
        ("SERVICE_KEY", "service_role", keys.service_key),
    ] {
        let Some(key) = key else { continue };
        if let Err(reason) = (keys.verify)(key) {
            report.findings.push(Finding::new(
                Severity::Error,
                "keys",
                format!("{name} is refused by this server: {reason}"),
                format!("dovetail token --role {role}, or set API_JWT_SECRET to the secret that signed {name}"),
            ));
        }
        match role_of(key) {
            Some(found) if found != role => report.findings.push(Finding::new(
                // The service key bypasses RLS: in a browser it opens everything.
                Severity::Error,
                "keys",
                format!("{name} has the role {found}, not {role}; the keys may be swapped"),
                format!("dovetail token --role {role}"),
            )),
            _ => {}
        }
    }
}

/// The claim `role` of a token, not verified. `None` for a key that is not a JWT (`sb_publishable_…`).
fn role_of(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    Some(claims.get("role")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn token(role: &str) -> String {
        format!(
            "x.{}.y",
            URL_SAFE_NO_PAD.encode(format!("{{\"role\":\"{role}\"}}"))
        )
    }

    #[test]
    fn a_key_of_another_secret_is_an_error_with_its_name_and_not_its_text() {
        let anon = token("anon");
        let mut report = Report::default();
        let keys = KeysInfo {
            anon_key: Some(&anon),
            service_key: None,
            jwt_secret: Some("short"),
            verify: &|_| Err("signature does not match".into()),
        };
        check(&keys, &mut report);
        let text = report.to_string();
        assert!(
            text.contains("ANON_KEY is refused by this server: signature does not match"),
            "{text}"
        );
        assert!(text.contains("5 characters"), "{text}");
        assert!(!text.contains(&anon), "{text}");
        assert!(report.has_errors());
    }

    #[test]
    fn swapped_keys_are_an_error_and_right_ones_are_silent() {
        let (anon, service) = (token("anon"), token("service_role"));
        let found = |anon_key: &str, service_key: &str| {
            let mut report = Report::default();
            let keys = KeysInfo {
                anon_key: Some(anon_key),
                service_key: Some(service_key),
                jwt_secret: None,
                verify: &|_| Ok(()),
            };
            check(&keys, &mut report);
            report.findings.len()
        };
        assert_eq!(found(&service, &anon), 2);
        assert_eq!(found(&anon, &service), 0);
        assert_eq!(found("sb_publishable_x", "sb_secret_y"), 0);
    }
}
