//! The messaging system: whether its room of the server is open, and what it is told.

use super::reader::{Reader, boolean};
use super::{Config, Secret};
use crate::auth::{SigningKey, VapidKey};

/// Everything the messaging system is told (`/chat/v1` and its workers).
#[derive(Clone)]
pub struct ChatConfig {
    /// Whether it is served (`CHAT`). None: not said, which is no for `serve` and yes for `dev`.
    pub enabled: Option<bool>,
    /// Private key that tokens of guests are signed with (`CHAT_JWT_KEY`). None: `API_JWT_SECRET` signs them.
    pub jwt_key: Option<Secret>,
    /// Requests for tokens of guests of one address in five minutes (`CHAT_GUEST_RATE_LIMIT`).
    pub guest_rate_limit: u32,
    /// Address of the Storage API with its path (`STORAGE_URL`). None: this server, where it serves storage itself.
    pub storage_url: Option<String>,
    /// Images that are made smaller at the same time (`CHAT_THUMBNAIL_WORKERS`); 0: none ever.
    pub thumbnail_workers: usize,
    /// Private key that signs towards push services (`VAPID_PRIVATE_KEY`). None: nothing is pushed.
    pub vapid_private_key: Option<Secret>,
    /// Whom push services may ask about what is sent to them (`VAPID_SUBJECT`).
    pub vapid_subject: Option<String>,
    /// Push endpoints may be http and at private addresses (`PUSH_PRIVATE_ENDPOINTS`). Default `false`.
    pub push_private_endpoints: bool,
    /// The people of `dovetail dev --demo` are there, and the page offers them. No setting.
    pub demo: bool,
}

/// Read in the order of the table.
pub(super) fn read(reader: &mut Reader<'_>) -> ChatConfig {
    let fix = || "write true or false, or leave it out".to_owned();
    let enabled = reader.parsed("CHAT", "true or false", fix, boolean);
    let jwt_key = reader.secret("CHAT_JWT_KEY");
    let limit = reader.number("CHAT_GUEST_RATE_LIMIT", 1..=u64::from(u32::MAX));
    let storage_url = reader.optional("STORAGE_URL");
    if let Some(url) = &storage_url
        && !["http://", "https://"].iter().any(|s| url.starts_with(s))
    {
        reader.problem(
            "STORAGE_URL",
            "is no address",
            "write it with its path, for example http://kong:8000/storage/v1",
        );
    }
    let vapid_private_key = vapid_private_key(reader);
    let vapid_subject = vapid_subject(reader);
    if vapid_private_key.is_some() && vapid_subject.is_none() {
        reader.problem(
            "VAPID_SUBJECT",
            "is not set, but VAPID_PRIVATE_KEY is",
            "write mailto: and your address, or the https address of your site: push services ask for it",
        );
    }
    ChatConfig {
        enabled,
        jwt_key,
        guest_rate_limit: u32::try_from(limit).unwrap_or(u32::MAX),
        storage_url: storage_url.map(|url| url.trim_end_matches('/').to_owned()),
        thumbnail_workers: reader.size("CHAT_THUMBNAIL_WORKERS", 0..=64),
        vapid_private_key,
        vapid_subject,
        push_private_endpoints: reader.flag("PUSH_PRIVATE_ENDPOINTS"),
        demo: false,
    }
}

fn vapid_private_key(reader: &mut Reader<'_>) -> Option<Secret> {
    let fix = || {
        "write the 32 bytes of a P-256 private key as base64url, as web-push generate-vapid-keys does"
            .to_owned()
    };
    let expected = "the private half of a VAPID key";
    reader.parsed("VAPID_PRIVATE_KEY", expected, fix, |text| {
        VapidKey::read(text).map(|_| Secret::new(text))
    })
}

fn vapid_subject(reader: &mut Reader<'_>) -> Option<String> {
    let fix = || "write mailto: and your address, or the https address of your site".to_owned();
    let expected = "a mailto: or https: address";
    reader.parsed("VAPID_SUBJECT", expected, fix, |text| {
        let is_one = ["mailto:", "https://"]
            .iter()
            .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
        (is_one && !text.contains(char::is_whitespace)).then(|| text.to_owned())
    })
}

/// A key whose tokens this server would refuse is of no use to anybody; `now` in seconds since 1970 (C-401).
pub(super) fn check(reader: &mut Reader<'_>, config: &Config, now: i64) {
    let Some(key) = &config.chat.jwt_key else {
        return;
    };
    let key = match SigningKey::from_jwk(key.expose()) {
        Ok(key) => key,
        Err(error) => {
            let fix = "write a private JWK: {\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":...,\"x\":...,\"y\":...,\"d\":...}";
            reader.problem("CHAT_JWT_KEY", error.to_string(), fix);
            return;
        }
    };
    let claims = serde_json::Map::from_iter([
        ("role".to_owned(), "chat_guest".into()),
        ("exp".to_owned(), (now + 60).into()),
        ("iss".to_owned(), "dovetail".into()),
    ]);
    let token = key.sign(&claims);
    // Claims that validators demand are not this key's matter.
    let keys = crate::auth::Keys::new(
        None,
        config.api_jwt_jwks.clone(),
        crate::auth::ClaimValidators::default(),
    );
    if token.is_none_or(|token| keys.verify(&token, now).is_err()) {
        reader.problem(
            "CHAT_JWT_KEY",
            "signs tokens that none of the keys in API_JWT_JWKS verifies",
            "add its public half, with the same kid, to API_JWT_JWKS and to the key sets of the other services",
        );
    }
}
