//! Builds everything from a [`Config`], serves, and drains on SIGTERM.
//!
//! Nothing here waits for the database: sockets are served at once, and what needs Postgres says so until it is there.

mod drain;
mod listen;
mod metering;
mod requests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::access;
use crate::api::{self, Doors};
use crate::changes;
use crate::config::{self, Config};
use crate::hub;
use crate::limits::Rates;
use crate::postgres::ConnectOptions;
use crate::replication;
use crate::socket::Doorway;
use crate::tenant::{self, DatabaseSettings, Limits, Tenant};
use crate::tenants::Directory;

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
    let metrics_handle = metering::start()?;

    let tenant = Tenant::new(
        config.tenant.clone(),
        tenant_settings(&config, database),
        config.presence_leave_grace,
    );
    let backend = tenant.backend();
    let directory = Arc::new(Directory::single(
        Arc::clone(&tenant),
        config.tenant_from_host,
    ));
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
        inspector: config.inspector,
        region: config.region.clone(),
    });
    let router = requests::logged(router, config.quiet_health_checks);
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
    drain::drain(&directory, config.drain).await;
    // Gives the slot and the advisory locks back before the process ends.
    let _ = tokio::time::timeout(Duration::from_secs(2), backend.close()).await;
    Ok(())
}

/// The one tenant, as the environment describes it.
fn tenant_settings(config: &Config, connect: ConnectOptions) -> tenant::Settings {
    let limited = |number: u64| Some(number).filter(|number| *number > 0);
    tenant::Settings {
        keys: Arc::new(config.client_keys()),
        limits: limits(config),
        rates: Rates {
            joins: limited(config.limits.max_joins_per_second),
            events: limited(config.limits.max_events_per_second),
            presence_events: limited(config.limits.max_presence_events_per_second),
        },
        max_users: limited(config.limits.max_concurrent_users),
        suspend: false,
        private_only: config.private_only,
        presence_enabled: config.presence_enabled,
        database: DatabaseSettings {
            connect,
            slot: replication::slot_name(
                &config.slot_name,
                config.slot_name_suffix.as_deref(),
                &config.tenant,
            ),
            slot_durable: config.slot_durable,
            changes: changes_settings(config),
            access: access::Settings {
                connections: config.access_connections,
                statement_timeout: config.statement_timeout,
                ..access::Settings::default()
            },
            janitor: config.janitor.clone(),
        },
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
        presence_excess: config.limits.presence_excess,
        rights_interval: config.rights_interval,
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
