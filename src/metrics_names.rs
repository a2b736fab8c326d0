//! Names of our metrics, in one place. Those of the original keep its names (protocol.md §8.8).

/// Sockets closed because their client did not read.
pub const SLOW_CONSUMERS: &str = "dovetail_slow_consumers_total";
/// Live sockets of this node.
pub const SOCKETS: &str = "realtime_connections_global_connected";
