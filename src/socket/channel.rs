//! One joined channel: what it does with the messages of its client (protocol.md §3.10–§3.14, §5.1, §6).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::presence::{Call, Calls, Later, Turn};
use super::rights::{Pending, next_asking};
use super::upgrade::unix_now;
use crate::access::Rights;
use crate::auth::{Claims, Keys};
use crate::broadcast::{self, Outcome};
use crate::changes::Subscription;
use crate::hub::{Differences, Member, Membership};
use crate::presence::{Departure, Tracker};
use crate::protocol::encode::{self, Status};
use crate::protocol::join::Binding;
use crate::protocol::message::NULL;
use crate::protocol::{Decoded, Payload};
use crate::refusals::{Place, refused};
use crate::tenant::Tenant;

/// A token is looked at again at least this often (protocol.md §3.12).
const MAX_RECHECK: Duration = Duration::from_secs(5 * 60);

/// What the connection has to do after an event.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing.
    Stay,
    /// Close the channel: it has said why.
    Close,
    /// Validate its subscription again, for new claims.
    Resubscribe,
    /// The message needs rights that are not known yet: ask, then handle it again. `read`: also whether presence may be
    /// read.
    AskFirst {
        /// Ask for that too.
        read: bool,
    },
    /// A new token of a private channel: ask for its rights, then it takes effect.
    AskForToken {
        /// The token.
        token: Arc<str>,
        /// What it says.
        claims: Arc<Claims>,
    },
}

