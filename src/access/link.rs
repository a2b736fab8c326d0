//! One connection: how it is set up, and one batch of questions on it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow, SimpleQueryStream};
use uuid::Uuid;

use super::question::{Answer, Ask, Job};
use super::{Failure, Replay, Rights, Stored, StoredBody, statement};
use crate::postgres::{self, ConnectOptions, Snapshot};

/// How long after all time limits an answer may still come before the connection counts as dead.
const GRACE: Duration = Duration::from_secs(5);

/// A connection whose session is set up.
pub(super) struct Link {
    client: Client,
    driver: JoinHandle<()>,
    /// `realtime.messages` has `binary_payload`.
    with_binary: bool,
    /// Something was sent and not all of it answered.
    busy: bool,
}

/// What came of one question.
pub(super) enum Outcome {
    Answered(Answer),
    Failed(Failure),
    /// The time limit, in Postgres' words.
    Cancelled(String),
    /// The connection is gone; nothing is said about the question.
    Lost,
}

/// A question that was sent, and its answers to come.
pub(super) struct Asked {
    job: Job,
    /// Of broadcast and presence.
    probes: [Uuid; 2],
    streams: Vec<SimpleQueryStream>,
    before: usize,
    patience: Duration,
}

impl Link {
    /// Connects and sets the session up. `limit` of one statement applies unless a question brings its own.
    pub(super) async fn open(options: &ConnectOptions, limit: Duration) -> Result<Self, Failure> {
        match Self::connect(options).await?.prepared(limit).await {
            // The database was there a moment ago: whoever ended this session has not stopped it.
            Err(Failure::Unreachable(_)) => Self::connect(options).await?.prepared(limit).await,
            other => other,
        }
    }

    async fn connect(options: &ConnectOptions) -> Result<Self, Failure> {
        let (client, driver) = postgres::connect_driven(options, "realtime_connect", &[])
            .await
            .map_err(|error| match error.code() {
                Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => Failure::LackOfConnections,
                _ => Failure::Unreachable(error.to_string()),
            })?;
        Ok(Self {
            client,
            driver,
            with_binary: true,
            busy: false,
        })
    }

    async fn prepared(mut self, limit: Duration) -> Result<Self, Failure> {
        let setup = async {
            self.client
                .batch_execute(&statement::session(limit))
                .await?;
            let full = statement::columns(true);
            match self.client.batch_execute(&full).await {
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
                    let old = statement::columns(false);
                    self.client.batch_execute(&old).await.map(|()| false)
                }
                other => other.map(|()| true),
            }
        };
        match timeout(limit + GRACE, setup).await {
            Ok(Ok(with_binary)) => {
                self.with_binary = with_binary;
                Ok(self)
            }
            Ok(Err(error)) if is_lost(&error) => Err(Failure::Unreachable(words(&error))),
            Ok(Err(error)) => Err(Failure::Other(format!(
                "realtime.messages cannot be used: {}; run `dovetail doctor`",
                words(&error)
            ))),
            Err(_) => Err(Failure::Unreachable("no answer in time".to_owned())),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Sends all questions at once, each with `limit` per statement or the session's, which is `usual`. The answers are to
    /// be taken in order. Questions that could not be sent are given back.
    pub(super) async fn send(
        &mut self,
        jobs: Vec<Job>,
        limit: Option<Duration>,
        usual: Duration,
    ) -> (Vec<Asked>, Vec<Job>) {
        self.busy = true;
        let patience = limit.unwrap_or(usual) * 4 + GRACE;
        let before = statement::before(limit);
        let mut jobs = jobs.into_iter();
        let mut asked = Vec::with_capacity(jobs.len());
        if self
            .client
            .simple_query_raw(statement::BEGIN)
            .await
            .is_err()
        {
            return (asked, jobs.collect());
        }
        while let Some(job) = jobs.next() {
            let probes = [Uuid::new_v4(), Uuid::new_v4()];
            let messages = match &job.ask {
                Ask::Read { subject, presence } => {
                    let second = presence.then_some(probes[1]);
                    vec![statement::read(subject, probes[0], second, limit)]
                }
                Ask::Write(subject) => statement::write(subject, limit).into(),
                Ask::Replay {
                    topic,
                    since_ms,
                    limit: rows,
                } => vec![statement::replay(
                    topic,
                    *since_ms,
                    *rows,
                    self.with_binary,
                    limit,
                )],
                Ask::Policies => vec![statement::policies(limit)],
                Ask::Ping => vec![statement::ping(limit)],
            };
            let mut streams = Vec::with_capacity(messages.len());
            for message in messages {
                match self.client.simple_query_raw(&message).await {
                    Ok(stream) => streams.push(stream),
                    Err(_) => return (asked, std::iter::once(job).chain(jobs).collect()),
                }
            }
            asked.push(Asked {
                job,
                probes,
                streams,
                before,
                patience,
            });
        }
        // If it cannot be sent the connection is gone, and the transaction with it.
        let _ = self.client.simple_query_raw(statement::END).await;
        (asked, Vec::new())
    }

    /// Everything that was sent is answered, or nobody waits for it.
    pub(super) fn done(&mut self) {
        self.busy = false;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Otherwise Postgres would be asked to the end what nobody waits for.
        if self.busy {
            self.driver.abort();
        }
    }
}

impl Asked {
    /// Waits for the answer.
    pub(super) async fn outcome(mut self) -> (Job, Outcome) {
        let outcome = match timeout(self.patience, self.read_answer()).await {
            Ok(Ok(answer)) => Outcome::Answered(answer),
            Ok(Err(outcome)) => outcome,
            Err(_) => Outcome::Lost,
        };
        (self.job, outcome)
    }

