//! The connections that questions run on: a queue, and a few runners that each keep a connection busy.
//!
//! A question is a message: one transaction of one audience. The runner sends the next message before the answer of
//! the previous one is there, so a connection never waits for us.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Audience;
use super::statement::{self, Statement};
use crate::changes::measures;
use crate::postgres::{self, ConnectOptions};

/// Audiences per message. A message is one transaction, and a policy's function may keep what it learned of its user in
/// a setting of the transaction: two audiences in one transaction could see each other's rows.
const AUDIENCES_PER_MESSAGE: usize = 1;

/// How Postgres should weigh plans for questions: about few rows, over tables that policies keep in memory, with claims
/// that are dear to parse. With its defaults it reads a small membership table whole and parses the claims for every row
/// of it (seven times slower for 500 rows).
const PLANNING: &str =
    "set random_page_cost = 0.1; set seq_page_cost = 0.1; set cpu_tuple_cost = 0.1";

/// Messages that one connection has before it: the one it works on, and the next.
const MESSAGES_AHEAD: usize = 2;

/// How long an audience whose question ran into the time limit is asked with less patience: its policy is slow, and
/// nobody else should wait for it again and again.
const IMPATIENT: Duration = Duration::from_secs(60);

/// By how much less: the part of the limit such a question gets.
const IMPATIENCE: u32 = 5;

/// Time limits a batch may take in all: some audiences may be slow for the first time in the same batch, and those
/// behind them must still be answered.
const LIMITS_PER_BATCH: u32 = 3;

/// How long questions wait for a database that does not answer at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so many prepared statements a connection is replaced.
const STATEMENTS_PER_CONNECTION: usize = 2_000;

/// Which of these rows does this audience see?
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) statement: Arc<Statement>,
    /// `None`: asked as the server itself; the statement is then a plain query.
    pub(crate) audience: Option<Arc<Audience>>,
    /// Of `execute`, quoted.
    pub(crate) arguments: Arc<str>,
}

impl Question {
    /// A query of the server itself, of a position and perhaps a text.
    pub(crate) fn plain(sql: String) -> Self {
        Self {
            statement: Arc::new(Statement {
                name: sql,
                prepare: None,
            }),
            audience: None,
            arguments: "".into(),
        }
    }
}

/// What came of a [`Question`].
#[derive(Debug)]
pub(crate) enum Answer {
    /// Positions (from 1) of the visible rows, with a text if the statement has a second column.
    Rows(Vec<(u32, Option<String>)>),
    /// The statement cannot be used by this role at all; the look-up by key may.
    Unusable,
    /// An error of this audience and these rows; fewer rows may succeed.
    Raised,
    /// No answer in time.
    Failed,
    /// The connection broke, or there is none; nothing is said about the question.
    Lost,
}

/// See the module.
pub(crate) struct Connections {
    shared: Arc<Shared>,
    runners: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    options: ConnectOptions,
    /// Of one statement.
    limit: Duration,
    queue: Mutex<VecDeque<Job>>,
    filled: Notify,
    /// Audiences that ran into the limit, and until when that counts.
    slow: Mutex<HashMap<u64, Instant>>,
    /// Until when everybody is asked with less patience: somebody just ran into the limit, and those behind have
    /// waited enough. If they are slow too, it shows soon.
    hurry: Mutex<Option<Instant>>,
}

impl Shared {
    fn is_slow(&self, question: &Question) -> bool {
        let slow = self.slow.lock();
        let until = question
            .audience
            .as_ref()
            .and_then(|audience| slow.get(&audience.id));
        until.is_some_and(|until| *until > Instant::now())
    }

    fn note_slow(&self, question: Option<&Question>) {
        if let Some(audience) = question.and_then(|question| question.audience.as_ref()) {
            let now = Instant::now();
            let mut slow = self.slow.lock();
            slow.retain(|_, until| *until > now);
            slow.insert(audience.id, now + IMPATIENT);
            *self.hurry.lock() = Some(now + self.limit);
        }
    }

    fn in_a_hurry(&self) -> bool {
        self.hurry
            .lock()
            .is_some_and(|until| until > Instant::now())
    }
}

type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

struct Job {
    questions: Vec<Question>,
    /// After this moment nobody wants the answers.
    deadline: Instant,
    /// Every question is one that gets less time than the limit.
    impatient: bool,
    answer: oneshot::Sender<Vec<Answer>>,
}

