//! One joined channel: what it does with the messages of its client (protocol.md §3.10–§3.14, §5.1, §6).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::presence::Calls;
use super::upgrade::unix_now;
use crate::auth::Claims;
use crate::broadcast::{self, Outcome};
use crate::changes::Subscription;
use crate::hub::{Member, Membership};
use crate::presence::{Departure, Tracker};
use crate::protocol::encode::{self, Status};
use crate::protocol::join::Binding;
use crate::protocol::message::NULL;
use crate::protocol::{Decoded, Payload};
use crate::tenant::Tenant;

/// A token is looked at again at least this often (protocol.md §3.12).
const MAX_RECHECK: Duration = Duration::from_secs(5 * 60);

/// What the connection has to do after an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Stay,
    /// Close the channel: it has said why.
    Close,
    /// Validate its subscription again, for new claims.
    Resubscribe,
}

/// See the module.
pub(super) struct Channel {
    pub(super) member: Arc<Member>,
    membership: Membership,
    /// JSON text of the join's `join_ref`, `null` when it had none; close and error carry it.
    join_ref: Box<str>,
    self_broadcast: bool,
    ack: bool,
    pub(super) token: Box<str>,
    pub(super) claims: Arc<Claims>,
    recheck_at: Instant,
    tracker: Tracker,
    tracked: bool,
    calls: Calls,
    presence: Arc<crate::presence::Presence>,
    pub(super) bindings: Arc<[Binding]>,
    pub(super) subscription: Option<Subscription>,
    /// The attempt to subscribe whose outcome counts.
    pub(super) subscribing: Option<u64>,
}

/// What a join settled before the channel exists.
pub(super) struct Settled {
    pub(super) join_ref: Box<str>,
    pub(super) self_broadcast: bool,
    pub(super) ack: bool,
    pub(super) presence_key: Arc<str>,
    pub(super) token: Box<str>,
    pub(super) claims: Arc<Claims>,
    pub(super) bindings: Arc<[Binding]>,
}

impl Channel {
    pub(super) fn new(
        tenant: &Tenant,
        member: Arc<Member>,
        membership: Membership,
        settled: Settled,
        subscription: Option<Subscription>,
    ) -> Self {
        let tracker = Tracker {
            owner: member.id,
            key: settled.presence_key,
            sub: settled.claims.sub.clone(),
        };
        Self {
            member,
            membership,
            join_ref: settled.join_ref,
            self_broadcast: settled.self_broadcast,
            ack: settled.ack,
            recheck_at: next_recheck(&settled.claims),
            token: settled.token,
            claims: settled.claims,
            tracker,
            tracked: false,
            calls: Calls::default(),
            presence: Arc::clone(&tenant.presence),
            bindings: settled.bindings,
            subscription,
            subscribing: None,
        }
    }

    /// The `join_ref` that close, error and leaves are matched by.
    pub(super) fn join_ref(&self) -> &str {
        &self.join_ref
    }

    /// The `join_ref` that replies and pushes carry: the join's `ref` when it had none (P-089).
    pub(super) fn reply_ref(&self) -> &str {
        &self.member.join_ref
    }

    pub(super) fn recheck_at(&self) -> Instant {
        self.recheck_at
    }

    fn reply(&self, message: &Decoded<'_>, status: Status, response: &str) {
        self.member.send(encode::reply(
            self.member.version,
            self.reply_ref(),
            &message.reference,
            &self.member.topic,
            status,
            response,
        ));
    }

    pub(super) fn broadcast(&self, tenant: &Tenant, message: &Decoded<'_>) {
        let except = (!self.self_broadcast).then_some(self.member.id);
        let limit = tenant.limits.payload_bytes;
        let outcome = broadcast::publish(&self.membership, &message.payload, except, limit);
        match outcome {
            Outcome::Accepted if self.ack => self.reply(message, Status::Ok, "{}"),
            // A bare string, as the original has it (P-150).
            Outcome::TooLarge if self.ack => {
                self.reply(message, Status::Error, "\"payload_size_exceeded\"");
            }
            Outcome::Accepted | Outcome::TooLarge | Outcome::Dropped => {}
        }
    }

