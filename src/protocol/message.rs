//! One message of a client, whatever its serializer.

use std::borrow::Cow;

/// A decoded message that borrows from the frame it came in.
#[derive(Debug, PartialEq)]
pub struct Decoded<'a> {
    /// JSON text of the `join_ref` as sent (`null` when absent); echoed with its type (P-040).
    pub join_ref: Cow<'a, str>,
    /// JSON text of the `ref` as sent; echoed with its type.
    pub reference: Cow<'a, str>,
    /// The wire topic, for example `realtime:room-1`.
    pub topic: Cow<'a, str>,
    /// The event, for example `phx_join`.
    pub event: Cow<'a, str>,
    /// What it carries.
    pub payload: Payload<'a>,
}

/// The payload of a message of a client.
#[derive(Debug, PartialEq)]
pub enum Payload<'a> {
    /// JSON text, validated but not parsed.
    Json(&'a str),
    /// Raw bytes of a kind 0 binary push.
    Binary(&'a [u8]),
    /// A kind 3 user broadcast; its event is always `broadcast`.
    UserBroadcast {
        /// The user's event name.
        event: &'a str,
        /// What the payload is.
        encoding: Encoding,
        /// The payload, not validated (P-048).
        payload: &'a [u8],
    },
}

/// What the payload of a user broadcast is (protocol.md §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Flag 0: any bytes.
    Binary,
    /// Flag 1: JSON text.
    Json,
}

/// A frame that is dropped without an answer (protocol.md §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, not the right shape of JSON.
    #[error("MalformedWebSocketMessage")]
    Message,
    /// Unknown kind of binary frame, wrong lengths, JSON of the wrong type.
    #[error("UnknownErrorOnWebSocketMessage")]
    Unknown,
}

/// The JSON `null` that stands for an absent ref.
pub const NULL: &str = "null";
