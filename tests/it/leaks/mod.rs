//! What the leak tests share: random steps from a seed, users, and SQL as the judge of who may see what.
//!
//! Nothing here looks at the server's code: who may see a row is asked of Postgres under `set role` and the claims, who
//! may read or write a topic by probe rows of our own.

pub mod dice;
pub mod tables;
pub mod topics;
pub mod users;
