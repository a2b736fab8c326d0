//! Writes who is online into `user_presence` (C-105), so that "last seen" survives a restart.
//!
//! The only source is [`People`]: the `sub`s of verified tokens that track on the private topic `presence:<organisation>`.
//! What changes within [`DEBOUNCE`] is one statement for everybody, and only what differs from what was written before is
//! in it; a user who comes and goes all the time costs at most a row in each. Presence messages never wait for any of this.
//!
//! Several servers may write. Each renews those who are with it every [`RENEW_AFTER`]; who was not renewed for 11 minutes is
//! written offline by whichever server looks next, so what a killed server left behind is gone by then. A user with tabs at two
//! servers may be shown offline until the next renewal when one of the tabs is closed. A server that stops leaves its users
//! online: they come back to the next one within seconds, and who does not is found by the same rule.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::link::{Failure, Link};
use crate::presence::Presence;

/// What happens within this time of a change is written with it.
const DEBOUNCE: Duration = Duration::from_secs(1);
/// Who stays online is written again after this time, less than half of what readers allow.
const RENEW_AFTER: Duration = Duration::from_secs(300);
/// Between two looks for whom to renew: so much later than necessary it happens at most.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Users in one statement.
const BATCH: usize = 5000;
/// Longest pause between two attempts to reach the database.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// How long a stop waits for the last statement.
const STOP_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    link: Link,
    presence: Arc<Presence>,
    /// Who is online as far as the database was told, and when.
    written: HashMap<Uuid, Instant>,
    /// What it is still to be told.
    waiting: HashMap<Uuid, bool>,
}

impl Writer {
    pub(super) fn new(link: Link, presence: Arc<Presence>) -> Self {
        presence.people.watch();
        Self {
            link,
            presence,
            written: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// Until it is stopped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut look_at = Instant::now();
        let mut expire_at = Instant::now();
        let mut backoff = Duration::ZERO;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.presence.people.changed() => {}
                () = sleep_until(look_at) => {}
            }
            let gathered = Instant::now() + DEBOUNCE.max(backoff);
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(gathered) => {}
            }
            let now = Instant::now();
            if look_at <= now {
                self.renew(now);
                look_at = now + LOOK_EVERY;
            }
            match self.write(&mut expire_at).await {
                Ok(()) => backoff = Duration::ZERO,
                Err(error) => {
                    if backoff.is_zero() {
                        tracing::warn!(%error, hint = error.hint(), "who is online waits for the database");
                    }
                    backoff = (backoff * 2).clamp(DEBOUNCE, MAX_BACKOFF);
                    look_at = now;
                }
            }
        }
        // The last changes from before the stop.
        let _ = timeout(STOP_WITHIN, self.write(&mut expire_at)).await;
    }

    fn renew(&mut self, now: Instant) {
        let due = self
            .written
            .iter()
            .filter(|(_, at)| **at + RENEW_AFTER <= now);
        for (person, _) in due {
            self.waiting.insert(*person, true);
        }
    }

    async fn write(&mut self, expire_at: &mut Instant) -> Result<(), Failure> {
        for (person, there) in self.presence.people.take() {
            self.waiting.insert(person, there);
            if there && self.written.contains_key(&person) {
                // Away and back meanwhile.
                self.waiting.remove(&person);
            }
        }
        let list: Vec<(Uuid, bool)> = self.waiting.iter().map(|(p, there)| (*p, *there)).collect();
        for part in list.chunks(BATCH) {
            let (persons, there): (Vec<Uuid>, Vec<bool>) = part.iter().copied().unzip();
            let client = self.link.client().await?;
            let sql = "select chat.write_presence($1, $2)";
            client.execute(sql, &[&persons, &there]).await?;
            let now = Instant::now();
            for (person, there) in part {
                self.waiting.remove(person);
                match there {
                    true => self.written.insert(*person, now),
                    false => self.written.remove(person),
                };
            }
        }
        if *expire_at <= Instant::now() {
            let client = self.link.client().await?;
            client.execute("select chat.expire_presence()", &[]).await?;
            *expire_at = Instant::now() + RENEW_AFTER;
        }
        Ok(())
    }
}