/// A connection and what has been prepared on it.
struct Link {
    client: Client,
    prepared: Mutex<HashMap<String, Arc<OnceCell<bool>>>>,
}

impl Connections {
    pub(crate) fn new(options: ConnectOptions, count: usize, limit: Duration) -> Self {
        let shared = Arc::new(Shared {
            options,
            limit,
            queue: Mutex::default(),
            filled: Notify::new(),
            slow: Mutex::default(),
            hurry: Mutex::default(),
        });
        let runners = (0..count.max(1))
            .map(|_| tokio::spawn(run(shared.clone())))
            .collect();
        Self { shared, runners }
    }

    /// Asks everything; the answers come in order, within the time limit. While there is no database to ask, it waits
    /// (for [`PATIENCE`] in all): a restart of the database must not cost a row.
    pub(crate) async fn ask(&self, questions: Vec<Question>) -> Vec<Answer> {
        let give_up = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(100);
        let mut answers = self.ask_once(questions.clone()).await;
        loop {
            let lost: Vec<usize> = answers
                .iter()
                .enumerate()
                .filter(|(_, answer)| matches!(answer, Answer::Lost))
                .map(|(index, _)| index)
                .collect();
            if lost.is_empty() || Instant::now() + pause >= give_up {
                return answers;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(3));
            let again = lost
                .iter()
                .filter_map(|index| questions.get(*index).cloned())
                .collect();
            for (index, answer) in lost.into_iter().zip(self.ask_once(again).await) {
                if let Some(slot) = answers.get_mut(index) {
                    *slot = answer;
                }
            }
        }
    }

    async fn ask_once(&self, questions: Vec<Question>) -> Vec<Answer> {
        let deadline =
            Instant::now() + self.shared.limit * LIMITS_PER_BATCH + Duration::from_millis(500);
        let total = questions.len();
        let started = Instant::now();
        // One message has one role and one statement.
        let mut parcels: Vec<(Vec<usize>, Vec<Question>)> = Vec::new();
        let mut impatient: Vec<(Vec<usize>, Vec<Question>)> = Vec::new();
        let mut open: HashMap<(String, Option<Arc<str>>), usize> = HashMap::new();
        for (index, question) in questions.into_iter().enumerate() {
            if self.shared.is_slow(&question) {
                impatient.push((vec![index], vec![question]));
                continue;
            }
            let role = question
                .audience
                .as_ref()
                .map(|audience| audience.role().clone());
            let key = (question.statement.name.clone(), role);
            let parcel = match open.get(&key) {
                Some(parcel) => *parcel,
                None => {
                    parcels.push((Vec::new(), Vec::new()));
                    open.insert(key.clone(), parcels.len() - 1);
                    parcels.len() - 1
                }
            };
            if let Some((indexes, items)) = parcels.get_mut(parcel) {
                indexes.push(index);
                items.push(question);
                if items.len() >= AUDIENCES_PER_MESSAGE {
                    open.remove(&key);
                }
            }
        }
        let mut waiting = Vec::with_capacity(parcels.len());
        {
            let mut queue = self.shared.queue.lock();
            let patient = parcels.into_iter().map(|parcel| (parcel, false));
            let last = impatient.into_iter().map(|parcel| (parcel, true));
            for ((indexes, questions), impatient) in patient.chain(last) {
                let (answer, receiver) = oneshot::channel();
                queue.push_back(Job {
                    questions,
                    deadline,
                    impatient,
                    answer,
                });
                waiting.push((indexes, receiver));
            }
        }
        for _ in 0..waiting.len().min(8) {
            self.shared.filled.notify_one();
        }
        let mut answers: Vec<Answer> = (0..total).map(|_| Answer::Failed).collect();
        for (indexes, receiver) in waiting {
            if let Ok(Ok(parcel)) = timeout_at(deadline, receiver).await {
                for (index, answer) in indexes.into_iter().zip(parcel) {
                    if let Some(slot) = answers.get_mut(index) {
                        *slot = answer;
                    }
                }
            }
        }
        measures::questions(total, started.elapsed());
        answers
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for runner in &self.runners {
            runner.abort();
        }
    }
}

