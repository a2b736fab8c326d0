//! One tenant: a database with keys and limits, and everything that hangs on it. There are no globals.
//!
//! What a tenant is told ([`Settings`]) may change while it runs; its database ([`Backend`]) is opened when it is needed
//! and may be released when it is not. Sockets stay through both.

mod backend;
mod maintenance;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

pub use backend::Backend;
pub use maintenance::{prepare_database, prepare_embedded};
pub use settings::{DatabaseSettings, Embedded, Limits, PresenceExcess, Settings};

use crate::hub::{Attention, Event, Hub, Kind, Sockets};
use crate::limits::{Meters, REQUEST_TICK, TICK};
use crate::presence::Presence;

/// Close code when the server ends a tenant's sockets; clients reconnect (protocol.md §3.18).
pub const SERVICE_RESTART: u16 = 1012;

/// See the module. Shared by every socket of the tenant.
pub struct Tenant {
    /// Name in URLs and metrics; the first label of the host when tenants are chosen by host (protocol.md §1.3).
    pub external_id: Arc<str>,
    /// Topics and their members.
    pub hub: Arc<Hub>,
    /// Who is where.
    pub presence: Arc<Presence>,
    /// What happens how often.
    pub meters: Meters,
    /// Live sockets.
    pub sockets: Arc<Sockets>,
    /// Counts what the stream says of changed tables, functions, policies and rights.
    pub catalog: watch::Sender<u64>,
    settings: ArcSwap<Settings>,
    backend: Mutex<Option<Arc<Backend>>>,
}

impl Tenant {
    /// A tenant without sockets, whose database is not opened yet. `presence_leave_grace` is how long the leave of a lost
    /// socket is held. Runs its own clock for as long as it lives.
    pub fn new(
        external_id: impl Into<Arc<str>>,
        settings: Settings,
        presence_leave_grace: Duration,
    ) -> Arc<Self> {
        let meters = Meters::new(settings.rates);
        let hub = Arc::new(Hub::new(
            Arc::clone(&meters.events),
            Arc::clone(&meters.presence_events),
        ));
        let tenant = Arc::new(Self {
            external_id: external_id.into(),
            presence: Presence::new(Arc::clone(&hub), presence_leave_grace),
            hub,
            meters,
            sockets: Arc::default(),
            catalog: watch::Sender::default(),
            settings: ArcSwap::from_pointee(settings),
            backend: Mutex::new(None),
        });
        tokio::spawn(tick(Arc::downgrade(&tenant)));
        tenant
    }

    /// What it is told now.
    pub fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// The same, to keep.
    pub fn settings_now(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Its database, opened if it is not.
    pub fn backend(self: &Arc<Self>) -> Arc<Backend> {
        let mut backend = self.backend.lock();
        let opened = backend.get_or_insert_with(|| Backend::open(self));
        Arc::clone(opened)
    }

    /// Its database if it is open.
    pub fn opened(&self) -> Option<Arc<Backend>> {
        self.backend.lock().clone()
    }

    /// Tells it something else (protocol.md §8.5 item 5). Sockets are closed when they must come back to learn of it; a
    /// changed database is opened anew without that. Keys count as changed when they are another `Arc`.
    pub fn reconfigure(self: &Arc<Self>, new: Settings) {
        let old = self.settings.swap(Arc::new(new));
        let new = self.settings.load_full();
        if old.rates != new.rates {
            self.meters.set(new.rates);
        }
        if old.database != new.database {
            let opened = self.release();
            // Before anything of the new database can be heard.
            self.hub.replace_database();
            if opened {
                self.backend();
            }
            self.sockets.attend_all(Attention::DATABASE);
        }
        let must_reconnect = !Arc::ptr_eq(&old.keys, &new.keys)
            || old.suspend != new.suspend
            || old.private_only != new.private_only;
        if must_reconnect {
            self.disconnect_all();
        }
    }

    /// Says so on every channel, then closes every socket with 1012 (protocol.md §3.18, P-108).
    pub fn disconnect_all(&self) {
        let payload =
            r#"{"extension":"system","status":"ok","message":"Server requested disconnect"}"#;
        self.hub.publish_everywhere(Event::Text {
            kind: Kind::System,
            payload: payload.as_bytes(),
        });
        self.sockets.close_all(SERVICE_RESTART);
    }

    /// Closes every connection to its database; the next one who needs it opens it again. `false` when it was not open.
    pub fn release(&self) -> bool {
        let backend = self.backend.lock().take();
        backend.inspect(|backend| backend.stop()).is_some()
    }
}

/// The clock of the meters, for as long as the tenant lives.
async fn tick(tenant: std::sync::Weak<Tenant>) {
    let mut clock = tokio::time::interval(REQUEST_TICK);
    let ticks = TICK.as_secs() / REQUEST_TICK.as_secs().max(1);
    let mut count = 0;
    loop {
        clock.tick().await;
        let Some(tenant) = tenant.upgrade() else {
            return;
        };
        tenant.meters.requests.tick();
        count += 1;
        if count % ticks == 0 {
            tenant.meters.tick();
        }
    }
}
