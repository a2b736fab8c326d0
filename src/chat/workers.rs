//! Starts and stops what runs without being asked: push notifications, and writing down who is online.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::{presence, push};
use crate::config::ChatConfig;
use crate::postgres::ConnectOptions;
use crate::presence::Presence;

/// Longest time for the workers to finish what they have begun.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The workers of the messaging system. They wait for the database, and for the tables, for as long as it takes.
pub struct Workers {
    presence: Arc<Presence>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the workers over the tenant's database, before the first socket is served.
    pub fn start(config: &ChatConfig, connect: &ConnectOptions, presence: &Arc<Presence>) -> Self {
        let stop = CancellationToken::new();
        let link = Link::new(connect.clone(), "dovetail_chat_presence");
        let writer = presence::Writer::new(link, Arc::clone(presence));
        let mut tasks = vec![tokio::spawn(writer.run(stop.clone()))];
        match push::start(config, connect.clone(), stop.clone()) {
            Some(worker) => tasks.push(worker),
            None => tracing::info!("nothing is pushed: VAPID_PRIVATE_KEY is not set"),
        }
        Self {
            presence: Arc::clone(presence),
            stop,
            tasks,
        }
    }

    /// From this call on nobody is written offline: call it before sockets are closed, because those who leave then come back
    /// to the next server. What it gives resolves when the workers have finished what they had begun.
    pub fn stop(self) -> impl Future<Output = ()> {
        self.presence.people.ignore();
        self.stop.cancel();
        async {
            let ended = futures_util::future::join_all(self.tasks);
            if timeout(STOP_WITHIN, ended).await.is_err() {
                tracing::warn!("workers of the messaging system left behind");
            }
        }
    }
}
