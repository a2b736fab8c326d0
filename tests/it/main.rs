//! Integration tests, through the front door: real server, real Postgres, real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod embedded_server;
mod embedded_tls;
mod sql_doctor;
mod sql_fixture;
mod sql_functions;
mod sql_schema;
mod sql_signals;
mod sql_subscription;
mod sql_takeover;
