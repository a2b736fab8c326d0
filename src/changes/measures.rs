//! What this module counts, and how it warns without flooding the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Row changes received from the stream.
pub(super) const ROWS: &str = "dovetail_changes_rows_total";
/// Row changes that at least one subscription's table, event and filters matched.
pub(super) const MATCHED: &str = "dovetail_changes_matched_total";
/// Frames handed to channels.
pub(super) const DELIVERED: &str = "dovetail_changes_delivered_total";
/// Rows hidden from an audience because a question about them failed.
pub(super) const HIDDEN: &str = "dovetail_changes_hidden_by_failure_total";
/// Visibility questions asked.
pub(super) const QUESTIONS: &str = "dovetail_changes_questions_total";
/// Time from the first visibility question of a batch to its last answer.
pub(super) const QUESTION_SECONDS: &str = "dovetail_changes_question_seconds";
/// Live subscriptions.
pub(super) const SUBSCRIPTIONS: &str = "dovetail_changes_subscriptions";

pub(super) fn questions(count: usize, time: Duration) {
    metrics::counter!(QUESTIONS).increment(count as u64);
    metrics::histogram!(QUESTION_SECONDS).record(time.as_secs_f64());
}

pub(super) fn hidden(rows: usize) {
    metrics::counter!(HIDDEN).increment(rows as u64);
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
