//! What has to be done for tenants without anybody asking: the tables are made and the tenant of the environment put in
//! them, rows are read again, idle databases released.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::many::Many;
use super::seed::{Seed, seed};
use super::store::StoreError;

/// Longest pause between attempts to prepare the metadata.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Prepares the metadata, however long their database stays away, then looks after the tenants until `stop`.
pub(super) async fn run(many: Weak<Many>, wanted: Option<Seed>, stop: CancellationToken) {
    let mut pause = Duration::from_millis(200);
    let mut last_error = String::new();
    loop {
        let Some(many) = many.upgrade() else { return };
        match prepare(&many, wanted.as_ref()).await {
            Ok(()) => break,
            Err(error) => {
                let text = error.to_string();
                if text != last_error {
                    tracing::error!(error = %text, "the metadata of tenants are not ready; trying again");
                    last_error = text;
                }
            }
        }
        drop(many);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
    loop {
        let Some(pace) = many.upgrade().map(|many| many.pace()) else {
            return;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pace) => {}
        }
        let Some(many) = many.upgrade() else { return };
        many.refresh().await;
        many.release_idle();
    }
}

async fn prepare(many: &Many, wanted: Option<&Seed>) -> Result<(), StoreError> {
    if many.store.prepare().await? {
        tracing::info!("the tables of the tenants' metadata have been made or brought forward");
    }
    if let Some(wanted) = wanted {
        let gate = many.gate(&wanted.external_id).await;
        let record = seed(&many.store, wanted).await?;
        match many.apply(record, &gate) {
            // Its database is prepared now, not when the first client comes.
            Ok(tenant) => drop(tenant.backend()),
            Err(error) => tracing::error!(%error, "the tenant of the environment cannot be served"),
        }
    }
    many.ready.store(true, Ordering::Relaxed);
    Ok(())
}
