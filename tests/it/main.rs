//! Integration tests, through the front door: real server, real Postgres, real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

mod access_failures;
mod access_load;
mod access_policies;
mod access_replay;
mod access_rights;
mod access_support;
mod addresses;
mod bad_input;
mod changes_delivery;
mod changes_property;
mod changes_rls;
mod changes_stale;
mod changes_support;
mod channels;
mod clients;
mod command_line;
mod decoders_any_bytes;
mod dev;
mod drain;
mod embedded_server;
mod embedded_tls;
mod failures;
mod filter_sql;
mod filter_validation;
mod harness;
mod logs;
mod metrics;
mod record_catalog;
mod record_values;
mod replication_decoding;
mod replication_failures;
mod replication_login;
mod replication_postgres;
mod replication_publications;
mod replication_reader;
mod sql_doctor;
mod sql_fixture;
mod sql_functions;
mod sql_schema;
mod sql_signals;
mod sql_subscription;
mod sql_takeover;
mod swap_in;
