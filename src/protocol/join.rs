//! The payload of `phx_join`.
