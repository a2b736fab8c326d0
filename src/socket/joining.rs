//! From `phx_join` to a joined channel, or to the reason why not (protocol.md §3.2–§3.9, §4).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::channel::{Channel, Settled, reply_ref};
use super::connection::{Connection, Joining, Slot};
use super::mailbox::Notice;
use super::settle::{self, Settlement};
use super::upgrade::unix_now;
use crate::access::Subject;
use crate::auth::Claims;
use crate::hub::{Closing, Member, Seen, TopicKey};
use crate::presence::Departure;
use crate::protocol::encode::{self, Status};
use crate::protocol::join::{self, Join, TokenChoice};
use crate::protocol::{Decoded, Payload};
use crate::refusals::{Place, refused};
use crate::replication;

/// The extension of system messages about Postgres Changes.
pub(super) const POSTGRES_CHANGES: &str = "postgres_changes";
/// Sent when a subscription is live (G-116).
pub(super) const SUBSCRIBED: &str = "Subscribed to PostgreSQL";
/// Sent when broadcasts from the database flow (P-079).
const REPLICATION_LIVE: &str = "Replication connection established";
/// How long a channel that asked for that waits for it.
const REPLICATION_TIMEOUT: Duration = Duration::from_secs(60);
/// Close code of a socket whose tenant joins too often (protocol.md §4 row 7).
const TOO_MANY_JOINS: u16 = 1001;

/// Longest topic in bytes. The original has no limit; ours keeps a socket's channels within bounded memory.
const MAX_TOPIC: usize = 16 * 1024;

/// What is kept of a join while it is on its way.
pub(super) struct Request {
    /// JSON text of the join's refs.
    join_ref: Box<str>,
    reference: Box<str>,
    /// `join_ref` of the channel this join replaces; it is closed after the reply (P-086).
    replaced: Option<Box<str>>,
    /// Set once the payload and the token were accepted.
    accepted: Option<Accepted>,
}

struct Accepted {
    join: Join,
    token: Arc<str>,
    claims: Arc<Claims>,
    /// Presence was asked for, here or by the tenant (P-201).
    presence_enabled: bool,
    member: Arc<Member>,
    key: TopicKey,
}

/// Why a join is refused.
struct Refusal {
    reason: String,
    /// Close the socket with this code after the reply.
    close: Option<u16>,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self {
            reason,
            close: None,
        }
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

impl Connection {
    /// Handles a `phx_join` on a topic whose earlier joins are settled.
    pub(super) fn join(&mut self, message: &Decoded<'_>) {
        let topic: Arc<str> = message.topic.as_ref().into();
        let replaced = match self.channels.remove(&topic) {
            Some(Slot::Joined(channel)) => {
                let join_ref = channel.join_ref().into();
                channel.end(Departure::Orderly);
                Some(join_ref)
            }
            _ => None,
        };
        let ticket = self.ticket();
        let mut request = Request {
            join_ref: message.join_ref.as_ref().into(),
            reference: message.reference.as_ref().into(),
            replaced,
            accepted: None,
        };
        match self.check_join(&topic, message) {
            Ok(accepted) if !accepted.join.private && accepted.join.postgres_changes.is_empty() => {
                request.accepted = Some(accepted);
                let joining = Box::new(self.joining(ticket, request));
                self.complete(topic, joining, Settlement::default());
                return;
            }
            Ok(accepted) => {
                self.settle(ticket, Arc::clone(&topic), &accepted);
                request.accepted = Some(accepted);
            }
            Err(refusal) => self.refuse_later(ticket, Arc::clone(&topic), refusal),
        }
        let joining = self.joining(ticket, request);
        self.channels
            .insert(topic, Slot::Joining(Box::new(joining)));
        self.channelless_since = None;
    }

    fn joining(&self, ticket: u64, request: Request) -> Joining {
        Joining {
            ticket,
            request,
            waiting: VecDeque::new(),
        }
    }

    /// Answers a refused join after the delay.
    fn refuse_later(&mut self, ticket: u64, topic: Arc<str>, refusal: Refusal) {
        refused(&self.tenant.external_id, Place::Join, &refusal.reason);
        self.failing_joins += 1;
        let mailbox = Arc::clone(&self.mailbox);
        let backoff = self.tenant.settings().limits.channel_error_backoff;
        tokio::spawn(async move {
            tokio::time::sleep(backoff).await;
            mailbox.send(Notice::JoinFailed {
                ticket,
                topic,
                reason: refusal.reason,
                close: refusal.close,
            });
        });
    }

