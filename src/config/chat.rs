//! The messaging system: whether it runs, and what it is told.

use super::Secret;
use super::reader::{Reader, boolean};
use crate::chat::push::VapidKey;

/// Everything the messaging system is told (`/chat/v1` and its workers).
#[derive(Clone)]
pub struct ChatConfig {
    /// Whether it is served (`CHAT`). None: not said, which is no for `serve` and yes for `dev`.
    pub enabled: Option<bool>,
    /// Private key that signs towards push services (`VAPID_PRIVATE_KEY`). None: nothing is pushed.
    pub vapid_private_key: Option<Secret>,
    /// Whom push services may ask about what is sent to them (`VAPID_SUBJECT`).
    pub vapid_subject: Option<String>,
    /// Push endpoints may be http and at private addresses (`PUSH_PRIVATE_ENDPOINTS`). Default `false`.
    pub push_private_endpoints: bool,
}

/// Read in the order of the table.
pub(super) fn read(reader: &mut Reader<'_>) -> ChatConfig {
    let fix = || "write true or false, or leave it out".to_owned();
    let enabled = reader.parsed("CHAT", "true or false", fix, boolean);
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
        vapid_private_key,
        vapid_subject,
        push_private_endpoints: reader.flag("PUSH_PRIVATE_ENDPOINTS"),
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
