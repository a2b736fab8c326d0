//! `/auth/v1`: users with an address and a password, users without anything, their sessions, and who administers them.
//!
//! Owns the tables of schema `auth`, through a login that can do nothing else ([`store`]). Answers have the form and the
//! codes of Supabase Auth. Never sends mail, never asks another provider, never logs an address or a token; what needs
//! any of that says so ([`absent`]).

mod about;
mod absent;
mod admin;
mod ask;
mod ban;
mod bearer;
mod email;
mod error;
mod limit;
mod list;
mod login;
mod me;
mod password;
mod refresh;
mod session;
mod signup;
mod store;
mod user;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use super::Gateway;
use super::settings::AuthSettings;
use error::Refusal;
use limit::Limiter;
use password::Hasher;

/// Claim and column `aud` of every user, and their role.
const AUDIENCE: &str = "authenticated";

/// What all requests share.
struct Service {
    gateway: Arc<Gateway>,
    hasher: Hasher,
    limiter: Limiter,
}

impl Service {
    fn settings(&self) -> &AuthSettings {
        &self.gateway.settings.auth
    }
}

/// What whoever runs this server would otherwise learn from users.
fn say_what_is_not(gateway: &Gateway) {
    let settings = &gateway.settings;
    if settings.jwt_secret.is_none() {
        tracing::warn!(
            "auth: nobody can sign in: there is no secret to sign tokens with; set API_JWT_SECRET"
        );
    } else if !settings.auth.autoconfirm && !settings.auth.signup_disabled {
        tracing::warn!(
            "auth: no mail is sent, so new users cannot sign in before a server with the service_role key confirms them; \
             GOTRUE_MAILER_AUTOCONFIRM=true confirms them at once"
        );
    }
}

/// Its routes, without the prefix.
pub(super) fn router(gateway: &Arc<Gateway>) -> Router {
    say_what_is_not(gateway);
    let service = Arc::new(Service {
        gateway: Arc::clone(gateway),
        hasher: Hasher::new(),
        limiter: Limiter::new(gateway.settings.auth.rate_limit),
    });
    let keyed = Router::new()
        .route("/settings", get(about::settings))
        .route("/signup", post(signup::sign_up))
        .route("/token", post(login::token))
        .route("/logout", post(me::log_out))
        .route("/user", get(me::get).put(me::put))
        .route("/admin/users", get(list::list).post(admin::create))
        .route(
            "/admin/users/{id}",
            get(admin::get).put(admin::update).delete(admin::delete),
        )
        .merge(absent::routes())
        .fallback(|| async { Refusal::not_found("not_found", "There is no such endpoint") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This endpoint has no such method",
            )
        })
        .layer(from_fn_with_state(Arc::clone(&service), ask::keyed));
    Router::new()
        .route("/health", get(about::health))
        .route("/.well-known/jwks.json", get(about::keys))
        .merge(keyed)
        .layer(from_fn(error::rendered))
        .with_state(service)
}
