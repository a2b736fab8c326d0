//! From the settings to the tenants: the one of the environment, or those of the metadata.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::access;
use crate::changes;
use crate::config::{self, Config};
use crate::hub;
use crate::limits::Rates;
use crate::postgres::ConnectOptions;
use crate::replication;
use crate::tenant::{self, DatabaseSettings, Limits, Tenant};
use crate::tenants::{Directory, Many, Seed, Store, Template};

/// Longest frame or message of a client (protocol.md §1.6).
const MAX_FRAME: usize = 5_000_000;

/// Everybody who is served, from the settings. Nothing here waits for a database.
pub(super) fn directory(
    config: &Config,
    database: ConnectOptions,
    stop: CancellationToken,
) -> anyhow::Result<Directory> {
    if config.tenants.source == config::Source::Database {
        return many(config, database, stop);
    }
    let tenant = Tenant::new(
        config.tenant.clone(),
        settings(config, database),
        config.presence_leave_grace,
    );
    // At once, not when the first client comes: it prepares the database.
    tenant.backend();
    Ok(Directory::single(tenant, config.tenant_from_host))
}

fn many(
    config: &Config,
    database: ConnectOptions,
    stop: CancellationToken,
) -> anyhow::Result<Directory> {
    let tenants = &config.tenants;
    let crypt = Arc::new(tenants.crypt().context("the keys of the metadata")?);
    let secret = config.api_jwt_secret.as_ref();
    let seed = tenants.seed_self_host.then(|| Seed {
        external_id: config.tenant.clone(),
        jwt_secret: secret.map(|secret| secret.expose().to_owned()),
        jwt_jwks: config.api_jwt_jwks_json.clone(),
        limits: tenants.new_tenant.clone(),
        database: database.clone(),
    });
    let template = Template {
        settings: settings(config, database.clone()),
        validators: config.claim_validators.clone(),
        slot_suffix: config.slot_name_suffix.clone(),
        presence_leave_grace: config.presence_leave_grace,
        new_tenant: tenants.new_tenant.clone(),
    };
    let after_connect = tenants.after_connect_query.clone();
    let store = Store::new(database, after_connect, tenants.pool_size, crypt);
    let many = Many::start(
        store,
        template,
        tenants.cache_expiration,
        tenants.idle_release,
        seed,
        stop,
    );
    Ok(Directory::many(many))
}

/// The one tenant, as the environment describes it.
fn settings(config: &Config, connect: ConnectOptions) -> tenant::Settings {
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
            embedded: super::surface::parts(config)
                .any()
                .then(|| tenant::Embedded {
                    password: super::surface::password(config),
                }),
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
        compile_policies: config.compile_policies,
        compare_every: config.compare_policies_every,
        statement_timeout: config.statement_timeout,
        ..changes::Settings::default()
    }
}
