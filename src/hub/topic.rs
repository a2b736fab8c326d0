//! The registry of topics and the fan-out to their members.
//!
//! Lock order: the shard of the registry, then the members of one topic, then an outbox. Publishing takes the shard
//! only to copy an `Arc`, so it never keeps a join on another topic waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::{Mutex, RwLock};

use super::FEW;
use super::event::{Event, Frames, Kind};
use super::member::{Member, StoredId};
use crate::limits::Meter;

/// How long a stored message counts as just published, and how many are remembered.
const RECENT: Duration = Duration::from_secs(2);
const MAX_RECENT: usize = 4096;

/// Names a topic inside one tenant: public and private are unrelated namespaces (P-062, P-063).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicKey {
    /// Private namespace.
    pub private: bool,
    /// The wire topic, `realtime:` included.
    pub topic: Arc<str>,
}

/// All topics of one tenant that have members on this node.
pub struct Hub {
    topics: DashMap<TopicKey, Arc<Topic>, ahash::RandomState>,
    /// Counts deliveries of broadcasts; members reached while it is exceeded are marked (P-216).
    events: Arc<Meter>,
    /// Counts copies of presence differences (protocol.md §6.7).
    presence_events: Arc<Meter>,
    /// Stored messages to private topics that were published a moment ago.
    recent: Mutex<VecDeque<(Instant, TopicKey, StoredId)>>,
    /// How many members have entered a topic.
    entered: AtomicU64,
    /// How often private channels were suspended.
    suspensions: AtomicU64,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(Arc::new(Meter::unlimited()), Arc::new(Meter::unlimited()))
    }
}

/// Whom a message is not for.
#[derive(Clone, Copy, Default)]
struct Except {
    /// The member that sent it.
    sender: Option<u64>,
    /// Those who received this stored message by replay.
    stored: Option<StoredId>,
    /// Members that entered at this number or later.
    newer: Option<u64>,
}

#[derive(Default)]
struct Topic {
    members: RwLock<Members>,
}

/// Slots rather than a list, so that leaving is O(1); holes are filled by the next joins.
#[derive(Default)]
struct Members {
    slots: Vec<Option<Arc<Member>>>,
    free: Vec<u32>,
    count: usize,
    /// The topic left the registry: a join that still holds it must look again.
    retired: bool,
}

impl Hub {
    /// A hub without topics that counts what it delivers.
    pub fn new(events: Arc<Meter>, presence_events: Arc<Meter>) -> Self {
        Self {
            topics: DashMap::default(),
            events,
            presence_events,
            recent: Mutex::default(),
            entered: AtomicU64::new(0),
            suspensions: AtomicU64::new(0),
        }
    }

    /// Adds a member to a topic. `before` runs while no message can reach the topic: what it queues for the member
    /// (the join reply) precedes every message of the topic, and every message published after it is received.
    pub fn join(
        self: &Arc<Self>,
        key: TopicKey,
        member: Arc<Member>,
        before: impl FnOnce(),
    ) -> Membership {
        loop {
            let topic = Arc::clone(&self.topics.entry(key.clone()).or_default());
            let mut members = topic.members.write();
            if members.retired {
                continue;
            }
            before();
            if key.private {
                // Whoever suspends counts first, and looks for members then: one of us sees the other.
                member.enter(self.suspensions());
            }
            let entered = self.entered.fetch_add(1, Ordering::Relaxed);
            member.entered.store(entered, Ordering::Relaxed);
            let slot = members.insert(member);
            drop(members);
            return Membership {
                hub: Arc::clone(self),
                key,
                topic,
                slot,
            };
        }
    }

    /// Sends to every member of the topic except the one with id `except`; returns how many outboxes took it.
    pub fn publish(&self, key: &TopicKey, event: Event<'_>, except: Option<u64>) -> usize {
        let except = Except {
            sender: except,
            ..Except::default()
        };
        self.publish_but(key, event, except)
    }

    /// Sends a stored message to every member of the topic that did not receive it by replay (P-168); `newer` leaves out
    /// the members that entered since [`Hub::entered`] was that.
    pub fn publish_stored(
        &self,
        key: &TopicKey,
        event: Event<'_>,
        id: StoredId,
        newer: Option<u64>,
    ) -> usize {
        if key.private {
            let mut recent = self.recent.lock();
            while recent.len() >= MAX_RECENT
                || recent.front().is_some_and(|(at, ..)| at.elapsed() > RECENT)
            {
                recent.pop_front();
            }
            recent.push_back((Instant::now(), key.clone(), id));
        }
        let except = Except {
            sender: None,
            stored: Some(id),
            newer,
        };
        self.publish_but(key, event, except)
    }

    fn publish_but(&self, key: &TopicKey, event: Event<'_>, except: Except) -> usize {
        let Some(topic) = self.topics.get(key).map(|entry| Arc::clone(&entry)) else {
            return 0;
        };
        topic.publish(self, key, event, except)
    }

    /// Sends a message of the server to every member of every topic.
    pub fn publish_everywhere(&self, event: Event<'_>) {
        let topics: Vec<(TopicKey, Arc<Topic>)> = self
            .topics
            .iter()
            .map(|entry| (entry.key().clone(), Arc::clone(entry.value())))
            .collect();
        for (key, topic) in topics {
            topic.publish(self, &key, event, Except::default());
        }
    }

