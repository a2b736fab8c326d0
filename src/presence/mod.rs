//! Who is where: track, untrack, and the leave that is held for a while (protocol.md §6).
//!
//! Owns the presence of every topic of one tenant and publishes differences through the hub, in the order the changes
//! happened: the lock of a topic is held while its difference is queued, never across an await.

pub mod people;
mod room;
pub mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::hub::{Event, Hub, Kind, TopicKey};
use people::People;
use room::{Room, Turn};
use state::{Diff, Owner, Payload, State};

/// The presence of one tenant on this node.
pub struct Presence {
    hub: Arc<Hub>,
    topics: DashMap<TopicKey, Arc<Mutex<Room>>, ahash::RandomState>,
    grace: Duration,
    refs: Refs,
    /// Who is there, by their tokens.
    pub people: People,
}

/// How a channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It left, or was closed in an orderly way: the others learn it at once.
    Orderly,
    /// Its socket was lost: the leave is held for the grace period.
    Abnormal,
}

/// Who tracks: a joined channel, under which key, and the subject of its token.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// Id of the channel.
    pub owner: Owner,
    /// Presence key.
    pub key: Arc<str>,
    /// `sub` of the token.
    pub sub: Option<Arc<str>>,
}

impl Presence {
    /// `grace` is how long the leave of a lost socket is held, zero for not at all.
    pub fn new(hub: Arc<Hub>, grace: Duration) -> Arc<Self> {
        Arc::new(Self {
            hub,
            topics: DashMap::default(),
            grace,
            refs: Refs::new(),
            people: People::default(),
        })
    }

    /// Tracks a payload; `false` when nothing changed.
    pub fn track(self: &Arc<Self>, topic: &TopicKey, tracker: &Tracker, payload: Payload) -> bool {
        let phx_ref = self.refs.next();
        self.change(topic, |state| {
            let sub = tracker.sub.as_ref();
            state.track(tracker.owner, sub, &tracker.key, payload, phx_ref)
        })
    }

    /// Whether tracking this payload would change nothing.
    pub fn is_tracked_as(&self, topic: &TopicKey, tracker: &Tracker, payload: &Payload) -> bool {
        self.topics.get(topic).is_some_and(|room| {
            room.lock()
                .state
                .is_tracked_as(tracker.owner, &tracker.key, payload)
        })
    }

    /// Removes what the channel tracked; `false` when it did not.
    pub fn untrack(self: &Arc<Self>, topic: &TopicKey, tracker: &Tracker) -> bool {
        self.change(topic, |state| state.untrack(tracker.owner, &tracker.key))
    }

    /// The channel ended.
    pub fn depart(self: &Arc<Self>, topic: &TopicKey, tracker: Tracker, departure: Departure) {
        if departure == Departure::Orderly || self.grace.is_zero() {
            self.untrack(topic, &tracker);
            return;
        }
        let held = self.topics.get(topic).is_some_and(|room| {
            let sub = tracker.sub.clone();
            room.lock().state.hold(tracker.owner, &tracker.key, sub)
        });
        if !held {
            return;
        }
        let (presence, topic) = (Arc::clone(self), topic.clone());
        tokio::spawn(async move {
            tokio::time::sleep(presence.grace).await;
            presence.change(&topic, |state| state.release(tracker.owner, &tracker.key));
        });
    }

    /// Hands the `presence_state` payload to `deliver` while no difference of the topic can be published, so that
    /// a member receives the state before every difference that is not in it.
    pub fn with_state(&self, topic: &TopicKey, deliver: impl FnOnce(&str)) {
        match self.topics.get(topic).map(|room| Arc::clone(&room)) {
            Some(room) => {
                let mut room = room.lock();
                deliver(&room.told());
            }
            None => deliver("{}"),
        }
    }

