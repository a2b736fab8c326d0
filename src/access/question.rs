//! One question on its way: what is asked, by whom it is awaited, and what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{Failure, Replay, Rights, Subject, measures};

/// What is asked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    /// Both extensions, or broadcast alone.
    Read { subject: Subject, presence: bool },
    /// Both extensions.
    Write(Subject),
    /// The newest `limit` rows since `since_ms`.
    Replay {
        topic: Arc<str>,
        since_ms: i64,
        limit: i64,
    },
    /// What decides about `realtime.messages`.
    Policies,
    /// Whether the database answers.
    Ping,
}

impl Ask {
    /// Whose rights are asked for.
    pub(super) fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Read { subject, .. } | Self::Write(subject) => Some(subject),
            Self::Replay { .. } | Self::Policies | Self::Ping => None,
        }
    }

    /// The histogram of its time.
    pub(super) fn measure(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some(measures::READ),
            Self::Write(_) => Some(measures::WRITE),
            Self::Replay { .. } => Some(measures::REPLAY),
            Self::Policies | Self::Ping => None,
        }
    }
}

/// What came of an [`Ask`].
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Rights(Rights),
    Rows(Arc<Replay>),
    Text(String),
}

pub(super) type Result = std::result::Result<Answer, Failure>;

/// A question that is queued, asked or answered, for everybody who asks the same.
pub(super) struct Flight {
    /// It has been sent to Postgres. Until then, whoever asks the same may wait for this one, however fresh the answer
    /// must be.
    sent: AtomicBool,
    /// It was sent on a connection that broke.
    broken: AtomicBool,
    /// Version of the policies when it was sent.
    version: AtomicU64,
    answer: watch::Receiver<Option<(Instant, Result)>>,
}

impl Flight {
    /// A question, to be handed to a runner, and what its askers hold on to.
    pub(super) fn new(ask: Ask, now: Instant, patience: Duration, slow: bool) -> (Job, Arc<Self>) {
        let (sender, answer) = watch::channel(None);
        let flight = Arc::new(Self {
            sent: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            version: AtomicU64::new(0),
            answer,
        });
        let job = Job {
            ask,
            flight: flight.clone(),
            sender,
            queued: now,
            deadline: now + patience,
            retried: false,
            slow,
        };
        (job, flight)
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    /// Why it was not answered in time, while there are connections.
    pub(super) fn too_late(&self) -> Failure {
        match self.broken.load(Ordering::Acquire) {
            true => Failure::Unreachable("the connection was lost".to_owned()),
            false => Failure::PoolExhausted,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// When it was answered, and whether with rights.
    pub(super) fn answered(&self) -> Option<(Instant, bool)> {
        let answer = self.answer.borrow();
        answer
            .as_ref()
            .map(|(when, result)| (*when, result.is_ok()))
    }

    /// Nobody will answer it.
    pub(super) fn is_lost(&self) -> bool {
        self.answer.has_changed().is_err() && self.answer.borrow().is_none()
    }

    /// The answer, if it comes before `deadline`; `None` also when nobody will answer any more.
    pub(super) async fn answer(&self, deadline: Instant) -> Option<Result> {
        let mut receiver = self.answer.clone();
        let answer = receiver.wait_for(Option::is_some);
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => answer.as_ref().map(|(_, result)| result.clone()),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

/// A question in the hands of the queue or a runner.
pub(super) struct Job {
    pub(super) ask: Ask,
    flight: Arc<Flight>,
    sender: watch::Sender<Option<(Instant, Result)>>,
    /// When it came.
    pub(super) queued: Instant,
    /// Not sent before this moment, it is given up.
    pub(super) deadline: Instant,
    /// It was the one that was asked when a connection broke, and perhaps the cause.
    pub(super) retried: bool,
    /// It is for the slow lane: it gets all the time there is, and nobody waits behind it in a batch.
    pub(super) slow: bool,
}

impl Job {
    /// It is sent now; an answer will be of this version.
    pub(super) fn mark_sent(&self, version: u64) {
        self.flight.version.store(version, Ordering::Release);
        self.flight.sent.store(true, Ordering::Release);
    }

    /// It was sent on a connection that broke.
    pub(super) fn mark_broken(&self) {
        self.flight.broken.store(true, Ordering::Release);
    }

    /// It waited too long.
    pub(super) fn give_up(self) {
        let failure = self.flight.too_late();
        self.answer(Err(failure));
    }

    /// It was not answered and waits again.
    pub(super) fn mark_waiting(&self) {
        self.flight.sent.store(false, Ordering::Release);
    }

    pub(super) fn answer(self, result: Result) {
        let now = Instant::now();
        measures::answered(self.ask.measure(), now - self.queued);
        self.sender.send_replace(Some((now, result)));
    }
}
