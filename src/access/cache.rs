//! Questions that are under way or were answered a moment ago, for those who ask the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::question::{Ask, Flight};

/// Below so many entries nothing is thrown away.
const SMALL: usize = 1_024;

/// See the module. The key is everything the answer depends on: topic, claims (with the role), headers, what is asked; and
/// the version, which the entry knows.
#[derive(Default)]
pub(super) struct Cache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    flights: HashMap<Ask, Arc<Flight>>,
    /// How many there may be before outdated ones are thrown away.
    room: usize,
}

impl Cache {
    /// A question that serves: not asked yet; or, unless it must be `fresh`, under way or answered less than `keep` ago,
    /// and asked of this version.
    pub(super) fn find(
        &self,
        ask: &Ask,
        version: u64,
        now: Instant,
        keep: Duration,
        fresh: bool,
    ) -> Option<Arc<Flight>> {
        let kept = self.0.lock();
        let flight = kept.flights.get(ask)?;
        serves(flight, version, now, keep, fresh).then(|| flight.clone())
    }

    pub(super) fn insert(&self, ask: &Ask, flight: Arc<Flight>, now: Instant, keep: Duration) {
        let mut kept = self.0.lock();
        if kept.flights.len() >= kept.room.max(SMALL) {
            kept.flights.retain(|_, flight| !is_over(flight, now, keep));
            kept.room = kept.flights.len() * 2;
        }
        kept.flights.insert(ask.clone(), flight);
    }
}

fn serves(flight: &Flight, version: u64, now: Instant, keep: Duration, fresh: bool) -> bool {
    if flight.is_lost() {
        return false;
    }
    match flight.answered() {
        // Whatever the version is when it is sent, it will be this one or a later one.
        None if !flight.is_sent() => true,
        None => !fresh && flight.version() == version,
        Some((when, fine)) => !fresh && fine && flight.version() == version && when + keep > now,
    }
}

fn is_over(flight: &Flight, now: Instant, keep: Duration) -> bool {
    match flight.answered() {
        None => flight.is_lost(),
        Some((when, fine)) => !fine || when + keep <= now,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::question::Answer;
    use super::super::{Failure, Rights};
    use super::*;

    const KEEP: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_question_serves_others_until_it_is_outdated() {
        let cache = Cache::default();
        let find = |version, fresh| {
            cache
                .find(&Ask::Ping, version, Instant::now(), KEEP, fresh)
                .is_some()
        };
        let put = || {
            let now = Instant::now();
            let (job, flight) = Flight::new(Ask::Ping, now, KEEP, false);
            cache.insert(&Ask::Ping, flight, now, KEEP);
            job
        };
        assert!(!find(7, false));
        let job = put();
        assert!(find(7, false) && find(7, true));
        job.mark_sent(7);
        assert!(find(7, false) && !find(7, true) && !find(8, false));
        job.mark_waiting();
        assert!(find(8, true), "it will be asked again");
        job.mark_sent(8);
        job.answer(Ok(Answer::Rights(Rights::default())));
        assert!(find(8, false) && !find(8, true) && !find(9, false));
        tokio::time::advance(KEEP).await;
        assert!(!find(8, false));
        // Failures are not kept.
        let job = put();
        job.mark_sent(8);
        job.answer(Err(Failure::PoolExhausted));
        assert!(!find(8, false));
        // Nor is what nobody will answer.
        drop(put());
        assert!(!find(8, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_makes_room() {
        let cache = Cache::default();
        for number in 0..SMALL * 3 {
            let ask = Ask::Replay {
                topic: number.to_string().into(),
                since_ms: 0,
                limit: 1,
            };
            let now = Instant::now();
            let (job, flight) = Flight::new(ask.clone(), now, KEEP, false);
            cache.insert(&ask, flight, now, KEEP);
            job.mark_sent(0);
            job.answer(Ok(Answer::Text(String::new())));
            tokio::time::advance(Duration::from_millis(2)).await;
        }
        assert!(cache.0.lock().flights.len() <= SMALL + 1);
    }
}
