//! Names of our metrics, in one place. Those of the original keep its names (protocol.md §8.8).

/// Sockets closed because their client did not read.
pub const SLOW_CONSUMERS: &str = "dovetail_slow_consumers_total";
/// Refused joins and other errors of channels, by tenant and code.
pub const CHANNEL_ERROR: &str = "realtime_channel_error";
/// The same of the whole server, by code.
pub const CHANNEL_GLOBAL_ERROR: &str = "realtime_channel_global_error";
/// Live sockets of this node.
pub const SOCKETS: &str = "realtime_connections_global_connected";
