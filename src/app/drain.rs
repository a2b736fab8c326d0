//! The end of a server: every socket is told to come back, spread over the time there is (P-110, protocol.md §3.18).
//!
//! Clients reconnect at once when they are closed, and with many of them the servers that stay, or the next one, would
//! meet all their joins in the same moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::hub::{Closing, Outbox};
use crate::tenant::{SERVICE_RESTART, Tenant};
use crate::tenants::Directory;

/// So few sockets are closed at once.
const FEW: usize = 100;
/// Time between two batches, on average.
const STEP: Duration = Duration::from_millis(100);

/// From now on joins are refused.
pub(super) fn announce(directory: &Directory) {
    for tenant in directory.served() {
        tenant.sockets.restart();
    }
}

/// Closes every socket and waits until they are gone, but no longer than `patience`. The last fifth of it is for closing
/// handshakes.
pub(super) async fn drain(directory: &Directory, patience: Duration) {
    let begun = Instant::now();
    let tenants = directory.served();
    tracing::info!(sockets = count(&tenants), "draining");
    let gone = async {
        let sockets: Vec<Arc<Outbox>> = tenants.iter().flat_map(|t| t.sockets.all()).collect();
        close(&sockets, patience.mul_f64(0.8)).await;
        for tenant in &tenants {
            // Those whose upgrade was on its way.
            tenant.sockets.close_all(SERVICE_RESTART);
            tenant.sockets.wait_empty().await;
        }
    };
    if timeout_at(begun + patience, gone).await.is_err() {
        tracing::warn!(sockets = count(&tenants), "sockets left behind");
    }
}

fn count(tenants: &[Arc<Tenant>]) -> usize {
    tenants.iter().map(|tenant| tenant.sockets.count()).sum()
}

/// Closes them in equal batches over this time; few of them at once.
async fn close(sockets: &[Arc<Outbox>], time: Duration) {
    if sockets.len() <= FEW {
        sockets.iter().for_each(|socket| shut(socket));
        return;
    }
    let begun = Instant::now();
    let steps = u32::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(u32::MAX);
    let batch = sockets
        .len()
        .div_ceil(usize::try_from(steps).unwrap_or(usize::MAX).max(1));
    for (number, batch) in (0..steps.max(1)).zip(sockets.chunks(batch)) {
        // By the clock and not one after the other, so that a busy machine does not run out of time.
        sleep_until(begun + STEP * number + jitter()).await;
        batch.iter().for_each(|socket| shut(socket));
    }
}

fn shut(socket: &Outbox) {
    // No phx_close before it: clients take that as final and would not rejoin.
    socket.close(Closing::Code(SERVICE_RESTART));
}

/// Up to a step, so that servers that stop together do not beat together.
fn jitter() -> Duration {
    let percent = u32::try_from(uuid::Uuid::new_v4().as_u128() % 100).unwrap_or(0);
    STEP / 100 * percent
}