    pub(super) fn presence(&mut self, tenant: &Tenant, message: &Decoded<'_>) -> Next {
        use super::presence::Call;
        let call = match &message.payload {
            Payload::Json(json) => Call::parse(json),
            Payload::Binary(_) | Payload::UserBroadcast { .. } => Call::Nothing,
        };
        if call == Call::Nothing {
            self.reply(message, Status::Ok, "{}");
            return Next::Stay;
        }
        if !self.calls.allow(&tenant.limits) {
            return self.fail("Client presence rate limit exceeded");
        }
        let topic = self.membership.key();
        match call {
            Call::Track(None) => {
                let reason = r#"{"reason":"Presence track payload must be a map"}"#;
                self.reply(message, Status::Error, reason);
            }
            Call::Track(Some(payload)) => {
                if !crate::protocol::size::json_fits(&payload.text, tenant.limits.payload_bytes) {
                    return self.fail("Track message size exceeded");
                }
                self.presence.track(topic, &self.tracker, payload.parsed);
                self.tracked = true;
                self.reply(message, Status::Ok, "{}");
            }
            Call::Untrack => {
                self.presence.untrack(topic, &self.tracker);
                self.tracked = false;
                self.reply(message, Status::Ok, "{}");
            }
            Call::Unknown => {
                tracing::debug!(code = "UnknownPresenceEvent", "presence event refused");
                self.reply(message, Status::Error, "{}");
            }
            Call::Nothing => {}
        }
        Next::Stay
    }

    pub(super) fn access_token(&mut self, tenant: &Tenant, message: &Decoded<'_>) -> Next {
        let Payload::Json(json) = message.payload else {
            return Next::Stay;
        };
        let payload: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        let Some(token) = payload.get("access_token").and_then(|token| token.as_str()) else {
            return Next::Stay;
        };
        if token.starts_with("sb_") || token == &*self.token {
            return Next::Stay;
        }
        match tenant.keys.verify(token, unix_now()) {
            Ok(claims) => {
                self.token = token.into();
                self.recheck_at = next_recheck(&claims);
                self.tracker.sub = claims.sub.clone();
                self.claims = claims;
                if self.bindings.is_empty() {
                    Next::Stay
                } else {
                    Next::Resubscribe
                }
            }
            Err(error) => {
                tracing::debug!(code = error.code(), "new token refused");
                self.fail(&error.refresh_message())
            }
        }
    }

    /// Looks at the token again; `false` when the channel must be closed (it has said why).
    pub(super) fn recheck(&mut self, tenant: &Tenant) -> bool {
        match tenant.keys.verify(&self.token, unix_now()) {
            Ok(claims) => {
                self.recheck_at = next_recheck(&claims);
                true
            }
            Err(error) => {
                self.fail(&error.refresh_message());
                false
            }
        }
    }

    fn fail(&self, message: &str) -> Next {
        self.member.system("system", Status::Error, message);
        Next::Close
    }

    /// The channel ends: its subscription and membership go first, so that its own leave does not come back to it.
    pub(super) fn end(self: Box<Self>, departure: Departure) {
        let Self {
            membership,
            subscription,
            presence,
            tracker,
            tracked,
            ..
        } = *self;
        drop(subscription);
        let topic = membership.key().clone();
        drop(membership);
        if tracked {
            presence.depart(&topic, tracker, departure);
        }
    }
}

/// The moment a token must be looked at again: at its expiry, but no later than in five minutes.
fn next_recheck(claims: &Claims) -> Instant {
    let left = claims.exp.saturating_sub(unix_now()).max(0);
    let left = Duration::from_secs(left.unsigned_abs());
    Instant::now() + left.min(MAX_RECHECK)
}

/// JSON text of the ref that replies carry: the join's `ref` stands in for a missing `join_ref`.
pub(super) fn reply_ref<'a>(join_ref: &'a str, reference: &'a str) -> &'a str {
    if join_ref == NULL {
        reference
    } else {
        join_ref
    }
}
