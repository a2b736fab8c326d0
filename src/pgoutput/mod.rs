//! Decoder of logical replication messages.
