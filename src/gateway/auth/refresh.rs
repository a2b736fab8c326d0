//! A refresh token for a new access token and the next refresh token.
//!
//! Each may be used once. It is forgiven when a client repeats itself: the parent of the token that is good now gives
//! that one again (the answer was lost), and so does any older one for a few seconds (tabs that wake up together).
//! Anything else is a token in the wrong hands, and nobody knows which hands are: all tokens of the session are revoked.
//! The row of the session is locked throughout, so that of two at the same time the second sees what the first did.

use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Service;
use super::ask::Ask;
use super::error::Refusal;
use super::session::{Session, is_refresh_token, refresh_token};
use super::store::{INSTANCE, Users};
use crate::gateway::database::{Error, Transaction};

#[derive(Deserialize)]
struct Params {
    refresh_token: Option<String>,
}

/// A row of `auth.refresh_tokens`.
struct Token {
    text: String,
    parent: Option<String>,
    is_revoked: bool,
    changed: DateTime<Utc>,
}

impl Token {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            text: row.try_get("token")?,
            parent: row.try_get("parent")?,
            is_revoked: row
                .try_get::<_, Option<bool>>("revoked")?
                .unwrap_or_default(),
            changed: row
                .try_get::<_, Option<DateTime<Utc>>>("updated_at")?
                .unwrap_or_default(),
        })
    }
}

/// What becomes of a request with a token.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Used for the first time: it is replaced.
    Next,
    /// Used again, and forgiven: the one that is good now is given again.
    Again,
    /// Used again.
    Abuse,
}

impl Verdict {
    fn of(
        token: &Token,
        active: Option<&Token>,
        forgiven_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        match active {
            _ if !token.is_revoked => Self::Next,
            Some(active) if active.parent.as_deref() == Some(token.text.as_str()) => Self::Again,
            Some(_) if now <= forgiven_until => Self::Again,
            _ => Self::Abuse,
        }
    }
}

/// `POST /token?grant_type=refresh_token`.
pub(super) async fn refresh(service: &Service, ask: &mut Ask) -> Result<Response, Refusal> {
    let params: Params = ask.json().await?;
    let text = params.refresh_token.unwrap_or_default();
    if !is_refresh_token(&text) {
        return Err(Refusal::invalid("Refresh token is not valid"));
    }
    service.can_sign()?;
    let transaction = service.begin(ask).await?;
    let (user_id, session) = lock(&transaction, &text).await?;
    let gone = || {
        Refusal::bad(
            "session_not_found",
            "Invalid Refresh Token: No Valid Session Found",
        )
    };
    let user = Users(&transaction).get(user_id).await?;
    let user = user.filter(|user| !user.is_deleted).ok_or_else(gone)?;
    if user.is_banned {
        return Err(Refusal::bad(
            "user_banned",
            "Invalid Refresh Token: User Banned",
        ));
    }
    let (token, active, now) = tokens(&transaction, session.id, &text).await?;
    let token = token.ok_or_else(unknown)?;
    let forgiven_until = token.changed + service.settings().reuse_interval;
    let next = match Verdict::of(&token, active.as_ref(), forgiven_until, now) {
        Verdict::Next => replace(&transaction, session.id, user.id, &token).await?,
        Verdict::Again => active.map_or(token.text, |active| active.text),
        Verdict::Abuse => {
            revoke_all(&transaction, session.id).await?;
            transaction.commit().await?;
            tracing::warn!(session = %session.id, "auth: a refresh token was used again; its session is revoked");
            return Err(Refusal::bad(
                "refresh_token_already_used",
                "Invalid Refresh Token: Already Used",
            ));
        }
    };
    note(&transaction, ask, session.id).await?;
    let session = Session {
        refresh_token: next,
        ..session
    };
    let answer = service.signed_in(ask, &user, &session, None)?;
    transaction.commit().await?;
    Ok(answer)
}

fn unknown() -> Refusal {
    Refusal::bad(
        "refresh_token_not_found",
        "Invalid Refresh Token: Refresh Token Not Found",
    )
}

