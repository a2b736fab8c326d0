//! One WebSocket: upgrade, connection, channels.
//!
//! A socket is two tasks. The connection's task reads frames, owns the channels and never waits for anything but its
//! own socket, its mailbox and its clock; work that takes time (validating a subscription, the delay before an
//! error) runs elsewhere and comes back through the mailbox. The writer's task drains the outbox. Neither can hold
//! up another socket, and a panic in one ends that socket only.

mod channel;
mod connection;
mod joining;
mod mailbox;
mod presence;
mod reader;
mod rights;
mod settle;
mod subscribing;
mod upgrade;
mod writer;

pub use upgrade::{Doorway, Permit, handle, unix_now};
