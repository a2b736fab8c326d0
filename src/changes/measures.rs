//! What this module counts, and how it warns without flooding the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::metrics_names::{
    CHANGES_COMPILED as COMPILED, CHANGES_CONTRADICTED as CONTRADICTED, CHANGES_HIDDEN as HIDDEN,
    CHANGES_QUESTION_SECONDS as QUESTION_SECONDS, CHANGES_QUESTIONS as QUESTIONS,
};
pub(super) use crate::metrics_names::{
    CHANGES_DELIVERED as DELIVERED, CHANGES_MATCHED as MATCHED, CHANGES_ROWS as ROWS,
};

pub(super) fn questions(count: usize, time: Duration) {
    metrics::counter!(QUESTIONS).increment(count as u64);
    metrics::histogram!(QUESTION_SECONDS).record(time.as_secs_f64());
}

pub(super) fn hidden(rows: usize) {
    metrics::counter!(HIDDEN).increment(rows as u64);
}

/// Decisions of compiled policies.
pub(super) fn compiled(decisions: usize) {
    metrics::counter!(COMPILED).increment(decisions as u64);
}

/// A decision of a compiled policy that was not Postgres' own.
pub(super) fn contradicted() {
    metrics::counter!(CONTRADICTED).increment(1);
}

/// Runs `warn` at most once a second.
pub(super) fn warn_rarely(warn: impl FnOnce()) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    if LAST.swap(now, Ordering::Relaxed) != now {
        warn();
    }
}
