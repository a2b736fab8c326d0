//! The task that sleeps until something is due, and the tasks that send it.
//!
//! It is woken by the triggers (`NOTIFY dovetail_chat`), by the time at which the next row is due, and by a lost connection;
//! it never polls. Any number of servers may run one: each row is given to one of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::measures;
use super::queue::{self, Claimed, Settlement};
use super::send::{Envelope, Outcome, Sender, TIMEOUT};
use crate::chat::link::{Failure, Link};

/// Notifications that are being sent at the same time; each may go to several browsers.
const IN_FLIGHT: usize = 64;
/// Taken at a time.
const BATCH: usize = 32;
/// How long a row is ours. After a crash it is given to somebody else when this is over.
const LEASE: Duration = Duration::from_secs(120);
/// What would begin later than this after its claim is given back: it must end before the lease does.
const BEGIN_WITHIN: Duration = Duration::from_secs(60);
/// Rows become due so long after their message (sql/chat/015): a row we are told of is not due before that.
const DELAY: Duration = Duration::from_secs(2);
/// Between two looks while rows are due that somebody else has locked.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two attempts to reach the database.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Between two removals of old rows.
const CLEAN_EVERY: Duration = Duration::from_secs(3600);
/// How long a stop waits for requests under way. Those of a push service that does not answer are given up.
const STOP_WITHIN: Duration = Duration::from_secs(4);

pub(super) struct Worker {
    link: Link,
    told: Arc<Notify>,
    sender: Sender,
    permits: Arc<Semaphore>,
    /// Who is being sent to. Nothing more is taken for them meanwhile: it is told in order, and somebody whose push service
    /// does not answer holds up nobody else.
    busy: Mutex<HashSet<Uuid>>,
    stop: CancellationToken,
}

