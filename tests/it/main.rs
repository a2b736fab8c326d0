//! Integration tests, through the front door: real server, real Postgres, real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

mod access_rights;
mod access_support;
mod bad_input;
mod changes_delivery;
mod changes_property;
mod changes_rls;
mod changes_stale;
mod changes_support;
mod clients;
mod command_line;
mod decoders_any_bytes;
mod dev;
mod embedded_server;
mod embedded_tls;
mod failures;
mod filter_sql;
mod filter_validation;
mod harness;
mod record_catalog;
mod record_values;
mod replication_decoding;
mod replication_failures;
mod replication_login;
mod replication_postgres;
mod replication_publications;
mod replication_reader;
mod rest_bodies;
mod rest_http;
mod rest_openapi;
mod rest_persons;
mod rest_private;
mod rest_support;
mod sql_doctor;
mod sql_fixture;
mod sql_functions;
mod sql_schema;
mod sql_signals;
mod sql_subscription;
mod sql_takeover;