    fn change(
        self: &Arc<Self>,
        topic: &TopicKey,
        change: impl FnOnce(&mut State) -> Option<Diff>,
    ) -> bool {
        // The shard stays locked until the room is: a topic cannot be forgotten in between.
        let entry = self.topics.entry(topic.clone()).or_default();
        let shared = Arc::clone(&entry);
        let mut room = shared.lock();
        drop(entry);
        let diff = change(&mut room.state);
        let changed = diff.is_some();
        if let Some(diff) = diff {
            if People::counts(topic) {
                self.people.note(&diff.came, &diff.went);
            }
            match room.made(diff, Instant::now()) {
                Turn::Tell(diff) => self.tell(topic, &mut room, &diff),
                Turn::Wait(until) => self.tell_later(topic.clone(), until),
                Turn::Leave => {}
            }
        }
        let empty = room.is_empty();
        drop(room);
        if empty {
            self.forget_if_empty(topic);
        }
        changed
    }

    fn tell(&self, topic: &TopicKey, room: &mut Room, diff: &Diff) {
        let json = diff.json();
        let event = Event::Text {
            kind: Kind::PresenceDiff,
            payload: json.as_bytes(),
        };
        let reached = self.hub.publish(topic, event, None);
        room.sent(reached, Instant::now());
    }

    fn tell_later(self: &Arc<Self>, topic: TopicKey, until: Instant) {
        let presence = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep_until(until).await;
            // While something waits to be told the room is not forgotten.
            let Some(room) = presence.topics.get(&topic).map(|room| Arc::clone(&room)) else {
                return;
            };
            let mut room = room.lock();
            if let Some(diff) = room.due() {
                presence.tell(&topic, &mut room, &diff);
            }
            drop(room);
            presence.forget_if_empty(&topic);
        });
    }

    fn forget_if_empty(&self, topic: &TopicKey) {
        self.topics
            .remove_if(topic, |_, room| room.lock().is_empty());
    }
}

/// Source of `phx_ref`s: 16 characters, unique over restarts.
struct Refs {
    boot: [u8; 4],
    next: AtomicU64,
}

impl Refs {
    fn new() -> Self {
        let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
        Self {
            boot: [a, b, c, d],
            next: AtomicU64::new(1),
        }
    }

    fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let [a, b, c, d] = self.boot;
        let [e, f, g, h, i, j, k, l] = number;
        URL_SAFE_NO_PAD.encode([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hub::{Limits, Member, Outbox};
    use crate::protocol::Version;

    fn topic() -> TopicKey {
        TopicKey {
            private: false,
            topic: "realtime:room".into(),
        }
    }

    fn tracker(owner: Owner) -> Tracker {
        Tracker {
            owner,
            key: "ann".into(),
            sub: Some("u1".into()),
        }
    }

    fn payload() -> Payload {
        Payload::parse(r#"{"n":1}"#).unwrap()
    }

    fn watcher(hub: &Arc<Hub>) -> (Arc<Outbox>, crate::hub::Membership) {
        let limits = Limits {
            bytes: 1 << 20,
            frames: 100,
        };
        let outbox = Arc::new(Outbox::new(limits));
        let member = Member::new(
            "realtime:room".into(),
            Version::V2,
            "null",
            Arc::clone(&outbox),
        );
        let place = hub.join(topic(), Arc::new(member), || {});
        (outbox, place)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_socket_that_comes_back_in_time_is_never_seen_to_leave() {
        let hub = Arc::new(Hub::default());
        let presence = Presence::new(Arc::clone(&hub), Duration::from_secs(5));
        presence.track(&topic(), &tracker(1), payload());
        let (outbox, _place) = watcher(&hub);
        presence.depart(&topic(), tracker(1), Departure::Abnormal);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(!presence.track(&topic(), &tracker(2), payload()));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(outbox.queued_bytes(), 0);
        presence.with_state(&topic(), |state| assert!(state.contains("\"ann\"")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_socket_that_stays_away_leaves_after_the_grace() {
        let hub = Arc::new(Hub::default());
        let presence = Presence::new(Arc::clone(&hub), Duration::from_secs(5));
        presence.track(&topic(), &tracker(1), payload());
        let (outbox, _place) = watcher(&hub);
        presence.depart(&topic(), tracker(1), Departure::Abnormal);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(outbox.queued_bytes(), 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(outbox.queued_bytes() > 0);
        assert!(presence.topics.is_empty());
    }

    #[test]
    fn refs_are_sixteen_characters_and_unique() {
        let refs = Refs::new();
        let (first, second) = (refs.next(), refs.next());
        assert_eq!(first.len(), 16);
        assert_ne!(first, second);
    }
}
