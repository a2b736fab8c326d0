//! Between the stream and its one consumer: a queue with a budget, the confirmed position, and the status joins wait for.
//!
//! The queue hands over everything it holds at once, because the consumer works in batches. It never blocks the
//! stream's task: over budget the task stops reading from Postgres (and goes on answering it), and Postgres waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::event::Event;
use crate::pgoutput::Lsn;

/// How the stream is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not running (yet, or again); the text says why and what to do, for a DBA.
    Waiting {
        /// For a human.
        reason: Arc<str>,
    },
    /// Running: the next commit will be seen.
    Live {
        /// Where it started.
        at: Lsn,
    },
    /// Stopped for good, because the consumer is gone or the server stops.
    Stopped,
}

/// The stream as its consumer sees it. Dropping it stops the stream.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

/// The stream as everybody else sees it: cheap to clone, tells whether the stream runs.
#[derive(Clone, Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
}

/// The stream's own end.
pub(super) struct Producer {
    shared: Arc<Shared>,
    status: watch::Sender<Status>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Bytes that may wait for the consumer.
    budget: usize,
    /// Wakes the consumer: the queue is no longer empty, or closed.
    filled: Notify,
    /// Wakes the stream: the queue was emptied.
    emptied: Notify,
    confirmed: AtomicU64,
    /// Wakes the stream: there is a new confirmed position.
    progressed: Notify,
    /// Wakes the stream: look at the publications again.
    recheck: Notify,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Queue {
    events: Vec<Event>,
    bytes: usize,
    closed: bool,
}

/// Makes the ends of a feed whose queue holds `budget` bytes. Cancelling `stop` ends the stream.
pub(super) fn feed(budget: usize, stop: &CancellationToken) -> (Producer, Feed, Watch) {
    let stop = stop.child_token();
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        budget,
        filled: Notify::new(),
        emptied: Notify::new(),
        confirmed: AtomicU64::new(0),
        progressed: Notify::new(),
        recheck: Notify::new(),
        stop: stop.clone(),
    });
    let (sender, receiver) = watch::channel(Status::Waiting {
        reason: "connecting to the database".into(),
    });
    let feed = Feed {
        shared: Arc::clone(&shared),
        _stop: stop.drop_guard(),
    };
    let watch = Watch {
        shared: Arc::clone(&shared),
        status: receiver,
    };
    let producer = Producer {
        shared,
        status: sender,
    };
    (producer, feed, watch)
}

impl Feed {
    /// Waits until something happened and appends everything that did to `batch`. `false`: the stream ended for good.
    ///
    /// Safe to cancel: nothing is lost.
    pub async fn recv(&mut self, batch: &mut Vec<Event>) -> bool {
        loop {
            if self.take(batch) {
                return true;
            }
            if self.shared.queue.lock().closed {
                return false;
            }
            self.shared.filled.notified().await;
        }
    }

    /// Appends everything that is waiting to `batch`, without waiting. `false`: nothing was.
    pub fn take(&mut self, batch: &mut Vec<Event>) -> bool {
        let mut queue = self.shared.queue.lock();
        if queue.events.is_empty() {
            return false;
        }
        queue.bytes = 0;
        if batch.is_empty() {
            // The stream goes on with the consumer's old allocation: none per batch.
            std::mem::swap(batch, &mut queue.events);
        } else {
            batch.append(&mut queue.events);
        }
        drop(queue);
        self.shared.emptied.notify_one();
        true
    }

    /// Everything up to `lsn` (a commit's `end_lsn`) has been dealt with: Postgres may forget it. With a durable slot
    /// nothing after the last confirmed position is lost when the connection or this process ends. Never goes back.
    pub fn confirm(&self, lsn: Lsn) {
        if self.shared.confirmed.fetch_max(lsn.0, Ordering::AcqRel) < lsn.0 {
            self.shared.progressed.notify_one();
        }
    }
}

impl Watch {
    /// How the stream is doing right now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the stream runs, at most until `deadline`; says how it was at the end.
    pub async fn live(&mut self, deadline: Instant) -> Status {
        let running = self
            .status
            .wait_for(|status| !matches!(status, Status::Waiting { .. }));
        if let Ok(Ok(status)) = timeout_at(deadline, running).await {
            return status.clone();
        }
        self.status()
    }

    /// Waits until the status changes; `false` when it never will again.
    pub async fn changed(&mut self) -> bool {
        self.status.changed().await.is_ok()
    }

    /// Publications may have been created or dropped: look again now. Only needed where the event trigger that tells
    /// the stream may not be installed, or while no publication exists.
    pub fn recheck(&self) {
        self.shared.recheck.notify_one();
    }
}

impl Producer {
    /// Hands `events` over (and leaves the vector empty).
    pub(super) fn push(&self, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let cost: usize = events.iter().map(Event::cost).sum();
        let mut queue = self.shared.queue.lock();
        let was_empty = queue.events.is_empty();
        queue.bytes += cost;
        queue.events.append(events);
        drop(queue);
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    /// Hands one event over.
    pub(super) fn push_one(&self, event: Event) {
        self.push(&mut vec![event]);
    }

    /// Whether more may be read from Postgres.
    pub(super) fn has_room(&self) -> bool {
        self.shared.queue.lock().bytes < self.shared.budget
    }

    /// Waits for [`Self::has_room`].
    pub(super) async fn room(&self) {
        while !self.has_room() {
            self.shared.emptied.notified().await;
        }
    }

    /// What the consumer has confirmed.
    pub(super) fn confirmed(&self) -> Lsn {
        Lsn(self.shared.confirmed.load(Ordering::Acquire))
    }

    /// Positions of another database's log mean nothing in this one.
    pub(super) fn forget_confirmed(&self) {
        self.shared.confirmed.store(0, Ordering::Release);
    }

    /// Waits until the consumer confirms more.
    pub(super) async fn progressed(&self) {
        self.shared.progressed.notified().await;
    }

    /// Waits until somebody asks to look at the publications again.
    pub(super) async fn recheck_asked(&self) {
        self.shared.recheck.notified().await;
    }

    /// Asks for a look at the publications after `pause`.
    pub(super) fn recheck_later(&self, pause: std::time::Duration) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let wait = tokio::time::sleep(pause);
            if shared.stop.run_until_cancelled(wait).await.is_some() {
                shared.recheck.notify_one();
            }
        });
    }

    /// Cancelled when the consumer is gone or the server stops.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    /// Tells those who wait how the stream is doing.
    pub(super) fn set_status(&self, status: Status) {
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.set_status(Status::Stopped);
        self.shared.queue.lock().closed = true;
        self.shared.filled.notify_one();
    }
}
