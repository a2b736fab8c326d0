//! Tenants from the original's metadata (postgres.md §1.10): read, written, and kept in step while they are served.

pub mod changeset;
pub mod crypt;
pub mod record;
mod schema;
pub mod seed;
pub mod store;
