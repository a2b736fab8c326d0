//! The live sockets of a server, so that a shutdown can close them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::hub::{Closing, Outbox};

/// See the module.
#[derive(Default)]
pub struct Registry {
    next: AtomicU64,
    sockets: DashMap<u64, Arc<Outbox>, ahash::RandomState>,
    empty: Notify,
}

impl Registry {
    /// Number of live sockets.
    pub fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Closes every socket with a code; those that open later are not affected.
    pub fn close_all(&self, code: u16) {
        for socket in &self.sockets {
            socket.close(Closing::Code(code));
        }
    }

    /// Resolves when no socket is left.
    pub async fn wait_empty(&self) {
        loop {
            let changed = self.empty.notified();
            if self.sockets.is_empty() {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn enter(self: &Arc<Self>, outbox: Arc<Outbox>) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.sockets.insert(id, outbox);
        Entry {
            registry: Arc::clone(self),
            id,
        }
    }
}

/// A socket's place in the registry; it leaves by dropping.
pub(super) struct Entry {
    registry: Arc<Registry>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.sockets.remove(&self.id);
        if self.registry.sockets.is_empty() {
            self.registry.empty.notify_waiters();
        }
    }
}
