//! Dovetail: a drop-in replacement for the Supabase Realtime server.
//!
//! The crate is a house with four floors; a module imports only from floors below its own.
//!
//! 1. Pure, no I/O: [`protocol`], [`auth`], [`pgoutput`], [`changes::filter`], [`changes::record`],
//!    [`presence::state`], [`limits`].
//! 2. One resource each: [`postgres`], [`replication`], [`hub`].
//! 3. Capabilities: [`access`], [`broadcast`], [`presence`], [`changes`], [`typescript`] and the [`doctor`]; [`tenant`] ties them
//!    together, [`tenants`] knows which there are.
//! 4. Doors: [`socket`], [`api`], [`gateway`], [`chat`], [`pages`]; and [`app`], which builds everything from a [`config`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]
#![warn(clippy::await_holding_lock)]

pub mod access;
pub mod api;
pub mod app;
pub mod auth;
pub mod broadcast;
pub mod changes;
pub mod chat;
pub mod config;
pub mod doctor;
pub mod gateway;
pub mod hub;
pub mod limits;
pub mod metrics_names;
pub mod pages;
pub mod pgoutput;
pub mod postgres;
pub mod presence;
pub mod protocol;
pub mod refusals;
pub mod replication;
pub mod socket;
pub mod tenant;
pub mod tenants;
pub mod typescript;
