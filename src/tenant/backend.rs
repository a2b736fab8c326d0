//! The database of a tenant while it is open: the stream, Postgres Changes, policies, partitions.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Tenant, maintenance};
use crate::access::Access;
use crate::broadcast::Stored;
use crate::changes::{Changes, Listener};
use crate::hub::Attention;
use crate::pgoutput::Begin;
use crate::replication::{self, Change, Row, Watch};

/// How long a join waits for the first look at schema and partitions. With the delay of a refused join it stays below the
/// ten seconds that clients wait.
const PREPARING: Duration = Duration::from_secs(4);

/// Messages that may wait behind DDL; more are not broadcast, only stored.
const MAX_BEHIND: usize = 10_000;
/// And so many bytes of them.
const MAX_BEHIND_BYTES: usize = 32 << 20;

/// See the module. Dropping it ends its tasks and connections.
pub struct Backend {
    /// Postgres Changes.
    pub changes: Arc<Changes>,
    /// Policies of private channels.
    pub access: Arc<Access>,
    /// State of the replication stream.
    pub watch: Watch,
    stop: CancellationToken,
    wake: Arc<Notify>,
    prepared: watch::Receiver<bool>,
    maintenance: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Backend {
    /// Starts everything; nothing here waits for the database.
    pub(super) fn open(tenant: &Arc<Tenant>) -> Arc<Self> {
        let settings = tenant.settings_now();
        let database = &settings.database;
        let stop = CancellationToken::new();
        let wake = Arc::new(Notify::new());
        let (preparing, prepared) = watch::channel(false);
        let maintenance = tokio::spawn(maintenance::maintain(
            Arc::clone(&tenant.external_id),
            database.connect.clone(),
            database.embedded.clone(),
            database.janitor.clone(),
            Arc::clone(&wake),
            preparing,
            stop.clone(),
        ));
        let mut stream = replication::Settings::new(
            &*tenant.external_id,
            database.connect.clone(),
            database.changes.publication.clone(),
            database.slot.clone(),
        );
        stream.durable = database.slot_durable;
        let (feed, watch) = replication::start(stream, &stop);
        let access = Access::start(database.connect.clone(), database.access.clone());
        let ears = Arc::new(Ears {
            stored: Stored::new(
                &tenant.external_id,
                Arc::clone(&tenant.hub),
                Arc::clone(&tenant.meters.events),
            ),
            tenant: Arc::downgrade(tenant),
            changed: Arc::new(Notify::new()),
            behind: Mutex::default(),
            stop: stop.clone(),
        });
        tokio::spawn(watch_policies(
            Arc::downgrade(tenant),
            Arc::clone(&access),
            Arc::clone(&ears),
            stop.clone(),
        ));
        let changes = Changes::start(
            database.changes.clone(),
            database.connect.clone(),
            feed,
            watch.clone(),
            ears,
        );
        Arc::new(Self {
            changes,
            access,
            watch,
            stop,
            wake,
            prepared,
            maintenance: Mutex::new(Some(maintenance)),
        })
    }

    /// Whether the stream of changes is live and the schema is as it must be.
    pub fn live(&self) -> bool {
        matches!(self.watch.status(), replication::Status::Live { .. }) && *self.prepared.borrow()
    }

    /// Waits until the schema and the partitions are as they must be before policies are asked (postgres.md §1.12), but
    /// not for ever: who asks a database that is away learns that soon enough.
    pub async fn prepared(&self) {
        let mut prepared = self.prepared.clone();
        let _ = tokio::time::timeout(PREPARING, prepared.wait_for(|prepared| *prepared)).await;
    }

    /// A partition is missing: it is made now rather than at the next planned time.
    pub fn maintain_soon(&self) {
        self.wake.notify_one();
    }

    /// Ends everything, without waiting for it.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends everything and waits until locks and slots are given back.
    pub async fn close(&self) {
        self.stop();
        let maintenance = self.maintenance.lock().take();
        if let Some(maintenance) = maintenance {
            let _ = maintenance.await;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What else the stream tells: stored messages, and that policies may have changed.
struct Ears {
    stored: Stored,
    tenant: Weak<Tenant>,
    changed: Arc<Notify>,
    behind: Mutex<Behind>,
    stop: CancellationToken,
}

/// Messages that were committed after DDL wait until it is known whether that took somebody's rights.
#[derive(Default)]
struct Behind {
    /// Transactions with DDL that have not been looked at.
    open: usize,
    /// How many of them have been committed and can be looked at.
    ready: usize,
    /// With [`crate::hub::Hub::entered`] of when they came.
    waiting: Vec<(Change, Begin, u64)>,
    /// Bytes of their rows.
    bytes: usize,
}

impl Ears {
    fn publish(&self, change: &Change, begin: &Begin, newer: Option<u64>) {
        // What is still on its way from a database that was replaced is nobody's of the new one.
        if self.stop.is_cancelled() {
            return;
        }
        if let Some(tenant) = self.tenant.upgrade() {
            let limit = tenant.settings().limits.payload_bytes;
            self.stored.take(change, begin, limit, newer);
        }
    }

    /// How much DDL can be looked at now.
    fn ready(&self) -> usize {
        std::mem::take(&mut self.behind.lock().ready)
    }

    /// So much DDL has been looked at; what waited only for that is published.
    fn looked_at(&self, count: usize) {
        let mut behind = self.behind.lock();
        behind.open = behind.open.saturating_sub(count);
        if behind.open == 0 {
            behind.bytes = 0;
            // Under the lock: what comes next must not overtake it.
            for (change, begin, newer) in std::mem::take(&mut behind.waiting) {
                self.publish(&change, &begin, Some(newer));
            }
        }
    }
}

impl Listener for Ears {
    fn message(&self, change: &Change, begin: &Begin) {
        // Nothing else is a message.
        let Row::Insert { new } = &change.row else {
            return;
        };
        let mut behind = self.behind.lock();
        if behind.open == 0 {
            self.publish(change, begin, None);
        } else if let Some(tenant) = self.tenant.upgrade()
            && behind.waiting.len() < MAX_BEHIND
            && behind.bytes + new.size() <= MAX_BEHIND_BYTES
        {
            behind.bytes += new.size();
            let newer = tenant.hub.entered();
            behind.waiting.push((change.clone(), *begin, newer));
        } else {
            self.stored.give_up();
        }
    }

    fn catalog_changes(&self) {
        self.behind.lock().open += 1;
    }

    fn catalog_changed(&self) {
        self.behind.lock().ready += 1;
        self.changed.notify_one();
        if let Some(tenant) = self.tenant.upgrade() {
            tenant.catalog.send_modify(|count| *count += 1);
        }
    }

    fn replaced(&self) {
        if let Some(tenant) = self.tenant.upgrade() {
            tenant.hub.replace_database();
            tenant.catalog.send_modify(|count| *count += 1);
            tenant.sockets.attend_all(Attention::RIGHTS);
        }
    }

    fn delivered(&self, frames: u64) {
        if let Some(tenant) = self.tenant.upgrade() {
            tenant.meters.db_events.add(frames);
        }
    }
}

/// Makes every socket ask for its rights again when policies of `realtime.messages` changed.
async fn watch_policies(
    tenant: Weak<Tenant>,
    access: Arc<Access>,
    ears: Arc<Ears>,
    stop: CancellationToken,
) {
    let mut known = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = ears.changed.notified() => {}
        }
        let ready = ears.ready();
        let policies = match access.policies().await {
            Ok(policies) => Some(policies),
            Err(error) => {
                tracing::warn!(%error, "policies of realtime.messages cannot be read; rights are asked for again");
                None
            }
        };
        // The first time nothing is known to compare with.
        if policies.is_some() && known.as_ref() == policies.as_ref() {
            ears.looked_at(ready);
            continue;
        }
        known = policies;
        access.forget();
        let Some(tenant) = tenant.upgrade() else {
            return;
        };
        // What is sent from here on reaches a private channel once its rights are known anew.
        tenant.hub.suspend_private();
        ears.looked_at(ready);
        tenant.sockets.attend_all(Attention::RIGHTS);
    }
}
