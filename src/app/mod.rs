//! Builds everything from a [`Config`], serves, and drains on SIGTERM.
//!
//! Nothing here waits for the database: sockets are served at once, and what needs Postgres says so until it is there.

mod database;
mod listen;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Doors};
use crate::changes::{self, Changes};
use crate::config::{self, Config};
use crate::hub::{self, Hub};
use crate::presence::Presence;
use crate::replication;
use crate::socket::{Doorway, Registry};
use crate::tenant::{Limits, Tenant};

/// Close code of a server that goes away; clients reconnect (P-110).
const SERVICE_RESTART: u16 = 1012;
/// Longest frame or message of a client (protocol.md §1.6).
const MAX_FRAME: usize = 5_000_000;

/// Serves until `shutdown` resolves, then drains. `ready` is called once with the address bound.
///
/// Fails when there is no database setting or no address can be bound; later failures of the database are waited out.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let database = config.database.clone().context(
        "no database is configured: set DATABASE_URL, or DB_HOST, DB_NAME, DB_USER and DB_PASSWORD",
    )?;
    let listener = listen::bind(&config.listen)
        .with_context(|| format!("cannot listen on {:?}", config.listen))?;
    let address = listener.local_addr()?;
    // Another recorder can only be there when two servers run in one process, as tests may do.
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics_handle = metrics.handle();
    let _ = metrics::set_global_recorder(metrics);

    let stop = CancellationToken::new();
    let maintenance = tokio::spawn(database::maintain(
        database.clone(),
        config.janitor.clone(),
        stop.clone(),
    ));
    let mut stream = replication::Settings::new(
        config.tenant.clone(),
        database.clone(),
        config.publication.clone(),
        replication::slot_name(
            &config.slot_name,
            config.slot_name_suffix.as_deref(),
            &config.tenant,
        ),
    );
    stream.durable = config.slot_durable;
    let (feed, watch) = replication::start(stream, &stop);
    let changes = Changes::start(changes_settings(&config), database, feed, watch.clone());
    let hub = Arc::new(Hub::default());
    let tenant = Arc::new(Tenant {
        external_id: config.tenant.clone(),
        keys: config.client_keys(),
        limits: limits(&config),
        presence: Presence::new(Arc::clone(&hub), config.presence_leave_grace),
        hub,
        changes,
    });
    let registry = Arc::new(Registry::default());
    let draining = stop.clone();
    let router = api::router(Doors {
        doorway: Arc::new(Doorway {
            tenant,
            tenant_from_host: config.tenant_from_host,
            registry: Arc::clone(&registry),
        }),
        ready: Box::new(move || {
            matches!(watch.status(), replication::Status::Live { .. }) && !draining.is_cancelled()
        }),
        api_keys: config.api_keys(),
        metrics_keys: config.metrics_keys(),
        metrics: metrics_handle,
        inspector: config.inspector,
        region: config.region.clone(),
    });
    tracing::info!(%address, tenant = %config.tenant, "listening");
    ready(address);
    listen::accept(
        listener,
        router,
        config.max_connections,
        config.max_header_length,
        shutdown,
    )
    .await;
    tracing::info!(sockets = registry.count(), "draining");
    drain(&registry, config.drain).await;
    stop.cancel();
    // Gives the slot and the advisory locks back before the process ends.
    let _ = tokio::time::timeout(Duration::from_secs(2), maintenance).await;
    Ok(())
}

/// Closes every socket and waits until they are gone, but no longer than `patience`.
async fn drain(registry: &Arc<Registry>, patience: Duration) {
    registry.close_all(SERVICE_RESTART);
    if tokio::time::timeout(patience, registry.wait_empty())
        .await
        .is_err()
    {
        tracing::warn!(sockets = registry.count(), "sockets left behind");
    }
}

fn limits(config: &Config) -> Limits {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        // The original's slack for its own envelope (protocol.md §5.1).
        payload_bytes: size(config.limits.max_payload_size_in_kb)
            .saturating_mul(1000)
            .saturating_add(500),
        channels_per_client: size(config.limits.max_channels_per_client),
        presence_calls: u32::try_from(config.limits.client_presence_max_calls).unwrap_or(u32::MAX),
        presence_window: config.limits.client_presence_window,
        channel_error_backoff: config.channel_error_backoff,
        connect_error_backoff: config.connect_error_backoff,
        idle_timeout: config.idle_timeout,
        no_channel_timeout: config.no_channel_timeout,
        frame_bytes: MAX_FRAME,
        outbox: hub::Limits {
            bytes: config.outbox_max_bytes,
            frames: config.outbox_max_frames,
        },
    }
}

fn changes_settings(config: &Config) -> changes::Settings {
    changes::Settings {
        publication: config.publication.clone(),
        deletes_authorised: config.deletes == config::Deletes::Authorised,
        old_record_original: config.old_record == config::OldRecord::Original,
        max_record_bytes: config.max_record_bytes,
        visibility_connections: config.visibility_connections,
        statement_timeout: config.statement_timeout,
        ..changes::Settings::default()
    }
}