    /// Finds out what the join has to wait for, elsewhere.
    fn settle(&self, ticket: u64, topic: Arc<str>, accepted: &Accepted) {
        if accepted.join.private {
            accepted.member.judge(self.tenant.hub.suspensions());
        }
        let sub_topic = accepted.member.sub_topic();
        let task = settle::Task {
            subject: accepted.join.private.then(|| Subject {
                topic: sub_topic.into(),
                claims: Arc::clone(&accepted.claims),
                headers: Arc::clone(&self.peer.headers),
            }),
            presence: accepted.presence_enabled,
            replay: accepted.join.replay.clone().filter(Value::is_object),
            member: Arc::clone(&accepted.member),
            key: accepted.key.clone(),
            bindings: settle::entries(&accepted.join.postgres_changes),
            claims: Arc::clone(&accepted.claims),
        };
        let (tenant, mailbox) = (Arc::clone(&self.tenant), Arc::clone(&self.mailbox));
        tokio::spawn(async move {
            let outcome = settle::settle(tenant, task).await.map(Box::new);
            mailbox.send(Notice::Settled {
                ticket,
                topic,
                outcome,
            });
        });
    }

    pub(super) fn ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }

    /// The checks of §4 that wait for nothing, in its order.
    fn check_join(&self, topic: &Arc<str>, message: &Decoded<'_>) -> Result<Accepted, Refusal> {
        let sub_topic = topic.strip_prefix("realtime:").unwrap_or(topic);
        if topic.len() > MAX_TOPIC {
            return Err(format!(
                "UnknownErrorOnChannel: the topic is longer than {MAX_TOPIC} bytes"
            )
            .into());
        }
        if sub_topic.is_empty() {
            return Err("TopicNameRequired: You must provide a topic name".into());
        }
        let Payload::Json(payload) = message.payload else {
            return Err("UnknownErrorOnChannel: a join must be a text frame".into());
        };
        let join = join::parse(payload, sub_topic)
            .map_err(|unusable| format!("UnknownErrorOnChannel: {unusable}"))?;
        if self.tenant.sockets.restarting() {
            return Err("RealtimeRestarting: Realtime is restarting, please standby".into());
        }
        let settings = self.tenant.settings();
        if settings.private_only && !join.private {
            return Err("PrivateOnly: This project only allows private channels".into());
        }
        if !self.entry.counted()
            && settings
                .max_users
                .is_some_and(|max| self.tenant.sockets.users() as u64 >= max)
        {
            return Err("ConnectionRateLimitReached: Too many connected users".into());
        }
        if self.tenant.meters.joins.exceeded() {
            return Err(Refusal {
                reason: "ClientJoinRateLimitReached: Too many joins per second".to_owned(),
                close: Some(TOO_MANY_JOINS),
            });
        }
        self.tenant.meters.joins.add(1);
        if self.channels.len() >= settings.limits.channels_per_client {
            return Err("ChannelRateLimitReached: Too many channels".into());
        }
        let token = match &join.token {
            TokenChoice::Given(token) => token.as_str(),
            TokenChoice::Connection => &self.peer.token,
        };
        let claims = self
            .peer
            .keys
            .verify(token, unix_now())
            .map_err(|error| error.join_reason())?;
        if join.replay.is_some() && !join.private {
            return Err("UnableToReplayMessages: Replay is not allowed for public channels".into());
        }
        let token = self.kept(token);
        let push_ref = reply_ref(&message.join_ref, &message.reference);
        let member = Arc::new(Member::new(
            Arc::clone(topic),
            self.version,
            push_ref,
            Arc::clone(&self.outbox),
        ));
        let key = TopicKey {
            private: join.private,
            topic: Arc::clone(topic),
        };
        Ok(Accepted {
            presence_enabled: join.presence_enabled || settings.presence_enabled,
            join,
            token,
            claims,
            member,
            key,
        })
    }

