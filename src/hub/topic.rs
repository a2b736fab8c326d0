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
            if member.deliver(kind, except.stored, payload, frame) {
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
mod tests {
    use super::*;
    use crate::hub::{Differences, Limits, Outbox, Seen};
    use crate::postgres::Snapshot;
    use crate::protocol::Version;
    use bytes::Bytes;
    use uuid::Uuid;

    fn key(private: bool) -> TopicKey {
        TopicKey {
            private,
            topic: "realtime:room".into(),
        }
    }

    fn member(version: Version) -> Arc<Member> {
        let limits = Limits {
            bytes: 1 << 30,
            frames: 1 << 20,
        };
        let outbox = Arc::new(Outbox::new(limits));
        Arc::new(Member::new(
            "realtime:room".into(),
            version,
            "\"1\"",
            outbox,
        ))
    }

    const EVENT: Event<'_> = Event::Text {
        kind: Kind::Broadcast,
        payload: b"{}",
    };

    #[test]
    fn the_sender_is_left_out_and_namespaces_do_not_mix() {
        let hub = Arc::new(Hub::default());
        let (a, b, c) = (
            member(Version::V2),
            member(Version::V1),
            member(Version::V2),
        );
        let at_a = hub.join(key(false), Arc::clone(&a), || {});
        let _b = hub.join(key(false), Arc::clone(&b), || {});
        let _c = hub.join(key(true), Arc::clone(&c), || {});
        assert_eq!(at_a.publish(EVENT, Some(a.id)), 1);
        assert_eq!(a.outbox.queued_bytes(), 0);
        assert!(b.outbox.queued_bytes() > 0);
        assert_eq!(c.outbox.queued_bytes(), 0);
    }

    fn queued(member: &Member) -> Vec<Bytes> {
        let mut frames = Vec::new();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = member.outbox.poll_take(&mut context, &mut frames);
        frames
    }

    #[test]
    fn a_member_receives_only_what_it_may_read() {
        let hub = Arc::new(Hub::default());
        let diff = Event::Text {
            kind: Kind::PresenceDiff,
            payload: b"{}",
        };
        for (broadcast, differences, expected) in [
            (true, Differences::FanOut, [1, 1]),
            (true, Differences::None, [1, 0]),
            (false, Differences::FanOut, [0, 1]),
            (false, Differences::Pushed, [0, 1]),
            (false, Differences::None, [0, 0]),
        ] {
            let member = member(Version::V2);
            member.set_rights(broadcast, differences);
            let place = hub.join(key(true), Arc::clone(&member), || {});
            let reached = [place.publish(EVENT, None), place.publish(diff, None)];
            assert_eq!(reached, expected, "{broadcast} {differences:?}");
            assert_eq!(queued(&member).len(), expected.iter().sum::<usize>());
        }
    }

    #[test]
    fn what_comes_during_a_replay_follows_it_once() {
        let hub = Arc::new(Hub::default());
        let member = member(Version::V2);
        member.hold();
        let _place = hub.join(key(true), Arc::clone(&member), || {});
        let stored = |number: u32| StoredId {
            id: Uuid::from_u128(number.into()),
            xid: number,
        };
        // Transactions below 5 are over when the replay looks; it finds the last of them only.
        let (missed, old, new) = (stored(3), stored(4), stored(5));
        hub.publish_stored(&key(true), EVENT, missed, None);
        hub.publish_stored(&key(true), EVENT, old, None);
        hub.publish_stored(&key(true), EVENT, new, None);
        assert_eq!(member.outbox.queued_bytes(), 0);
        let first = Bytes::from_static(b"reply and replay");
        let snapshot = Snapshot::read("5:5:");
        assert!(snapshot.is_some());
        member.release(vec![first.clone()], Seen::new(vec![old.id], snapshot));
        let frames = queued(&member);
        assert_eq!(
            frames.len(),
            2,
            "the reply, then the message that was not replayed"
        );
        assert_eq!(frames[0], first);
        // For the whole life of the channel.
        assert_eq!(hub.publish_stored(&key(true), EVENT, missed, None), 0);
        assert_eq!(hub.publish_stored(&key(true), EVENT, old, None), 0);
        assert_eq!(hub.publish_stored(&key(true), EVENT, new, None), 1);
        assert_eq!(hub.publish(&key(true), EVENT, None), 1);
    }

    #[test]
    fn whoever_enters_with_rights_of_before_a_suspension_waits_too() {
        let hub = Arc::new(Hub::default());
        let (old, replaying, new) = (
            member(Version::V2),
            member(Version::V2),
            member(Version::V2),
        );
        old.judge(hub.suspensions());
        replaying.judge(hub.suspensions());
        replaying.hold();
        let _replaying = hub.join(key(true), Arc::clone(&replaying), || {});
        hub.suspend_private();
        new.judge(hub.suspensions());
        let _old = hub.join(key(true), Arc::clone(&old), || {
            old.send(Bytes::from_static(b"reply"));
        });
        let _new = hub.join(key(true), Arc::clone(&new), || {});
        old.presence_state(b"{}");
        hub.publish(&key(true), EVENT, None);
        replaying.release(vec![Bytes::from_static(b"reply")], Seen::default());
        let counts = [&old, &replaying, &new].map(|member| queued(member).len());
        assert_eq!(counts, [1, 1, 1], "two replies and one message");
        for member in [&old, &replaying] {
            member.resume(hub.suspensions() - 1);
            assert_eq!(queued(member).len(), 0);
            member.resume(hub.suspensions());
        }
        let counts = [&old, &replaying].map(|member| queued(member).len());
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn what_is_kept_for_a_member_is_no_more_than_its_outbox_takes() {
        let hub = Arc::new(Hub::default());
        let limits = Limits {
            bytes: 1000,
            frames: 100,
        };
        let outbox = Arc::new(Outbox::new(limits));
        let kept = Arc::new(Member::new(
            "realtime:room".into(),
            Version::V2,
            "\"1\"",
            Arc::clone(&outbox),
        ));
        let _place = hub.join(key(true), Arc::clone(&kept), || {});
        hub.suspend_private();
        let payload = [b' '; 400];
        let event = Event::Text {
            kind: Kind::Broadcast,
            payload: &payload,
        };
        let mut reached = 0;
        while outbox.closing().is_none() {
            reached += hub.publish(&key(true), event, None);
        }
        assert_eq!(reached, 2);
        assert_eq!(outbox.closing(), Some(crate::hub::Closing::Overflow));
    }

    #[test]
    fn what_a_replay_settled_is_forgotten_with_its_database() {
        let hub = Arc::new(Hub::default());
        let member = member(Version::V2);
        member.hold();
        let _place = hub.join(key(true), Arc::clone(&member), || {});
        let snapshot = Snapshot::read("1000:1000:");
        member.release(Vec::new(), Seen::new(Vec::new(), snapshot));
        let stored = StoredId {
            id: Uuid::from_u128(1),
            xid: 800,
        };
        assert_eq!(hub.publish_stored(&key(true), EVENT, stored, None), 0);
        hub.replace_database();
        assert_eq!(hub.recent(&key(true)), [] as [u32; 0]);
        hub.publish_stored(&key(true), EVENT, stored, None);
        assert_eq!(queued(&member).len(), 0, "nobody knows its rights there");
        member.resume(hub.suspensions());
        assert_eq!(queued(&member).len(), 1);
    }

    #[test]
    fn whoever_is_reached_over_the_limit_is_marked_once() {
        let events = Arc::new(Meter::new(Some(1), std::time::Duration::from_secs(5), 12));
        let hub = Arc::new(Hub::new(Arc::clone(&events), Arc::new(Meter::unlimited())));
        let (sender, receiver) = (member(Version::V2), member(Version::V2));
        let place = hub.join(key(false), Arc::clone(&sender), || {});
        let _other = hub.join(key(false), Arc::clone(&receiver), || {});
        for _ in 0..100 {
            place.publish(EVENT, Some(sender.id));
        }
        assert!(!receiver.take_over_limit());
        events.tick();
        assert_eq!(place.publish(EVENT, Some(sender.id)), 1);
        assert!(receiver.take_over_limit());
        assert!(!receiver.take_over_limit());
        assert!(!sender.take_over_limit());
        assert_eq!(events.total(), 101);
    }

    #[test]
    fn a_topic_without_members_leaves_the_registry() {
        let hub = Arc::new(Hub::default());
        let first = hub.join(key(false), member(Version::V2), || {});
        let second = hub.join(key(false), member(Version::V2), || {});
        drop(first);
        assert_eq!(hub.topics(), 1);
        drop(second);
        assert_eq!(hub.topics(), 0);
        assert_eq!(hub.publish(&key(false), EVENT, None), 0);
    }

    #[test]
    fn a_place_that_was_left_is_used_again() {
        let hub = Arc::new(Hub::default());
        let keep = hub.join(key(false), member(Version::V2), || {});
        for _ in 0..100 {
            drop(hub.join(key(false), member(Version::V2), || {}));
        }
        assert_eq!(keep.topic.members.read().slots.len(), 2);
    }

    #[test]
    fn a_v1_member_gets_no_binary_and_no_broken_json() {
        let hub = Arc::new(Hub::default());
        let v1 = member(Version::V1);
        let place = hub.join(key(false), Arc::clone(&v1), || {});
        for (encoding, payload) in [
            (crate::protocol::Encoding::Binary, &b"\x01\x02"[..]),
            (crate::protocol::Encoding::Json, &b"{broken"[..]),
        ] {
            let event = Event::UserBroadcast {
                event: "e",
                metadata: "",
                encoding,
                payload,
            };
            assert_eq!(place.publish(event, None), 0);
        }
        assert_eq!(place.publish(Event::Raw { payload: b"x" }, None), 0);
    }

    #[test]
    fn joins_and_leaves_from_many_threads_lose_nobody() {
        let hub = Arc::new(Hub::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let member = member(Version::V2);
                        let place = hub.join(key(false), Arc::clone(&member), || {});
                        hub.publish(&key(false), EVENT, None);
                        assert!(member.outbox.queued_bytes() > 0);
                        drop(place);
                    }
                });
            }
        });
        assert_eq!(hub.topics(), 0);
    }
}