    /// The question, unanswered.
    pub(super) fn into_job(self) -> Job {
        self.job
    }

    async fn read_answer(&mut self) -> Result<Answer, Outcome> {
        let mut replies = Vec::with_capacity(self.streams.len());
        for stream in self.streams.drain(..) {
            let mut reply = reply(stream).await;
            if replies.is_empty() {
                reply.statements = reply.statements.saturating_sub(self.before);
            }
            if let Some(error) = &reply.error
                && is_lost(error)
            {
                return Err(Outcome::Lost);
            }
            replies.push(reply);
        }
        let mut replies = replies.into_iter();
        let first = replies.next().ok_or(Outcome::Lost)?;
        match &self.job.ask {
            Ask::Read { presence, .. } => self.rights(first, *presence),
            Ask::Write(_) => write_rights(first, replies.next().ok_or(Outcome::Lost)?),
            Ask::Replay { .. } => {
                let rows = first.rows(|error| plain(error, Failure::Other))?;
                let mut stored: Vec<Stored> = rows.iter().filter_map(stored).collect();
                stored.reverse();
                let snapshot = rows.first().and_then(|row| row.get(4));
                Ok(Answer::Rows(Arc::new(Replay {
                    rows: stored,
                    snapshot: snapshot.and_then(Snapshot::read),
                })))
            }
            Ask::Policies | Ask::Ping => {
                let rows = first.rows(|error| plain(error, Failure::Other))?;
                let text = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
                Ok(Answer::Text(text.to_owned()))
            }
        }
    }

