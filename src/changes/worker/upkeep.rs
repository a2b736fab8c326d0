//! Keeping what the worker knows of the catalog as new as the stream.

use std::time::Duration;

use tokio::time::Instant;

use super::{SETTLING, Worker};
use crate::changes::measures;

impl Worker {
    /// What is known of the catalog is outdated from this point of the stream on.
    pub(super) async fn invalidate(&mut self) {
        self.flush().await;
        self.state.invalidate();
        self.stale = true;
    }

    /// Reads again what was invalidated. While the database does not answer, the stream has to wait: nothing may be
    /// matched against rights of yesterday.
    pub(super) async fn refresh_if_stale(&mut self) {
        let mut pause = Duration::from_millis(50);
        while self.stale
            || self.state.has_outdated()
            || self.generation != self.state.catalog.generation()
        {
            self.settle().await;
            if self.stale {
                // A join may have read the catalog again before what made it stale was visible.
                self.state.invalidate();
            }
            self.generation = self.state.catalog.generation();
            match self.state.refresh().await {
                Ok(()) => self.stale = false,
                Err(error) => {
                    measures::warn_rarely(|| {
                        tracing::warn!(%error, "the catalog cannot be read; changes wait");
                    });
                    self.stale = true;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Waits until other sessions see the transactions that were received: what is asked now is about them.
    pub(super) async fn settle(&mut self) {
        let started = Instant::now();
        let mut pause = Duration::from_micros(200);
        while !self.unsettled.is_empty() {
            match self
                .state
                .catalog
                .shows(self.unsettled.make_contiguous())
                .await
            {
                Ok(true) => self.unsettled.clear(),
                Ok(false) if started.elapsed() > SETTLING => {
                    // A commit that waits for a standby, for example. What is read now may be outdated.
                    measures::warn_rarely(|| {
                        tracing::warn!(
                            "a committed transaction is not visible yet; its changes are judged without it"
                        );
                    });
                    self.unsettled.clear();
                }
                Ok(false) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                Err(error) => {
                    measures::warn_rarely(|| {
                        tracing::warn!(%error, "the catalog cannot be read; changes wait");
                    });
                    pause = pause.max(Duration::from_millis(50));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Roles fire no event trigger, and where the trigger is missing nothing does: look whether anything changed.
    pub(super) async fn check_fingerprint(&mut self) {
        let mut pause = Duration::from_millis(50);
        loop {
            let result = async {
                let announced = match self.announced {
                    Some(announced) => announced,
                    None => self.state.catalog.announced().await?,
                };
                self.announced = Some(announced);
                self.state.catalog.fingerprint(!announced).await
            };
            match result.await {
                Ok(fingerprint) => {
                    let known = self.fingerprint.replace(fingerprint);
                    if known != self.fingerprint {
                        self.state.invalidate();
                        self.stale = true;
                    }
                    return;
                }
                Err(error) => {
                    measures::warn_rarely(|| {
                        tracing::warn!(%error, "the catalog cannot be read; changes wait");
                    });
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}
