//! What this module counts. The histograms keep the names of the original (protocol.md §8.8) and are in milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics_names::{ACCESS_QUESTIONS as QUESTIONS, ACCESS_ROUND_TRIPS as ROUND_TRIPS};
pub(super) use crate::metrics_names::{READ_CHECK as READ, REPLAY, WRITE_CHECK as WRITE};

/// The counters of one [`super::Access`], beside those of the process.
#[derive(Default)]
pub(super) struct Counters {
    questions: AtomicU64,
    round_trips: AtomicU64,
}

/// What one [`super::Access`] has asked since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Questions sent.
    pub questions: u64,
    /// Times that questions were sent and waited for.
    pub round_trips: u64,
}

impl Counters {
    pub(super) fn sent(&self, questions: usize) {
        let questions = questions as u64;
        self.questions.fetch_add(questions, Ordering::Relaxed);
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(QUESTIONS).increment(questions);
        metrics::counter!(ROUND_TRIPS).increment(1);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            questions: self.questions.load(Ordering::Relaxed),
            round_trips: self.round_trips.load(Ordering::Relaxed),
        }
    }
}

pub(super) fn answered(name: Option<&'static str>, time: Duration) {
    if let Some(name) = name {
        metrics::histogram!(name).record(time.as_secs_f64() * 1_000.0);
    }
}
