//! Builds everything from a [`Config`], serves, and drains on SIGTERM.
//!
//! Nothing here waits for the database: sockets are served at once, and what needs Postgres says so until it is there.

mod listen;
mod tenants;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Doors};
use crate::config::Config;
use crate::socket::Doorway;
use crate::tenant::SERVICE_RESTART;
use crate::tenants::Directory;

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
    let directory = Arc::new(tenants::directory(&config, database, stop.clone())?);
    let draining = CancellationToken::new();
    let router = api::router(Doors {
        doorway: Arc::new(Doorway {
            directory: Arc::clone(&directory),
            connect_error_backoff: config.connect_error_backoff,
        }),
        draining: draining.clone(),
        api_keys: config.api_keys(),
        metrics_keys: config.metrics_keys(),
        metrics: metrics_handle,
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
    draining.cancel();
    drain(&directory, config.drain).await;
    stop.cancel();
    // Gives slots and advisory locks back before the process ends.
    let opened: Vec<_> = directory
        .served()
        .iter()
        .filter_map(|tenant| tenant.opened())
        .collect();
    let closing = opened.iter().map(|backend| backend.close());
    let _ = tokio::time::timeout(Duration::from_secs(2), join_all(closing)).await;
    Ok(())
}

/// Closes every socket and waits until they are gone, but no longer than `patience`.
async fn drain(directory: &Directory, patience: Duration) {
    let tenants = directory.served();
    let count = || {
        tenants
            .iter()
            .map(|tenant| tenant.sockets.count())
            .sum::<usize>()
    };
    tracing::info!(sockets = count(), "draining");
    let gone = async {
        for tenant in &tenants {
            tenant.sockets.close_all(SERVICE_RESTART);
        }
        for tenant in &tenants {
            tenant.sockets.wait_empty().await;
        }
    };
    if tokio::time::timeout(patience, gone).await.is_err() {
        tracing::warn!(sockets = count(), "sockets left behind");
    }
}
