//! Tokens and the keys that verify them (protocol.md §9).
