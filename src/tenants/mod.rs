//! Which tenants there are: one from the environment, or those of the original's metadata (postgres.md §1.10), read,
//! written, and kept in step while they are served.

pub mod changeset;
pub mod crypt;
mod directory;
pub mod record;
mod schema;
pub mod seed;
pub mod store;

pub use directory::{Directory, NoTenant};