    /// Transactions whose stored messages were published to a private topic a moment ago. Postgres may stream a
    /// transaction shortly before others see it.
    pub fn recent(&self, key: &TopicKey) -> Vec<u32> {
        let recent = self.recent.lock();
        let mut xids: Vec<u32> = recent
            .iter()
            .filter(|(at, topic, _)| topic == key && at.elapsed() <= RECENT)
            .map(|(.., id)| id.xid)
            .collect();
        xids.dedup();
        xids
    }

    /// Keeps what is published for the members of private topics until each has been asked about again
    /// ([`Member::resume`]).
    pub fn suspend_private(&self) {
        let suspension = self.suspensions.fetch_add(1, Ordering::AcqRel) + 1;
        self.each_private(|member| member.suspend(suspension));
    }

    /// The database is another one: nobody's rights count there, and the numbers of its transactions begin anew.
    pub fn replace_database(&self) {
        self.suspend_private();
        self.recent.lock().clear();
        self.each_private(Member::forget_replay);
    }

    fn each_private(&self, act: impl Fn(&Member)) {
        let topics: Vec<Arc<Topic>> = self
            .topics
            .iter()
            .filter(|entry| entry.key().private)
            .map(|entry| Arc::clone(entry.value()))
            .collect();
        for topic in topics {
            for member in topic.members.read().slots.iter().flatten() {
                act(member);
            }
        }
    }

    /// How many members have entered a topic so far.
    pub fn entered(&self) -> u64 {
        self.entered.load(Ordering::Relaxed)
    }

    /// The number of the last suspension.
    pub fn suspensions(&self) -> u64 {
        self.suspensions.load(Ordering::Acquire)
    }

    /// The topics with members and how many each has.
    pub fn occupancy(&self) -> Vec<(TopicKey, usize)> {
        self.topics
            .iter()
            .map(|entry| (entry.key().clone(), entry.value().members.read().count))
            .collect()
    }

    /// Number of members of a topic.
    pub fn members(&self, key: &TopicKey) -> usize {
        let topic = self.topics.get(key).map(|entry| Arc::clone(&entry));
        topic.map_or(0, |topic| topic.members.read().count)
    }

    /// Number of topics with members.
    pub fn topics(&self) -> usize {
        self.topics.len()
    }
}

impl Topic {
    fn publish(&self, hub: &Hub, key: &TopicKey, event: Event<'_>, except: Except) -> usize {
        let kind = event.kind();
        let meter = match kind {
            Kind::Broadcast => Some(&hub.events),
            Kind::PresenceDiff => Some(&hub.presence_events),
            Kind::System => None,
        };
        let exceeded = kind == Kind::Broadcast && hub.events.exceeded();
        let payload = match event {
            Event::Text { payload, .. } => payload,
            Event::UserBroadcast { .. } | Event::Raw { .. } => &[],
        };
        let frames = Frames::new(event, &key.topic);
        let members = self.members.read();
        let few = members.count <= FEW;
        let mut reached = 0;
        for member in members.slots.iter().flatten() {
            if Some(member.id) == except.sender
                || except
                    .newer
                    .is_some_and(|newer| member.entered.load(Ordering::Relaxed) >= newer)
            {
                continue;
            }
            let frame = || frames.get(member.version).cloned();
            if member.deliver(kind, except.stored, payload, few, frame) {
                reached += 1;
                // The message that finds the limit exceeded is still delivered (transcript 904).
                if exceeded {
                    member.over_limit();
                }
            }
        }
        drop(members);
        if let Some(meter) = meter {
            meter.add(reached as u64);
        }
        reached
    }
}

impl Members {
    fn insert(&mut self, member: Arc<Member>) -> u32 {
        self.count += 1;
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.slots.get_mut(slot as usize)
        {
            *place = Some(member);
            return slot;
        }
        self.slots.push(Some(member));
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    fn remove(&mut self, slot: u32) {
        if let Some(place) = self.slots.get_mut(slot as usize)
            && place.take().is_some()
        {
            self.count -= 1;
            self.free.push(slot);
        }
        if self.count == 0 {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }
}

/// A member's place on a topic; leaving is dropping it.
pub struct Membership {
    hub: Arc<Hub>,
    key: TopicKey,
    topic: Arc<Topic>,
    slot: u32,
}

impl Membership {
    /// Sends to the other members of the topic, and to the member itself when `except` is `None`.
    pub fn publish(&self, event: Event<'_>, except: Option<u64>) -> usize {
        let except = Except {
            sender: except,
            ..Except::default()
        };
        self.topic.publish(&self.hub, &self.key, event, except)
    }

    /// The topic's name.
    pub fn key(&self) -> &TopicKey {
        &self.key
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let empty = {
            let mut members = self.topic.members.write();
            members.remove(self.slot);
            members.count == 0
        };
        // Looked at again under the shard's lock: somebody may have joined in between.
        if empty && let Entry::Occupied(entry) = self.hub.topics.entry(self.key.clone()) {
            let retired = Arc::ptr_eq(entry.get(), &self.topic) && {
                let mut members = self.topic.members.write();
                members.retired = members.count == 0;
                members.retired
            };
            if retired {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
