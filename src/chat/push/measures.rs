//! What is counted of push messages.

use super::send::Outcome;
use crate::metrics_names::{PUSH_DROPPED, PUSH_FAILED, PUSH_QUEUE_AGE, PUSH_SENT};

/// What became of one request.
pub(super) fn count(outcome: &Outcome) {
    let reason = match outcome {
        Outcome::Delivered => return metrics::counter!(PUSH_SENT).increment(1),
        Outcome::Gone => return metrics::counter!(PUSH_DROPPED).increment(1),
        Outcome::TooLarge => "too_large",
        Outcome::Refused(_) => "refused",
        Outcome::Later(..) => "later",
    };
    metrics::counter!(PUSH_FAILED, "reason" => reason).increment(1);
}

/// Seconds for which the oldest notification has been due that nobody has taken.
pub(super) fn queue_age(seconds: f64) {
    metrics::gauge!(PUSH_QUEUE_AGE).set(seconds);
}
