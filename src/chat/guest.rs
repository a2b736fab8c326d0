//! Guests: who holds a share link talks in the name of a client, in one conversation, without an account (C-401, C-402).
//!
//! A session (`client_chat_tokens`, 24 hours) is opened with the link and gives short tokens (at most 15 minutes) of the
//! role `chat_guest`. Whether link, session and participation still hold is asked of the database with every statement of
//! the token's bearer (`chat.guest_conversation`), so that a link that is switched off ends at once what its tokens may do.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Chat;
use super::error::Error;
use crate::gateway::Peer;
use crate::socket::unix_now;

/// Longest life of a guest's token, in seconds (C-401).
const LIFETIME: i64 = 15 * 60;

/// Why there are no guests, and what to do.
pub(super) const NO_KEY: &str = "there is nothing to sign tokens of guests with: set API_JWT_SECRET, or where the project has \
    asymmetric keys only CHAT_JWT_KEY";

/// Longest name of a subject, in characters, as in `share_links`.
const SUBJECT: usize = 200;
/// Lengths of the token of a link, as in `share_links`.
const SHARE_TOKEN: std::ops::RangeInclusive<usize> = 16..=200;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Sessions opened, or tried to.
    Open,
    /// Tokens renewed: with many guests behind one address much more often.
    Refresh,
}

/// Parameters of `GET /chat/v1/guest-token`.
#[derive(Deserialize)]
pub(super) struct Link {
    subject_id: String,
    share_token: String,
}

/// Body of `POST /chat/v1/guest-token/refresh`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    chat_token: String,
}

/// `GET /chat/v1/guest-token?subject_id&share_token` (C-401).
pub(super) async fn open(
    State(chat): State<Arc<Chat>>,
    peer: Option<Extension<Peer>>,
    link: Result<Query<Link>, QueryRejection>,
) -> Result<Response, Error> {
    chat.limited(Kind::Open, peer)?;
    let hint = "give subject_id and share_token, each once, as the share link has them";
    let Query(link) = link.map_err(|_| Error::bad("a parameter is missing", hint))?;
    let fine = |text: &str| !text.chars().any(char::is_control);
    if !(1..=SUBJECT).contains(&link.subject_id.chars().count()) || !fine(&link.subject_id) {
        return Err(Error::bad("subject_id is empty or too long", hint));
    }
    if !SHARE_TOKEN.contains(&link.share_token.chars().count()) || !fine(&link.share_token) {
        return Err(Error::bad("share_token is not the token of a link", hint));
    }
    let sql = "select chat.open_guest_session($1, $2)";
    chat.session(sql, &[&link.subject_id, &link.share_token])
        .await
}

/// `POST /chat/v1/guest-token/refresh` (C-402).
pub(super) async fn refresh(
    State(chat): State<Arc<Chat>>,
    peer: Option<Extension<Peer>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Error> {
    chat.limited(Kind::Refresh, peer)?;
    let hint = "send {\"chatToken\": ...}, the token of the session";
    let body = body.map_err(|_| Error::bad("the body is too large", hint))?;
    let session: Session = serde_json::from_slice(&body)
        .map_err(|_| Error::bad("the body is not {\"chatToken\": ...}", hint))?;
    let token = session.chat_token;
    if token.len() != 64 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::bad("chatToken is not the token of a session", hint));
    }
    chat.session("select chat.refresh_guest_session($1)", &[&token])
        .await
}

impl Chat {
    /// Takes one of the allowance of this address. Who has none shares one.
    fn limited(&self, kind: Kind, peer: Option<Extension<Peer>>) -> Result<(), Error> {
        let address = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |Extension(Peer(a))| a);
        let taken = self.limiter.take(kind, address, Instant::now());
        taken.map_err(Error::too_many)
    }

    /// The session that this function of the database opens or finds, with a token for it.
    async fn session(
        &self,
        sql: &str,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Response, Error> {
        // Before anything is written.
        let Some(signer) = &self.signer else {
            return Err(Error::missing("guests cannot be served here", NO_KEY));
        };
        let Value::Object(mut session) = self.database.value(sql, params).await? else {
            return Err(Error::internal());
        };
        let (claims, expires) = claims(&session, unix_now()).ok_or_else(Error::internal)?;
        let jwt = signer.sign(claims).ok_or_else(Error::internal)?;
        session.insert("jwt".to_owned(), jwt.into());
        session.insert("jwtExpiresAt".to_owned(), expires.into());
        Ok(Json(session).into_response())
    }
}

/// Claims of the token of a session, and when it ends (ISO 8601). None for what is no session, or one that is over.
fn claims(session: &Map<String, Value>, now: i64) -> Option<(Map<String, Value>, String)> {
    let text = |name: &str| session.get(name).and_then(Value::as_str);
    let end = DateTime::parse_from_rfc3339(text("expiresAt")?).ok()?;
    let expires = end.timestamp().min(now + LIFETIME);
    if expires <= now {
        return None;
    }
    let id = text("chatTokenId")?;
    let claims = Map::from_iter([
        ("role".to_owned(), Value::from("chat_guest")),
        ("sub".to_owned(), text("clientId")?.into()),
        ("conversation_id".to_owned(), text("conversationId")?.into()),
        ("chat_token_id".to_owned(), id.into()),
        // The client may be a user of Auth, which knows users by `sub` and would let the guest change its password. It
        // refuses tokens that name a session of nobody.
        ("session_id".to_owned(), id.into()),
        ("iat".to_owned(), now.into()),
        ("exp".to_owned(), expires.into()),
    ]);
    let expires = DateTime::from_timestamp(expires, 0)?;
    Some((claims, expires.to_rfc3339()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use serde_json::json;

    fn session(expires_at: &str) -> Map<String, Value> {
        let session = json!({
            "chatTokenId": "t", "clientId": "c", "conversationId": "k", "expiresAt": expires_at,
        });
        session.as_object().unwrap().clone()
    }

    #[test]
    fn a_token_lives_a_quarter_of_an_hour_but_no_longer_than_its_session() {
        let (long, expires) = claims(&session("1970-01-02T00:00:00+00:00"), 1000).unwrap();
        assert_eq!(long["exp"], json!(1900));
        assert_eq!(expires, "1970-01-01T00:31:40+00:00");
        let (short, _) = claims(&session("1970-01-01T01:16:50.5+01:00"), 1000).unwrap();
        assert_eq!(short["exp"], json!(1010));
        assert!(claims(&session("1970-01-01T00:16:40+00:00"), 1000).is_none());
        assert!(claims(&session("tomorrow"), 1000).is_none());
    }

    #[test]
    fn a_token_says_whose_it_is_and_names_a_session_that_auth_does_not_know() {
        let (claims, _) = claims(&session("1970-01-02T00:00:00+00:00"), 0).unwrap();
        let expected = json!({
            "role": "chat_guest", "sub": "c", "conversation_id": "k", "chat_token_id": "t", "session_id": "t",
            "iat": 0, "exp": 900,
        });
        assert_eq!(Value::Object(claims), expected);
    }
}
