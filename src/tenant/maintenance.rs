//! Brings a tenant's database to the schema the server needs, and keeps its message partitions in order.
//!
//! Runs beside everything else and never gives up: a database that is not there yet is waited for (pains of those
//! whose container starts before their database), and each failure is logged once, not once per attempt.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use super::Embedded;
use crate::config::{Janitor, Secret};
use crate::metrics_names::PARTITION_DAYS as DAYS_AHEAD;
use crate::postgres::migrate::{Set, migrate};
use crate::postgres::{ConnectOptions, connect, literal, partitions};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Partitions are made ahead at least this often whatever the janitor's schedule says (G-222).
const AT_LEAST: Duration = Duration::from_secs(12 * 60 * 60);

/// A run that somebody asked for begins no sooner than this after the one before.
const BREATH: Duration = Duration::from_secs(1);
/// When something could not be made it is tried again this soon.
const AFTER_WARNINGS: Duration = Duration::from_secs(60);

/// Migrates, then maintains partitions until `stop`; sooner than planned when `wake` says that one is missing;
/// `prepared` learns of the first success. `tenant` names it in metrics and logs.
pub(super) async fn maintain(
    tenant: Arc<str>,
    database: ConnectOptions,
    embedded: Option<Embedded>,
    janitor: Janitor,
    wake: Arc<Notify>,
    prepared: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    let mut last_error = String::new();
    // The first round only makes partitions: what is old may stay until the janitor's first run.
    let mut drop_old = false;
    loop {
        let wait = match once(&tenant, &database, embedded.as_ref(), drop_old).await {
            Ok(whole) => {
                prepared.send_replace(true);
                pause = FIRST_PAUSE;
                last_error.clear();
                let next = if drop_old || !janitor.run {
                    janitor.interval
                } else {
                    janitor.run_after
                };
                drop_old = janitor.run;
                match whole {
                    true => spread(next, janitor.randomize).min(AT_LEAST),
                    false => AFTER_WARNINGS,
                }
            }
            Err(error) => {
                let text = format!("{error:#}");
                if text != last_error {
                    tracing::error!(error = %text, "the database is not ready; trying again");
                    last_error = text;
                }
                pause = (pause * 2).min(MAX_PAUSE);
                pause
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = wake.notified() => tokio::time::sleep(BREATH).await,
        }
    }
}

/// Brings a database to the schema the server needs and makes its partitions, once. Returns how many migrations of the
/// original it has then. `tenant` names it in metrics and logs.
///
/// # Errors
///
/// When it cannot be reached or this login may not do it.
pub async fn prepare_database(tenant: &str, database: &ConnectOptions) -> anyhow::Result<i64> {
    once(tenant, database, None, false).await?;
    let client = connect(database, "realtime_migrations").await?;
    let count = "select count(*) from realtime.schema_migrations";
    Ok(client.query_one(count, &[]).await?.try_get(0)?)
}

/// `false` when something could not be made.
async fn once(
    tenant: &str,
    database: &ConnectOptions,
    embedded: Option<&Embedded>,
    drop_old: bool,
) -> anyhow::Result<bool> {
    let client = connect(database, "realtime_migrations").await?;
    if is_plain(&client).await? {
        // A Postgres that nobody prepared for Supabase: without its roles no client could be served (G-053).
        tracing::info!(
            "this database has none of the Supabase roles; creating them and the auth helpers"
        );
        if let Err(error) = migrate(&client, Set::Supabase).await {
            tracing::warn!(%error, "the Supabase roles could not be created; run `dovetail migrate` as a superuser");
        }
    }
    let report = migrate(&client, Set::Realtime).await?;
    for note in report.notes {
        tracing::warn!("{note}");
    }
    if let Some(embedded) = embedded {
        for note in prepare_embedded(&client, embedded.password.as_ref()).await? {
            tracing::warn!("{note}");
        }
    }
    let maintained = partitions::maintain(&client, drop_old).await?;
    for warning in &maintained.warnings {
        tracing::error!(code = "PartitionCreationFailed", tenant, "{warning}");
    }
    let days = partitions::days_ahead(&client).await?;
    metrics::gauge!(DAYS_AHEAD, "tenant" => tenant.to_owned()).set(f64::from(days));
    if days == 0 {
        tracing::error!(
            code = "MissingPartition",
            tenant,
            "realtime.messages has no partition for today: private channels cannot be joined and messages of the database are lost; see dovetail doctor"
        );
    }
    Ok(maintained.warnings.is_empty())
}

/// What the embedded Supabase surface stands on, and that its roles can log in. Returns what could not be done and is not
/// essential.
///
/// # Errors
///
/// When this login may not do it.
pub async fn prepare_embedded(
    client: &Client,
    password: Option<&Secret>,
) -> anyhow::Result<Vec<String>> {
    // Also where some of the roles were there already.
    let mut notes = migrate(client, Set::Supabase).await?.notes;
    notes.extend(migrate(client, Set::Embedded).await?.notes);
    let may_see = "select rolsuper from pg_catalog.pg_roles where rolname = current_user";
    let Some(password) = password else {
        return Ok(notes);
    };
    if !client
        .query_one(may_see, &[])
        .await?
        .try_get::<_, bool>(0)?
    {
        return Ok(notes);
    }
    let nameless = "select rolname::text from pg_catalog.pg_authid where rolpassword is null \
                    and rolname in ('authenticator', 'supabase_auth_admin')";
    for row in client.query(nameless, &[]).await? {
        let role: String = row.try_get(0)?;
        let set = format!("alter role {role} password {}", literal(password.expose()));
        // Roles belong to the whole server: another database of it may be prepared at this very moment.
        if let Err(error) = client.batch_execute(&set).await
            && error.code() != Some(&SqlState::INTERNAL_ERROR)
        {
            return Err(error.into());
        }
    }
    Ok(notes)
}

async fn is_plain(client: &Client) -> anyhow::Result<bool> {
    let roles = "select not exists (select from pg_catalog.pg_roles \
                 where rolname in ('anon', 'authenticated', 'service_role'))";
    Ok(client.query_one(roles, &[]).await?.try_get(0)?)
}

/// Up to a quarter more, so that several servers do not run together.
fn spread(interval: Duration, randomize: bool) -> Duration {
    if !randomize {
        return interval;
    }
    let percent = u32::try_from(uuid::Uuid::new_v4().as_u128() % 25).unwrap_or(0);
    interval + interval / 100 * percent
}
