//! Where questions wait: two lanes, and the memory of who is slow.
//!
//! In the fast lane many questions share a round trip, so each gets little time. A question that needs more moves to the
//! slow lane, where it is asked alone with all the time there is, and for a minute whatever is asked about its subject goes
//! there directly. When as many of them ran into the limit within 30 seconds as there are connections, questions about
//! slow subjects fail at once (P-220) and nobody else notices.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::question::{Ask, Job};
use super::{Failure, Subject};
use crate::auth::Claims;

/// Questions of one round trip.
const BATCH: usize = 128;

/// How long a subject counts as slow after it ran into the limit of the fast lane.
const SLOW_FOR: Duration = Duration::from_secs(60);

/// Over which time answers that were cancelled are counted (postgres.md §5.5).
const WINDOW: Duration = Duration::from_secs(30);

/// Topic and claims.
type Who = (Arc<str>, Arc<Claims>);

/// Which lanes a runner takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// The fast lane alone: no slow policy ever holds it up for long.
    Fast,
    /// The slow lane first.
    SlowFirst,
    /// Both, the fast lane first: there is no other runner.
    FastFirst,
}

impl Duty {
    /// The duty of each of `count` runners.
    pub(super) fn of(count: usize) -> Vec<Self> {
        match count {
            0 | 1 => vec![Self::FastFirst],
            _ => {
                let mut duties = vec![Self::Fast; count - 1];
                duties.push(Self::SlowFirst);
                duties
            }
        }
    }
}

#[derive(Default)]
struct Lanes {
    fast: VecDeque<Job>,
    slow: VecDeque<Job>,
}

/// See the module.
pub(super) struct Queue {
    lanes: Mutex<Lanes>,
    filled: Notify,
    /// Until when who is slow.
    slow: Mutex<HashMap<Who, Instant>>,
    /// When the last ones were cancelled, at most one for each connection.
    cancelled: Mutex<VecDeque<Instant>>,
    connections: usize,
}

impl Queue {
    pub(super) fn new(connections: usize) -> Self {
        Self {
            lanes: Mutex::default(),
            filled: Notify::new(),
            slow: Mutex::default(),
            cancelled: Mutex::default(),
            connections,
        }
    }

    /// Whether a question belongs into the slow lane, or is refused at once.
    pub(super) fn admit(&self, ask: &Ask, now: Instant) -> Result<bool, Failure> {
        let slow = ask
            .subject()
            .is_some_and(|subject| self.is_slow(subject, now));
        if slow && self.is_exhausted(now) {
            return Err(Failure::PoolExhausted);
        }
        Ok(slow)
    }

    pub(super) fn push(&self, job: Job) {
        {
            let mut lanes = self.lanes.lock();
            if job.slow {
                lanes.slow.push_back(job);
            } else if job.ask == Ask::Ping {
                lanes.fast.push_front(job);
            } else {
                lanes.fast.push_back(job);
            }
        }
        self.filled.notify_waiters();
    }

    /// Questions that were taken and not answered come first again, in their order.
    pub(super) fn give_back(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        {
            let mut lanes = self.lanes.lock();
            for job in jobs.into_iter().rev() {
                job.mark_waiting();
                if job.slow {
                    lanes.slow.push_front(job);
                } else {
                    lanes.fast.push_front(job);
                }
            }
        }
        self.filled.notify_waiters();
    }

    /// What to ask next, in one round trip: as many fast questions as there are, or one slow one. Waits for them.
    pub(super) async fn take(&self, duty: Duty) -> Vec<Job> {
        loop {
            let mut filled = std::pin::pin!(self.filled.notified());
            filled.as_mut().enable();
            let (batch, late) = self.take_now(duty, Instant::now());
            for job in late {
                job.give_up();
            }
            if !batch.is_empty() {
                return batch;
            }
            filled.await;
        }
    }

