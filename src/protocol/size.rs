//! Payload sizes.
