//! Builds everything from a [`crate::config::Config`], serves, and drains on SIGTERM.
