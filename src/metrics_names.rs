//! Names of all metrics, in one place, with what `/metrics` says about them.
//!
//! Those that mean what they mean in the original keep its names (protocol.md §8.8), so that dashboards go on working; ours
//! begin with `dovetail_`. Durations under the original's names are in milliseconds, under ours in seconds.

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of values up to these bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Shown by `/metrics`.
    pub help: &'static str,
}

/// Refused joins and other errors of channels, by tenant and code.
pub const CHANNEL_ERROR: &str = "realtime_channel_error";
/// The same of the whole server, by code.
pub const CHANNEL_GLOBAL_ERROR: &str = "realtime_channel_global_error";
/// Joins, by tenant.
pub const CHANNEL_JOINS: &str = "realtime_channel_joins";
/// Broadcasts sent and delivered, by tenant.
pub const CHANNEL_EVENTS: &str = "realtime_channel_events";
/// Presence messages, by tenant.
pub const CHANNEL_PRESENCE_EVENTS: &str = "realtime_channel_presence_events";
/// Changes of tables delivered, by tenant.
pub const CHANNEL_DB_EVENTS: &str = "realtime_channel_db_events";
/// Joins.
pub const GLOBAL_JOINS: &str = "realtime_channel_global_joins";
/// Bytes read from sockets, by tenant.
pub const CHANNEL_INPUT_BYTES: &str = "realtime_channel_input_bytes";
/// Bytes written to sockets, by tenant.
pub const CHANNEL_OUTPUT_BYTES: &str = "realtime_channel_output_bytes";
/// Bytes read from sockets.
pub const GLOBAL_INPUT_BYTES: &str = "realtime_channel_global_input_bytes";
/// Bytes written to sockets.
pub const GLOBAL_OUTPUT_BYTES: &str = "realtime_channel_global_output_bytes";
/// Broadcasts sent and delivered.
pub const GLOBAL_EVENTS: &str = "realtime_channel_global_events";
/// Presence messages.
pub const GLOBAL_PRESENCE_EVENTS: &str = "realtime_channel_global_presence_events";
/// Changes of tables delivered.
pub const GLOBAL_DB_EVENTS: &str = "realtime_channel_global_db_events";
/// Sockets that joined a channel, by tenant.
pub const CONNECTED: &str = "realtime_connections_connected";
/// The same on all nodes.
pub const CONNECTED_CLUSTER: &str = "realtime_connections_connected_cluster";
/// Sockets of all tenants that joined a channel.
pub const GLOBAL_CONNECTED: &str = "realtime_connections_global_connected";
/// The same on all nodes.
pub const GLOBAL_CONNECTED_CLUSTER: &str = "realtime_connections_global_connected_cluster";
/// Tenants whose database is open.
pub const TENANTS_CONNECTED: &str = "realtime_tenants_connected";
/// Live subscriptions to Postgres Changes, by tenant.
pub const SUBSCRIBERS: &str = "realtime_subscriptions_manager_subscribers";
/// Time from a read question to its answer.
pub const READ_CHECK: &str = "realtime_tenants_read_authorization_check";
/// Time from a write question to its answer.
pub const WRITE_CHECK: &str = "realtime_tenants_write_authorization_check";
/// Time from the wish for a replay to its rows.
pub const REPLAY: &str = "realtime_tenants_replay";
/// Time from the commit of a stored message to its broadcast, by tenant.
pub const DATABASE_BROADCAST_LATENCY: &str =
    "realtime_tenants_broadcast_from_database_latency_committed_at";

