//! Broadcasts of clients on channels they joined (protocol.md §5.1).
//!
//! Decides what a push becomes and whether it is within the size limit; publishing is the hub's.

mod stored;

pub use stored::Stored;

use crate::hub::{Event, Kind, Membership};
use crate::protocol::{Payload, size};

/// What became of a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Published; says nothing about receivers.
    Accepted,
    /// Larger than the limit; nobody receives it.
    TooLarge,
    /// Not something that can be broadcast (a JSON payload that is no object): dropped without a word.
    Dropped,
}

/// Publishes a client's `broadcast` push to the topic it joined, to everybody but `except`.
pub fn publish(
    membership: &Membership,
    payload: &Payload<'_>,
    except: Option<u64>,
    limit: usize,
) -> Outcome {
    let event = match *payload {
        // Objects pass unchanged whatever they contain (P-146); anything else reaches nobody (P-152).
        Payload::Json(json) if !json.starts_with('{') => return Outcome::Dropped,
        Payload::Json(json) => {
            if !size::json_fits(json, limit) {
                return Outcome::TooLarge;
            }
            Event::Text {
                kind: Kind::Broadcast,
                payload: json.as_bytes(),
            }
        }
        Payload::UserBroadcast {
            event,
            encoding,
            payload,
        } => {
            if !size::user_broadcast_fits(event, payload, limit) {
                return Outcome::TooLarge;
            }
            Event::UserBroadcast {
                event,
                metadata: "",
                encoding,
                payload,
            }
        }
        Payload::Binary(payload) => {
            if payload.len() > limit {
                return Outcome::TooLarge;
            }
            Event::Raw { payload }
        }
    };
    membership.publish(event, except);
    Outcome::Accepted
}
