//! Rights to private channels after the join: asked for at the first send, for a new token, and again from time to time
//! (protocol.md §3.11, §5.4, §6.6).
//!
//! While a question that a frame depends on is under way, the frames of that channel wait behind it, in order; nothing
//! else of the socket does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::connection::{Connection, Slot};
use super::mailbox::Notice;
use super::settle;
use crate::access::{self, Failure, Rights, Subject};
use crate::auth::Claims;
use crate::protocol::encode::Status;

/// About when rights are asked for again that nobody could tell and that a channel waits for.
const SOON: Duration = Duration::from_secs(2);

/// A question whose answer the frames of a channel wait for.
pub(super) struct Pending {
    pub(super) ticket: u64,
    /// Frames in order; the first is the one that made us ask, unless a token did.
    pub(super) waiting: VecDeque<(bool, Bytes)>,
    /// [`crate::hub::Hub::suspensions`] when it was asked.
    suspension: u64,
    /// The token that takes effect with the answer.
    token: Option<(Arc<str>, Arc<Claims>)>,
}

/// Why rights are asked for again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is time.
    Time,
    /// Policies changed, or the database did.
    Changed,
}

/// The answers to one question.
pub(super) struct Answers {
    pub(super) read: Option<Result<Rights, Failure>>,
    pub(super) write: Option<Result<Rights, Failure>>,
}

impl Connection {
    fn subject(&self, topic: &str, claims: Arc<Claims>) -> Subject {
        Subject {
            topic: topic.strip_prefix("realtime:").unwrap_or(topic).into(),
            claims,
            headers: Arc::clone(&self.peer.headers),
        }
    }

