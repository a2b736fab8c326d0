//! The messaging system's part of the server. Its tables and rules are in the database (`sql/chat`); here is what a database
//! cannot do: push notifications ([`push`]), and writing down who is online.

mod link;
mod presence;
pub mod push;
mod workers;

pub use workers::Workers;
