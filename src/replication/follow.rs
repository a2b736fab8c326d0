//! Following publications that are created or dropped, without losing what can be kept.
//!
//! Postgres takes the list of publications only at the start of a stream, and a walsender that has ended one logical
//! stream ends the next one at once (seen with 15): so a stream with another list needs another connection. A durable
//! slot is simply passed on. A temporary one goes with its connection, so two of them overlap.

use tokio::time::timeout;

use super::error::Error;
use super::server::{Server, publications};
use super::slot;
use super::stream::{Ended, Goal};
use super::supervise::{PAUSE_ANSWERING, Supervisor};
use super::wire::{PATIENCE, Wire};

impl Supervisor {
    /// Publications may have been created or dropped: looks, and goes on, if necessary on a new connection. `None`: it
    /// was asked to stop.
    pub(super) async fn follow(
        &mut self,
        mut wire: Wire,
        server: &Server,
    ) -> Result<Option<Wire>, Error> {
        let looked = async {
            let mut next = self.login().await?;
            let publications = publications(&mut next, &self.settings).await?;
            Ok::<_, Error>((next, publications))
        };
        let (mut next, publications) = match timeout(PATIENCE, looked).await {
            Ok(Ok(looked)) => looked,
            // No free connection, for example: no reason to give up the one that works.
            Ok(Err(error)) => return Ok(Some(self.look_later(wire, &error))),
            Err(_) => return Ok(Some(self.look_later(wire, &Error::Timeout(PATIENCE)))),
        };
        if publications == self.streaming {
            next.close().await;
            return Ok(Some(wire));
        }
        if publications.is_empty() {
            if self.settings.durable {
                wire.end_copy().await?;
            }
            wire.close().await;
            slot::discard(&mut next, &self.settings).await?;
            return Err(self.no_publication());
        }
        if self.settings.durable {
            // Frees the slot. What Postgres had sent beyond our position is thrown away and comes again.
            wire.end_copy().await?;
            wire.close().await;
            self.progress.assembler.restart(true);
        } else {
            match self.overlap(wire, next, server).await? {
                Some(switched) => next = switched,
                None => return Ok(None),
            }
        }
        self.begin(&mut next, publications).await?;
        Ok(Some(next))
    }

    fn look_later(&self, wire: Wire, error: &Error) -> Wire {
        tracing::warn!(
            tenant = self.settings.tenant,
            error = %error.chain(),
            "cannot look which publications exist, trying again soon"
        );
        self.producer.recheck_later(PAUSE_ANSWERING);
        wire
    }

    /// A temporary slot goes with its connection: the old stream goes on until the new slot exists, and up to where
    /// that starts, so that nothing is missing in between and nothing comes twice.
    async fn overlap(
        &mut self,
        mut wire: Wire,
        mut next: Wire,
        server: &Server,
    ) -> Result<Option<Wire>, Error> {
        let name = slot::other_name(&self.settings, &self.slot_name);
        let mut made = None;
        let ended = {
            let mut making = Box::pin(async {
                made = Some(slot::create(&mut next, &name, false, None).await);
            });
            self.stream(&mut wire, server, Goal::Other(&mut making))
                .await?
        };
        let at = match (ended, made) {
            (Ended::Goal, Some(made)) => made?.at,
            _ => {
                wire.close().await;
                return Ok(None);
            }
        };
        let ended = self.stream(&mut wire, server, Goal::Reached(at)).await?;
        wire.close().await;
        if ended == Ended::Stop {
            return Ok(None);
        }
        self.slot_name = name;
        self.progress.assembler.restart(true);
        Ok(Some(next))
    }
}
