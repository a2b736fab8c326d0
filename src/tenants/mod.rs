//! Which tenants there are.

mod directory;

pub use directory::{Directory, NoTenant};