    /// The batch, and those who waited too long.
    fn take_now(&self, duty: Duty, now: Instant) -> (Vec<Job>, Vec<Job>) {
        let mut lanes = self.lanes.lock();
        let lanes = &mut *lanes;
        let order: &mut [(&mut VecDeque<Job>, usize)] = match duty {
            Duty::Fast => &mut [(&mut lanes.fast, BATCH)],
            Duty::SlowFirst => &mut [(&mut lanes.slow, 1), (&mut lanes.fast, BATCH)],
            Duty::FastFirst => &mut [(&mut lanes.fast, BATCH), (&mut lanes.slow, 1)],
        };
        let mut batch = Vec::new();
        let mut late = Vec::new();
        for (lane, most) in order {
            while batch.len() < *most
                && let Some(job) = lane.pop_front()
            {
                if job.deadline <= now {
                    late.push(job);
                } else {
                    batch.push(job);
                }
            }
            if !batch.is_empty() {
                break;
            }
        }
        // Postgres plans a statement anew for another role, so those of one role go together.
        batch.sort_by(|one, other| role(one).cmp(role(other)));
        (batch, late)
    }

    /// A question ran into the limit of the fast lane: it is asked once more in the slow one.
    pub(super) fn slow_down(&self, mut job: Job) {
        let now = Instant::now();
        if let Some(subject) = job.ask.subject() {
            let mut slow = self.slow.lock();
            slow.retain(|_, until| *until > now);
            slow.insert(key(subject), now + SLOW_FOR);
        }
        if self.is_exhausted(now) {
            job.answer(Err(Failure::PoolExhausted));
            return;
        }
        job.slow = true;
        job.mark_waiting();
        self.push(job);
    }

    /// A slow question was answered as fast as others.
    pub(super) fn speed_up(&self, ask: &Ask) {
        if let Some(subject) = ask.subject() {
            self.slow.lock().remove(&key(subject));
        }
    }

    /// A question was cancelled although it had all the time there is.
    pub(super) fn cancelled(&self) {
        let now = Instant::now();
        let mut cancelled = self.cancelled.lock();
        cancelled.push_back(now);
        while cancelled.len() > self.connections.max(1) {
            cancelled.pop_front();
        }
    }

    fn is_slow(&self, subject: &Subject, now: Instant) -> bool {
        let slow = self.slow.lock();
        !slow.is_empty() && slow.get(&key(subject)).is_some_and(|until| *until > now)
    }

    fn is_exhausted(&self, now: Instant) -> bool {
        let mut cancelled = self.cancelled.lock();
        while cancelled.front().is_some_and(|when| *when + WINDOW <= now) {
            cancelled.pop_front();
        }
        cancelled.len() >= self.connections.max(1)
    }
}

fn key(subject: &Subject) -> Who {
    (subject.topic.clone(), subject.claims.clone())
}