/// Live sockets, with a channel or without.
pub const SOCKETS: &str = "dovetail_sockets";
/// HTTP requests to the tenant's endpoints, by tenant.
pub const REQUESTS: &str = "dovetail_requests_total";
/// Sockets closed because their client did not read.
pub const SLOW_CONSUMERS: &str = "dovetail_slow_consumers_total";
/// Row changes received from the stream.
pub const CHANGES_ROWS: &str = "dovetail_changes_rows_total";
/// Row changes that at least one subscription's table, event and filters matched.
pub const CHANGES_MATCHED: &str = "dovetail_changes_matched_total";
/// Frames handed to channels.
pub const CHANGES_DELIVERED: &str = "dovetail_changes_delivered_total";
/// Rows hidden from an audience because a question about them failed.
pub const CHANGES_HIDDEN: &str = "dovetail_changes_hidden_by_failure_total";
/// Decisions of compiled policies.
pub const CHANGES_COMPILED: &str = "dovetail_changes_compiled_decisions_total";
/// Decisions of compiled policies that were not Postgres' own.
pub const CHANGES_CONTRADICTED: &str = "dovetail_changes_compiled_contradicted_total";
/// Visibility questions asked.
pub const CHANGES_QUESTIONS: &str = "dovetail_changes_questions_total";
/// Time from the first visibility question of a batch to its last answer.
pub const CHANGES_QUESTION_SECONDS: &str = "dovetail_changes_question_seconds";
/// Questions about private channels sent to Postgres.
pub const ACCESS_QUESTIONS: &str = "dovetail_access_questions_total";
/// Times that such questions were sent and waited for.
pub const ACCESS_ROUND_TRIPS: &str = "dovetail_access_round_trips_total";
/// Stored messages that were broadcast, by tenant.
pub const DATABASE_BROADCASTS: &str = "dovetail_database_broadcasts_total";
/// Stored messages that were not, by tenant and reason.
pub const DATABASE_BROADCASTS_DROPPED: &str = "dovetail_database_broadcasts_dropped_total";
/// Days ahead for which `realtime.messages` has partitions.
pub const PARTITION_DAYS: &str = "dovetail_message_partition_days";
/// Whether the stream of changes runs, by tenant.
pub const REPLICATION_LIVE: &str = "dovetail_replication_live";
/// Write-ahead log that is not confirmed, by tenant.
pub const REPLICATION_LAG: &str = "dovetail_replication_lag_bytes";
/// Time since anything was heard from the walsender, by tenant.
pub const REPLICATION_SILENCE: &str = "dovetail_replication_last_message_seconds";
/// Streams started after one was lost, by tenant.
pub const REPLICATION_RECONNECTS: &str = "dovetail_replication_reconnects_total";
/// Times commits may have been missed, by tenant and reason.
pub const REPLICATION_GAPS: &str = "dovetail_replication_gaps_total";
/// Requests to the embedded Supabase surface, by service (`rest`, `auth`, `storage`) and kind of status.
pub const SURFACE_REQUESTS: &str = "dovetail_surface_requests_total";
/// Seconds until the answer to one of them begins, by service.
pub const SURFACE_SECONDS: &str = "dovetail_surface_request_seconds";
/// Push messages that a push service took.
pub const PUSH_SENT: &str = "dovetail_push_sent_total";
/// Requests to push services that failed, by reason: `later` (tried again), `refused`, `too_large`.
pub const PUSH_FAILED: &str = "dovetail_push_failed_total";
/// Push subscriptions removed because their push service knows them no more.
pub const PUSH_DROPPED: &str = "dovetail_push_dropped_total";
/// For how long the oldest notification has been due.
pub const PUSH_QUEUE_AGE: &str = "dovetail_push_queue_age_seconds";

/// The original's bounds of authorization checks, with some below ten milliseconds, where ours mostly are.
const CHECK_MS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 50.0, 250.0, 5_000.0, 15_000.0];
const LATENCY_MS: &[f64] = &[
    1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 15_000.0,
];
const QUESTION_SECONDS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];
/// Bounds of answers to requests, in seconds.
const SURFACE_BOUNDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];

