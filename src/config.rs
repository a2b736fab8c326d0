//! Environment variables and flags.
