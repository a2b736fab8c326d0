//! From `phx_join` to a joined channel, or to the reason why not (protocol.md §3.2–§3.9, §4).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::channel::{Channel, Settled, reply_ref};
use super::connection::{Connection, Joining, Slot};
use super::mailbox::Notice;
use super::upgrade::unix_now;
use crate::auth::Claims;
use crate::changes::{Entry, Prepared, Refused};
use crate::hub::{Member, TopicKey};
use crate::presence::Departure;
use crate::protocol::encode::{self, Status};
use crate::protocol::join::{self, Binding, Join, TokenChoice};
use crate::protocol::{Decoded, Payload};

/// The extension of system messages about Postgres Changes.
const POSTGRES_CHANGES: &str = "postgres_changes";
/// Sent when a subscription is live (G-116).
const SUBSCRIBED: &str = "Subscribed to PostgreSQL";
/// A failed subscription is tried again after 5 to 10 s (postgres.md §2.7).
const RETRY: Duration = Duration::from_secs(5);

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
    token: Box<str>,
    claims: Arc<Claims>,
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
            Ok(accepted) if accepted.join.postgres_changes.is_empty() => {
                request.accepted = Some(accepted);
                self.complete(topic, request, None, VecDeque::new());
                return;
            }
            Ok(accepted) => {
                self.prepare(
                    ticket,
                    Arc::clone(&topic),
                    &accepted.join.postgres_changes,
                    Arc::clone(&accepted.claims),
                );
                request.accepted = Some(accepted);
            }
            Err(reason) => {
                tracing::debug!(%reason, "join refused");
                self.failing_joins += 1;
                let mailbox = Arc::clone(&self.mailbox);
                let (topic, backoff) =
                    (Arc::clone(&topic), self.tenant.limits.channel_error_backoff);
                tokio::spawn(async move {
                    tokio::time::sleep(backoff).await;
                    mailbox.send(Notice::JoinFailed {
                        ticket,
                        topic,
                        reason,
                    });
                });
            }
        }
        let joining = Joining {
            ticket,
            request,
            waiting: VecDeque::new(),
        };
        self.channels
            .insert(topic, Slot::Joining(Box::new(joining)));
        self.channelless_since = None;
    }

    fn ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }

    /// The checks of §4, in its order; the error is the reason of the reply.
    fn check_join(&self, topic: &str, message: &Decoded<'_>) -> Result<Accepted, String> {
        let sub_topic = topic.strip_prefix("realtime:").unwrap_or(topic);
        if topic.len() > MAX_TOPIC {
            return Err(format!(
                "UnknownErrorOnChannel: the topic is longer than {MAX_TOPIC} bytes"
            ));
        }
        if sub_topic.is_empty() {
            return Err("TopicNameRequired: You must provide a topic name".to_owned());
        }
        let Payload::Json(payload) = message.payload else {
            return Err("UnknownErrorOnChannel: a join must be a text frame".to_owned());
        };
        let join = join::parse(payload, sub_topic)
            .map_err(|unusable| format!("UnknownErrorOnChannel: {unusable}"))?;
        if self.channels.len() >= self.tenant.limits.channels_per_client {
            return Err("ChannelRateLimitReached: Too many channels".to_owned());
        }
        let token = match &join.token {
            TokenChoice::Given(token) => token.as_str(),
            TokenChoice::Connection => self.peer.token.as_str(),
        };
        let claims = self
            .tenant
            .keys
            .verify(token, unix_now())
            .map_err(|error| error.join_reason())?;
        // Policies are not evaluated yet, so nobody has a right to a private channel.
        if join.private {
            return Err(format!(
                "Unauthorized: You do not have permissions to read from this Channel topic: {sub_topic}"
            ));
        }
        if join.replay.is_some() {
            return Err(
                "UnableToReplayMessages: Replay is not allowed for public channels".to_owned(),
            );
        }
        let token = token.into();
        Ok(Accepted {
            join,
            token,
            claims,
        })
    }

    fn prepare(&self, ticket: u64, topic: Arc<str>, bindings: &[Binding], claims: Arc<Claims>) {
        let entries = bindings
            .iter()
            .map(|binding| Entry {
                id: binding.id,
                params: binding.params.clone(),
                legacy: binding.legacy,
            })
            .collect();
        let changes = Arc::clone(&self.tenant.changes);
        let mailbox = Arc::clone(&self.mailbox);
        tokio::spawn(async move {
            let result = changes.prepare(entries, claims).await;
            mailbox.send(Notice::Prepared {
                ticket,
                topic,
                result,
            });
        });
    }

    /// Handles what other tasks found out.
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Prepared {
                ticket,
                topic,
                result,
            } => {
                if let Some(joining) = self.take_joining(&topic, ticket) {
                    self.complete(topic, joining.request, Some(result), joining.waiting);
                } else {
                    self.subscribed(&topic, ticket, result);
                }
            }
            Notice::JoinFailed {
                ticket,
                topic,
                reason,
            } => {
                self.failing_joins = self.failing_joins.saturating_sub(1);
                if let Some(joining) = self.take_joining(&topic, ticket) {
                    self.fail(&topic, &joining.request, &reason);
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

    /// Answers the join and puts the channel in place: reply, close of the predecessor, system message, presence
    /// state, then what waited (P-077).
    fn complete(
        &mut self,
        topic: Arc<str>,
        request: Request,
        prepared: Option<Result<Prepared, Refused>>,
        waiting: VecDeque<(bool, bytes::Bytes)>,
    ) {
        let Some(accepted) = request.accepted else {
            return;
        };
        let Accepted {
            join,
            token,
            claims,
        } = accepted;
        let push_ref = reply_ref(&request.join_ref, &request.reference);
        let member = Arc::new(Member::new(
            Arc::clone(&topic),
            self.version,
            push_ref,
            Arc::clone(&self.outbox),
        ));
        let key = TopicKey {
            private: join.private,
            topic: Arc::clone(&topic),
        };
        let announce = || {
            member.send(encode::reply(
                self.version,
                &request.join_ref,
                &request.reference,
                &topic,
                Status::Ok,
                &join.response(),
            ));
            if let Some(replaced) = &request.replaced {
                member.send(encode::close(self.version, replaced, &topic));
            }
        };
        let hub = &self.tenant.hub;
        let mut retry = false;
        let (membership, subscription) = match prepared {
            None => (hub.join(key, Arc::clone(&member), announce), None),
            Some(Ok(prepared)) => {
                let mut membership = None;
                let subscription =
                    self.tenant
                        .changes
                        .attach(prepared, Arc::clone(&member), None, || {
                            membership = Some(hub.join(key.clone(), Arc::clone(&member), announce));
                            member.system(POSTGRES_CHANGES, Status::Ok, SUBSCRIBED);
                        });
                let membership =
                    membership.unwrap_or_else(|| hub.join(key, Arc::clone(&member), || {}));
                (membership, Some(subscription))
            }
            Some(Err(refused)) => {
                let membership = hub.join(key, Arc::clone(&member), announce);
                member.system(POSTGRES_CHANGES, Status::Error, &refused.message);
                retry = refused.retry;
                (membership, None)
            }
        };
        if join.replication_ready {
            member.system(
                "system",
                Status::Error,
                "Broadcast from the database is not available in this version",
            );
        }
        if join.presence_enabled {
            self.tenant.presence.with_state(membership.key(), |state| {
                member.push("presence_state", state.as_bytes());
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
        };
        let channel = Channel::new(&self.tenant, member, membership, settled, subscription);
        self.note_recheck(channel.recheck_at());
        self.channels
            .insert(Arc::clone(&topic), Slot::Joined(Box::new(channel)));
        self.channelless_since = None;
        if retry {
            self.retry_later(&topic);
        }
        self.resume(waiting);
    }

    /// Validates the subscription of a joined channel again, with its present claims.
    pub(super) fn resubscribe(&mut self, topic: &str) {
        let ticket = self.ticket();
        let Some((topic, Slot::Joined(channel))) = self.channels.get_key_value(topic) else {
            return;
        };
        let (topic, bindings, claims) = (
            Arc::clone(topic),
            Arc::clone(&channel.bindings),
            Arc::clone(&channel.claims),
        );
        if let Some(Slot::Joined(channel)) = self.channels.get_mut(&topic) {
            channel.subscribing = Some(ticket);
        }
        self.prepare(ticket, topic, &bindings, claims);
    }

    /// The outcome of [`Connection::resubscribe`]. A refusal ends the old subscription too: its claims are outdated.
    fn subscribed(&mut self, topic: &str, ticket: u64, result: Result<Prepared, Refused>) {
        let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) else {
            return;
        };
        if channel.subscribing != Some(ticket) {
            return;
        }
        channel.subscribing = None;
        let old = channel.subscription.take();
        let member = Arc::clone(&channel.member);
        match result {
            Ok(prepared) => {
                let subscription =
                    self.tenant
                        .changes
                        .attach(prepared, Arc::clone(&member), old, || {
                            member.system(POSTGRES_CHANGES, Status::Ok, SUBSCRIBED);
                        });
                channel.subscription = Some(subscription);
            }
            Err(refused) => {
                drop(old);
                member.system(POSTGRES_CHANGES, Status::Error, &refused.message);
                if refused.retry {
                    self.retry_later(topic);
                }
            }
        }
    }

    fn retry_later(&mut self, topic: &str) {
        let ticket = self.ticket();
        let Some((topic, Slot::Joined(_))) = self.channels.get_key_value(topic) else {
            return;
        };
        let topic = Arc::clone(topic);
        if let Some(Slot::Joined(channel)) = self.channels.get_mut(&topic) {
            channel.subscribing = Some(ticket);
        }
        let mailbox = Arc::clone(&self.mailbox);
        // Spread over 5 to 10 s, so that many channels do not come back at once.
        let spread = uuid::Uuid::new_v4().as_u128() % 5000;
        let delay = RETRY + Duration::from_millis(u64::try_from(spread).unwrap_or(0));
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            mailbox.send(Notice::Retry { ticket, topic });
        });
    }
}
