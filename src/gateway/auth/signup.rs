//! `POST /signup`: a new user with an address and a password, or with nothing.
//!
//! The password is hashed before anything is looked up, so that a taken address costs as much time as a free one. The
//! row is inserted as the client described it and confirmed by a second statement, as Supabase Auth does it: triggers
//! on `auth.users` see the same two events.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::ask::Ask;
use super::error::Refusal;
use super::limit::Kind;
use super::session::Method;
use super::store::{NewUser, Users, is_duplicate};
use super::user::pretended;
use super::{AUDIENCE, Service, email, password};
use crate::gateway::database::Error;

#[derive(Deserialize)]
struct Params {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    data: Option<Map<String, Value>>,
}

/// `POST /signup`.
pub(super) async fn sign_up(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let mut ask = Ask::from(request);
    let params: Params = ask.json().await?;
    let address = params.email.unwrap_or_default();
    let phone = params.phone.unwrap_or_default();
    let data = params.data.unwrap_or_default();
    let nameless = address.is_empty() && phone.is_empty();
    if nameless && !service.settings().anonymous {
        return Err(Refusal::unprocessable(
            "anonymous_provider_disabled",
            "Anonymous sign-ins are disabled",
        ));
    }
    ask.limited(
        &service,
        match nameless {
            true => Kind::Anonymous,
            false => Kind::SignUp,
        },
    )?;
    if service.settings().signup_disabled {
        return Err(Refusal::unprocessable(
            "signup_disabled",
            "Signups not allowed for this instance",
        ));
    }
    if nameless {
        return anonymous(&service, &ask, data).await;
    }
    let secret = params.password.unwrap_or_default();
    if secret.is_empty() {
        return Err(Refusal::invalid("Signup requires a valid password"));
    }
    password::check(&secret, service.settings().password_min)?;
    if !address.is_empty() && !phone.is_empty() {
        return Err(Refusal::invalid(
            "Only an email address or phone number should be provided on signup.",
        ));
    }
    if !phone.is_empty() {
        return Err(Refusal::bad(
            "phone_provider_disabled",
            "Phone signups are disabled",
        ));
    }
    let address = email::checked(&address)?;
    with_password(&service, &ask, &address, secret, data).await
}

async fn with_password(
    service: &Service,
    ask: &Ask,
    address: &str,
    secret: String,
    data: Map<String, Value>,
) -> Result<Response, Refusal> {
    let confirmed = service.settings().autoconfirm;
    if confirmed {
        service.can_sign()?;
    }
    let hash = service.hasher.hash(secret).await?;
    let transaction = service.begin(ask).await?;
    let (users, id) = (Users(&transaction), Uuid::new_v4());
    let taken = || match confirmed {
        true => Err(Refusal::unprocessable(
            "user_already_exists",
            "User already registered",
        )),
        false => Ok(Json(pretended(address, &data)).into_response()),
    };
    if users.is_taken(address, id).await? {
        return taken();
    }
    let new = NewUser {
        id,
        aud: AUDIENCE,
        role: AUDIENCE,
        email: Some(address),
        password: &hash,
        app_metadata: json!({"provider": "email", "providers": ["email"]}),
        user_metadata: &data,
        is_anonymous: false,
    };
    match users.create(&new).await {
        // Somebody was faster.
        Err(error) if is_duplicate(&error) => return taken(),
        other => other.map_err(not_saved)?,
    }
    let identity = identity(id, address, &data);
    users
        .email_identity(id, &identity)
        .await
        .map_err(not_saved)?;
    users
        .merge_user_metadata(id, &identity)
        .await
        .map_err(not_saved)?;
    if confirmed {
        users.confirm(id).await.map_err(not_saved)?;
    }
    let gone = || Refusal::internal("Database error loading user after sign-up");
    let user = users.get(id).await?.ok_or_else(gone)?;
    if !confirmed {
        transaction.commit().await.map_err(not_saved)?;
        return Ok(Json(user.json()).into_response());
    }
    let begun = service.begin_session(ask, Some(&transaction), &user, Method::Password);
    let (user, session) = begun.await?.ok_or_else(gone)?;
    let answer = service.signed_in(ask, &user, &session, None)?;
    transaction.commit().await.map_err(not_saved)?;
    Ok(answer)
}

async fn anonymous(
    service: &Service,
    ask: &Ask,
    data: Map<String, Value>,
) -> Result<Response, Refusal> {
    service.can_sign()?;
    let failed = |error: Error| not(error, "Database error creating anonymous user");
    let transaction = service.begin(ask).await?;
    let (users, id) = (Users(&transaction), Uuid::new_v4());
    let new = NewUser {
        id,
        aud: AUDIENCE,
        role: AUDIENCE,
        email: None,
        password: "",
        app_metadata: json!({}),
        user_metadata: &data,
        is_anonymous: true,
    };
    users.create(&new).await.map_err(failed)?;
    let gone = || Refusal::internal("Database error creating anonymous user");
    let user = users.get(id).await?.ok_or_else(gone)?;
    let begun = service.begin_session(ask, Some(&transaction), &user, Method::Anonymous);
    let (user, session) = begun.await?.ok_or_else(gone)?;
    let answer = service.signed_in(ask, &user, &session, None)?;
    transaction.commit().await.map_err(failed)?;
    Ok(answer)
}

/// What an identity says about its user; `data` cannot say otherwise.
pub(super) fn identity(id: Uuid, address: &str, data: &Map<String, Value>) -> Map<String, Value> {
    let mut identity = data.clone();
    identity.insert("sub".to_owned(), id.to_string().into());
    identity.insert("email".to_owned(), address.into());
    identity.insert("email_verified".to_owned(), false.into());
    identity.insert("phone_verified".to_owned(), false.into());
    identity
}

fn not_saved(error: Error) -> Refusal {
    not(error, "Database error saving new user")
}

/// What was not done because the database refused it: mostly a trigger on `auth.users` that fails.
pub(super) fn not(error: Error, what: &'static str) -> Refusal {
    let is_refusal = error.code().is_some_and(|code| code != "57014");
    let refusal = Refusal::from(error);
    match is_refusal {
        true => Refusal::internal(what)
            .hint("See the log of Postgres; a trigger on auth.users may have failed"),
        false => refusal,
    }
}
