//! Integration tests, through the front door: real server, real Postgres, real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod embedded_server;
mod filter_sql;
mod filter_validation;
mod record_catalog;
mod record_values;
mod sql_schema;
