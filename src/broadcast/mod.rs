//! Broadcasts of clients.
