//! The presence of one topic, and what of it its members have not been told yet.
//!
//! A difference goes to every member, so a crowd whose members come and go costs the square of its size. Differences of a large
//! topic are therefore told together: after one has been sent, the next waits [`EACH`] for every member that received it, and is
//! one message however much has changed meanwhile. Small topics never wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Diff, State};

/// Pause after a difference, for each member that it was sent to: somewhat more than sending it costs.
const EACH: Duration = Duration::from_micros(10);
/// Shorter pauses are none.
const LEAST: Duration = Duration::from_millis(1);
/// The longest pause.
const MOST: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Default)]
pub(super) struct Room {
    pub(super) state: State,
    untold: Diff,
    /// Nothing is told before; `None` while there is no pause.
    pause: Option<Instant>,
    /// Somebody will tell when the pause is over.
    waited_for: bool,
    /// JSON of what has been told, until more is.
    told: Option<Arc<str>>,
}

/// What is to be done with a difference.
#[derive(Debug)]
pub(super) enum Turn {
    /// Tell it.
    Tell(Diff),
    /// Ask [`Room::due`] at this moment.
    Wait(Instant),
    /// Somebody waits already.
    Leave,
}

impl Room {
    /// Nobody is there, and everybody knows.
    pub(super) fn is_empty(&self) -> bool {
        self.state.is_empty() && self.untold.is_empty()
    }

    /// A difference that was just made.
    pub(super) fn made(&mut self, diff: Diff, now: Instant) -> Turn {
        if self.pause.is_none_or(|pause| pause <= now) && !self.waited_for {
            return Turn::Tell(diff);
        }
        self.untold.add(diff);
        if self.waited_for {
            return Turn::Leave;
        }
        self.waited_for = true;
        Turn::Wait(self.pause.unwrap_or(now))
    }

    /// What has become due, at the end of a pause; `None` when there is nothing left to tell.
    pub(super) fn due(&mut self) -> Option<Diff> {
        self.waited_for = false;
        let diff = std::mem::take(&mut self.untold);
        if diff.is_empty() {
            // Whoever came has gone again.
            return None;
        }
        Some(diff)
    }

    /// A difference was sent to so many.
    pub(super) fn sent(&mut self, members: usize, now: Instant) {
        self.told = None;
        let pause = EACH.saturating_mul(u32::try_from(members).unwrap_or(u32::MAX));
        self.pause = (pause >= LEAST).then(|| now + pause.min(MOST));
    }

    /// JSON text of a `presence_state` payload: what has been told, so that with the differences that follow nothing is missed
    /// and nothing comes twice.
    pub(super) fn told(&mut self) -> Arc<str> {
        let (state, untold) = (&self.state, &self.untold);
        let told = self
            .told
            .get_or_insert_with(|| state.json_before(untold).into());
        Arc::clone(told)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::state::Payload;
    use super::*;

    /// A client that takes nothing twice and misses nothing: refs under keys.
    #[derive(Debug, Default, PartialEq)]
    struct Client(BTreeMap<(String, String), Value>);

    impl Client {
        fn knowing(state: &str) -> Self {
            let mut client = Self::default();
            client.join(&serde_json::from_str(state).unwrap());
            client
        }

        fn join(&mut self, keys: &Value) {
            for (key, metas) in keys.as_object().unwrap() {
                for meta in metas["metas"].as_array().unwrap() {
                    let name = (key.clone(), meta["phx_ref"].to_string());
                    assert_eq!(self.0.insert(name, meta.clone()), None, "joined twice");
                }
            }
        }

        fn hear(&mut self, diff: &Diff) {
            let diff: Value = serde_json::from_str(&diff.json()).unwrap();
            for (key, metas) in diff["leaves"].as_object().unwrap() {
                for meta in metas["metas"].as_array().unwrap() {
                    let name = (key.clone(), meta["phx_ref"].to_string());
                    assert!(self.0.remove(&name).is_some(), "left without having joined");
                }
            }
            self.join(&diff["joins"]);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Track(u64, u8, u8),
        Untrack(u64, u8),
        Hold(u64, u8),
        Release(u64, u8),
        /// Time passes.
        Wait(u64),
        /// Another client comes.
        Enter,
    }

    fn step() -> impl Strategy<Value = Step> {
        let (owner, key) = (0..5_u64, 0..3_u8);
        prop_oneof![
            4 => (owner.clone(), key.clone(), 0..3_u8).prop_map(|(owner, key, n)| Step::Track(owner, key, n)),
            2 => (owner.clone(), key.clone()).prop_map(|(owner, key)| Step::Untrack(owner, key)),
            1 => (owner.clone(), key.clone()).prop_map(|(owner, key)| Step::Hold(owner, key)),
            1 => (owner, key).prop_map(|(owner, key)| Step::Release(owner, key)),
            2 => (0..12_u64).prop_map(Step::Wait),
            2 => Just(Step::Enter),
        ]
    }

    proptest! {
        #[test]
        fn whoever_enters_whenever_knows_in_the_end_who_is_there(
            steps in proptest::collection::vec(step(), 0..60),
            members in prop_oneof![Just(3_usize), Just(500)],
        ) {
            let mut room = Room::default();
            let mut clients = vec![Client::default()];
            let mut now = Instant::now();
            let mut due = None;
            let tell = |room: &mut Room, clients: &mut Vec<Client>, diff: &Diff, now| {
                clients.iter_mut().for_each(|client| client.hear(diff));
                room.sent(members, now);
            };
            let last = [Step::Wait(1000), Step::Enter];
            for (number, step) in steps.into_iter().chain(last).enumerate() {
                let key = |key: u8| -> Arc<str> { format!("key {key}").into() };
                let diff = match step {
                    Step::Track(owner, of, n) => {
                        let payload = Payload::parse(&format!("{{\"n\":{n}}}")).unwrap();
                        room.state.track(owner, None, &key(of), payload, number.to_string())
                    }
                    Step::Untrack(owner, of) => room.state.untrack(owner, &key(of)),
                    Step::Hold(owner, of) => {
                        room.state.hold(owner, &key(of), None);
                        None
                    }
                    Step::Release(owner, of) => room.state.release(owner, &key(of)),
                    Step::Wait(milliseconds) => {
                        now += Duration::from_millis(milliseconds);
                        if due.is_some_and(|due| due <= now) {
                            due = None;
                            if let Some(diff) = room.due() {
                                tell(&mut room, &mut clients, &diff, now);
                            }
                        }
                        None
                    }
                    Step::Enter => {
                        clients.push(Client::knowing(&room.told()));
                        None
                    }
                };
                match diff.map(|diff| room.made(diff, now)) {
                    Some(Turn::Tell(diff)) => tell(&mut room, &mut clients, &diff, now),
                    Some(Turn::Wait(until)) => {
                        prop_assert!(members > 100 && until > now && due.is_none());
                        due = Some(until);
                    }
                    Some(Turn::Leave) => prop_assert!(due.is_some()),
                    None => {}
                }
            }
            let there = Client::knowing(&room.state.json());
            for client in clients {
                prop_assert_eq!(&client, &there);
            }
        }
    }
}