/// The token's user and session, which nobody else can change from now on.
async fn lock(transaction: &Transaction, text: &str) -> Result<(Uuid, Session), Refusal> {
    let sql = "select t.user_id::uuid as user_id, s.id, s.user_id as owner, (s.not_after < now()) is true as is_over, \
               coalesce(s.aal::text, 'aal1') as aal, \
               (select coalesce(jsonb_agg(jsonb_build_object('method', c.authentication_method, \
                'timestamp', floor(extract(epoch from c.updated_at))::bigint) order by c.updated_at desc), '[]'::jsonb) \
                from auth.mfa_amr_claims c where c.session_id = s.id) as amr \
               from auth.refresh_tokens t join auth.sessions s on s.id = t.session_id \
               where t.token = $1 for update of s";
    let row = transaction.query_opt(sql, &[&text]).await?;
    let row = row.ok_or_else(unknown)?;
    let read = |row: &Row| -> Result<_, tokio_postgres::Error> {
        let session = Session {
            id: row.try_get("id")?,
            refresh_token: String::new(),
            aal: row.try_get("aal")?,
            amr: row.try_get("amr")?,
        };
        let (user, owner): (Uuid, Uuid) = (row.try_get("user_id")?, row.try_get("owner")?);
        Ok((user, owner, row.try_get::<_, bool>("is_over")?, session))
    };
    let (user, owner, is_over, session) = read(&row).map_err(Error::from)?;
    if user != owner {
        // Never made here. It must not become a way from one user to another.
        return Err(unknown());
    }
    if is_over {
        return Err(Refusal::bad(
            "session_expired",
            "Invalid Refresh Token: Session Expired",
        ));
    }
    Ok((user, session))
}

/// This token and the one that is good now, as they are under the lock; and the time of the database.
async fn tokens(
    transaction: &Transaction,
    session: Uuid,
    text: &str,
) -> Result<(Option<Token>, Option<Token>, DateTime<Utc>), Refusal> {
    let sql = "select token, parent, revoked, updated_at, clock_timestamp() as now, token = $2 as is_this \
               from auth.refresh_tokens where session_id = $1 and (token = $2 or revoked is not true) order by id";
    let rows = transaction.query(sql, &[&session, &text]).await?;
    let (mut this, mut active, mut now) = (None, None, DateTime::<Utc>::MAX_UTC);
    for row in &rows {
        let mut read = || -> Result<_, tokio_postgres::Error> {
            now = row.try_get("now")?;
            Ok((Token::of(row)?, row.try_get::<_, bool>("is_this")?))
        };
        let (token, is_this) = read().map_err(Error::from)?;
        // A token can be both; the newest that is not revoked is the good one.
        if !token.is_revoked {
            active = Some(Token {
                text: token.text.clone(),
                parent: token.parent.clone(),
                ..token
            });
        }
        if is_this {
            this = Some(token);
        }
    }
    Ok((this, active, now))
}

async fn replace(
    transaction: &Transaction,
    session: Uuid,
    user: Uuid,
    token: &Token,
) -> Result<String, Refusal> {
    let next = refresh_token()?;
    let sql = "with used as (update auth.refresh_tokens set revoked = true, updated_at = clock_timestamp() \
                             where token = $1 returning token) \
               insert into auth.refresh_tokens \
               (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id) \
               select $2::uuid, $3::text, $4::uuid::text, false, clock_timestamp(), clock_timestamp(), used.token, $5::uuid \
               from used";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&token.text, &INSTANCE, &next, &user, &session];
    transaction.query(sql, &params).await?;
    Ok(next)
}

async fn revoke_all(transaction: &Transaction, session: Uuid) -> Result<(), Error> {
    let sql = "update auth.refresh_tokens set revoked = true, updated_at = now() \
               where session_id = $1 and revoked is not true";
    transaction.query(sql, &[&session]).await.map(drop)
}

/// Where the session was used last.
async fn note(transaction: &Transaction, ask: &Ask, session: Uuid) -> Result<(), Error> {
    let sql = "update auth.sessions set refreshed_at = now() at time zone 'UTC', updated_at = now(), \
               user_agent = $2, ip = $3 where id = $1";
    let (agent, peer) = (ask.user_agent(), ask.peer());
    transaction
        .query(sql, &[&session, &agent, &peer])
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, parent: Option<&str>, is_revoked: bool) -> Token {
        Token {
            text: text.to_owned(),
            parent: parent.map(str::to_owned),
            is_revoked,
            changed: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn repeating_oneself_is_forgiven_and_nothing_else() {
        let (now, later) = (DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);
        let of = Verdict::of;
        let good = token("c", Some("b"), false);
        assert_eq!(of(&good, Some(&good), now, now), Verdict::Next);
        // The parent of the good one at any time; its grandparent for a while.
        let (parent, grandparent) = (token("b", Some("a"), true), token("a", None, true));
        assert_eq!(of(&parent, Some(&good), now, later), Verdict::Again);
        assert_eq!(of(&grandparent, Some(&good), now, now), Verdict::Again);
        assert_eq!(of(&grandparent, Some(&good), now, later), Verdict::Abuse);
        // Where all are revoked nothing comes back.
        assert_eq!(of(&parent, None, now, now), Verdict::Abuse);
        // A good one without a parent has no relatives.
        let first = token("d", None, false);
        assert_eq!(of(&parent, Some(&first), now, later), Verdict::Abuse);
    }
}
