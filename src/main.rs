//! temp
use dovetail::config::*;
use std::time::Duration;
fn main() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let env = |k: &str| std::env::var(k).ok();
    let c = Config {
        listen: vec![format!("127.0.0.1:{}", env("PORT").unwrap_or("4000".into())).parse()?],
        max_header_length: 4096, max_connections: 16384, drain: Duration::from_secs(5), rlimit_nofile: None,
        database: Some(dovetail::postgres::ConnectOptions::from_url(&env("DATABASE_URL").unwrap_or("postgres://postgres:x@127.0.0.1:1/postgres".into()))?),
        pool_size: 5, db_ip_version: None, tenant: "realtime-dev".into(), tenant_from_host: true,
        limits: Limits { max_concurrent_users: 200, max_channels_per_client: 100, max_joins_per_second: 100, max_events_per_second: 100, max_bytes_per_second: 100000, max_presence_events_per_second: 1000, max_payload_size_in_kb: 3000, client_presence_max_calls: 5, client_presence_window: Duration::from_secs(30) },
        api_jwt_secret: Some(Secret::new(env("API_JWT_SECRET").unwrap_or("super-secret-jwt-token-with-at-least-32-characters-long".into()))),
        api_jwt_secret_next: None, api_jwt_jwks: None, metrics_jwt_secret: None, api_token_blocklist: vec![], metrics_token_blocklist: vec![], claim_validators: Default::default(), anon_key: None, service_key: None,
        connect_error_backoff: Duration::from_secs(2), channel_error_backoff: Duration::from_secs(5), no_channel_timeout: Duration::from_secs(600), idle_timeout: Duration::from_secs(60), outbox_max_bytes: 8<<20, outbox_max_frames: 16384, presence_leave_grace: Duration::ZERO,
        deletes: Deletes::Keys, old_record: OldRecord::Proven, max_record_bytes: 1<<20, publication: "supabase_realtime".into(), slot_name: "supabase_realtime_replication_slot".into(), slot_name_suffix: None, slot_durable: false, visibility_connections: 2, statement_timeout: Duration::from_secs(5),
        janitor: Janitor { run: true, interval: Duration::from_secs(14400), randomize: true, run_after: Duration::from_secs(600) },
        log_level: tracing::level_filters::LevelFilter::INFO, log_format: LogFormat::Pretty, region: "us-east-1".into(), warnings: vec![],
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(dovetail::app::run(c, async { tokio::signal::ctrl_c().await.ok(); }, |a| println!("ready {a}")))
}