/// Keeps one connection and hands it jobs, for ever.
async fn run(shared: Arc<Shared>) {
    let mut link: Option<Arc<Link>> = None;
    let mut running: futures_util::stream::FuturesUnordered<BoxFuture<bool>> = Default::default();
    loop {
        let job = if running.len() < MESSAGES_AHEAD {
            tokio::select! {
                biased;
                Some(fine) = running.next(), if !running.is_empty() => {
                    if !fine { link = None; }
                    continue;
                }
                job = next(&shared) => job,
            }
        } else {
            if running.next().await == Some(false) {
                link = None;
            }
            continue;
        };
        if job.answer.is_closed() || job.deadline <= Instant::now() {
            continue;
        }
        if link.as_ref().is_none_or(|link| link.client.is_closed()) {
            link = match timeout_at(job.deadline, connect(&shared)).await {
                Ok(Ok(new)) => Some(Arc::new(new)),
                Ok(Err(error)) => {
                    measures::warn_rarely(|| {
                        tracing::warn!(%error, "no connection for visibility questions; rows stay hidden");
                    });
                    // Not at full speed against a database that refuses; the asker gets its failure meanwhile.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    None
                }
                Err(_) => None,
            };
        }
        if link.is_none() {
            let answers = job.questions.iter().map(|_| Answer::Lost).collect();
            let _ = job.answer.send(answers);
            continue;
        }
        if let Some(link) = link.clone() {
            let shared = shared.clone();
            running.push(Box::pin(
                async move { carry_out(&shared, &link, job).await },
            ));
        }
    }
}

async fn next(shared: &Shared) -> Job {
    loop {
        if let Some(job) = shared.queue.lock().pop_front() {
            return job;
        }
        shared.filled.notified().await;
    }
}

/// Plans are made for each question: one that is kept would remember for others what a function said that is wrongly
/// declared immutable.
async fn connect(shared: &Shared) -> Result<Link, crate::changes::catalog::Error> {
    let client = postgres::connect(&shared.options, "realtime_rls").await?;
    client
        .batch_execute(&format!(
            "set standard_conforming_strings = on; set default_transaction_read_only = on; set row_security = on; \
             set statement_timeout = {limit}; set lock_timeout = {limit}; set idle_in_transaction_session_timeout = {limit}; \
             set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; set jit = off; \
             set plan_cache_mode = force_custom_plan; set xmloption = 'content'; {PLANNING}",
            limit = shared.limit.as_millis()
        ))
        .await?;
    Ok(Link {
        client,
        prepared: Mutex::default(),
    })
}

/// Answers one job; `false` when the connection must not be used again.
async fn carry_out(shared: &Shared, link: &Link, job: Job) -> bool {
    let Job {
        questions,
        deadline,
        impatient,
        answer,
    } = job;
    let Some(first) = questions.first() else {
        return true;
    };
    let prepared = match &first.statement.prepare {
        None => Ok(Ok(true)),
        Some(text) => {
            let cell = link
                .prepared
                .lock()
                .entry(first.statement.name.clone())
                .or_default()
                .clone();
            timeout(
                shared.limit,
                cell.get_or_try_init(async || prepare(&link.client, text).await),
            )
            .await
            .map(|result| result.copied())
        }
    };
    let mut answers: Vec<Answer> = Vec::with_capacity(questions.len());
    match prepared {
        Ok(Ok(true)) => {
            while answers.len() < questions.len() {
                if Instant::now() >= deadline || answer.is_closed() {
                    break;
                }
                let rest = questions.get(answers.len()..).unwrap_or_default();
                let before = answers.len();
                let limit = (impatient || shared.in_a_hurry()).then(|| shared.limit / IMPATIENCE);
                let asked = exchange(&link.client, rest, limit, &mut answers);
                match timeout_at(deadline, asked).await {
                    Ok(true) => {
                        if matches!(answers.last(), Some(Answer::Failed)) {
                            shared.note_slow(questions.get(answers.len().saturating_sub(1)));
                        }
                    }
                    // The connection is gone.
                    Ok(false) => {
                        answers.resize_with(questions.len(), || Answer::Lost);
                        let _ = answer.send(answers);
                        return false;
                    }
                    // Still busy with something that the statement timeout will end: not our connection any more.
                    Err(_) => {
                        shared.note_slow(questions.get(answers.len()));
                        let _ = answer.send(answers);
                        return false;
                    }
                }
                if answers.len() == before {
                    break;
                }
            }
        }
        Ok(Ok(false)) => answers.extend(questions.iter().map(|_| Answer::Unusable)),
        Ok(Err(())) => {
            answers.resize_with(questions.len(), || Answer::Lost);
            let _ = answer.send(answers);
            return false;
        }
        Err(_) => {
            let _ = answer.send(answers);
            return false;
        }
    }
    let _ = answer.send(answers);
    // Statements of outdated policies pile up; a new connection has none.
    link.prepared.lock().len() < STATEMENTS_PER_CONNECTION
}

