//! Presence calls of one channel: reading them, and their limit (protocol.md §6.1, §6.7).

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::presence::state::Payload;
use crate::tenant::Limits;

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

/// Counts the calls of one channel in a window that starts with the first call (P-210, P-211).
#[derive(Default)]
pub(super) struct Calls {
    window: Option<(Instant, u32)>,
}

impl Calls {
    pub(super) fn allow(&mut self, limits: &Limits) -> bool {
        let now = Instant::now();
        match &mut self.window {
            Some((began, count)) if now < *began + limits.presence_window => {
                *count += 1;
                *count <= limits.presence_calls
            }
            window => {
                *window = Some((now, 1));
                limits.presence_calls > 0
            }
        }
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
