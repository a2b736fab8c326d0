//! What is refused: counted and logged under the original's error codes (protocol.md §1.4, §4), never more than a line a
//! second for each code (and SQLSTATE), so that a flood of refusals does not become a flood of lines.
//!
//! A line holds code and tenant and nothing else: tokens, claims, topics and payloads are the client's. What the client is
//! told stands in the answer it gets.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::metrics_names::{CHANNEL_ERROR, CHANNEL_GLOBAL_ERROR};

/// At most one line of a code in this time.
const PACE: Duration = Duration::from_secs(1);

/// Every code there is. The text of an answer is only looked up here: nothing of it gets into a log or a label.
const CODES: &[&str] = &[
    "ChannelRateLimitReached",
    "ClientJoinRateLimitReached",
    "ConnectionRateLimitReached",
    "DatabaseConnectionRateLimitReached",
    "DatabaseLackOfConnections",
    "ErrorConnectingToWebsocket",
    "ErrorOnRpcCall",
    "IncreaseConnectionPool",
    "InitializingProjectConnection",
    "InvalidJWTToken",
    "JoinsRateLimitReached",
    "JwtSignatureError",
    "JwtSignerError",
    "MalformedJWT",
    "MalformedWebSocketMessage",
    "MissingAPIKey",
    "MissingPartition",
    "PayloadTooLarge",
    "PrivateOnly",
    "QueryCanceled",
    "RealtimeDisabledForTenant",
    "RealtimeRestarting",
    "RlsPolicyError",
    "TenantNotFound",
    "TimeoutOnRpcCall",
    "TopicNameRequired",
    "UnableToConnectToProject",
    "UnableToHandlePresence",
    "UnableToReplayMessages",
    "UnableToSetPolicies",
    "UnauthorizedTopic",
    "Unauthorized",
    "UnknownErrorOnChannel",
    "UnknownPresenceEvent",
];

/// Where something is refused, as the line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The upgrade of a socket.
    Connect,
    /// The join of a channel.
    Join,
    /// A channel that is joined.
    Channel,
    /// A request of the HTTP interface.
    Request,
}

impl Place {
    fn words(self) -> &'static str {
        match self {
            Self::Connect => "connect refused",
            Self::Join => "join refused",
            Self::Channel => "refused on a channel",
            Self::Request => "request refused",
        }
    }
}

/// The code of a text that clients are told: what stands before the first colon, or what the original logs for the texts
/// without one.
pub fn code_of(text: &str) -> &'static str {
    let word = text.split([':', ' ']).next().unwrap_or_default();
    match CODES.iter().find(|code| **code == word) {
        Some(code) => code,
        // protocol.md §4 row 25.
        None if text.starts_with("Realtime was unable to connect") => "UnableToSetPolicies",
        None => "UnknownErrorOnChannel",
    }
}

/// Counts a refusal, and logs it unless the same code was logged within a second. `code` is a code or a text that begins
/// with one. `tenant` is empty where there is none.
pub fn refused(tenant: &str, place: Place, code: &str) {
    refused_because(tenant, place, code, None);
}

/// The same with the SQLSTATE of the error behind it: which error it was, without its words, which may repeat values.
/// `dovetail doctor --as` shows those to who may see them.
pub fn refused_because(tenant: &str, place: Place, code: &str, sqlstate: Option<&str>) {
    let code = code_of(code);
    if place != Place::Connect && place != Place::Request {
        let labels = [("tenant", tenant.to_owned()), ("code", code.to_owned())];
        metrics::counter!(CHANNEL_ERROR, &labels).increment(1);
        metrics::counter!(CHANNEL_GLOBAL_ERROR, "code" => code).increment(1);
    }
    let Some(unlogged) = PACER
        .lock()
        .pass(code, sqlstate.unwrap_or_default(), Instant::now())
    else {
        return;
    };
    let unlogged = Some(unlogged).filter(|count| *count > 0);
    let place = place.words();
    // What an honest client meets every day is no error of anybody.
    if code == "InvalidJWTToken" {
        tracing::warn!(code, tenant, unlogged, "{place}");
    } else {
        tracing::error!(code, tenant, sqlstate, unlogged, "{place}");
    }
}

static PACER: LazyLock<Mutex<Pacer>> = LazyLock::new(Mutex::default);

/// Codes, with their SQLSTATEs, that are paced each for itself.
const MAX_KINDS: usize = 256;

/// When each code was logged last, and how often it was kept back since.
#[derive(Default)]
struct Pacer(HashMap<(&'static str, String), (Instant, u64)>);

impl Pacer {
    /// How many were kept back before, if this one is to be logged.
    fn pass(&mut self, code: &'static str, sqlstate: &str, now: Instant) -> Option<u64> {
        // A policy may raise whatever SQLSTATE it likes: beyond so many they share their lines.
        let sqlstate = match self.0.len() < MAX_KINDS {
            true => sqlstate.to_owned(),
            false => String::new(),
        };
        match self.0.get_mut(&(code, sqlstate.clone())) {
            Some((last, kept_back)) if now.duration_since(*last) < PACE => {
                *kept_back += 1;
                None
            }
            Some((last, kept_back)) => {
                *last = now;
                Some(std::mem::take(kept_back))
            }
            None => {
                self.0.insert((code, sqlstate), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_known_and_nothing_of_the_text() {
        for (text, code) in [
            (
                "Unauthorized: You do not have permissions to read from this Channel topic: x",
                "Unauthorized",
            ),
            ("MissingAPIKey", "MissingAPIKey"),
            ("Unknown Error on Channel", "UnknownErrorOnChannel"),
            (
                "Realtime was unable to connect to the project database",
                "UnableToSetPolicies",
            ),
            ("my secret: 1", "UnknownErrorOnChannel"),
            ("", "UnknownErrorOnChannel"),
        ] {
            assert_eq!(code_of(text), code, "{text}");
        }
    }

    #[test]
    fn a_flood_is_a_line_a_second_that_says_how_many_there_were() {
        let mut pacer = Pacer::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(pacer.pass("a", "", at(0)), Some(0));
        for millis in 1..1000 {
            assert_eq!(pacer.pass("a", "", at(millis)), None);
        }
        assert_eq!(pacer.pass("b", "", at(500)), Some(0));
        assert_eq!(pacer.pass("a", "", at(1000)), Some(999));
        assert_eq!(pacer.pass("a", "", at(2001)), Some(0));
        assert_eq!(pacer.pass("a", "22012", at(2001)), Some(0));
    }
}
