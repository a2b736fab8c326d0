//! What keeps one connection busy: takes questions, asks them, and deals with what goes wrong.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::link::{Asked, Link, Outcome};
use super::measures::Counters;
use super::question::Job;
use super::queue::{Duty, Queue};
use super::{Failure, Settings};
use crate::postgres::ConnectOptions;

/// So many failed attempts to connect within [`ATTEMPTS_WINDOW`], and nobody tries until it has passed (P-221).
const ATTEMPTS: usize = 3;

/// See [`ATTEMPTS`].
const ATTEMPTS_WINDOW: Duration = Duration::from_secs(5);

/// The part of the time limit that a question gets while others wait behind it.
const HURRY: u32 = 5;

/// What all runners of one [`super::Access`] share.
pub(super) struct Shared {
    pub(super) options: ConnectOptions,
    pub(super) settings: Settings,
    pub(super) queue: Queue,
    /// Raised when policies or grants may have changed.
    pub(super) version: AtomicU64,
    /// Connections that are up.
    pub(super) up: AtomicUsize,
    pub(super) counters: Counters,
    failures: Mutex<VecDeque<Instant>>,
}

impl Shared {
    pub(super) fn new(options: ConnectOptions, settings: Settings) -> Self {
        Self {
            options,
            queue: Queue::new(settings.connections.max(1)),
            settings,
            version: AtomicU64::new(0),
            up: AtomicUsize::new(0),
            counters: Counters::default(),
            failures: Mutex::default(),
        }
    }

    /// Time of one statement while others wait behind it.
    fn hurried(&self) -> Duration {
        self.settings.statement_timeout / HURRY
    }

    async fn connect(&self) -> Result<Link, Failure> {
        if self.is_rate_limited(Instant::now()) {
            return Err(Failure::RateLimited);
        }
        let link = Link::open(&self.options, self.hurried()).await;
        if let Err(Failure::Unreachable(_) | Failure::LackOfConnections) = &link {
            self.failures.lock().push_back(Instant::now());
        }
        link
    }

    fn is_rate_limited(&self, now: Instant) -> bool {
        let mut failures = self.failures.lock();
        while failures
            .front()
            .is_some_and(|when| *when + ATTEMPTS_WINDOW <= now)
        {
            failures.pop_front();
        }
        failures.len() >= ATTEMPTS
    }
}

/// Counts a connection while it is up.
struct Up(Arc<Shared>, Link);

impl Up {
    fn new(shared: &Arc<Shared>, link: Link) -> Self {
        shared.up.fetch_add(1, Ordering::Relaxed);
        Self(shared.clone(), link)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.up.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps one connection and asks on it, for ever.
pub(super) async fn run(shared: Arc<Shared>, duty: Duty) {
    let mut link: Option<Up> = None;
    loop {
        let jobs = shared.queue.take(duty).await;
        if link.as_ref().is_none_or(|up| up.1.is_closed()) {
            // First the old one must not count any more.
            drop(link.take());
            match shared.connect().await {
                Ok(new) => link = Some(Up::new(&shared, new)),
                Err(failure) => {
                    for job in jobs {
                        job.answer(Err(failure.clone()));
                    }
                    continue;
                }
            }
        }
        if let Some(mut up) = link.take()
            && ask(&shared, &mut up.1, jobs).await
        {
            up.1.done();
            link = Some(up);
        }
    }
}

/// Asks everything in one round trip; `false` when the connection must not be used again.
async fn ask(shared: &Shared, link: &mut Link, jobs: Vec<Job>) -> bool {
    let slow = jobs.iter().any(|job| job.slow);
    let limit = slow.then_some(shared.settings.statement_timeout);
    let version = shared.version.load(Ordering::Acquire);
    for job in &jobs {
        job.mark_sent(version);
    }
    shared.counters.sent(jobs.len());
    let (asked, unsent) = link.send(jobs, limit, shared.hurried()).await;
    let mut asked = VecDeque::from(asked);
    while let Some(next) = asked.pop_front() {
        let began = Instant::now();
        let (job, outcome) = next.outcome().await;
        match outcome {
            Outcome::Answered(answer) => {
                if slow && began.elapsed() < shared.hurried() {
                    shared.queue.speed_up(&job.ask);
                }
                job.answer(Ok(answer));
            }
            Outcome::Failed(failure) => job.answer(Err(failure)),
            Outcome::Cancelled(message) if slow => {
                shared.queue.cancelled();
                job.answer(Err(Failure::Canceled(message)));
            }
            Outcome::Cancelled(_) => {
                shared.queue.slow_down(job);
                if !asked.is_empty() {
                    // More of its kind may come. Those behind are asked again on a new connection; this one would
                    // make them wait for all that was sent.
                    shared.queue.give_back(jobs_of(asked, unsent));
                    return false;
                }
            }
            Outcome::Lost => {
                lost(shared, std::iter::once(job).chain(jobs_of(asked, unsent)));
                return false;
            }
        }
    }
    let fine = unsent.is_empty();
    lost(shared, unsent.into_iter());
    fine
}

fn jobs_of(asked: VecDeque<Asked>, unsent: Vec<Job>) -> Vec<Job> {
    asked
        .into_iter()
        .map(Asked::into_job)
        .chain(unsent)
        .collect()
}

/// The connection broke while the first of these was asked, and perhaps because of it: that one is asked once more and then
/// no more, the others as if nothing had happened.
fn lost(shared: &Shared, mut jobs: impl Iterator<Item = Job>) {
    let mut again = Vec::new();
    if let Some(mut first) = jobs.next() {
        if first.retried {
            let reason = "the connection was lost twice".to_owned();
            first.answer(Err(Failure::Unreachable(reason)));
        } else {
            first.retried = true;
            again.push(first);
        }
    }
    again.extend(jobs);
    for job in &again {
        job.mark_broken();
    }
    shared.queue.give_back(again);
}
