//! What Supabase Auth has and this service has not: mail, other providers, second factors, passkeys, OAuth.
//!
//! Each answers as Supabase Auth does where the same is switched off, with a hint; what has no such answer there (a
//! server always has mail) is `feature_disabled`. Not 501: supabase-js takes every 5xx for a network that fails, drops
//! the code, and tells its user to try again.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use axum::{Json, Router};
use serde_json::json;

use super::Service;
use super::admin::Id;
use super::ask::Ask;
use super::error::Refusal;

/// 422: there is no mail, and it would take some.
pub(super) fn no_mail(what: &str) -> Refusal {
    Refusal::unprocessable(
        "feature_disabled",
        format!("{what}, but this server sends no mail"),
    )
    .hint("Sign in with a password, or use Supabase Auth beside this server (SURFACE)")
}

/// The routes of everything that is not there.
pub(super) fn routes() -> Router<Arc<Service>> {
    let without_mail = |what: &'static str| post(move || async move { refused(no_mail(what)) });
    let none = |refusal: fn() -> Refusal| any(move || async move { refused(refusal()) });
    let router = Router::new()
        .route("/otp", without_mail("A code would be sent by mail"))
        .route("/magiclink", without_mail("A link would be sent by mail"))
        .route("/recover", without_mail("A password is recovered by mail"))
        .route("/resend", without_mail("It would be sent by mail"))
        .route("/verify", none(nothing_to_verify))
        .route("/authorize", none(no_provider))
        .route("/callback", none(no_provider))
        .route("/reauthenticate", get(reauthenticate))
        .route("/invite", post(invite))
        .route("/admin/generate_link", post(invite));
    let router = router
        .route("/user/identities/authorize", get(no_linking))
        .route("/user/identities/{id}", delete(no_linking))
        .route("/factors", post(no_factors))
        .route("/factors/{*rest}", any(no_factor))
        .route("/admin/users/{id}/factors", get(nobodys))
        .route("/admin/users/{id}/factors/{factor}", any(no_factor_of))
        .route("/admin/users/{id}/passkeys", get(nobodys))
        .route("/admin/users/{id}/passkeys/{passkey}", any(no_passkey_of));
    let mut router = router;
    for (path, refusal) in [
        ("/sso", no_sso as fn() -> Refusal),
        ("/admin/sso", no_sso),
        ("/passkeys", no_passkeys),
        ("/oauth", no_oauth),
        ("/.well-known/openid-configuration", no_oauth),
        ("/.well-known/oauth-authorization-server", no_oauth),
        ("/user/oauth", no_oauth),
        ("/admin/oauth", no_oauth),
        ("/admin/custom-providers", no_custom_providers),
        ("/admin/audit", no_audit),
    ] {
        router = router
            .route(path, none(refusal))
            .route(&format!("{path}/{{*rest}}"), none(refusal));
    }
    router
}

fn refused(refusal: Refusal) -> Result<Response, Refusal> {
    Err(refusal)
}

/// Factors or passkeys of a user who is there.
async fn nobodys(
    State(service): State<Arc<Service>>,
    id: Id,
    request: Request,
) -> Result<Response, Refusal> {
    service.named(&Ask::from(request), id).await?;
    Ok(Json(json!([])).into_response())
}

async fn no_factor_of(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    service.admin(&Ask::from(request)).await?;
    refused(Refusal::not_found(
        "mfa_factor_not_found",
        "Factor not found",
    ))
}

async fn no_passkey_of(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    service.admin(&Ask::from(request)).await?;
    refused(no_passkeys())
}

fn nothing_to_verify() -> Refusal {
    Refusal::forbidden("otp_expired", "Token has expired or is invalid")
        .hint("This server sends no mail, so there is nothing to verify")
}

fn no_provider() -> Refusal {
    Refusal::invalid("Unsupported provider: provider is not enabled")
        .hint("This server knows email and password, and anonymous users")
}

fn no_sso() -> Refusal {
    Refusal::not_found("saml_provider_disabled", "SAML 2.0 is disabled")
}

fn no_passkeys() -> Refusal {
    Refusal::not_found("passkey_disabled", "Passkeys are disabled")
}

fn no_oauth() -> Refusal {
    Refusal::not_found("feature_disabled", "OAuth server is disabled")
}

fn no_custom_providers() -> Refusal {
    Refusal::not_found("feature_disabled", "Custom OAuth providers are disabled")
}

fn no_audit() -> Refusal {
    Refusal::not_found("feature_disabled", "The audit log is not kept")
}

async fn reauthenticate(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    service.bearer(&Ask::from(request)).await?;
    refused(no_mail("A code would be sent by mail"))
}

async fn invite(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    service.admin(&Ask::from(request)).await?;
    refused(
        no_mail("The link would be sent by mail")
            .hint("Create the user with a password (admin.createUser)"),
    )
}

async fn no_linking(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    service.bearer(&Ask::from(request)).await?;
    refused(Refusal::not_found(
        "manual_linking_disabled",
        "Manual linking is disabled",
    ))
}

async fn no_factors(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    service.bearer(&Ask::from(request)).await?;
    refused(Refusal::unprocessable(
        "mfa_totp_enroll_not_enabled",
        "MFA enroll is disabled",
    ))
}

async fn no_factor(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    service.bearer(&Ask::from(request)).await?;
    refused(Refusal::not_found(
        "mfa_factor_not_found",
        "Factor not found",
    ))
}
