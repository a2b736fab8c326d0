//! Sessions: beginning one, and the access token that is made for it.
//!
//! A session is one sign-in; it has a chain of refresh tokens of which the last is good, and every access token names
//! it. Ending it ends both, access tokens as far as this service is asked about them.

use std::sync::LazyLock;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Service;
use super::ask::Ask;
use super::error::Refusal;
use super::store::{INSTANCE, one};
use super::user::{COLUMNS, User};
use crate::auth::mint;
use crate::gateway::database::{Access, Params, Transaction};
use crate::socket::unix_now;

/// Characters of a refresh token; the twelve that Supabase Auth accepts.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Longest `Host` that is believed to be one.
const HOST: usize = 255;

/// How somebody has proven who they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Password,
    Anonymous,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Anonymous => "anonymous",
        }
    }
}

/// What an access token says about its session.
pub(super) struct Session {
    pub(super) id: Uuid,
    /// The refresh token that is good now.
    pub(super) refresh_token: String,
    /// The assurance of its methods.
    pub(super) aal: String,
    /// Methods and when they were used, the newest first.
    pub(super) amr: Value,
}

/// A random refresh token.
pub(super) fn refresh_token() -> Result<String, Refusal> {
    let mut bytes = [0; 12];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Refusal::internal("No randomness to make a token"))?;
    let pick = |byte: u8| {
        ALPHABET
            .get(usize::from(byte % 32))
            .copied()
            .map(char::from)
    };
    Ok(bytes.into_iter().filter_map(pick).collect())
}

/// Whether it has the form of one.
pub(super) fn is_refresh_token(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() == 12 && text.bytes().all(inside)
}

/// The whole of beginning one, as one statement. Parameter 7 is the hash that the password was compared with: a user who
/// has got another one in between, or was banned or deleted, begins none.
static BEGIN: LazyLock<String> = LazyLock::new(|| {
    format!(
        "with owner as ( \
           select u.id from auth.users u where u.id = $2 and u.deleted_at is null \
           and (u.banned_until > now()) is not true and coalesce(u.encrypted_password, '') = $7 for update \
         ), session as ( \
           insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip) \
           select $1::uuid, owner.id, now(), now(), 'aal1', $3::text, $4::inet from owner returning id \
         ), token as ( \
           insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, session_id) \
           select $8::uuid, $5::text, $2::uuid::text, false, now(), now(), session.id from session \
         ), claim as ( \
           insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method) \
           select gen_random_uuid(), session.id, now(), now(), $6::text from session \
         ) \
         update auth.users u set last_sign_in_at = now(), updated_at = now() \
         from owner where u.id = owner.id and exists (select from session) \
         returning {COLUMNS}"
    )
});

impl Service {
    /// Begins a session for somebody who has proven to be this user. In the transaction, or one of its own.
    pub(super) async fn begin_session(
        &self,
        ask: &Ask,
        transaction: Option<&Transaction>,
        user: &User,
        method: Method,
    ) -> Result<Option<(User, Session)>, Refusal> {
        let session = Session {
            id: Uuid::new_v4(),
            refresh_token: refresh_token()?,
            aal: "aal1".to_owned(),
            amr: json!([{ "method": method.name(), "timestamp": unix_now() }]),
        };
        let hash = user.password.as_deref().unwrap_or_default();
        let (agent, peer) = (ask.user_agent(), ask.peer());
        let params: &Params<'_> = &[
            &session.id,
            &user.id,
            &agent,
            &peer,
            &session.refresh_token,
            &method.name(),
            &hash,
            &INSTANCE,
        ];
        let rows = match transaction {
            Some(transaction) => transaction.query(&BEGIN, params).await?,
            None => self.once(ask, Access::Write, &BEGIN, params).await?,
        };
        Ok(one(rows)?.map(|user| (user, session)))
    }

    /// Whether tokens can be made at all; asked before anything is changed.
    pub(super) fn can_sign(&self) -> Result<(), Refusal> {
        match &self.gateway.settings.jwt_secret {
            Some(_) => Ok(()),
            None => Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                "feature_disabled",
                "Nobody can sign in here: this server has no secret to sign tokens with",
            )
            .hint("Set API_JWT_SECRET")),
        }
    }

    /// The answer to whoever is signed in now.
    pub(super) fn signed_in(
        &self,
        ask: &Ask,
        user: &User,
        session: &Session,
        weak_password: Option<Value>,
    ) -> Result<Response, Refusal> {
        self.can_sign()?;
        let now = unix_now();
        let lifetime = self.settings().token_lifetime.as_secs();
        let expires_at = now.saturating_add_unsigned(lifetime);
        let claims = claims(user, session, &self.issuer(ask), now, expires_at);
        let secret = self.gateway.settings.jwt_secret.as_ref();
        let secret = secret.map_or("", |secret| secret.expose());
        let token = mint(secret.as_bytes(), claims);
        // Told now rather than by every other service: the keys and validators of this server would not take it.
        let keys = std::sync::Arc::clone(&self.gateway.tenant.settings().keys);
        if let Err(error) = keys.verify(&token, now) {
            tracing::error!(%error, "auth: this server's own keys refuse the tokens it makes");
            return Err(Refusal::internal("This server refuses its own tokens")
                .hint("See API_JWT_SECRET and JWT_CLAIM_VALIDATORS"));
        }
        let mut answer = json!({
            "access_token": token, "token_type": "bearer", "expires_in": lifetime, "expires_at": expires_at,
            "refresh_token": session.refresh_token, "user": user.json(),
        });
        if let (Some(weak), Value::Object(answer)) = (weak_password, &mut answer) {
            answer.insert("weak_password".to_owned(), weak);
        }
        Ok(Json(answer).into_response())
    }

    /// Who makes the tokens: this service at its public address.
    fn issuer(&self, ask: &Ask) -> String {
        if let Some(url) = &self.gateway.settings.external_url {
            return format!("{url}/auth/v1");
        }
        let host = ask.headers().get(axum::http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        let host =
            host.filter(|host| !host.is_empty() && host.len() <= HOST && host.bytes().all(inside));
        format!("http://{}/auth/v1", host.unwrap_or("localhost"))
    }
}

fn claims(
    user: &User,
    session: &Session,
    issuer: &str,
    now: i64,
    expires_at: i64,
) -> Map<String, Value> {
    let claims = json!({
        "iss": issuer, "sub": user.id.to_string(), "aud": user.aud, "exp": expires_at, "iat": now,
        "email": user.email, "phone": user.phone, "app_metadata": user.app_metadata,
        "user_metadata": user.user_metadata, "role": user.role, "aal": session.aal, "amr": session.amr,
        "session_id": session.id.to_string(), "is_anonymous": user.is_anonymous,
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_tokens_have_their_form_and_are_not_alike() {
        let (one, other) = (refresh_token().unwrap(), refresh_token().unwrap());
        assert!(is_refresh_token(&one), "{one}");
        assert_ne!(one, other);
        for bad in [
            "",
            "abcdefghijk",
            "abcdefghijklm",
            "ABCDEFGHIJKL",
            "abcdefghijk'",
            "abcdefghijä",
        ] {
            assert!(!is_refresh_token(bad), "{bad}");
        }
    }
}
