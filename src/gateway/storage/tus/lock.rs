//! One request at a time for each upload.
//!
//! A second part is refused while one comes in. But a client that asks how far its upload is has lost the first
//! connection, which this side may not notice for minutes: asking ends it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long one waits for the other to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Clone, Default)]
pub(in crate::gateway::storage) struct Locks(Arc<Mutex<HashMap<Uuid, Holder>>>);

#[derive(Clone)]
struct Holder {
    /// Asks it to end.
    stop: CancellationToken,
    /// It has ended.
    gone: CancellationToken,
}

/// The right to work on an upload, until it is dropped.
pub(super) struct Held {
    locks: Locks,
    id: Uuid,
    holder: Holder,
}

impl Locks {
    /// The right, if nobody has it.
    pub(super) fn take(&self, id: Uuid) -> Option<Held> {
        let mut holders = self.0.lock();
        if holders.contains_key(&id) {
            return None;
        }
        let holder = Holder {
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
        };
        holders.insert(id, holder.clone());
        Some(Held {
            locks: self.clone(),
            id,
            holder,
        })
    }

    /// The right, after whoever has it was asked to end. None if that takes too long.
    pub(super) async fn take_over(&self, id: Uuid) -> Option<Held> {
        let taking = async {
            loop {
                let holder = self.0.lock().get(&id).cloned();
                if let Some(holder) = holder {
                    holder.stop.cancel();
                    holder.gone.cancelled().await;
                }
                if let Some(held) = self.take(id) {
                    return held;
                }
            }
        };
        tokio::time::timeout(PATIENCE, taking).await.ok()
    }

    /// Whether somebody works on it.
    pub(in crate::gateway::storage) fn is_held(&self, id: Uuid) -> bool {
        self.0.lock().contains_key(&id)
    }
}

impl Held {
    /// Somebody else wants it.
    pub(super) async fn stopped(&self) {
        self.holder.stop.cancelled().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.0.lock().remove(&self.id);
        self.holder.gone.cancel();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn one_has_it_and_the_other_asks_for_it() {
        let locks = Locks::default();
        let id = Uuid::new_v4();
        let first = locks.take(id).unwrap();
        assert!(locks.take(id).is_none());
        assert!(locks.take(Uuid::new_v4()).is_some());
        let other = locks.clone();
        let waiting = tokio::spawn(async move { other.take_over(id).await.is_some() });
        first.stopped().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(!locks.is_held(id));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_is_not_waited_for() {
        let locks = Locks::default();
        let id = Uuid::new_v4();
        let _first = locks.take(id).unwrap();
        assert!(locks.take_over(id).await.is_none());
    }
}
