//! The stream: slot, START_REPLICATION, keepalive, confirmed position, reconnect.
