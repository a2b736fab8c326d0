//! `/admin/users/{id}` and `POST /admin/users`: users as a server with the service_role key manages them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::ask::Ask;
use super::ban;
use super::error::Refusal;
use super::me::{email_exists, set_email};
use super::signup::{identity, not};
use super::store::{NewUser, Users, is_duplicate};
use super::user::User;
use super::{AUDIENCE, Service, email, password};
use crate::gateway::database::{Access, Error};

/// Longest role or audience, as the columns have it.
const NAME: usize = 255;

/// A segment of the path that names a user.
pub(super) type Id = Result<Path<String>, PathRejection>;

#[derive(Deserialize)]
struct Params {
    id: Option<String>,
    aud: Option<String>,
    role: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    password_hash: Option<String>,
    email_confirm: Option<bool>,
    phone_confirm: Option<bool>,
    user_metadata: Option<Map<String, Value>>,
    app_metadata: Option<Map<String, Value>>,
    ban_duration: Option<String>,
}

impl Params {
    async fn of(ask: &mut Ask) -> Result<Self, Refusal> {
        let mut params: Self = ask.json().await?;
        let filled =
            |text: &mut Option<String>| *text = text.take().filter(|text| !text.is_empty());
        for text in [
            &mut params.id,
            &mut params.aud,
            &mut params.role,
            &mut params.email,
            &mut params.phone,
            &mut params.password_hash,
            &mut params.ban_duration,
        ] {
            filled(text);
        }
        params.role = params.role.map(|role| role.trim().to_owned());
        if params.phone.is_some() || params.phone_confirm == Some(true) {
            return Err(Refusal::unprocessable(
                "phone_provider_disabled",
                "Phone numbers are disabled",
            ));
        }
        for name in [&params.aud, &params.role].into_iter().flatten() {
            if name.len() > NAME {
                return Err(Refusal::invalid("aud and role are at most 255 bytes long"));
            }
        }
        params.email = params
            .email
            .map(|address| email::checked(&address))
            .transpose()?;
        Ok(params)
    }

    /// Seconds from now; none takes a ban away.
    fn ban(&self) -> Result<Option<Option<f64>>, Refusal> {
        let ban = self.ban_duration.as_deref().map(ban::seconds);
        ban.transpose()
    }

    fn confirms(&self) -> bool {
        self.email_confirm.unwrap_or_default()
    }
}

impl Service {
    /// The user that a path names, for an administrator.
    pub(super) async fn named(&self, ask: &Ask, id: Id) -> Result<User, Refusal> {
        self.admin(ask).await?;
        let id = id.ok().and_then(|Path(id)| Uuid::parse_str(&id).ok());
        let id =
            id.ok_or_else(|| Refusal::not_found("validation_failed", "user_id must be an UUID"))?;
        let user = self.user_by_id(ask, id).await?;
        user.ok_or_else(|| Refusal::not_found("user_not_found", "User not found"))
    }
}

/// `GET /admin/users/{id}`.
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    id: Id,
    request: Request,
) -> Result<Response, Refusal> {
    let ask = Ask::from(request);
    let user = service.named(&ask, id).await?;
    Ok(Json(user.json()).into_response())
}

/// `POST /admin/users`.
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let mut ask = Ask::from(request);
    service.admin(&ask).await?;
    let params = Params::of(&mut ask).await?;
    let Some(address) = &params.email else {
        return Err(Refusal::invalid(
            "Cannot create a user without either an email or phone",
        ));
    };
    let ban = params.ban()?;
    let id = new_id(params.id.as_deref())?;
    let hash = new_hash(&service, &params).await?;
    let failed = |error: Error| not(error, "Database error creating new user");

    let transaction = service.begin(&ask).await?;
    let users = Users(&transaction);
    if users.is_taken(address, id).await? {
        return Err(email_exists());
    }
    let user_metadata = params.user_metadata.clone().unwrap_or_default();
    let new = NewUser {
        id,
        aud: params.aud.as_deref().unwrap_or(AUDIENCE),
        role: params.role.as_deref().unwrap_or(AUDIENCE),
        email: Some(address),
        password: &hash,
        app_metadata: json!({"provider": "email", "providers": ["email"]}),
        user_metadata: &user_metadata,
        is_anonymous: false,
    };
    match users.create(&new).await {
        Err(error) if is_duplicate(&error) => return Err(email_exists()),
        other => other.map_err(failed)?,
    }
    let data = identity(id, address, &Map::new());
    users.email_identity(id, &data).await.map_err(failed)?;
    if let Some(data) = &params.app_metadata {
        users.merge_app_metadata(id, data).await.map_err(failed)?;
    }
    if params.confirms() {
        users.confirm(id).await.map_err(failed)?;
    }
    if let Some(ban) = ban {
        set_ban(&users, id, ban).await.map_err(failed)?;
    }
    let user = users.get(id).await?;
    transaction.commit().await.map_err(failed)?;
    let user = user.ok_or_else(|| Refusal::internal("Database error creating new user"))?;
    Ok(Json(user.json()).into_response())
}

fn new_id(id: Option<&str>) -> Result<Uuid, Refusal> {
    let Some(id) = id else {
        return Ok(Uuid::new_v4());
    };
    match Uuid::parse_str(id) {
        Ok(id) if id.is_nil() => Err(Refusal::invalid("ID cannot be a nil uuid")),
        Ok(id) => Ok(id),
        Err(_) => Err(Refusal::invalid("ID must conform to the uuid v4 format")),
    }
}

