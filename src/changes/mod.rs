//! Postgres Changes: subscriptions, their index, visibility under RLS, delivery (postgres.md §2).
pub mod filter;
pub mod record;
