//! The task that keeps the stream running: connect, find out what there is, make the slot, stream, and after any
//! failure wait a bounded while and start again, for ever.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use postgres_protocol::escape::escape_identifier;
use tokio::time::{Instant, sleep};

use super::error::Error;
use super::event::{Event, GapReason, LostReason};
use super::feed::{Producer, Status};
use super::login::login;
use super::server::{Identity, Server, publications, server};
use super::slot;
use super::stream::{Ended, Goal, Progress, Stream};
use super::telemetry::Telemetry;
use super::wire::Wire;
use super::{MESSAGES_PUBLICATION, Settings};
use crate::pgoutput::Lsn;

/// First pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause while the database answers (G-196).
pub(super) const PAUSE_ANSWERING: Duration = Duration::from_secs(5);
/// Longest pause while it does not.
const PAUSE_SILENT: Duration = Duration::from_secs(15);
/// Longest pause while there is nothing to stream; [`super::Watch::recheck`] ends it early.
const PAUSE_NO_PUBLICATION: Duration = Duration::from_secs(30);
/// A stream that ran for this long counts as a success: the next failure is a new one.
const PROVEN: Duration = Duration::from_secs(1);
/// What a running stream has for its last words when it is stopped.
const FAREWELL: Duration = Duration::from_secs(1);
/// So many failures in a row at the same point of a durable slot, and the slot is made again: nothing else will help.
const STUCK: u32 = 8;

/// Runs until the consumer is gone or the server stops.
pub(super) async fn supervise(settings: Settings, producer: Producer) {
    let stop = producer.stop().clone();
    let mut supervisor = Supervisor {
        telemetry: Telemetry::new(&settings.tenant),
        producer,
        progress: Progress {
            assembler: Default::default(),
            position: Default::default(),
        },
        slot_name: settings.slot.clone(),
        streaming: Vec::new(),
        recheck: false,
        new_slot: false,
        streamed: false,
        running_since: None,
        identity: None,
        gap: None,
        recreate: None,
        failures: 0,
        stuck: Stuck::default(),
        settings,
    };
    loop {
        let ended = tokio::select! {
            ended = supervisor.attempt() => ended,
            // A running stream ends itself, with a last status; whatever else is going on is dropped.
            () = async { stop.cancelled().await; sleep(FAREWELL).await } => return,
        };
        let Err(error) = ended else { return };
        let pause = supervisor.failed(&error);
        if stop
            .run_until_cancelled(supervisor.pause(pause, &error))
            .await
            .is_none()
        {
            return;
        }
    }
}

pub(super) struct Supervisor {
    pub(super) settings: Settings,
    pub(super) producer: Producer,
    pub(super) telemetry: Telemetry,
    pub(super) progress: Progress,
    /// The slot we stream from.
    pub(super) slot_name: String,
    /// The publications we stream.
    pub(super) streaming: Vec<Box<str>>,
    /// They may have changed.
    recheck: bool,
    /// The slot of this connection was made for it.
    new_slot: bool,
    /// The stream has run before, so a new slot means a gap.
    streamed: bool,
    /// It runs, since when.
    running_since: Option<Instant>,
    /// What we streamed from last.
    identity: Option<Identity>,
    /// Commits may have been missed, and the consumer does not know yet.
    gap: Option<GapReason>,
    /// The durable slot cannot be used any more.
    recreate: Option<GapReason>,
    /// Failures since it last ran well.
    failures: u32,
    stuck: Stuck,
}

/// How often Postgres failed at the same point of the log.
#[derive(Default)]
struct Stuck {
    at: Lsn,
    times: u32,
}

impl Supervisor {
    /// Connects and streams. `Ok`: it was asked to stop.
    async fn attempt(&mut self) -> Result<(), Error> {
        let mut wire = self.login().await?;
        let server = server(&mut wire).await?;
        let publications = publications(&mut wire, &self.settings).await?;
        if publications.is_empty() {
            slot::discard(&mut wire, &self.settings).await?;
            return Err(self.no_publication());
        }
        self.slot(&mut wire, &server.identity).await?;
        self.begin(&mut wire, publications).await?;
        loop {
            let goal = Goal::Publications;
            let ended = self.stream(&mut wire, &server, goal).await?;
            match ended {
                Ended::Publications => match self.follow(wire, &server).await? {
                    Some(next) => wire = next,
                    None => return Ok(()),
                },
                Ended::Stop | Ended::Goal => {
                    wire.close().await;
                    return Ok(());
                }
            }
        }
    }

    pub(super) async fn login(&self) -> Result<Wire, Error> {
        login(&self.settings.connect, self.settings.max_message_bytes).await
    }

    pub(super) async fn stream(
        &mut self,
        wire: &mut Wire,
        server: &Server,
        goal: Goal<'_>,
    ) -> Result<Ended, Error> {
        let mut stream = Stream {
            wire,
            producer: &self.producer,
            progress: &mut self.progress,
            telemetry: &self.telemetry,
            sender_timeout: server.sender_timeout,
            recheck: std::mem::take(&mut self.recheck),
        };
        let ended = stream.run(goal).await;
        self.recheck = stream.recheck && !matches!(ended, Ok(Ended::Publications));
        ended
    }

    pub(super) fn no_publication(&self) -> Error {
        Error::NoPublication(self.settings.publication.clone(), MESSAGES_PUBLICATION)
    }

