//! Who may read and write a private topic: decided by the policies on `realtime.messages`, by Postgres itself.
//!
//! A question puts probe rows into the table, takes on the role and the claims, looks which of them it sees (read) or tries
//! to insert them (write), and rolls back (postgres.md §5). Questions that come while a connection is busy share its next
//! round trip ([`statement`]); the same question of several askers is asked once; answers are kept for a second. Whoever
//! is slow waits in a lane of its own ([`queue`]). In doubt nothing is allowed: every failure is an `Err`, and none is
//! remembered.
//!
//! Knows nothing of sockets and channels; what a right means for them is theirs to say.

mod cache;
mod failure;
mod link;
pub mod measures;
mod question;
mod queue;
mod runner;
mod statement;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::auth::Claims;
use crate::postgres::{ConnectOptions, Snapshot};

use cache::Cache;
pub use failure::{Failure, denied, lost, unauthorized};
pub use measures::Totals;
use question::{Answer, Ask};
use queue::Duty;
use runner::Shared;

/// A question that was outdated by [`Access::forget`] so many times is given up.
const TRIES: usize = 10;

/// How questions are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Connections to the database, at least one. With two or more, one of them deals with slow policies.
    pub connections: usize,
    /// Longest time of one statement. While others wait behind it, a question gets a fifth of that, and then once more
    /// all of it, alone.
    pub statement_timeout: Duration,
    /// Longest time a question waits for a connection.
    pub queue_timeout: Duration,
    /// How long an answer serves those who ask the same.
    pub cache_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 2,
            statement_timeout: Duration::from_secs(5),
            queue_timeout: Duration::from_secs(5),
            cache_for: Duration::from_secs(1),
        }
    }
}

/// Who asks for which topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Sub-topic, without `realtime:`.
    pub topic: Arc<str>,
    /// The verified token.
    pub claims: Arc<Claims>,
    /// JSON object of header names (lower case) and values; `{}` when there are none.
    pub headers: Arc<str>,
}

/// What the policies allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rights {
    /// Broadcasts of the topic.
    pub broadcast: bool,
    /// Presence of the topic.
    pub presence: bool,
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The messages, oldest first.
    pub rows: Vec<Stored>,
    /// Which transactions it saw: what they sent is in `rows`, or too old for it.
    pub snapshot: Option<Snapshot>,
}

/// A message that was sent from the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of the row.
    pub id: Uuid,
    /// Its name.
    pub event: String,
    /// Its content.
    pub body: StoredBody,
}

/// Content of a [`Stored`] message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredBody {
    /// As Postgres writes `jsonb`.
    Json(String),
    /// `binary_payload`.
    Binary(Bytes),
}

/// The rights of one database. Connects when it is first asked, and again whenever it must. Dropping it ends its tasks and
/// connections.
pub struct Access {
    shared: Arc<Shared>,
    cache: Cache,
    runners: Vec<JoinHandle<()>>,
}

impl Access {
    /// Starts the tasks; nothing is connected yet.
    #[must_use]
    pub fn start(options: ConnectOptions, settings: Settings) -> Arc<Self> {
        let shared = Arc::new(Shared::new(options, settings));
        let runners = Duty::of(shared.settings.connections)
            .into_iter()
            .map(|duty| tokio::spawn(runner::run(shared.clone(), duty)))
            .collect();
        Arc::new(Self {
            shared,
            cache: Cache::default(),
            runners,
        })
    }