    /// The token, once for a socket where it is the one that it connected with, or that another channel of it has.
    fn kept(&self, token: &str) -> Arc<str> {
        let others = self.channels.values().find_map(|slot| match slot {
            Slot::Joined(channel) => Some(&channel.token),
            Slot::Joining(_) => None,
        });
        let known = [Some(&self.peer.token), others].into_iter().flatten();
        let mut same = known.filter(|known| ***known == *token);
        same.next().map_or_else(|| token.into(), Arc::clone)
    }

    /// Handles what other tasks found out.
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Settled {
                ticket,
                topic,
                outcome: Ok(settlement),
            } => {
                if self.settle_again(&topic, ticket) {
                    return;
                }
                if let Some(joining) = self.take_joining(&topic, ticket) {
                    self.complete(topic, joining, *settlement);
                }
            }
            Notice::Settled {
                ticket,
                topic,
                outcome: Err(reason),
            } => self.refuse_later(ticket, topic, reason.into()),
            Notice::Prepared {
                ticket,
                topic,
                changes,
                result,
            } => self.subscribed(&topic, ticket, &changes, result),
            Notice::Rights {
                ticket,
                topic,
                answers,
            } => self.answered(&topic, ticket, answers),
            Notice::AskedAgain {
                topic,
                member,
                claims,
                suspension,
                presence,
                read,
            } => self.asked_again(&topic, member, &claims, suspension, presence, read),
            Notice::Replication {
                topic,
                member,
                live,
            } => self.replication_known(&topic, member, live),
            Notice::JoinFailed {
                ticket,
                topic,
                reason,
                close,
            } => {
                self.failing_joins = self.failing_joins.saturating_sub(1);
                if let Some(joining) = self.take_joining(&topic, ticket) {
                    self.fail(&topic, &joining.request, &reason);
                    if let Some(code) = close {
                        self.outbox.close(Closing::Code(code));
                        return;
                    }
                    self.resume(joining.waiting);
                }
            }
            Notice::Retry { ticket, topic } => {
                if matches!(self.channels.get(&topic), Some(Slot::Joined(channel)) if channel.subscribing == Some(ticket))
                {
                    self.resubscribe(&topic);
                }
            }
            Notice::WriterEnded => {}
        }
    }

    /// Rights that were found out before policies changed do not count: finds out again. `false` when they do count.
    fn settle_again(&self, topic: &Arc<str>, ticket: u64) -> bool {
        let Some(Slot::Joining(joining)) = self.channels.get(topic) else {
            return false;
        };
        if joining.ticket != ticket {
            return false;
        }
        match &joining.request.accepted {
            Some(accepted) if accepted.member.judged() < self.tenant.hub.suspensions() => {
                self.settle(ticket, Arc::clone(topic), accepted);
                true
            }
            _ => false,
        }
    }

    fn take_joining(&mut self, topic: &str, ticket: u64) -> Option<Box<Joining>> {
        match self.channels.get(topic) {
            Some(Slot::Joining(joining)) if joining.ticket == ticket => {}
            _ => return None,
        }
        match self.channels.remove(topic) {
            Some(Slot::Joining(joining)) => Some(joining),
            _ => None,
        }
    }

    fn fail(&mut self, topic: &str, request: &Request, reason: &str) {
        let response = serde_json::json!({ "reason": reason }).to_string();
        self.reply(
            &request.join_ref,
            &request.reference,
            topic,
            Status::Error,
            &response,
        );
        if let Some(replaced) = &request.replaced {
            self.outbox
                .push(encode::close(self.version, replaced, topic));
        }
        self.note_channels();
    }

    /// Answers the join and puts the channel in place: reply, close of the predecessor, replayed messages, system
    /// messages, presence state, then what waited (P-077).
    fn complete(&mut self, topic: Arc<str>, joining: Box<Joining>, settlement: Settlement) {
        let Joining {
            request, waiting, ..
        } = *joining;
        let Some(accepted) = request.accepted else {
            return;
        };
        let Accepted {
            join,
            token,
            claims,
            presence_enabled,
            member,
            key,
        } = accepted;
        let mut first = vec![encode::reply(
            self.version,
            &request.join_ref,
            &request.reference,
            &topic,
            Status::Ok,
            &join.response(),
        )];
        if let Some(replaced) = &request.replaced {
            first.push(encode::close(self.version, replaced, &topic));
        }
        let rights = settlement.rights;
        if let Some(rights) = rights {
            // Before it enters the topic: what it may not read must not reach it even once.
            member.set_rights(
                rights.broadcast,
                settle::differences(presence_enabled, rights),
            );
        }
        let hub = &self.tenant.hub;
        let enter = |first: Vec<bytes::Bytes>| match settlement.replay {
            Some((membership, replay)) => {
                let mut first = first;
                let rows = &replay.rows;
                first.extend(rows.iter().filter_map(|row| settle::replayed(&member, row)));
                let ids = rows.iter().map(|row| row.id).collect();
                member.release(first, Seen::new(ids, replay.snapshot));
                membership
            }
            None => hub.join(key, Arc::clone(&member), || {
                for frame in first {
                    member.send(frame);
                }
            }),
        };
        let backend = self.tenant.backend();
        let mut retry = false;
        let (membership, subscription) = match settlement.prepared {
            None => (enter(first), None),
            Some((changes, _)) if !Arc::ptr_eq(&changes, &backend.changes) => {
                // The database was replaced meanwhile.
                retry = true;
                (enter(first), None)
            }
            Some((changes, Ok(prepared))) => {
                let mut enter = Some((enter, first));
                let mut membership = None;
                let subscription = changes.attach(prepared, Arc::clone(&member), None, || {
                    membership = enter.take().map(|(enter, first)| enter(first));
                    member.system(POSTGRES_CHANGES, Status::Ok, SUBSCRIBED);
                });
                let Some(membership) = membership else {
                    return;
                };
                (membership, Some(subscription))
            }
            Some((_, Err(refused))) => {
                let membership = enter(first);
                member.system(POSTGRES_CHANGES, Status::Error, &refused.message);
                retry = refused.retry;
                (membership, None)
            }
        };
        if join.replication_ready {
            self.announce_replication(&topic, &member);
        }
        let presence_meter = &self.tenant.meters.presence_events;
        let state_wanted = presence_enabled && rights.is_none_or(|rights| rights.presence);
        let too_many = state_wanted && presence_meter.exceeded();
        if state_wanted && !too_many {
            presence_meter.add(1);
            self.tenant.presence.with_state(membership.key(), |state| {
                member.presence_state(state.as_bytes());
            });
        }
        let settled = Settled {
            join_ref: request.join_ref,
            self_broadcast: join.self_broadcast,
            ack: join.ack,
            presence_key: join
                .presence_key
                .map_or_else(|| uuid::Uuid::new_v4().to_string().into(), Into::into),
            token,
            claims,
            bindings: join.postgres_changes.into(),
            rights,
            presence_enabled,
        };
        let channel = Channel::new(&self.tenant, member, membership, settled, subscription);
        self.entry.count();
        self.note_recheck(channel.due_at());
        self.channels
            .insert(Arc::clone(&topic), Slot::Joined(Box::new(channel)));
        self.channelless_since = None;
        if too_many {
            let message = "Too many presence messages per second";
            self.dismiss(&topic, message);
        } else if retry {
            self.retry_later(&topic);
        }
        self.resume(waiting);
    }

    /// Says when broadcasts from the database flow: now, or later, or not in time (P-079, P-080).
    fn announce_replication(&self, topic: &Arc<str>, member: &Arc<Member>) {
        let backend = self.tenant.backend();
        if backend.live() {
            member.system("system", Status::Ok, REPLICATION_LIVE);
            return;
        }
        let mut watch = backend.watch.clone();
        let (mailbox, topic, member) = (Arc::clone(&self.mailbox), Arc::clone(topic), member.id);
        tokio::spawn(async move {
            let deadline = tokio::time::Instant::now() + REPLICATION_TIMEOUT;
            let live = matches!(watch.live(deadline).await, replication::Status::Live { .. });
            mailbox.send(Notice::Replication {
                topic,
                member,
                live,
            });
        });
    }

    fn replication_known(&mut self, topic: &str, member: u64, live: bool) {
        let Some(Slot::Joined(channel)) = self.channels.get(topic) else {
            return;
        };
        if channel.member.id != member {
            return;
        }
        if live {
            channel
                .member
                .system("system", Status::Ok, REPLICATION_LIVE);
            return;
        }
        let message = "Replication connection was not established in time";
        self.dismiss(topic, message);
    }
}
