//! Presence calls of one channel: reading them, and their limit (protocol.md §6.1, §6.7).

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::presence::state::Payload;
use crate::tenant::{Limits, PresenceExcess};

/// A `presence` push, read.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    /// Track a payload; `None` when it is not an object.
    Track(Option<Tracked>),
    /// Untrack.
    Untrack,
    /// An event that is neither; also one that is no string (protocol.md §12 item 13).
    Unknown,
    /// No `event` at all: acknowledged, without effect, not counted.
    Nothing,
}

/// A payload to track, with its text for the size limit.
#[derive(Debug, PartialEq)]
pub(super) struct Tracked {
    pub(super) text: String,
    pub(super) parsed: Payload,
}

impl Call {
    pub(super) fn parse(json: &str) -> Self {
        let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) else {
            return Self::Nothing;
        };
        let Some(event) = fields.get("event") else {
            return Self::Nothing;
        };
        let Ok(event) = serde_json::from_str::<String>(event.get()) else {
            return Self::Unknown;
        };
        if event.eq_ignore_ascii_case("untrack") {
            return Self::Untrack;
        }
        if !event.eq_ignore_ascii_case("track") {
            return Self::Unknown;
        }
        let text = fields.get("payload").map_or("{}", |payload| payload.get());
        Self::Track(Payload::parse(text).map(|parsed| Tracked {
            text: text.to_owned(),
            parsed,
        }))
    }
}

/// A change of presence that was accepted.
#[derive(Debug, PartialEq)]
pub(super) enum Later {
    /// Track this.
    Track(Payload),
    /// Untrack.
    Untrack,
}

/// When a call takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// At once.
    Now,
    /// At this moment, unless a later call replaces it.
    Later(Instant),
    /// Never: the channel is closed.
    Excess,
}

/// So many times the allowed calls are abuse, also where excess is coalesced.
const ABUSE: u32 = 100;

/// Counts the calls of one channel in a window that starts with the first call (P-210, P-211).
///
/// Where excess is coalesced, calls beyond the window's number take effect one at a time, evenly spread over the window,
/// and only the latest of those that wait counts: a client that moves a cursor is slowed down rather than cut off.
#[derive(Default)]
pub(super) struct Calls {
    window: Option<(Instant, u32)>,
    /// When a call last took effect.
    applied: Option<Instant>,
}

impl Calls {
    pub(super) fn take(&mut self, limits: &Limits) -> Turn {
        let now = Instant::now();
        let count = match &mut self.window {
            Some((began, count)) if now < *began + limits.presence_window => {
                *count = count.saturating_add(1);
                *count
            }
            window => {
                *window = Some((now, 1));
                1
            }
        };
        if count <= limits.presence_calls {
            self.applied = Some(now);
            return Turn::Now;
        }
        let abuse = count > limits.presence_calls.saturating_mul(ABUSE);
        if abuse || limits.presence_excess == PresenceExcess::Close {
            return Turn::Excess;
        }
        let spacing = limits.presence_window / limits.presence_calls.max(1);
        let at = self.applied.map_or(now, |applied| applied + spacing);
        if at <= now {
            self.applied = Some(now);
            return Turn::Now;
        }
        Turn::Later(at)
    }

    /// A call that waited took effect.
    pub(super) fn applied(&mut self) {
        self.applied = Some(Instant::now());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_leniently_as_the_original_reads_them() {
        assert!(matches!(
            Call::parse(r#"{"event":"TRACK"}"#),
            Call::Track(Some(_))
        ));
        assert_eq!(
            Call::parse(r#"{"event":"track","payload":null}"#),
            Call::Track(None)
        );
        assert_eq!(
            Call::parse(r#"{"event":"track","payload":[]}"#),
            Call::Track(None)
        );
        assert_eq!(Call::parse(r#"{"event":"UnTrack"}"#), Call::Untrack);
        assert_eq!(Call::parse(r#"{"event":"dance"}"#), Call::Unknown);
        assert_eq!(Call::parse(r#"{"event":5}"#), Call::Unknown);
        assert_eq!(Call::parse("{}"), Call::Nothing);
        assert_eq!(Call::parse("[]"), Call::Nothing);
    }
}
