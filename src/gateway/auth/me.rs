//! `GET /user`, `PUT /user`, `POST /logout`: what somebody who is signed in does with their own user.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::absent::no_mail;
use super::ask::Ask;
use super::bearer::Bearer;
use super::error::Refusal;
use super::limit::Kind;
use super::signup::{identity, not};
use super::store::{Users, is_duplicate};
use super::user::User;
use super::{Service, email, password};
use crate::gateway::database::Error;

/// `GET /user`.
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let ask = Ask::from(request);
    let bearer = service.bearer(&ask).await?;
    Ok(Json(bearer.user.json()).into_response())
}

/// `POST /logout`.
pub(super) async fn log_out(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let ask = Ask::from(request);
    let Bearer { user, session } = service.bearer(&ask).await?;
    let scope = ask.query("scope").unwrap_or_default();
    // Whoever came with a token of no session ends all of them, whatever they asked for.
    let (only, but) = match (scope.as_str(), session) {
        ("" | "global", _) => (None, None),
        ("local", session) => (session, None),
        ("others", session) => (None, session),
        (other, _) => {
            return Err(Refusal::invalid(format!(
                "Unsupported logout scope {other:?}"
            )));
        }
    };
    let transaction = service.begin(&ask).await?;
    Users(&transaction).sign_out(user.id, only, but).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct Params {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    current_password: Option<String>,
    data: Option<Map<String, Value>>,
    app_metadata: Option<Value>,
}

/// What is to become of the own user.
struct Change {
    /// Checked, and another one than now.
    email: Option<String>,
    /// Its hash.
    password: Option<String>,
    data: Option<Map<String, Value>>,
}

/// `PUT /user`.
pub(super) async fn put(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let mut ask = Ask::from(request);
    let bearer = service.bearer(&ask).await?;
    ask.limited(&service, Kind::User)?;
    let params: Params = ask.json().await?;
    let change = check(&service, &bearer.user, params).await?;
    let user = apply(&service, &ask, &bearer, change).await?;
    Ok(Json(user.json()).into_response())
}

/// Everything that can be refused without looking at other users.
async fn check(service: &Service, user: &User, params: Params) -> Result<Change, Refusal> {
    let address = params.email.filter(|email| !email.is_empty());
    let address = address
        .map(|address| email::checked(&address))
        .transpose()?;
    if params.phone.is_some_and(|phone| !phone.is_empty()) {
        return Err(Refusal::unprocessable(
            "phone_provider_disabled",
            "Phone numbers are disabled",
        )
        .hint("This server sends no messages to phones"));
    }
    if let Some(secret) = &params.password {
        password::check(secret, service.settings().password_min)?;
    }
    if params.app_metadata.is_some_and(|data| !data.is_null()) {
        return Err(Refusal::forbidden(
            "not_admin",
            "Updating app_metadata requires admin privileges",
        ));
    }
    if user.is_anonymous && params.password.is_some() && address.is_none() {
        return Err(Refusal::unprocessable(
            "validation_failed",
            "Updating password of an anonymous user without an email or phone is not allowed",
        ));
    }
    let address = address.filter(|address| *address != user.email);
    if user.is_sso && (address.is_some() || params.password.is_some()) {
        return Err(Refusal::unprocessable(
            "user_sso_managed",
            "Updating email, phone, password of a SSO account only possible via SSO",
        ));
    }
    Ok(Change {
        email: address,
        password: match params.password {
            Some(secret) => {
                Some(another_password(service, user, secret, params.current_password).await?)
            }
            None => None,
        },
        data: params.data,
    })
}

async fn another_password(
    service: &Service,
    user: &User,
    secret: String,
    current: Option<String>,
) -> Result<String, Refusal> {
    if user.password.is_some() {
        // Nobody has to give it; who does wants it to be looked at.
        if let Some(current) = current.filter(|current| !current.is_empty()) {
            let is_right = service
                .hasher
                .verify(current, user.password.clone())
                .await?;
            if !is_right {
                return Err(Refusal::bad(
                    "current_password_invalid",
                    "Current password required when setting new password.",
                ));
            }
        }
        let is_same = service
            .hasher
            .verify(secret.clone(), user.password.clone())
            .await?;
        if is_same {
            return Err(Refusal::unprocessable(
                "same_password",
                "New password should be different from the old password.",
            ));
        }
    }
    service.hasher.hash(secret).await
}

async fn apply(
    service: &Service,
    ask: &Ask,
    bearer: &Bearer,
    change: Change,
) -> Result<User, Refusal> {
    let failed = |error: Error| not(error, "Error updating user");
    let id = bearer.user.id;
    let transaction = service.begin(ask).await?;
    let users = Users(&transaction);
    if let Some(address) = &change.email {
        if users.is_taken(address, id).await? {
            return Err(email_exists());
        }
        if !service.settings().autoconfirm {
            return Err(no_mail("An address is changed by a link in a mail"));
        }
    }
    if let Some(hash) = &change.password {
        let set = users.set_password(id, Some(hash), bearer.session);
        set.await.map_err(failed)?;
    }
    if let Some(data) = &change.data {
        let merged = users.merge_user_metadata(id, data);
        merged.await.map_err(failed)?;
    }
    if let Some(address) = &change.email {
        set_email(&users, &bearer.user, address, true).await?;
        if bearer.user.is_anonymous {
            let set = users.set(id, "is_anonymous = $2", &false);
            set.await.map_err(failed)?;
        }
        if !bearer.user.is_confirmed {
            users.confirm(id).await.map_err(failed)?;
        }
    }
    let user = users.get(id).await?;
    transaction.commit().await.map_err(failed)?;
    user.ok_or_else(|| Refusal::internal("Error updating user"))
}

/// The address of a user and of the identity that goes with it.
pub(super) async fn set_email(
    users: &Users<'_>,
    user: &User,
    address: &str,
    is_verified: bool,
) -> Result<(), Refusal> {
    let mut identity = identity(user.id, address, &Map::new());
    identity.insert("email_verified".to_owned(), is_verified.into());
    let failed = |error: Error| match is_duplicate(&error) {
        true => email_exists(),
        false => not(error, "Error updating user"),
    };
    users
        .email_identity(user.id, &identity)
        .await
        .map_err(failed)?;
    let set = "email = $2, email_change = ''";
    users.set(user.id, set, &address).await.map_err(failed)
}

/// 422.
pub(super) fn email_exists() -> Refusal {
    Refusal::unprocessable(
        "email_exists",
        "A user with this email address has already been registered",
    )
}
