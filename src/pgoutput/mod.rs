//! Decoder of logical replication messages, as the plugin `pgoutput` writes them (protocol version 1).
//!
//! Owns the layout of those messages and nothing else: no I/O, no catalogue, no meaning of values. One message in,
//! one [`Message`] out; values are never copied, a [`Tuple`] is a slice of the bytes that came from the network.
//! Input is untrusted: whatever the bytes, the answer is a message or an [`Error`], never a panic, and what is
//! allocated is bounded by the length of the input.
//!
//! Relations are announced once per stream and then referred to by oid; remembering them is the caller's task.

mod decode;
mod lsn;
mod message;
mod tuple;

#[cfg(test)]
mod tests;

pub use decode::{Error, decode};
pub use lsn::{InvalidLsn, Lsn};
pub use message::{
    Begin, Column, Commit, Delete, Insert, LogicalMessage, Message, Origin, Relation,
    ReplicaIdentity, Truncate, Type, Update,
};
pub use tuple::{OldKind, OldTuple, Tuple, Value};