/// See the module.
pub(super) struct Channel {
    pub(super) member: Arc<Member>,
    membership: Membership,
    /// JSON text of the join's `join_ref`, `null` when it had none; close and error carry it.
    join_ref: Box<str>,
    self_broadcast: bool,
    ack: bool,
    pub(super) token: Arc<str>,
    pub(super) claims: Arc<Claims>,
    recheck_at: Instant,
    /// Whether broadcasts may be read; always on a public channel.
    reads_broadcast: bool,
    /// Whether presence may be read; `None` while nobody asked (protocol.md §6.3).
    pub(super) reads_presence: Option<bool>,
    /// Presence was asked for at the join, or by the tenant.
    presence_enabled: bool,
    /// Rights to write; `None` while nobody asked.
    pub(super) write: Option<Rights>,
    /// When rights are asked for again; `None` on a public channel.
    pub(super) rights_at: Option<Instant>,
    /// A question whose answer the channel's frames wait for.
    pub(super) pending: Option<Box<Pending>>,
    /// A state that goes out as soon as the rate allows.
    later: Option<(Instant, Later)>,
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
    pub(super) token: Arc<str>,
    pub(super) claims: Arc<Claims>,
    pub(super) bindings: Arc<[Binding]>,
    /// Rights to read, for a private channel.
    pub(super) rights: Option<Rights>,
    pub(super) presence_enabled: bool,
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
        let rights_at = settled
            .rights
            .and_then(|_| next_asking(tenant.settings().limits.rights_interval));
        let channel = Self {
            reads_broadcast: settled.rights.is_none_or(|rights| rights.broadcast),
            reads_presence: match settled.rights {
                None => Some(true),
                Some(rights) => settled.presence_enabled.then_some(rights.presence),
            },
            presence_enabled: settled.presence_enabled,
            write: None,
            rights_at,
            pending: None,
            later: None,
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
        };
        channel.apply_rights();
        channel
    }

    /// Whether policies decide what it may do.
    pub(super) fn is_private(&self) -> bool {
        self.membership.key().private
    }

    /// What the member receives follows from what the channel may read (protocol.md §6.3).
    fn apply_rights(&self) {
        let differences = match self.reads_presence {
            Some(true) if !self.is_private() || self.presence_enabled => Differences::FanOut,
            Some(true) => Differences::Pushed,
            Some(false) | None => Differences::None,
        };
        self.member.set_rights(self.reads_broadcast, differences);
    }

    /// Whether these rights lack one that it had.
    pub(super) fn loses(&self, read: Rights) -> bool {
        self.reads_broadcast && !read.broadcast
            || self.reads_presence == Some(true) && !read.presence
    }

    /// The channel may read this from now on.
    pub(super) fn note_read(&mut self, read: Rights) {
        self.reads_broadcast = read.broadcast;
        if self.reads_presence.is_some() {
            self.reads_presence = Some(read.presence);
        }
        self.apply_rights();
    }

    /// Whether it may read presence was found out at its first track.
    pub(super) fn note_presence_read(&mut self, presence: bool) {
        self.reads_presence = Some(presence);
        self.apply_rights();
    }

    /// The `join_ref` that close, error and leaves are matched by.
    pub(super) fn join_ref(&self) -> &str {
        &self.join_ref
    }

    /// The `join_ref` that replies and pushes carry: the join's `ref` when it had none (P-089).
    pub(super) fn reply_ref(&self) -> &str {
        &self.member.join_ref
    }

    /// The earliest moment at which something of it must be looked at.
    pub(super) fn due_at(&self) -> Instant {
        let later = self.later.as_ref().map(|(at, _)| *at);
        [self.rights_at, later]
            .into_iter()
            .flatten()
            .fold(self.recheck_at, Instant::min)
    }

    pub(super) fn reply(&self, message: &Decoded<'_>, status: Status, response: &str) {
        self.member.send(encode::reply(
            self.member.version,
            self.reply_ref(),
            &message.reference,
            &self.member.topic,
            status,
            response,
        ));
    }

    pub(super) fn broadcast(&self, tenant: &Tenant, message: &Decoded<'_>) -> Next {
        if self.is_private() {
            match self.write {
                None => return Next::AskFirst { read: false },
                // Without a word (P-156).
                Some(write) if !write.broadcast => return Next::Stay,
                Some(_) => {}
            }
        }
        let except = (!self.self_broadcast).then_some(self.member.id);
        let limit = tenant.settings().limits.payload_bytes;
        tenant.meters.events.add(1);
        let outcome = broadcast::publish(&self.membership, &message.payload, except, limit);
        match outcome {
            Outcome::Accepted if self.ack => self.reply(message, Status::Ok, "{}"),
            // A bare string, as the original has it (P-150).
            Outcome::TooLarge if self.ack => {
                self.reply(message, Status::Error, "\"payload_size_exceeded\"");
            }
            Outcome::Accepted | Outcome::TooLarge | Outcome::Dropped => {}
        }
        Next::Stay
    }

    pub(super) fn presence(&mut self, tenant: &Tenant, message: &Decoded<'_>) -> Next {
        let call = match &message.payload {
            Payload::Json(json) => Call::parse(json),
            Payload::Binary(_) | Payload::UserBroadcast { .. } => Call::Nothing,
        };
        if call == Call::Nothing {
            self.reply(message, Status::Ok, "{}");
            return Next::Stay;
        }
        let tracks = matches!(call, Call::Track(Some(_)));
        if tracks && self.is_private() && (self.write.is_none() || self.reads_presence.is_none()) {
            return Next::AskFirst {
                read: self.reads_presence.is_none(),
            };
        }
        let turn = self.calls.take(&tenant.settings().limits);
        if turn == Turn::Excess {
            return self.fail("Client presence rate limit exceeded");
        }
        let change = match call {
            Call::Track(None) => {
                let reason = r#"{"reason":"Presence track payload must be a map"}"#;
                self.reply(message, Status::Error, reason);
                return Next::Stay;
            }
            Call::Track(Some(_))
                if self.is_private() && !self.write.is_some_and(|write| write.presence) =>
            {
                self.reply(message, Status::Error, "{}");
                return Next::Stay;
            }
            Call::Track(Some(payload)) => {
                let limit = tenant.settings().limits.payload_bytes;
                if !crate::protocol::size::json_fits(&payload.text, limit) {
                    return self.fail("Track message size exceeded");
                }
                Later::Track(payload.parsed)
            }
            Call::Untrack => Later::Untrack,
            Call::Unknown => {
                tracing::debug!(code = "UnknownPresenceEvent", "presence event refused");
                self.reply(message, Status::Error, "{}");
                return Next::Stay;
            }
            Call::Nothing => return Next::Stay,
        };
        match turn {
            Turn::Later(at) => self.later = Some((at, change)),
            Turn::Now | Turn::Excess => {
                self.later = None;
                if let Next::Close = self.change_presence(tenant, change) {
                    return Next::Close;
                }
            }
        }
        self.reply(message, Status::Ok, "{}");
        Next::Stay
    }

    /// What waited for the rate goes out.
    pub(super) fn presence_due(&mut self, tenant: &Tenant, now: Instant) -> Next {
        match self.later.take_if(|(at, _)| *at <= now) {
            Some((_, change)) => {
                self.calls.applied();
                self.change_presence(tenant, change)
            }
            None => Next::Stay,
        }
    }

    fn change_presence(&mut self, tenant: &Tenant, change: Later) -> Next {
        let topic = self.membership.key();
        match change {
            Later::Track(payload) => {
                let meter = &tenant.meters.presence_events;
                if self.presence.is_tracked_as(topic, &self.tracker, &payload) {
                    return Next::Stay;
                }
                if meter.exceeded() {
                    return self.fail("Too many presence messages per second");
                }
                if self.presence.track(topic, &self.tracker, payload) {
                    meter.add(1);
                }
                self.tracked = true;
            }
            Later::Untrack => {
                if self.presence.untrack(topic, &self.tracker) {
                    tenant.meters.presence_events.add(1);
                }
                self.tracked = false;
            }
        }
        Next::Stay
    }

    pub(super) fn access_token(
        &mut self,
        tenant: &Tenant,
        keys: &Keys,
        message: &Decoded<'_>,
    ) -> Next {
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
        match keys.verify(token, unix_now()) {
            Ok(claims) if self.is_private() => Next::AskForToken {
                token: token.into(),
                claims,
            },
            Ok(claims) => {
                self.take_token(token.into(), claims);
                if self.bindings.is_empty() {
                    Next::Stay
                } else {
                    Next::Resubscribe
                }
            }
            Err(error) => {
                refused(&tenant.external_id, Place::Channel, error.code());
                self.fail(&error.refresh_message())
            }
        }
    }

    /// Lets a token that was accepted take effect.
    pub(super) fn take_token(&mut self, token: Arc<str>, claims: Arc<Claims>) {
        self.token = token;
        self.recheck_at = next_recheck(&claims);
        self.tracker.sub = claims.sub.clone();
        self.claims = claims;
    }

    /// Looks at the token again when it is time.
    pub(super) fn recheck(&mut self, keys: &Keys, now: Instant) -> Next {
        if self.recheck_at > now {
            return Next::Stay;
        }
        match keys.verify(&self.token, unix_now()) {
            Ok(claims) => {
                self.recheck_at = next_recheck(&claims);
                Next::Stay
            }
            Err(error) => self.fail(&error.refresh_message()),
        }
    }

    fn fail(&self, message: &str) -> Next {
        self.member.dismiss(message);
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