fn role(job: &Job) -> &str {
    job.ask.subject().map_or("", |subject| &subject.claims.role)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::question::Flight;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn read(topic: &str, role: &str) -> Ask {
        let claims = format!(r#"{{"role":"{role}","exp":1}}"#);
        Ask::Read {
            subject: Subject {
                topic: topic.into(),
                claims: Arc::new(Claims::from_json(&claims).unwrap()),
                headers: "{}".into(),
            },
            presence: false,
        }
    }

    fn job(ask: Ask, slow: bool) -> (Job, Arc<Flight>) {
        Flight::new(ask, Instant::now(), PATIENCE, slow)
    }

    fn topics(batch: &[Job]) -> Vec<&str> {
        batch
            .iter()
            .map(|job| job.ask.subject().map_or("-", |subject| &subject.topic))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_bounded_and_those_of_one_role_go_together() {
        let queue = Queue::new(1);
        for number in 0..BATCH + 3 {
            let role = if number % 2 == 0 { "b" } else { "a" };
            queue.push(job(read(&number.to_string(), role), false).0);
        }
        let batch = queue.take(Duty::Fast).await;
        assert_eq!(batch.len(), BATCH);
        let roles: Vec<&str> = batch.iter().map(role).collect();
        assert!(roles.is_sorted(), "{roles:?}");
        assert_eq!(topics(&batch)[..3], ["1", "3", "5"]);
        assert_eq!(topics(&queue.take(Duty::Fast).await), ["129", "128", "130"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_question_is_asked_alone_and_only_where_it_keeps_nobody_waiting() {
        assert_eq!(Duty::of(1), [Duty::FastFirst]);
        assert_eq!(Duty::of(3), [Duty::Fast, Duty::Fast, Duty::SlowFirst]);
        let queue = Queue::new(2);
        let fill = || {
            queue.push(job(read("slow 1", "a"), true).0);
            queue.push(job(read("fast 1", "a"), false).0);
            queue.push(job(read("slow 2", "a"), true).0);
            queue.push(job(read("fast 2", "a"), false).0);
        };
        fill();
        assert_eq!(topics(&queue.take(Duty::SlowFirst).await), ["slow 1"]);
        assert_eq!(topics(&queue.take(Duty::Fast).await), ["fast 1", "fast 2"]);
        assert_eq!(topics(&queue.take(Duty::SlowFirst).await), ["slow 2"]);
        fill();
        assert_eq!(
            topics(&queue.take(Duty::FastFirst).await),
            ["fast 1", "fast 2"]
        );
        assert_eq!(topics(&queue.take(Duty::FastFirst).await), ["slow 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waited_too_long_is_answered_and_not_asked() {
        let queue = Queue::new(1);
        let (late, flight) = job(read("late", "a"), false);
        queue.push(late);
        tokio::time::advance(PATIENCE).await;
        queue.push(job(read("new", "a"), false).0);
        assert_eq!(topics(&queue.take(Duty::Fast).await), ["new"]);
        let answer = flight.answer(Instant::now() + PATIENCE).await.unwrap();
        assert_eq!(answer.unwrap_err(), Failure::PoolExhausted);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_on_a_connection_that_broke_does_not_blame_the_pool() {
        let queue = Queue::new(1);
        let (lost, flight) = job(read("lost", "a"), false);
        lost.mark_broken();
        queue.give_back(vec![lost]);
        tokio::time::advance(PATIENCE).await;
        queue.push(job(read("new", "a"), false).0);
        assert_eq!(topics(&queue.take(Duty::Fast).await), ["new"]);
        let answer = flight.answer(Instant::now() + PATIENCE).await.unwrap();
        assert!(matches!(answer, Err(Failure::Unreachable(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn when_too_many_were_cancelled_only_slow_subjects_are_refused_and_only_for_a_while() {
        let queue = Queue::new(2);
        let (slow, innocent) = (read("slow", "a"), read("innocent", "a"));
        let now = Instant::now;
        assert!(!queue.admit(&slow, now()).unwrap());
        queue.slow_down(job(slow.clone(), false).0);
        assert!(queue.admit(&slow, now()).unwrap());
        assert_eq!(topics(&queue.take(Duty::SlowFirst).await), ["slow"]);
        queue.cancelled();
        assert!(queue.admit(&slow, now()).unwrap());
        queue.cancelled();
        assert_eq!(queue.admit(&slow, now()), Err(Failure::PoolExhausted));
        assert!(!queue.admit(&innocent, now()).unwrap());
        // One that becomes slow now is not tried again.
        let (late, flight) = job(innocent.clone(), false);
        queue.slow_down(late);
        let answer = flight.answer(now() + PATIENCE).await.unwrap();
        assert_eq!(answer.unwrap_err(), Failure::PoolExhausted);
        tokio::time::advance(WINDOW).await;
        assert!(queue.admit(&slow, now()).unwrap());
        tokio::time::advance(SLOW_FOR - WINDOW).await;
        assert!(!queue.admit(&slow, now()).unwrap());
        // The other subject with the same role is not slow, and one that was fast again is not either.
        queue.slow_down(job(slow.clone(), false).0);
        queue.speed_up(&slow);
        assert!(!queue.admit(&slow, now()).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_comes_first_in_its_order() {
        let queue = Queue::new(1);
        for topic in ["1", "2", "3"] {
            queue.push(job(read(topic, "a"), false).0);
        }
        let batch = queue.take(Duty::Fast).await;
        queue.push(job(read("4", "a"), false).0);
        queue.give_back(batch);
        queue.push(job(Ask::Ping, false).0);
        assert_eq!(
            topics(&queue.take(Duty::Fast).await),
            ["-", "1", "2", "3", "4"]
        );
    }
}