const fn counter(name: &'static str, help: &'static str) -> Metric {
    let kind = Kind::Counter;
    Metric { name, kind, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    let kind = Kind::Gauge;
    Metric { name, kind, help }
}

const fn histogram(name: &'static str, bounds: &'static [f64], help: &'static str) -> Metric {
    let kind = Kind::Histogram(bounds);
    Metric { name, kind, help }
}

/// Every metric there is.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    counter(CHANNEL_JOINS, "Joins of channels"),
    counter(CHANNEL_EVENTS, "Broadcasts, each one sent and each delivery"),
    counter(CHANNEL_PRESENCE_EVENTS, "Presence messages sent and received"),
    counter(CHANNEL_DB_EVENTS, "Changes of tables delivered"),
    counter(CHANNEL_INPUT_BYTES, "Bytes read from sockets"),
    counter(CHANNEL_OUTPUT_BYTES, "Bytes written to sockets"),
    counter(GLOBAL_INPUT_BYTES, "Bytes read from sockets of all tenants"),
    counter(GLOBAL_OUTPUT_BYTES, "Bytes written to sockets of all tenants"),
    counter(CHANNEL_ERROR, "Refused joins and errors of channels"),
    counter(GLOBAL_JOINS, "Joins of channels of all tenants"),
    counter(GLOBAL_EVENTS, "Broadcasts of all tenants, each one sent and each delivery"),
    counter(GLOBAL_PRESENCE_EVENTS, "Presence messages of all tenants"),
    counter(GLOBAL_DB_EVENTS, "Changes of tables delivered to all tenants"),
    counter(CHANNEL_GLOBAL_ERROR, "Refused joins and errors of channels of all tenants"),
    gauge(CONNECTED, "Sockets that joined a channel"),
    gauge(CONNECTED_CLUSTER, "Sockets that joined a channel, on all nodes"),
    gauge(GLOBAL_CONNECTED, "Sockets of all tenants that joined a channel"),
    gauge(GLOBAL_CONNECTED_CLUSTER, "Sockets of all tenants that joined a channel, on all nodes"),
    gauge(TENANTS_CONNECTED, "Tenants whose database is open"),
    gauge(SUBSCRIBERS, "Live subscriptions to Postgres Changes"),
    histogram(READ_CHECK, CHECK_MS, "Milliseconds of a check whether a private channel may be read"),
    histogram(WRITE_CHECK, CHECK_MS, "Milliseconds of a check whether a private channel may be written"),
    histogram(REPLAY, LATENCY_MS, "Milliseconds of a replay"),
    histogram(DATABASE_BROADCAST_LATENCY, LATENCY_MS, "Milliseconds from the commit of a stored message to its broadcast"),
    gauge(SOCKETS, "Live sockets, with a channel or without"),
    counter(REQUESTS, "HTTP requests to the tenant's endpoints"),
    counter(SLOW_CONSUMERS, "Sockets closed because their client did not read"),
    counter(CHANGES_ROWS, "Row changes received from the stream"),
    counter(CHANGES_MATCHED, "Row changes that a subscription's table, event and filters matched"),
    counter(CHANGES_DELIVERED, "Frames of row changes handed to channels"),
    counter(CHANGES_HIDDEN, "Rows hidden from an audience because a question about them failed"),
    counter(CHANGES_COMPILED, "Decisions about the visibility of rows that compiled policies made"),
    counter(CHANGES_CONTRADICTED, "Decisions of compiled policies that Postgres contradicted; each ends compiling for a table"),
    counter(CHANGES_QUESTIONS, "Questions about the visibility of rows"),
    histogram(CHANGES_QUESTION_SECONDS, QUESTION_SECONDS, "Seconds from the first such question of a batch to its last answer"),
    counter(ACCESS_QUESTIONS, "Questions about private channels sent to Postgres"),
    counter(ACCESS_ROUND_TRIPS, "Times that such questions were sent and waited for"),
    counter(DATABASE_BROADCASTS, "Stored messages that were broadcast"),
    counter(DATABASE_BROADCASTS_DROPPED, "Stored messages that were not broadcast, by reason"),
    gauge(PARTITION_DAYS, "Days from today on for which realtime.messages has partitions"),
    gauge(REPLICATION_LIVE, "1 while the stream of changes runs"),
    gauge(REPLICATION_LAG, "Write-ahead log that is not confirmed yet, bytes"),
    gauge(REPLICATION_SILENCE, "Seconds since anything was heard from the walsender, as of the last status message"),
    counter(REPLICATION_RECONNECTS, "Streams started after one was lost"),
    counter(REPLICATION_GAPS, "Times commits may have been missed, by reason"),
    counter(SURFACE_REQUESTS, "Requests to the embedded Supabase surface, by service and kind of status"),
    counter(PUSH_SENT, "Push messages that a push service took"),
    counter(PUSH_FAILED, "Requests to push services that failed, by reason"),
    counter(PUSH_DROPPED, "Push subscriptions removed because their push service knows them no more"),
    gauge(PUSH_QUEUE_AGE, "Seconds for which the oldest notification that nobody has taken has been due"),
    histogram(SURFACE_SECONDS, SURFACE_BOUNDS, "Seconds until their answer begins, by service"),
];
