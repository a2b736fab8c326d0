//! What the service says about itself: `/health`, `/settings`, `/.well-known/jwks.json`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Service;

/// Ways to sign in that Supabase Auth lists, none of which is here.
const ELSEWHERE: [&str; 25] = [
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "phone",
    "slack",
    "slack_oidc",
    "snapchat",
    "spotify",
    "twitch",
    "twitter",
    "workos",
    "x",
    "zoom",
];

/// `GET /health`.
pub(super) async fn health() -> Response {
    Json(json!({
        "version": concat!("v", env!("CARGO_PKG_VERSION")),
        "name": "Dovetail",
        "description": "Users and sessions, as Supabase Auth keeps them",
    }))
    .into_response()
}

/// `GET /.well-known/jwks.json`. Tokens are signed with a secret, which is nobody's to see.
pub(super) async fn keys() -> Response {
    let cache = [(header::CACHE_CONTROL, "public, max-age=600")];
    (cache, Json(json!({ "keys": [] }))).into_response()
}

/// `GET /settings`.
pub(super) async fn settings(State(service): State<Arc<Service>>) -> Response {
    let settings = service.settings();
    let mut external: Map<String, Value> = ELSEWHERE
        .iter()
        .map(|name| ((*name).to_owned(), false.into()))
        .collect();
    external.insert("email".to_owned(), true.into());
    external.insert("anonymous_users".to_owned(), settings.anonymous.into());
    Json(json!({
        "external": external,
        "disable_signup": settings.signup_disabled,
        "mailer_autoconfirm": settings.autoconfirm,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
        "saml_private_key_next_configured": false,
        "passkeys_enabled": false,
    }))
    .into_response()
}