/// `Ok(false)`: Postgres does not accept the statement. `Err`: the connection is gone.
async fn prepare(client: &Client, statement: &str) -> Result<bool, ()> {
    // Every name in it is qualified. The search path stays what it is when the statement is executed: if it differed,
    // Postgres would resolve the names again, as the audience, who may not be allowed to (USAGE of a schema).
    match client.batch_execute(statement).await {
        Ok(()) => Ok(true),
        Err(error)
            if error
                .code()
                .is_some_and(|code| !code.code().starts_with("57P")) =>
        {
            let code = error.code().map(|code| code.code().to_owned());
            measures::warn_rarely(|| {
                tracing::warn!(
                    code,
                    "a policy cannot be evaluated on row images; rows are looked up by key instead"
                );
            });
            Ok(false)
        }
        Err(_) => Err(()),
    }
}

/// Sends one message for all `questions` and appends an answer for each up to the first that fails, including it. Each
/// may take `limit`, or what the connection allows. `false`: the connection is gone.
async fn exchange(
    client: &Client,
    questions: &[Question],
    limit: Option<Duration>,
    answers: &mut Vec<Answer>,
) -> bool {
    let Some(first) = questions.first() else {
        return true;
    };
    let role = first.audience.as_ref().map(|audience| &**audience.role());
    let (mut message, before) = statement::begin(role, limit);
    let mut each = 1;
    for question in questions {
        each = statement::step(
            &mut message,
            question.audience.as_deref(),
            &question.statement,
            &question.arguments,
        );
    }
    let stream = match client.simple_query_raw(&message).await {
        Ok(stream) => stream,
        Err(error) => return failed(&error, questions, answers),
    };
    let mut stream = std::pin::pin!(stream);
    let mut statements = 0_usize;
    let mut visible = Vec::new();
    let mut answered = 0_usize;
    while let Some(part) = stream.next().await {
        match part {
            Ok(SimpleQueryMessage::Row(row)) => {
                match row.get(0).and_then(|text| text.parse().ok()) {
                    Some(position) => {
                        let text = if row.len() > 1 { row.get(1) } else { None };
                        visible.push((position, text.map(str::to_owned)));
                    }
                    None => return false,
                }
            }
            Ok(SimpleQueryMessage::CommandComplete(_)) => {
                statements += 1;
                let steps: usize = statements.saturating_sub(before);
                if steps > 0 && steps.is_multiple_of(each) {
                    answers.push(Answer::Rows(std::mem::take(&mut visible)));
                    answered += 1;
                }
            }
            Ok(_) => {}
            Err(error) => {
                let rest = questions.get(answered..).unwrap_or_default();
                return failed(&error, rest, answers);
            }
        }
    }
    answered == questions.len()
}

/// The first of `questions` failed with `error`.
fn failed(
    error: &tokio_postgres::Error,
    questions: &[Question],
    answers: &mut Vec<Answer>,
) -> bool {
    let Some(code) = error.code() else {
        return false;
    };
    // Shut down, crashed, starting up; out of memory or connections.
    if code.code().starts_with("57P") || code.code().starts_with("53") {
        return false;
    }
    if questions.is_empty() {
        // All were answered but the transaction could not end: nothing that was read depends on that.
        return true;
    }
    // Syntax errors and access rule violations say nothing about the audience: the role lacks a privilege that it
    // needs for the text of the policy but perhaps not for the policy itself.
    answers.push(if code.code().starts_with("42") {
        Answer::Unusable
    } else if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE {
        Answer::Failed
    } else {
        Answer::Raised
    });
    measures::warn_rarely(|| {
        // Postgres' message may quote values of the row or of the claims, so only its code is logged (G-188).
        tracing::warn!(
            code = code.code(),
            "a visibility question failed; the rows stay hidden from that audience"
        );
    });
    true
}