    /// A frame needs rights that are not known yet: asks, and lets it wait.
    pub(super) fn ask_for_frame(&mut self, topic: &str, binary: bool, frame: &[u8], read: bool) {
        let (ticket, suspension) = (self.ticket(), self.tenant.hub.suspensions());
        let Some((name, Slot::Joined(channel))) = self.channels.get_key_value(topic) else {
            return;
        };
        let name = Arc::clone(name);
        let write = channel.write.is_none();
        let subject = self.subject(topic, Arc::clone(&channel.claims));
        self.waiting_bytes += frame.len();
        if let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) {
            channel.pending = Some(Box::new(Pending {
                ticket,
                waiting: VecDeque::from([(binary, Bytes::copy_from_slice(frame))]),
                suspension,
                token: None,
            }));
        }
        let (tenant, mailbox) = (Arc::clone(&self.tenant), Arc::clone(&self.mailbox));
        tokio::spawn(async move {
            let access = Arc::clone(&tenant.backend().access);
            let read = async {
                match read {
                    true => Some(access.read(&subject, true).await),
                    false => None,
                }
            };
            let write = async {
                match write {
                    true => Some(access.write(&subject).await),
                    false => None,
                }
            };
            let (read, write) = tokio::join!(read, write);
            mailbox.send(Notice::Rights {
                ticket,
                topic: name,
                answers: Answers { read, write },
            });
        });
    }

    /// A new token of a private channel takes effect once its rights are known.
    pub(super) fn ask_for_token(&mut self, topic: &str, token: Arc<str>, claims: Arc<Claims>) {
        let (ticket, suspension) = (self.ticket(), self.tenant.hub.suspensions());
        let Some((name, Slot::Joined(channel))) = self.channels.get_key_value(topic) else {
            return;
        };
        let name = Arc::clone(name);
        let presence = channel.reads_presence.is_some();
        let subject = self.subject(topic, Arc::clone(&claims));
        if let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) {
            channel.pending = Some(Box::new(Pending {
                ticket,
                waiting: VecDeque::new(),
                suspension,
                token: Some((token, claims)),
            }));
        }
        let (tenant, mailbox) = (Arc::clone(&self.tenant), Arc::clone(&self.mailbox));
        tokio::spawn(async move {
            let read = tenant.backend().access.read(&subject, presence).await;
            mailbox.send(Notice::Rights {
                ticket,
                topic: name,
                answers: Answers {
                    read: Some(read),
                    write: None,
                },
            });
        });
    }

    /// Asks again for the rights of a joined private channel, behind its back.
    pub(super) fn ask_again(&mut self, topic: &str, why: Why) {
        let Some((name, Slot::Joined(channel))) = self.channels.get_key_value(topic) else {
            return;
        };
        if !channel.is_private() {
            return;
        }
        let name = Arc::clone(name);
        let (member, presence) = (channel.member.id, channel.reads_presence.is_some());
        let claims = Arc::clone(&channel.claims);
        let subject = self.subject(topic, Arc::clone(&claims));
        let suspension = self.tenant.hub.suspensions();
        if why == Why::Changed {
            channel.member.suspend(suspension);
        }
        let next = next_asking(self.tenant.settings().limits.rights_interval);
        if let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) {
            channel.rights_at = next;
            if why == Why::Changed {
                // The next send asks first. A denial stays until a new token (P-157).
                channel
                    .write
                    .take_if(|write| write.broadcast || write.presence);
            }
        }
        if let Some(next) = next {
            self.note_recheck(next);
        }
        let (tenant, mailbox) = (Arc::clone(&self.tenant), Arc::clone(&self.mailbox));
        tokio::spawn(async move {
            let read = tenant.backend().access.read_again(&subject, presence).await;
            mailbox.send(Notice::AskedAgain {
                topic: name,
                member,
                claims,
                suspension,
                presence,
                read,
            });
        });
    }

    /// Every private channel of this socket asks again.
    pub(super) fn ask_again_for_all(&mut self) {
        let topics: Vec<Arc<str>> = self
            .channels
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Joined(channel) if channel.is_private()))
            .map(|(topic, _)| Arc::clone(topic))
            .collect();
        for topic in topics {
            self.ask_again(&topic, Why::Changed);
        }
    }

    /// The answers that frames of a channel waited for.
    pub(super) fn answered(&mut self, topic: &str, ticket: u64, answers: Answers) {
        let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) else {
            return;
        };
        let Some(pending) = channel.pending.take_if(|pending| pending.ticket == ticket) else {
            return;
        };
        let Pending {
            mut waiting,
            suspension,
            token,
            ..
        } = *pending;
        if suspension < self.tenant.hub.suspensions() {
            // Policies have changed since: what was answered may be older.
            match token {
                Some((token, claims)) => {
                    self.ask_for_token(topic, token, claims);
                    if let Some(Slot::Joined(channel)) = self.channels.get_mut(topic)
                        && let Some(pending) = &mut channel.pending
                    {
                        pending.waiting = waiting;
                    }
                }
                // The first of them asks again.
                None => self.resume(waiting),
            }
            return;
        }
        if let Some((token, claims)) = token {
            self.token_answered(topic, token, claims, answers.read);
            self.resume(waiting);
            return;
        }
        let mut failed = false;
        match answers.read {
            Some(Ok(read)) => channel.note_presence_read(read.presence),
            Some(Err(failure)) => {
                settle::log(&failure, &self.tenant);
                failed = true;
            }
            None => {}
        }
        match answers.write {
            Some(Ok(write)) => channel.write = Some(write),
            // Not kept: the next frame asks again.
            Some(Err(failure)) => {
                settle::log(&failure, &self.tenant);
                failed = true;
            }
            None => {}
        }
        if failed && let Some((binary, frame)) = waiting.pop_front() {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(frame.len());
            self.refuse_unanswered(topic, binary, &frame);
        }
        self.resume(waiting);
    }

    /// A frame whose rights could not be found out: a broadcast is dropped, presence is told (protocol.md §5.4, §6.1).
    fn refuse_unanswered(&mut self, topic: &str, binary: bool, frame: &[u8]) {
        let Ok(message) = self.decode(binary, frame) else {
            return;
        };
        if message.event == "presence"
            && let Some(Slot::Joined(channel)) = self.channels.get(topic)
        {
            tracing::debug!(code = "UnableToHandlePresence", "a track is refused");
            channel.reply(&message, Status::Error, "{}");
        }
    }

    fn token_answered(
        &mut self,
        topic: &str,
        token: Arc<str>,
        claims: Arc<Claims>,
        read: Option<Result<Rights, Failure>>,
    ) {
        let sub_topic = topic.strip_prefix("realtime:").unwrap_or(topic);
        let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) else {
            return;
        };
        let refusal = match read {
            Some(Ok(read)) if !read.broadcast && !read.presence => Some(access::denied(sub_topic)),
            Some(Ok(read)) if channel.loses(read) => Some(access::lost(sub_topic)),
            Some(Ok(read)) => {
                channel.note_read(read);
                None
            }
            Some(Err(failure)) => {
                settle::log(&failure, &self.tenant);
                Some(failure.refresh_message(sub_topic))
            }
            None => None,
        };
        if let Some(message) = refusal {
            self.dismiss(topic, &message);
            return;
        }
        // Denials and permissions to write are those of the old token (P-099).
        channel.write = None;
        channel.take_token(token, claims);
        let resubscribe = !channel.bindings.is_empty();
        let due = channel.due_at();
        self.note_recheck(due);
        if resubscribe {
            self.resubscribe(topic);
        }
    }

    /// The rights of a channel were asked for again. What was granted stays only while it is not taken back.
    pub(super) fn asked_again(
        &mut self,
        topic: &str,
        member: u64,
        claims: &Arc<Claims>,
        suspension: u64,
        presence: bool,
        read: Result<Rights, Failure>,
    ) {
        let sub_topic = topic.strip_prefix("realtime:").unwrap_or(topic);
        let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) else {
            return;
        };
        // Another channel meanwhile: it was asked for itself.
        if channel.member.id != member {
            return;
        }
        // Another token meanwhile: what it was asked for may be older than what made us ask.
        if !Arc::ptr_eq(&channel.claims, claims) {
            self.ask_again(topic, Why::Changed);
            return;
        }
        // The first track meanwhile: nobody asked whether it may see presence.
        if channel.reads_presence.is_some() && !presence {
            self.ask_again(topic, Why::Time);
            return;
        }
        let revoked = match read {
            Ok(read) if channel.loses(read) => true,
            Ok(read) => {
                channel.note_read(read);
                // Allowed sends are asked for again when the next one comes; a denial stays until a new token (P-157).
                channel
                    .write
                    .take_if(|write| write.broadcast || write.presence);
                false
            }
            Err(failure) => {
                settle::log(&failure, &self.tenant);
                if !failure.denies() {
                    self.ask_later(topic);
                    return;
                }
                true
            }
        };
        if revoked {
            let message = access::lost(sub_topic);
            self.dismiss(topic, &message);
        } else if let Some(Slot::Joined(channel)) = self.channels.get(topic) {
            channel.member.resume(suspension);
        }
    }

    /// Nobody could tell what a channel may. Where policies have changed nothing comes until somebody can, so that is soon;
    /// otherwise it keeps what it was granted until it is time.
    fn ask_later(&mut self, topic: &str) {
        let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) else {
            return;
        };
        if !channel.member.is_suspended() {
            return;
        }
        channel.rights_at = next_asking(SOON);
        let due = channel.due_at();
        self.note_recheck(due);
    }
}

/// When rights are asked for again: after about `interval`, so that not all channels ask at once; zero is never.
pub(super) fn next_asking(interval: Duration) -> Option<Instant> {
    if interval.is_zero() {
        return None;
    }
    let percent = u32::try_from(uuid::Uuid::new_v4().as_u128() % 50).unwrap_or(0);
    Some(Instant::now() + interval * 3 / 4 + interval / 100 * percent)
}