    /// Makes sure there is a slot, and says so if something may have been missed.
    async fn slot(&mut self, wire: &mut Wire, identity: &Identity) -> Result<(), Error> {
        let slot = slot::prepare(wire, &self.settings, self.recreate).await?;
        self.recreate = None;
        self.recheck = false;
        self.slot_name.clone_from(&self.settings.slot);
        self.new_slot = slot.is_new;
        let before = self.identity.replace(identity.clone());
        let moved = before.is_some_and(|before| before != *identity);
        if moved {
            self.producer.forget_confirmed();
        }
        if slot.is_new || moved {
            self.progress.assembler.restart(false);
            self.progress.position.reset(slot.at);
        } else {
            self.progress.assembler.restart(true);
            self.progress.position.started(slot.at);
        }
        let made_again = match (self.streamed, slot.is_new) {
            (false, _) => None,
            (true, false) => moved.then_some(GapReason::Failover),
            (true, true) if self.settings.durable => Some(GapReason::SlotLost),
            (true, true) => Some(GapReason::TemporarySlot),
        };
        // Told when the stream runs: until then another try may make another slot.
        self.gap = slot.lost.or(made_again).or(self.gap);
        Ok(())
    }

    /// Starts streaming where we are.
    pub(super) async fn begin(
        &mut self,
        wire: &mut Wire,
        publications: Vec<Box<str>>,
    ) -> Result<(), Error> {
        let names: Vec<String> = publications
            .iter()
            .map(|name| escape_identifier(name).replace('\'', "''"))
            .collect();
        let at = self.progress.position.resume();
        let command = format!(
            "START_REPLICATION SLOT {} LOGICAL {at} \
             (proto_version '1', publication_names '{}', messages 'true')",
            escape_identifier(&self.slot_name),
            names.join(","),
        );
        match wire.copy_both(&command).await {
            Err(error) if error.code() == Some("55006") => {
                return Err(Error::SlotInUse(self.slot_name.clone()));
            }
            other => other?,
        }
        tracing::info!(
            tenant = self.settings.tenant,
            slot = self.slot_name,
            publications = names.join(","),
            %at,
            "replication stream running"
        );
        if self.running_since.is_none() {
            self.running_since = Some(Instant::now());
            self.telemetry.live(self.streamed);
            self.streamed = true;
            if let Some(reason) = self.gap.take() {
                self.telemetry.gap(reason);
                self.producer.push_one(Event::Gap { reason });
            }
            self.producer.push_one(Event::Live {
                slot_is_new: self.new_slot,
                at,
            });
        }
        self.streaming.clone_from(&publications);
        self.producer.push_one(Event::Publications(publications));
        self.producer.set_status(Status::Live { at });
        Ok(())
    }

    /// Tells everybody, and decides what to do differently next time and when that is.
    fn failed(&mut self, error: &Error) -> Duration {
        let text = error.chain();
        if let Some(since) = self.running_since.take() {
            let reason = match error {
                Error::Postgres(_) => LostReason::Postgres,
                Error::NoPublication(..) => LostReason::NoPublication,
                _ => LostReason::Connection,
            };
            self.telemetry.lost(reason, error);
            self.producer.push_one(Event::Lost { reason });
            if since.elapsed() >= PROVEN {
                self.failures = 0;
            }
        } else {
            self.telemetry.trouble(&text);
        }
        self.producer.set_status(Status::Waiting {
            reason: text.into(),
        });
        self.judge_slot(error);
        let longest = match error {
            Error::NoPublication(..) => PAUSE_NO_PUBLICATION,
            _ if error.database_answers() => PAUSE_ANSWERING,
            _ => PAUSE_SILENT,
        };
        let pause = PAUSE_MIN
            .saturating_mul(1 << self.failures.min(16))
            .min(longest);
        self.failures += 1;
        // Between half and all of it, so that many tenants of one server do not come back in step.
        pause.mul_f64(0.5 + 0.5 * random())
    }

    /// A durable slot whose log Postgres cannot decode is made again.
    fn judge_slot(&mut self, error: &Error) {
        let Some(code) = error.code() else { return };
        // Wrong state, a missing file, an internal error. All else, a shutdown or a missing right for example, is not
        // the slot's fault.
        let suspicious = matches!(code.get(..2), Some("55" | "58" | "XX"));
        if !self.settings.durable || !(suspicious || code == "42704") {
            return;
        }
        let at = self.progress.position.resume();
        if self.stuck.at != at {
            self.stuck = Stuck { at, times: 0 };
        }
        self.stuck.times += 1;
        // 42704: a publication did not exist at a point of the log we have to pass (§2.20); waiting does not help.
        if code == "42704" || self.stuck.times >= STUCK {
            self.stuck.times = 0;
            self.recreate = Some(GapReason::SlotStuck);
        }
    }

    async fn pause(&self, pause: Duration, error: &Error) {
        if matches!(error, Error::NoPublication(..)) {
            // Joins ask for a look; all of them together get a few looks a second.
            sleep(pause.min(Duration::from_millis(250))).await;
            tokio::select! {
                () = sleep(pause) => {}
                () = self.producer.recheck_asked() => {}
            }
        } else {
            sleep(pause).await;
        }
    }
}

/// Between 0 and 1; good enough to spread retries.
fn random() -> f64 {
    let bits = std::hash::RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
}
