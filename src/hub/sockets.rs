//! The live sockets of a tenant: to close them, to count them, and to make each look at something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use tokio::sync::Notify;

use super::{Attention, Closing, Outbox};

/// See the module.
#[derive(Default)]
pub struct Sockets {
    next: AtomicU64,
    sockets: DashMap<u64, Arc<Outbox>, ahash::RandomState>,
    users: AtomicUsize,
    restarting: AtomicBool,
    empty: Notify,
}

impl Sockets {
    /// Number of live sockets.
    pub fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Sockets that joined a channel at least once: what `max_concurrent_users` counts (protocol.md §7.1).
    pub fn users(&self) -> usize {
        self.users.load(Ordering::Relaxed)
    }

    /// The live sockets at this moment.
    pub fn all(&self) -> Vec<Arc<Outbox>> {
        self.sockets
            .iter()
            .map(|entry| Arc::clone(&entry))
            .collect()
    }

    /// The server goes away: no channel may be joined any more.
    pub fn restart(&self) {
        self.restarting.store(true, Ordering::Relaxed);
    }

    /// Whether it does.
    pub fn restarting(&self) -> bool {
        self.restarting.load(Ordering::Relaxed)
    }

    /// Closes every socket with a code; those that open later are not affected.
    pub fn close_all(&self, code: u16) {
        for socket in &self.sockets {
            socket.close(Closing::Code(code));
        }
    }

    /// Makes every socket look at something.
    pub fn attend_all(&self, attention: Attention) {
        for socket in &self.sockets {
            socket.attend(attention);
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

    /// Registers a socket until the entry is dropped.
    pub fn enter(self: &Arc<Self>, outbox: Arc<Outbox>) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.sockets.insert(id, outbox);
        Entry {
            sockets: Arc::clone(self),
            id,
            counted: AtomicBool::new(false),
        }
    }
}

/// A socket's place among the others; it leaves by dropping.
pub struct Entry {
    sockets: Arc<Sockets>,
    id: u64,
    counted: AtomicBool,
}

impl Entry {
    /// Whether this socket is counted as a user.
    pub fn counted(&self) -> bool {
        self.counted.load(Ordering::Relaxed)
    }

    /// Counts it as a user from now on.
    pub fn count(&self) {
        if !self.counted.swap(true, Ordering::Relaxed) {
            self.sockets.users.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.counted() {
            self.sockets.users.fetch_sub(1, Ordering::Relaxed);
        }
        self.sockets.sockets.remove(&self.id);
        if self.sockets.sockets.is_empty() {
            self.sockets.empty.notify_waiters();
        }
    }
}
