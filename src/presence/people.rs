//! Who is there, by the `sub` of their tokens: on the private topics `presence:<organisation>` of the messaging system (C-105), and,
//! since guests are in no organisation, on `typing:<conversation>`, where policies let only guests track.
//!
//! Presence keys and payloads are chosen by clients and prove nothing, so they are not looked at. Counting is all that happens
//! on the way of a presence message; who wants to know is woken and takes what has changed since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::hub::TopicKey;

const PREFIXES: [&str; 2] = ["realtime:presence:", "realtime:typing:"];

/// See the module.
#[derive(Default)]
pub struct People {
    /// Somebody takes what has changed; otherwise it would only be kept.
    watched: AtomicBool,
    counted: Mutex<Counted>,
    wake: Notify,
}

#[derive(Default)]
struct Counted {
    /// Entries of each person on all topics; nobody has none.
    entries: HashMap<Uuid, u32>,
    /// Whose count began or ended to be zero.
    changed: HashSet<Uuid>,
}

impl People {
    /// Whether entries on this topic count.
    pub(super) fn counts(topic: &TopicKey) -> bool {
        let mut prefixes = PREFIXES.iter();
        let id = prefixes.find_map(|prefix| topic.topic.strip_prefix(prefix));
        // As the policies write it: with dashes.
        topic.private && id.is_some_and(|id| id.len() == 36 && Uuid::try_parse(id).is_ok())
    }

    /// From now on people are counted; before the first of them comes.
    pub fn watch(&self) {
        self.watched.store(true, Ordering::Relaxed);
    }

    /// What happens from now on is not counted.
    pub fn ignore(&self) {
        self.watched.store(false, Ordering::Relaxed);
    }

    /// Entries came and went. Tokens without a `sub`, or with one that is no uuid, are nobody's.
    pub(super) fn note(&self, came: &[Arc<str>], went: &[Arc<str>]) {
        if !self.watched.load(Ordering::Relaxed) {
            return;
        }
        let mut counted = self.counted.lock();
        let before = counted.changed.len();
        // Both at once is an update, during which nobody is away.
        for person in came.iter().filter_map(|sub| Uuid::try_parse(sub).ok()) {
            let entries = counted.entries.entry(person).or_default();
            *entries += 1;
            if *entries == 1 {
                counted.changed.insert(person);
            }
        }
        for person in went.iter().filter_map(|sub| Uuid::try_parse(sub).ok()) {
            let Some(entries) = counted.entries.get_mut(&person) else {
                continue;
            };
            *entries -= 1;
            if *entries == 0 {
                counted.entries.remove(&person);
                counted.changed.insert(person);
            }
        }
        if counted.changed.len() > before {
            self.wake.notify_one();
        }
    }

    /// Until somebody came or went.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Who came or went since the last time, and whether they are there now.
    pub fn take(&self) -> Vec<(Uuid, bool)> {
        let mut counted = self.counted.lock();
        let changed = std::mem::take(&mut counted.changed);
        let there = |person: Uuid| (person, counted.entries.contains_key(&person));
        changed.into_iter().map(there).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ANN: &str = "11111111-1111-4111-8111-111111111111";

    fn subs(list: &[&str]) -> Vec<Arc<str>> {
        list.iter().map(|sub| Arc::from(*sub)).collect()
    }

    fn watched() -> People {
        let people = People::default();
        people.watch();
        people
    }

    fn topic(private: bool, topic: &str) -> TopicKey {
        TopicKey {
            private,
            topic: topic.into(),
        }
    }

    #[test]
    fn only_private_topics_of_an_organisation_or_a_conversation_count() {
        let org = format!("realtime:presence:{ANN}");
        let typing = format!("realtime:typing:{ANN}");
        assert!(People::counts(&topic(true, &org)));
        assert!(People::counts(&topic(true, &typing)));
        for other in [
            topic(false, &org),
            topic(true, "realtime:presence:lobby"),
            topic(false, &typing),
            topic(true, &format!("realtime:messages:{ANN}")),
            topic(true, &format!("presence:{ANN}")),
            topic(true, &format!("{org}:x")),
            topic(true, "realtime:presence:11111111111141118111111111111111"),
        ] {
            assert!(!People::counts(&other), "{other:?}");
        }
    }

    #[test]
    fn several_tabs_are_one_person() {
        let people = watched();
        let ann: Uuid = ANN.parse().unwrap();
        people.note(&subs(&[ANN]), &[]);
        people.note(&subs(&[ANN]), &[]);
        assert_eq!(people.take(), [(ann, true)]);
        people.note(&[], &subs(&[ANN]));
        assert_eq!(people.take(), []);
        people.note(&[], &subs(&[ANN]));
        assert_eq!(people.take(), [(ann, false)]);
    }

    #[test]
    fn who_only_changes_the_entry_is_not_away_meanwhile() {
        let people = watched();
        people.note(&subs(&[ANN]), &[]);
        people.take();
        people.note(&subs(&[ANN]), &subs(&[ANN]));
        assert_eq!(people.take(), []);
    }

    #[test]
    fn a_sub_that_is_no_uuid_is_nobody() {
        let people = watched();
        people.note(&subs(&["admin", ""]), &[]);
        people.note(&[], &subs(&["admin"]));
        assert_eq!(people.take(), []);
    }
}
