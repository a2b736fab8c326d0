//! The end of a server: every socket is told to come back, spread over the time there is (P-110, protocol.md §3.18).
//!
//! Clients reconnect at once when they are closed, and with many of them the servers that stay, or the next one, would
//! meet all their joins in the same moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::hub::{Closing, Outbox};
use crate::tenant::{SERVICE_RESTART, Tenant};
use crate::tenants::Directory;

/// So few sockets are closed at once.
const FEW: usize = 100;
/// Time between two batches, on average.
const STEP: Duration = Duration::from_millis(100);

/// Closes every socket and waits until they are gone, but no longer than `patience`. The last fifth of it is for closing
/// handshakes.
pub(super) async fn drain(directory: &Directory, patience: Duration) {
    let begun = Instant::now();
    let tenants = directory.served();
    for tenant in &tenants {
        tenant.sockets.restart();
    }
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
    let steps = usize::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX);
    let batch = sockets.len().div_ceil(steps.max(1));
    for batch in sockets.chunks(batch) {
        batch.iter().for_each(|socket| shut(socket));
        sleep(jittered()).await;
    }
}

fn shut(socket: &Outbox) {
    // No phx_close before it: clients take that as final and would not rejoin.
    socket.close(Closing::Code(SERVICE_RESTART));
}

/// Between half a step and one and a half, so that servers that stop together do not beat together.
fn jittered() -> Duration {
    let percent = u32::try_from(uuid::Uuid::new_v4().as_u128() % 100).unwrap_or(50);
    STEP / 2 + STEP / 100 * percent
}
