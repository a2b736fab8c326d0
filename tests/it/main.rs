//! Integration tests, through the front door: real server, real Postgres, real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

mod bad_input;
mod changes_delivery;
mod changes_property;
mod changes_rls;
mod changes_support;
mod clients;
mod command_line;
mod dev;
mod embedded_server;
mod failures;
mod harness;
mod replication_decoding;
mod replication_failures;
mod replication_login;
mod replication_postgres;
mod replication_publications;
mod replication_reader;
mod sql_fixture;
mod sql_functions;
mod sql_schema;
mod sql_takeover;
