//! One `START_REPLICATION`, from its first byte to its last.
//!
//! Reads while the consumer has room, answers Postgres always. Postgres ends a stream whose client is silent for
//! `wal_sender_timeout`, whether or not that client reads: so the status goes out on a timer of its own, and a
//! consumer that is slow, or stands still, costs nothing but log.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use postgres_protocol::message::backend::Message;
use tokio::time::{Instant, sleep_until};

use super::assemble::{Assembler, Meaning};
use super::error::Error;
use super::event::Event;
use super::feed::Producer;
use super::position::Position;
use super::telemetry::Telemetry;
use super::wire::{Frame, Wire, refusal};
use crate::pgoutput::{Lsn, decode};

/// Longest time between two statuses.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Shortest time between two statuses that nobody asked for: confirming every transaction would double the traffic.
/// Also the longest a clean shutdown of Postgres waits for us, once the consumer has confirmed.
const STATUS_PAUSE: Duration = Duration::from_millis(250);

/// Microseconds from 1970-01-01 to 2000-01-01, where Postgres' clock starts.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// How a stream ended without an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The consumer is gone or the server stops.
    Stop,
    /// The list of publications may have changed; everything up to [`Position::resume`] has been handed over. The
    /// copy still runs: [`Stream::run`] may be called again.
    Publications,
    /// [`Goal::Reached`] or [`Goal::Other`] came true; the copy still runs.
    Goal,
}

/// What ends a stream besides a stop.
pub(super) enum Goal<'a> {
    /// Publications may have changed.
    Publications,
    /// Everything before this position has been handed over.
    Reached(Lsn),
    /// Something else is done.
    Other(&'a mut (dyn Future<Output = ()> + Send + Unpin)),
}

/// What outlives one stream: where we are, and what we know.
pub(super) struct Progress {
    pub(super) assembler: Assembler,
    pub(super) position: Position,
}

pub(super) struct Stream<'a> {
    pub(super) wire: &'a mut Wire,
    pub(super) producer: &'a Producer,
    pub(super) progress: &'a mut Progress,
    pub(super) telemetry: &'a Telemetry,
    /// `wal_sender_timeout`; `None` if it is off.
    pub(super) sender_timeout: Option<Duration>,
    /// Publications may have changed since the list was read.
    pub(super) recheck: bool,
}

/// What the frames that had been read asked for.
#[derive(Default)]
struct Demand {
    reply: bool,
    publications: bool,
}

