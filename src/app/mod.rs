//! Builds everything from a [`Config`], serves, and drains on SIGTERM.
//!
//! Nothing here waits for the database: sockets are served at once, and what needs Postgres says so until it is there.

mod chat;
mod drain;
mod front;
mod listen;
mod metering;
mod requests;
mod surface;
mod tenants;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Doors};
use crate::chat::{Chat, Workers};
use crate::config::Config;
use crate::gateway::{self, Direct};
use crate::socket::Doorway;
use front::Front;

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
    let metrics_handle = metering::start()?;

    let stop = CancellationToken::new();
    let directory = Arc::new(tenants::directory(&config, database, stop.clone())?);
    let workers = chat::workers(&config, &directory);
    let draining = CancellationToken::new();
    let surface = surface::gateway(&config, &directory);
    let chat = chat::start(&config, &directory, address, &stop);
    let router = api::router(Doors {
        doorway: Arc::new(Doorway {
            directory: Arc::clone(&directory),
            connect_error_backoff: config.connect_error_backoff,
        }),
        draining: draining.clone(),
        api_keys: config.api_keys(),
        metrics_keys: config.metrics_keys(),
        metrics: metrics_handle,
        inspector: config.inspector,
        region: config.region.clone(),
        surface: [
            surface.as_ref().map(gateway::router),
            chat.as_ref().map(Chat::router),
            chat.as_ref().map(|_| chat::pages(&config)),
        ]
        .into_iter()
        .flatten()
        .reduce(Router::merge),
    });
    let front = Front {
        router: requests::logged(router, config.quiet_health_checks),
        direct: surface.as_ref().and_then(Direct::new),
    };
    tracing::info!(%address, tenant = %config.tenant, "listening");
    ready(address);
    // Before the port is closed: from the signal on no join succeeds (protocol.md §3.18).
    let shutdown = async {
        shutdown.await;
        draining.cancel();
        drain::announce(&directory);
    };
    listen::accept(
        listener,
        front,
        config.max_connections,
        config.max_header_length,
        shutdown,
    )
    .await;
    // Before sockets are closed; what its workers have begun they finish meanwhile.
    let ended = workers.map(Workers::stop);
    let ended = async {
        if let Some(ended) = ended {
            ended.await;
        }
    };
    tokio::join!(drain::drain(&directory, config.drain), ended);
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
