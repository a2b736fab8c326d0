//! One WebSocket: upgrade, connection, channel.