impl Stream<'_> {
    /// Streams until something ends it, a stop, a failure, or the goal.
    pub(super) async fn run(&mut self, mut goal: Goal<'_>) -> Result<Ended, Error> {
        if let Goal::Reached(_) = goal {
            // On an idle database only an answer tells how far the stream is.
            self.status(true).await?;
        }
        let interval = self.sender_timeout.map_or(STATUS_INTERVAL, |limit| {
            STATUS_INTERVAL.min(limit / 3).max(STATUS_PAUSE)
        });
        // Postgres answers a question at the latest when half its own patience is over, also from the middle of a
        // transaction of which nothing is published.
        let silence = self
            .sender_timeout
            .map_or(Duration::from_secs(120), |limit| limit * 2)
            .max(Duration::from_secs(30));
        let mut last_status = Instant::now();
        let mut next_status = last_status + interval;
        let mut heard = last_status;
        let mut events = Vec::new();
        loop {
            let stops = matches!(goal, Goal::Publications);
            let decoded = self.decode_buffered(stops, &mut events);
            self.producer.push(&mut events);
            let demand = decoded?;
            self.recheck |= demand.publications;
            let between = !self.progress.assembler.in_transaction();
            match goal {
                Goal::Publications if self.recheck && between => {
                    self.status(false).await?;
                    return Ok(Ended::Publications);
                }
                Goal::Reached(target) if between && self.progress.position.received() >= target => {
                    return Ok(Ended::Goal);
                }
                _ => {}
            }
            let now = Instant::now();
            if demand.reply || now >= next_status {
                let room = self.producer.has_room();
                if room && now.duration_since(heard) > silence {
                    return Err(Error::Silent(silence));
                }
                let quiet = now.duration_since(heard) >= interval / 2;
                self.status(room && quiet).await?;
                last_status = now;
                next_status = now + interval;
            }
            let reads = self.producer.has_room();
            if !reads {
                // Silence is ours, not Postgres'.
                heard = now;
            }
            tokio::select! {
                () = self.producer.stop().cancelled() => {
                    self.status(false).await?;
                    return Ok(Ended::Stop);
                }
                read = self.wire.fill(), if reads => {
                    read?;
                    heard = Instant::now();
                    self.telemetry.heard();
                }
                () = self.producer.room(), if !reads => {}
                () = sleep_until(next_status) => {}
                () = self.producer.progressed() => {
                    next_status = next_status.min(last_status + STATUS_PAUSE);
                }
                () = self.producer.recheck_asked() => self.recheck = true,
                () = other(&mut goal) => return Ok(Ended::Goal),
            }
        }
    }

    /// Turns what has been read into events; what came before an error is in `events` all the same.
    fn decode_buffered(&mut self, stops: bool, events: &mut Vec<Event>) -> Result<Demand, Error> {
        let mut demand = Demand::default();
        while let Some(frame) = self.wire.buffered()? {
            match frame {
                Frame::CopyData(data) => self.copy_data(data, events, &mut demand)?,
                Frame::TooLarge => self.progress.assembler.skipped(events),
                Frame::Other(Message::ErrorResponse(body)) => {
                    return Err(Error::Postgres(refusal(&body)));
                }
                Frame::Other(Message::NoticeResponse(_) | Message::ParameterStatus(_)) => {}
                Frame::CopyDone | Frame::CopyBoth | Frame::Other(_) => return Err(Error::Closed),
            }
            if stops && demand.publications {
                // What comes next was decoded with the old list of publications, and may come again with the new one.
                break;
            }
        }
        Ok(demand)
    }

    fn copy_data(
        &mut self,
        data: Bytes,
        events: &mut Vec<Event>,
        demand: &mut Demand,
    ) -> Result<(), Error> {
        let Progress {
            assembler,
            position,
        } = &mut *self.progress;
        match data.first() {
            // Start, end of the log, time: 8 bytes each; pgoutput's own messages say all we need.
            Some(b'w') if data.len() > 25 => match decode(data.slice(25..)) {
                Ok(message) => {
                    if let Meaning::Commit {
                        end,
                        handed,
                        publications,
                    } = assembler.accept(message, events)
                    {
                        position.commit(end, handed);
                        demand.publications |= publications;
                    }
                }
                Err(error) => {
                    tracing::error!(tenant = self.telemetry.tenant(), %error, "part of the replication stream left out");
                    assembler.skipped(events);
                }
            },
            Some(b'k') => {
                let end = data.get(1..9).and_then(|end| end.first_chunk::<8>());
                let end = end.ok_or(Error::Protocol("a keepalive that ends too early"))?;
                position.keepalive(Lsn(u64::from_be_bytes(*end)), assembler.in_transaction());
                demand.reply |= data.get(17) == Some(&1);
            }
            _ => return Err(Error::Protocol("an unknown message in the stream")),
        }
        Ok(())
    }

    /// Tells Postgres how far we are; `question`: and asks for an answer.
    async fn status(&mut self, question: bool) -> Result<(), Error> {
        let position = &mut self.progress.position;
        let confirmed = position.confirm(self.producer.confirmed());
        let received = position.received();
        self.telemetry.lag(position.lag());
        let now = chrono::Utc::now().timestamp_micros() - POSTGRES_EPOCH;
        self.wire
            .send(|buffer| {
                buffer.put_u8(b'd');
                buffer.put_u32(4 + 1 + 4 * 8 + 1);
                buffer.put_u8(b'r');
                buffer.put_u64(received.0);
                buffer.put_u64(confirmed.0);
                buffer.put_u64(confirmed.0);
                buffer.put_i64(now);
                buffer.put_u8(u8::from(question));
                Ok(())
            })
            .await
    }
}

/// Ends when [`Goal::Other`] does.
async fn other(goal: &mut Goal<'_>) {
    match goal {
        Goal::Other(done) => done.await,
        Goal::Publications | Goal::Reached(_) => std::future::pending().await,
    }
}