impl Worker {
    pub(super) fn new(
        link: Link,
        told: Arc<Notify>,
        sender: Sender,
        stop: CancellationToken,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(IN_FLIGHT));
        Self {
            link,
            told,
            sender,
            permits,
            busy: Mutex::default(),
            stop,
        }
    }

    /// Until it is stopped; then what was begun is finished, and the rest given back.
    pub(super) async fn run(self: Arc<Self>) {
        let mut backoff = Duration::ZERO;
        let mut clean_at = Instant::now();
        while !self.stop.is_cancelled() {
            let wake = match self.round(&mut clean_at).await {
                Ok(wake) => {
                    if backoff > Duration::ZERO {
                        tracing::info!("push notifications go on");
                    }
                    backoff = Duration::ZERO;
                    wake
                }
                Err(error) => {
                    if backoff.is_zero() {
                        tracing::warn!(%error, hint = error.hint(), "push notifications wait for the database");
                    }
                    backoff = (backoff * 2).clamp(Duration::from_secs(1), MAX_BACKOFF);
                    Instant::now() + backoff
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.sleep(wake.min(clean_at), backoff.is_zero()) => {}
            }
        }
        let all = u32::try_from(IN_FLIGHT).unwrap_or(u32::MAX);
        if timeout(STOP_WITHIN, self.permits.acquire_many(all))
            .await
            .is_err()
        {
            tracing::warn!(
                "push requests left behind; they are sent again when their lease is over"
            );
        }
    }

    /// Until this time, or `DELAY` after we are told of something new.
    async fn sleep(&self, mut until: Instant, may_be_woken: bool) {
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.told.notified(), if may_be_woken => until = until.min(Instant::now() + DELAY),
            }
        }
    }

    /// Takes and starts what is due; gives when to look again.
    async fn round(self: &Arc<Self>, clean_at: &mut Instant) -> Result<Instant, Failure> {
        if *clean_at <= Instant::now() {
            let more = queue::clean(&self.link).await?;
            *clean_at = Instant::now() + if more { PAUSE } else { CLEAN_EVERY };
        }
        // Room first: what is taken must be begun soon.
        tokio::select! {
            () = self.stop.cancelled() => return Ok(Instant::now()),
            permit = self.permits.acquire() => drop(permit),
        }
        let room = self.permits.available_permits().clamp(1, BATCH);
        let claimed = queue::claim(&self.link, room, LEASE, &self.busy()).await?;
        let begin_before = Instant::now() + BEGIN_WITHIN;
        let mut persons: HashMap<Uuid, Vec<Claimed>> = HashMap::new();
        for one in claimed {
            persons.entry(one.user).or_default().push(one);
        }
        for (person, list) in persons {
            if let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await {
                self.busy.lock().insert(person);
                let busy = Busy(Arc::clone(self), person, permit);
                tokio::spawn(Arc::clone(self).deliver_all(list, begin_before, busy));
            }
        }
        let next = queue::next(&self.link, &self.busy()).await?;
        let late = next.map_or(0.0, |seconds| (-seconds).max(0.0));
        measures::queue_age(late);
        Ok(match next {
            // A year, since a clock has an end.
            None => Instant::now() + Duration::from_secs(365 * 86_400),
            Some(seconds) => {
                let wait = Duration::try_from_secs_f64(seconds.clamp(0.0, 31_536_000.0));
                Instant::now() + wait.unwrap_or(PAUSE).max(PAUSE)
            }
        })
    }

    fn busy(&self) -> Vec<Uuid> {
        self.busy.lock().iter().copied().collect()
    }

    async fn deliver_all(self: Arc<Self>, list: Vec<Claimed>, begin_before: Instant, _busy: Busy) {
        let mut list = list.into_iter();
        while let Some(claimed) = list.next() {
            if self.stop.is_cancelled() || Instant::now() > begin_before {
                let ids: Vec<i64> = std::iter::once(claimed.id)
                    .chain(list.by_ref().map(|one| one.id))
                    .collect();
                if let Err(error) = queue::release(&self.link, &ids).await {
                    tracing::debug!(%error, "notifications wait for the end of their lease");
                }
                return;
            }
            let how = self.deliver(&claimed).await;
            self.record(&claimed, &how).await;
        }
    }

    /// To all browsers at once.
    async fn deliver(&self, claimed: &Claimed) -> Settlement {
        let topic = claimed.conversation().and_then(topic);
        let envelope = Envelope {
            topic: topic.as_deref(),
            urgency: if claimed.is_mention() {
                "high"
            } else {
                "normal"
            },
        };
        let text = claimed.text();
        let requests = claimed.subscriptions.iter().map(|to| async {
            match self.sender.send(to, &text, envelope).await {
                Outcome::TooLarge => self.sender.send(to, &claimed.short(), envelope).await,
                outcome => outcome,
            }
        });
        let mut how = Settlement::default();
        let outcomes = join_all(requests).await;
        for (to, outcome) in claimed.subscriptions.iter().zip(outcomes) {
            measures::count(&outcome);
            let endpoint = to.endpoint.clone();
            match outcome {
                Outcome::Delivered => how.done.push(endpoint),
                Outcome::Gone => {
                    how.done.push(endpoint.clone());
                    how.gone.push(endpoint);
                }
                Outcome::TooLarge => {
                    let why = "the push service takes no message of this size".to_owned();
                    how.refuse(endpoint, why);
                }
                Outcome::Refused(why) => how.refuse(endpoint, why),
                Outcome::Later(why, after) => {
                    how.failed.push(endpoint);
                    how.after = how.after.max(after);
                    how.error = Some(why);
                }
            }
        }
        how
    }

    /// Again and again while the row is ours: what was sent must not be sent again because the database was away.
    async fn record(&self, claimed: &Claimed, how: &Settlement) {
        let until = Instant::now() + LEASE.saturating_sub(BEGIN_WITHIN + TIMEOUT * 2);
        let mut pause = Duration::from_millis(100);
        while let Err(error) = queue::settle(&self.link, claimed, how).await {
            if Instant::now() + pause > until {
                tracing::warn!(%error, "the outcome of a notification could not be written; it is sent again");
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

/// Somebody is being sent to, however that ends.
struct Busy(Arc<Worker>, Uuid, #[expect(dead_code)] OwnedSemaphorePermit);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.lock().remove(&self.1);
        // More may have come for them.
        self.0.told.notify_one();
    }
}

impl Settlement {
    fn refuse(&mut self, endpoint: String, why: String) {
        self.done.push(endpoint.clone());
        self.error.get_or_insert_with(|| why.clone());
        self.refused.push((endpoint, why));
    }
}

/// The conversation in at most 32 characters of base64url (RFC 8030 §5.4).
fn topic(conversation: &str) -> Option<String> {
    use base64::Engine as _;
    let id = Uuid::try_parse(conversation).ok()?;
    Some(base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes()))
}
