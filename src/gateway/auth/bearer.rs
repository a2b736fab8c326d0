//! Who is signed in: the user and the session that the bearer's token names, as they are now.
//!
//! A token stays well-formed after its session has ended, after a ban and after the user is gone; so each request looks.
//! The role in a token is never assumed here; it only says who administers.

use std::sync::{Arc, LazyLock};

use axum::http::StatusCode;
use uuid::Uuid;

use super::Service;
use super::ask::Ask;
use super::error::Refusal;
use super::user::{COLUMNS, User};
use crate::auth::Claims;
use crate::gateway::caller::{Caller, NoCaller};
use crate::gateway::database::{Access, Error};

/// Roles that may administer users.
const ADMINS: [&str; 2] = ["service_role", "supabase_admin"];

/// See the module.
pub(super) struct Bearer {
    pub(super) user: User,
    /// None for a token that names none: one that was made elsewhere with the secret.
    pub(super) session: Option<Uuid>,
}

static USER_AND_SESSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {COLUMNS}, exists (select from auth.sessions s where s.id = $2 and s.user_id = u.id) as has_session \
         from auth.users u where u.id = $1"
    )
});

impl Service {
    fn claims(&self, ask: &Ask) -> Result<Arc<Claims>, Refusal> {
        let bad = |why: &dyn std::fmt::Display| {
            Refusal::forbidden(
                "bad_jwt",
                format!("invalid JWT: unable to parse or verify signature, {why}"),
            )
        };
        let caller = Caller::with_token(&self.gateway, ask.bearer()?);
        match caller.map(|caller| caller.claims) {
            Ok(Some(claims)) => Ok(claims),
            Ok(None) | Err(NoCaller::NoKey) => Err(bad(&"no claims")),
            Err(NoCaller::Token(error)) => Err(bad(&error)),
        }
    }

    /// Who is signed in.
    pub(super) async fn bearer(&self, ask: &Ask) -> Result<Bearer, Refusal> {
        let claims = self.claims(ask)?;
        self.bearer_of(ask, &claims).await
    }

    async fn bearer_of(&self, ask: &Ask, claims: &Claims) -> Result<Bearer, Refusal> {
        let sub = claims.sub.as_deref().filter(|sub| !sub.is_empty());
        let sub =
            sub.ok_or_else(|| Refusal::forbidden("bad_jwt", "invalid claim: missing sub claim"))?;
        let id = Uuid::parse_str(sub)
            .map_err(|_| Refusal::bad("bad_jwt", "invalid claim: sub claim must be a UUID"))?;
        let session = session_of(claims)?;
        let rows = self
            .once(ask, Access::Read, &USER_AND_SESSION, &[&id, &session])
            .await?;
        let gone = || {
            Refusal::forbidden(
                "user_not_found",
                "User from sub claim in JWT does not exist",
            )
        };
        let row = rows.first().ok_or_else(gone)?;
        let user = User::of(row).map_err(Error::from)?;
        if user.is_deleted {
            return Err(gone());
        }
        let has_session: bool = row.try_get("has_session").map_err(Error::from)?;
        if session.is_some() && !has_session {
            return Err(Refusal::forbidden(
                "session_not_found",
                "Session from session_id claim in JWT does not exist",
            ));
        }
        if user.is_banned {
            return Err(Refusal::forbidden("user_banned", "User is banned"));
        }
        Ok(Bearer { user, session })
    }

    /// Nothing, if the bearer may administer users. A token of a session counts as long as that does.
    pub(super) async fn admin(&self, ask: &Ask) -> Result<(), Refusal> {
        let claims = self.claims(ask)?;
        if !ADMINS.contains(&&*claims.role) {
            return Err(Refusal::forbidden("not_admin", "User not allowed"));
        }
        if session_of(&claims)?.is_some() {
            self.bearer_of(ask, &claims).await?;
        }
        Ok(())
    }
}

/// Claim `session_id`; absent, empty and nil are the same.
fn session_of(claims: &Claims) -> Result<Option<Uuid>, Refusal> {
    let session = match claims.get("session_id") {
        None | Some(serde_json::Value::Null) => return Ok(None),
        Some(session) => session,
    };
    let bad = || {
        Refusal::new(
            StatusCode::FORBIDDEN,
            "bad_jwt",
            "invalid claim: session_id claim must be a UUID",
        )
    };
    let text = session.as_str().ok_or_else(bad)?;
    if text.is_empty() {
        return Ok(None);
    }
    let id = Uuid::parse_str(text).map_err(|_| bad())?;
    Ok(Some(id).filter(|id| !id.is_nil()))
}
