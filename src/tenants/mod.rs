//! Which tenants there are: one from the environment, or those of the original's metadata (postgres.md §1.10), read,
//! written, and kept in step while they are served.

pub mod changeset;
pub mod crypt;
mod directory;
mod keep;
mod manage;
mod many;
pub mod record;
mod schema;
mod seed;
mod store;
mod template;

pub use directory::{Directory, NoTenant};
pub use manage::{WriteError, Written, restart, shutdown};
pub use many::Many;
pub use seed::Seed;
pub use store::{Store, StoreError};
pub use template::Template;