async fn new_hash(service: &Service, params: &Params) -> Result<String, Refusal> {
    let secret = params.password.clone();
    match (secret, &params.password_hash) {
        (Some(_), Some(_)) => Err(Refusal::invalid(
            "Only a password or a password hash should be provided",
        )),
        (None, Some(hash)) if !password::is_known(hash) => Err(Refusal::invalid(
            "The password hash is of no kind that can be verified here",
        )
        .hint("bcrypt up to cost 14, or argon2id and argon2i (version 19) up to 64 MiB, 10 passes and 4 lanes")),
        (None, Some(hash)) => Ok(hash.clone()),
        (Some(secret), None) if !secret.is_empty() => {
            password::check_length(&secret)?;
            service.hasher.hash(secret).await
        }
        // One that nobody knows.
        _ => {
            let mut random = [0; 32];
            aws_lc_rs::rand::fill(&mut random)
                .map_err(|_| Refusal::internal("No randomness to make a password"))?;
            service.hasher.hash(URL_SAFE_NO_PAD.encode(random)).await
        }
    }
}

async fn set_ban(users: &Users<'_>, id: Uuid, ban: Option<f64>) -> Result<(), Error> {
    let set = "banned_until = now() + $2::float8 * interval '1 second'";
    users.set(id, set, &ban).await
}

/// `PUT /admin/users/{id}`.
pub(super) async fn update(
    State(service): State<Arc<Service>>,
    id: Id,
    request: Request,
) -> Result<Response, Refusal> {
    let mut ask = Ask::from(request);
    let user = service.named(&ask, id).await?;
    let params = Params::of(&mut ask).await?;
    let ban = params.ban()?;
    let hash = match params.password.clone() {
        Some(secret) => {
            password::check(&secret, service.settings().password_min)?;
            Some(service.hasher.hash(secret).await?)
        }
        None => None,
    };
    let user = change(&service, &ask, &user, &params, hash, ban).await?;
    Ok(Json(user.json()).into_response())
}

async fn change(
    service: &Service,
    ask: &Ask,
    user: &User,
    params: &Params,
    hash: Option<String>,
    ban: Option<Option<f64>>,
) -> Result<User, Refusal> {
    let failed = |error: Error| not(error, "Error updating user");
    let transaction = service.begin(ask).await?;
    let (users, id) = (Users(&transaction), user.id);
    if let Some(role) = &params.role {
        users.set(id, "role = $2", role).await.map_err(failed)?;
    }
    if params.confirms() {
        users.confirm(id).await.map_err(failed)?;
    }
    if let Some(hash) = &hash {
        let set = users.set_password(id, Some(hash), None);
        set.await.map_err(failed)?;
    }
    if let Some(address) = &params.email {
        if users.is_taken(address, id).await? {
            return Err(email_exists());
        }
        set_email(&users, user, address, params.confirms()).await?;
        if user.is_anonymous && params.confirms() {
            let set = users.set(id, "is_anonymous = $2", &false);
            set.await.map_err(failed)?;
        }
    }
    if let Some(data) = &params.app_metadata {
        users.merge_app_metadata(id, data).await.map_err(failed)?;
    }
    if let Some(data) = &params.user_metadata {
        users.merge_user_metadata(id, data).await.map_err(failed)?;
    }
    if let Some(ban) = ban {
        set_ban(&users, id, ban).await.map_err(failed)?;
    }
    let user = users.get(id).await?;
    transaction.commit().await.map_err(failed)?;
    user.ok_or_else(|| Refusal::not_found("user_not_found", "User not found"))
}

#[derive(Default, Deserialize)]
struct Deletion {
    should_soft_delete: Option<bool>,
}

/// `DELETE /admin/users/{id}`.
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    id: Id,
    request: Request,
) -> Result<Response, Refusal> {
    let mut ask = Ask::from(request);
    let user = service.named(&ask, id).await?;
    let deletion: Deletion = ask.maybe_json().await?;
    let failed = |error: Error| {
        let is_used = error.code() == Some("23503");
        let refusal = not(error, "Database error deleting user");
        match is_used {
            true => refusal.hint("A row of another table refers to this user, without ON DELETE"),
            false => refusal,
        }
    };
    if deletion.should_soft_delete.unwrap_or_default() {
        if !user.is_deleted {
            forget(&service, &ask, &user).await.map_err(failed)?;
        }
    } else {
        let transaction = service.begin(&ask).await?;
        let users = Users(&transaction);
        users.delete(user.id).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    Ok(Json(json!({})).into_response())
}

/// The row stays for those that refer to it, and says no more who it was. What it was called is replaced by a hash, so
/// that the address is free again.
async fn forget(service: &Service, ask: &Ask, user: &User) -> Result<(), Error> {
    let sql = "with sessions as (delete from auth.sessions where user_id = $1), \
               identities as ( \
                 update auth.identities set identity_data = '{}', updated_at = now(), \
                 provider_id = rtrim(translate(encode(sha256(convert_to(user_id::text || provider || ':' || provider_id, \
                                                                        'UTF8')), 'base64'), '+/', '-_'), '=') \
                 where user_id = $1 \
               ) \
               update auth.users set deleted_at = now(), updated_at = now(), encrypted_password = null, \
               email = rtrim(translate(encode(sha256(convert_to(id::text || coalesce(email, ''), 'UTF8')), 'base64'), \
                                       '+/', '-_'), '='), \
               phone = left(rtrim(translate(encode(sha256(convert_to(id::text || coalesce(phone, ''), 'UTF8')), \
                                                   'base64'), '+/', '-_'), '='), 15), \
               email_change = '', phone_change = '', confirmation_token = '', recovery_token = '', \
               email_change_token_current = '', email_change_token_new = '', phone_change_token = '', \
               raw_user_meta_data = '{}', raw_app_meta_data = '{}' \
               where id = $1";
    service
        .once(ask, Access::Write, sql, &[&user.id])
        .await
        .map(drop)
}