    fn rights(&self, reply: Reply, presence: bool) -> Result<Answer, Outcome> {
        // The first statement put the probes into the table, as the connection's own role.
        let in_probe = reply.statements == 0;
        let rows = reply.rows(|error| match in_probe {
            true => probe_failed(error, Failure::Other),
            false => judged(error),
        })?;
        let sees = |probe: Uuid| {
            rows.iter()
                .filter_map(|row| row.get(0))
                .any(|id| id.parse() == Ok(probe))
        };
        Ok(Answer::Rights(Rights {
            broadcast: sees(self.probes[0]),
            presence: presence && sees(self.probes[1]),
        }))
    }
}

/// What one message was answered with.
struct Reply {
    rows: Vec<SimpleQueryRow>,
    /// How many statements were carried out.
    statements: usize,
    error: Option<tokio_postgres::Error>,
}

impl Reply {
    fn rows(
        self,
        failed: impl FnOnce(&tokio_postgres::Error) -> Outcome,
    ) -> Result<Vec<SimpleQueryRow>, Outcome> {
        match &self.error {
            None => Ok(self.rows),
            Some(error) => Err(failed(error)),
        }
    }
}

async fn reply(stream: SimpleQueryStream) -> Reply {
    let mut stream = std::pin::pin!(stream);
    let mut reply = Reply {
        rows: Vec::new(),
        statements: 0,
        error: None,
    };
    // A statement before the one that matters may return a row (the settings do): only the last one's count.
    let mut complete = false;
    while let Some(part) = stream.next().await {
        match part {
            Ok(SimpleQueryMessage::Row(row)) => {
                if std::mem::take(&mut complete) {
                    reply.rows.clear();
                }
                reply.rows.push(row);
            }
            Ok(SimpleQueryMessage::RowDescription(_)) => {
                complete = false;
                reply.rows.clear();
            }
            Ok(SimpleQueryMessage::CommandComplete(_)) => {
                complete = true;
                reply.statements += 1;
            }
            Ok(_) => {}
            Err(error) => {
                reply.error = Some(error);
                break;
            }
        }
    }
    reply
}

/// After settings and savepoint comes the row for broadcast; the second message asks for presence.
fn write_rights(first: Reply, second: Reply) -> Result<Answer, Outcome> {
    if first.error.is_some() && first.statements < 2 {
        first.rows(judged)?;
        return Err(Outcome::Lost);
    }
    let allowed = |reply: Reply| match &reply.error {
        None => Ok(true),
        Some(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(false),
        Some(error) => Err(probe_failed(error, |_| policy(error))),
    };
    Ok(Answer::Rights(Rights {
        broadcast: allowed(first)?,
        presence: allowed(second)?,
    }))
}

/// A row could not be inserted.
fn probe_failed(
    error: &tokio_postgres::Error,
    otherwise: impl FnOnce(String) -> Failure,
) -> Outcome {
    let no_partition = error.as_db_error().is_some_and(|db| {
        // A CHECK of the table has the same code, and a name.
        *db.code() == SqlState::CHECK_VIOLATION && db.constraint().is_none()
    });
    match no_partition {
        true => Outcome::Failed(Failure::MissingPartition),
        false => plain(error, otherwise),
    }
}

/// A statement failed under the subject's role: the role, its rights, or a policy.
fn judged(error: &tokio_postgres::Error) -> Outcome {
    plain(error, |_| policy(error))
}

fn policy(error: &tokio_postgres::Error) -> Failure {
    Failure::Policy {
        code: error.code().map_or("", SqlState::code).to_owned(),
        message: error
            .as_db_error()
            .map_or_else(|| error.to_string(), |db| db.message().to_owned()),
    }
}

fn plain(error: &tokio_postgres::Error, otherwise: impl FnOnce(String) -> Failure) -> Outcome {
    let code = error.code().map_or("", SqlState::code);
    if code == SqlState::QUERY_CANCELED.code() {
        let message = error.as_db_error().map_or("", |db| db.message());
        return Outcome::Cancelled(message.to_owned());
    }
    // Out of memory or disk, broken files, bugs: nobody's policy.
    if ["53", "58", "XX"]
        .iter()
        .any(|class| code.starts_with(class))
    {
        return Outcome::Failed(Failure::Other(words(error)));
    }
    Outcome::Failed(otherwise(words(error)))
}

fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code().map(SqlState::code) {
        None => true,
        // Shut down, crashed or starting; ended from outside or for being idle in a transaction.
        Some(code) => code.starts_with("57P") || code.starts_with("08") || code == "25P03",
    }
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

/// A row of [`statement::replay`].
fn stored(row: &SimpleQueryRow) -> Option<Stored> {
    let body = match (row.get(3), row.get(2)) {
        (Some(bytes), _) => StoredBody::Binary(unhex(bytes)?.into()),
        (None, Some(json)) => StoredBody::Json(json.to_owned()),
        (None, None) => return None,
    };
    Some(Stored {
        id: row.get(0)?.parse().ok()?,
        event: row.get(1)?.to_owned(),
        body,
    })
}

/// `bytea` as text in the format `hex`.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    text.strip_prefix("\\x")?
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_from_hex() {
        assert_eq!(unhex("\\x00ff1A"), Some(vec![0, 255, 26]));
        assert_eq!(unhex("\\x"), Some(Vec::new()));
        assert_eq!(unhex("\\x0"), None);
        assert_eq!(unhex("00"), None);
        assert_eq!(unhex("\\x0g"), None);
    }
}
