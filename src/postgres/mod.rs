//! Connections, roles and claims, migrations, and the embedded server.

mod connect;

pub use connect::{ConnectOptions, Error, TlsMode, connect};
