//! Postgres Changes of a joined channel: subscribing again for a new token, a new database, or after a failure
//! (postgres.md §2.7).

use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, Slot};
use super::joining::{POSTGRES_CHANGES, SUBSCRIBED};
use super::mailbox::Notice;
use super::settle;
use crate::auth::Claims;
use crate::changes::{Changes, Prepared, Refused};
use crate::protocol::encode::Status;
use crate::protocol::join::Binding;

/// A failed subscription is tried again after 5 to 10 s (postgres.md §2.7).
const RETRY: Duration = Duration::from_secs(5);

impl Connection {
    /// Validates the bindings of a joined channel, elsewhere.
    pub(super) fn prepare(
        &self,
        ticket: u64,
        topic: Arc<str>,
        bindings: &[Binding],
        claims: Arc<Claims>,
    ) {
        let entries = settle::entries(bindings);
        let changes = Arc::clone(&self.tenant.backend().changes);
        let mailbox = Arc::clone(&self.mailbox);
        tokio::spawn(async move {
            let result = changes.prepare(entries, claims).await;
            mailbox.send(Notice::Prepared {
                ticket,
                topic,
                changes,
                result,
            });
        });
    }

    /// The tenant's database is another one: every subscription is made again.
    pub(super) fn resubscribe_all(&mut self) {
        let mut topics = Vec::new();
        for (topic, slot) in &mut self.channels {
            if let Slot::Joined(channel) = slot
                && !channel.bindings.is_empty()
            {
                channel.subscription = None;
                topics.push(Arc::clone(topic));
            }
        }
        for topic in topics {
            self.resubscribe(&topic);
        }
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
    pub(super) fn subscribed(
        &mut self,
        topic: &str,
        ticket: u64,
        changes: &Arc<Changes>,
        result: Result<Prepared, Refused>,
    ) {
        let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) else {
            return;
        };
        if channel.subscribing != Some(ticket) {
            return;
        }
        channel.subscribing = None;
        if !Arc::ptr_eq(changes, &self.tenant.backend().changes) {
            // The database was replaced once more; this outcome is of the one before.
            return self.resubscribe(topic);
        }
        let old = channel.subscription.take();
        let member = Arc::clone(&channel.member);
        match result {
            Ok(prepared) => {
                let subscription = changes.attach(prepared, Arc::clone(&member), old, || {
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

    pub(super) fn retry_later(&mut self, topic: &str) {
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
