//! Connections, roles and claims, migrations, and the embedded server.
//!
//! Owns how a database is reached (`connect`), brought to the state the server needs ([`migrate`], [`partitions`]),
//! and, in development, run ([`embedded`]). Knows nothing of sockets, topics or the replication stream. Nothing here
//! keeps state of a tenant: callers own the connections they open.

mod connect;
pub mod embedded;
pub mod migrate;
pub mod partitions;
mod quote;
mod resolve;
mod snapshot;
mod tls;
mod url;

pub use connect::{
    ConnectOptions, Error, RENDERING, TlsMode, connect, connect_driven, connect_heard, connect_with,
};
pub(crate) use quote::literal;
pub use resolve::IpVersion;
pub(crate) use resolve::reach;
pub use snapshot::Snapshot;
pub(crate) use tls::{connector as tls_connector, hint as tls_hint};
pub use url::UrlError;