    /// What the subject may read. Without `presence` that is not asked and comes back false.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn read(&self, subject: &Subject, presence: bool) -> Result<Rights, Failure> {
        let subject = subject.clone();
        self.rights(Ask::Read { subject, presence }, false).await
    }

    /// What the subject may write.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn write(&self, subject: &Subject) -> Result<Rights, Failure> {
        self.rights(Ask::Write(subject.clone()), false).await
    }

    /// As [`Access::read`], asked after this call and never answered from memory.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn read_again(&self, subject: &Subject, presence: bool) -> Result<Rights, Failure> {
        let subject = subject.clone();
        self.rights(Ask::Read { subject, presence }, true).await
    }

    /// The newest `limit` private broadcasts of the topic that the database sent since `since_ms` (milliseconds since
    /// 1970, inclusive), oldest first. Asked as the server: whether somebody may have them is the caller's to ask.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn replay(&self, topic: &str, since_ms: i64, limit: i64) -> Result<Replay, Failure> {
        if topic.contains('\0') {
            return Ok(Replay::default());
        }
        let ask = Ask::Replay {
            topic: topic.into(),
            since_ms,
            limit,
        };
        match self.ask(ask).await? {
            Answer::Rows(rows) => Ok(Arc::unwrap_or_clone(rows)),
            Answer::Rights(_) | Answer::Text(_) => Err(wrong_kind()),
        }
    }

    /// Policies or grants may have changed: nothing that was answered before counts any more, and what is under way is
    /// asked again.
    pub fn forget(&self) {
        self.shared.version.fetch_add(1, Ordering::AcqRel);
    }

    /// A text that is another one when the policies, row level security, the grants or the owner of `realtime.messages`,
    /// or what roles inherit and bypass, have changed.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn policies(&self) -> Result<String, Failure> {
        match self.ask(Ask::Policies).await? {
            Answer::Text(text) => Ok(text),
            Answer::Rights(_) | Answer::Rows(_) => Err(wrong_kind()),
        }
    }

    /// Whether the database answers; connects for that.
    pub async fn reachable(&self) -> bool {
        !matches!(
            self.ask(Ask::Ping).await,
            Err(Failure::Unreachable(_) | Failure::RateLimited | Failure::LackOfConnections)
        )
    }

    /// What has been asked so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shared.counters.totals()
    }

    async fn rights(&self, ask: Ask, fresh: bool) -> Result<Rights, Failure> {
        if let Some(refusal) = ask.subject().and_then(unusable) {
            return Err(refusal);
        }
        for _ in 0..TRIES {
            let version = self.shared.version.load(Ordering::Acquire);
            let now = Instant::now();
            let keep = self.shared.settings.cache_for;
            let flight = match self.cache.find(&ask, version, now, keep, fresh) {
                Some(flight) => flight,
                None => {
                    let slow = self.shared.queue.admit(&ask, now)?;
                    let (job, flight) = question::Flight::new(
                        ask.clone(),
                        now,
                        self.shared.settings.queue_timeout,
                        slow,
                    );
                    self.cache.insert(&ask, flight.clone(), now, keep);
                    self.shared.queue.push(job);
                    flight
                }
            };
            let result = self.wait(&flight, now).await;
            let decided = match &result {
                Ok(_) => true,
                Err(failure) => failure.denies(),
            };
            if decided && flight.version() != self.shared.version.load(Ordering::Acquire) {
                continue;
            }
            return match result? {
                Answer::Rights(rights) => Ok(rights),
                Answer::Rows(_) | Answer::Text(_) => Err(wrong_kind()),
            };
        }
        Err(Failure::Canceled(
            "the policies change faster than they can be asked".to_owned(),
        ))
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, Failure> {
        let now = Instant::now();
        let (job, flight) =
            question::Flight::new(ask, now, self.shared.settings.queue_timeout, false);
        self.shared.queue.push(job);
        self.wait(&flight, now).await
    }

    async fn wait(&self, flight: &question::Flight, since: Instant) -> question::Result {
        let settings = &self.shared.settings;
        let mut deadline = since + settings.queue_timeout;
        // Asked in the fast lane and the slow one, and a connection that broke; the runners answer well before that.
        let end = deadline + settings.statement_timeout * 10 + Duration::from_secs(30);
        loop {
            if let Some(result) = flight.answer(deadline).await {
                return result;
            }
            if flight.is_lost() {
                return Err(Failure::Unreachable("the server is stopping".to_owned()));
            }
            let now = Instant::now();
            if !flight.is_sent() || now >= end {
                return Err(match self.shared.up.load(Ordering::Relaxed) {
                    0 => Failure::Unreachable("no connection in time".to_owned()),
                    _ => flight.too_late(),
                });
            }
            deadline = (now + Duration::from_millis(500)).min(end);
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        for runner in &self.runners {
            runner.abort();
        }
    }
}

/// What must not get to the database.
fn unusable(subject: &Subject) -> Option<Failure> {
    let role = &subject.claims.role;
    // `none`, and no role at all, would be the role of the server, for whom no policy counts.
    if role.is_empty() || role.eq_ignore_ascii_case("none") {
        return Some(Failure::Policy {
            code: "22023".to_owned(),
            message: "the token names no role".to_owned(),
        });
    }
    let texts = [
        &*subject.topic,
        &subject.claims.json,
        role,
        &subject.headers,
    ];
    texts
        .iter()
        .any(|text| text.contains('\0'))
        .then(|| Failure::Policy {
            code: "22021".to_owned(),
            message: "Postgres has no text with a null character".to_owned(),
        })
}

fn wrong_kind() -> Failure {
    Failure::Other("the answer is to another question".to_owned())
}
