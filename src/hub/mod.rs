//! Topics, their members, and the outbox of one socket.
//!
//! Owns who is on which topic and how a message reaches them: encoded at most once per serializer, pushed to each
//! member's outbox without waiting for anybody. Knows nothing of tokens or HTTP, and of Postgres only which transactions
//! a replay has seen. Runs on whichever task publishes; takes only short locks and never holds one across an await.

mod event;
mod member;
mod outbox;
mod sockets;
mod topic;
mod wire;

pub use event::{Event, Kind};
pub use member::{Differences, Member, Seen, StoredId};
pub use outbox::{Attention, Closing, Limits, Outbox};
pub use sockets::{Entry, Sockets};
pub use topic::{Hub, Membership, TopicKey};
pub use wire::Wire;

/// So many receivers are few: what is for them is written where it is made rather than by the task of each.
pub const FEW: usize = 8;
