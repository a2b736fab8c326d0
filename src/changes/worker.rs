//! The one task of a tenant that turns the stream into deliveries.
//!
//! It takes what has already been received, at most [`BATCH_ROWS`] rows or [`BATCH_BYTES`], perhaps many transactions,
//! perhaps a part of one; matches it; and lets it be resolved on a task of its own while it goes on with the next
//! batch. At most [`AHEAD`] batches are being resolved; deliveries and confirmations keep the order of the stream. It
//! waits for the database in two cases only: the catalog has to be read, or [`AHEAD`] batches are waiting for answers.

mod upkeep;

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Listener;
use super::index::Views;
use super::measures;
use super::record::Operation;
use super::resolve::{Matched, Resolved};
use super::row::RowChange;
use super::state::State;
use crate::hub::Member;
use crate::pgoutput::{Begin, Lsn, Relation};
use crate::protocol::encode::Status;
use crate::replication::{Change, DDL_PREFIX, Event, Feed, GapReason, Row};

/// Rows of a batch.
const BATCH_ROWS: usize = 512;
/// Bytes of a batch.
const BATCH_BYTES: usize = 1 << 20;
/// Rows that are delivered without letting others have their turn.
const TOGETHER: usize = 32;
/// Batches that are being resolved at a time.
const AHEAD: usize = 2;
/// Least time between the beginnings of two batches. Each costs a few questions to the database whatever its size; at
/// 2,000 single-row transactions a second this makes batches of four.
const PACE: Duration = Duration::from_millis(2);
/// The stream may be away for so long before channels are told.
const SILENT_LOSS: Duration = Duration::from_secs(2);

/// How long a commit that was received may be invisible to other sessions.
const SETTLING: Duration = Duration::from_secs(5);

const EXTENSION: &str = "postgres_changes";

/// See the module.
pub(super) struct Worker {
    state: Arc<State>,
    feed: Feed,
    listener: Arc<dyn Listener>,
    /// The present transaction changed the catalog.
    ddl: bool,
    /// The transaction whose changes are coming.
    transaction: Option<Begin>,
    batch: Batch,
    under_way: VecDeque<UnderWay>,
    /// What has been invalidated must be read again before the next row is matched.
    stale: bool,
    /// Tables to be read again once these transactions are visible.
    forgotten: Vec<u32>,
    /// Transactions that other sessions may not see yet.
    unsettled: VecDeque<u32>,
    /// The catalog of which the index has been made.
    generation: u64,
    /// Relations of this stream, to notice when one is described again, and otherwise than before.
    described: HashMap<u32, Arc<Relation>>,
    lost: Option<Instant>,
    /// Channels were told that changes are missing.
    told: bool,
    /// DDL is announced in the stream; `None` until it is known.
    announced: Option<bool>,
    fingerprint: Option<String>,
    /// When the last batch with rows was begun.
    last_batch: Option<Instant>,
    /// When the batch that is being filled must go.
    flush_at: Option<Instant>,
}

#[derive(Default)]
struct Batch {
    rows: Vec<Arc<RowChange>>,
    bytes: usize,
    /// To be confirmed when the rows are delivered.
    confirm: Option<Lsn>,
}

struct UnderWay {
    resolving: Option<JoinHandle<Vec<Resolved>>>,
    confirm: Option<Lsn>,
}

impl Worker {
    pub(super) fn new(state: Arc<State>, feed: Feed, listener: Arc<dyn Listener>) -> Self {
        Self {
            state,
            feed,
            listener,
            ddl: false,
            transaction: None,
            batch: Batch::default(),
            under_way: VecDeque::new(),
            stale: false,
            forgotten: Vec::new(),
            unsettled: VecDeque::new(),
            generation: 0,
            described: HashMap::new(),
            lost: None,
            told: false,
            announced: None,
            fingerprint: None,
            last_batch: None,
            flush_at: None,
        }
    }

    /// Runs until the stream ends for good.
    pub(super) async fn run(mut self) {
        let mut events = Vec::new();
        loop {
            let tell_at = self
                .lost
                .filter(|_| !self.told)
                .map(|lost| lost + SILENT_LOSS);
            tokio::select! {
                biased;
                resolved = finished(self.under_way.front_mut()) => self.deliver(resolved).await,
                () = until(self.flush_at) => self.flush().await,
                more = self.feed.recv(&mut events), if self.under_way.len() < AHEAD => {
                    for event in events.drain(..) {
                        self.take(event).await;
                    }
                    self.flush_in_time().await;
                    if !more {
                        self.flush().await;
                        break;
                    }
                }
                () = until(tell_at) => {
                    self.told = true;
                    self.tell(Status::Error, "The connection to the database was lost; changes may be missed until it is back");
                }
                () = self.state.changed.notified() => self.refresh_if_stale().await,
            }
        }
        while !self.under_way.is_empty() {
            let resolved = finished(self.under_way.front_mut()).await;
            self.deliver(resolved).await;
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Begin(begin) => {
                self.transaction = Some(begin);
                // The worst that too short a list does is to wait for fewer transactions than there are.
                if self.unsettled.len() >= BATCH_ROWS {
                    self.unsettled.pop_front();
                }
                self.unsettled.push_back(begin.xid);
            }
            Event::Commit(commit) => {
                self.batch.confirm = Some(commit.end_lsn);
                let transaction = self.transaction.take();
                if std::mem::take(&mut self.ddl) {
                    match transaction {
                        Some(begin) => self.announce_ddl(begin.xid),
                        None => self.listener.catalog_changed(),
                    }
                }
            }
            Event::Change(change) => {
                metrics::counter!(measures::ROWS).increment(1);
                if is_message(&change.relation) {
                    if let Some(begin) = &self.transaction {
                        self.listener.message(&change, begin);
                    }
                    // Hardly anybody publishes it for Postgres Changes too.
                    if !self.state.catalog.is_published(change.relation.oid) {
                        return;
                    }
                }
                // A table that is new to the publication must be in the index before its first row is looked up.
                self.refresh_if_stale().await;
                if self.state.index.lock().concerns(change.relation.oid) {
                    self.push(change).await;
                }
            }
            Event::Relation(relation) => {
                // Described for the first time in this stream: what is known of it may be older, if DDL and the row come
                // from one transaction. Described again as it was: it was truncated, or its statistics, rights or
                // policies changed. Described otherwise: perhaps it is another one.
                let before = self.described.insert(relation.oid, relation.clone());
                if before.is_none_or(|before| before == relation)
                    && self.state.catalog.is_published(relation.oid)
                {
                    self.flush().await;
                    self.state.catalog.forget(relation.oid);
                    self.forgotten.push(relation.oid);
                } else {
                    self.invalidate().await;
                }
            }
            Event::Message(message) => {
                if &*message.prefix == DDL_PREFIX {
                    if !std::mem::replace(&mut self.ddl, true) {
                        self.listener.catalog_changes();
                    }
                    self.invalidate().await;
                }
            }
            Event::Truncate(_) => {}
            // Tables may have come or gone with them, also where nothing announces DDL.
            Event::Publications(_) => self.invalidate().await,
            Event::Live { .. } => {
                self.flush().await;
                self.described.clear();
                self.announced = None;
                self.invalidate().await;
                // What happened while the stream was away is not known.
                self.listener.catalog_changes();
                self.listener.catalog_changed();
                self.lost = None;
                if std::mem::take(&mut self.told) {
                    self.tell(Status::Ok, "Subscribed to PostgreSQL");
                }
            }
            Event::Lost { reason } => {
                self.flush().await;
                self.lost.get_or_insert_with(Instant::now);
                tracing::info!(
                    reason = reason.as_str(),
                    "changes of the database are not being received"
                );
            }
            Event::Gap { reason } => {
                self.flush().await;
                if reason != GapReason::MessageSkipped {
                    self.transaction = None;
                    if std::mem::take(&mut self.ddl) {
                        self.listener.catalog_changed();
                    }
                }
                self.gap(reason);
            }
        }
    }

    /// Tells the listener of DDL once other sessions see it.
    fn announce_ddl(&self, xid: u32) {
        let (state, listener) = (self.state.clone(), Arc::clone(&self.listener));
        tokio::spawn(async move {
            let started = Instant::now();
            let mut pause = Duration::from_millis(1);
            while started.elapsed() < SETTLING
                && !state.catalog.shows(&[xid]).await.unwrap_or(false)
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
            }
            listener.catalog_changed();
        });
    }

    fn gap(&mut self, reason: GapReason) {
        let message = match reason {
            GapReason::TemporarySlot => {
                "Changes may have been missed: the connection to the database was lost and the replication slot with it"
            }
            GapReason::SlotLost => "Changes may have been missed: the replication slot was lost",
            GapReason::SlotStuck => {
                "Changes may have been missed: the replication slot had to be created again"
            }
            GapReason::Failover => {
                "Changes may have been missed: the database is not the one it was"
            }
            GapReason::MessageSkipped => "A change was too large to be read and was left out",
        };
        if reason == GapReason::Failover {
            self.listener.replaced();
        }
        self.tell(Status::Error, message);
        if reason == GapReason::MessageSkipped {
            self.tell(Status::Ok, "Subscribed to PostgreSQL");
        } else {
            self.told = true;
        }
    }

    async fn push(&mut self, change: Change) {
        let Some(begin) = self.transaction else {
            return;
        };
        let (operation, new, old) = match change.row {
            Row::Insert { new } => (Operation::Insert, Some(new), None),
            Row::Update { old, new } => (Operation::Update, Some(new), old),
            Row::Delete { old } => (Operation::Delete, None, Some(old)),
        };
        let row = RowChange {
            relation: change.relation,
            operation,
            new,
            old,
            commit_time: begin.commit_time,
            xid: begin.xid,
        };
        self.batch.bytes += row.size();
        self.batch.rows.push(Arc::new(row));
        if self.batch.rows.len() >= BATCH_ROWS || self.batch.bytes >= BATCH_BYTES {
            self.flush().await;
        }
    }

    /// Flushes now, or a moment after the last batch: a row that comes alone does not wait, rows in quick succession
    /// share the questions of one batch.
    async fn flush_in_time(&mut self) {
        let due = self.last_batch.map(|last| last + PACE);
        match due {
            Some(due) if !self.batch.rows.is_empty() && Instant::now() < due => {
                self.flush_at = Some(due);
            }
            _ => self.flush().await,
        }
    }

    /// Matches the batch and lets it be resolved.
    async fn flush(&mut self) {
        self.flush_at = None;
        let batch = std::mem::take(&mut self.batch);
        if batch.rows.is_empty() && batch.confirm.is_none() {
            return;
        }
        let resolving = if batch.rows.is_empty() {
            None
        } else {
            self.last_batch = Some(Instant::now());
            self.settle().await;
            for relation in self.forgotten.drain(..) {
                self.state.catalog.forget(relation);
            }
            self.check_fingerprint().await;
            self.refresh_if_stale().await;
            let (matched, views) = self.matched(&batch.rows).await;
            (!matched.is_empty()).then(|| {
                metrics::counter!(measures::MATCHED).increment(matched.len() as u64);
                let state = self.state.clone();
                tokio::spawn(async move { state.resolver.resolve(matched, &views).await })
            })
        };
        self.under_way.push_back(UnderWay {
            resolving,
            confirm: batch.confirm,
        });
        while self.under_way.len() > AHEAD
            || self
                .under_way
                .front()
                .is_some_and(|first| first.resolving.is_none())
        {
            let resolved = finished(self.under_way.front_mut()).await;
            self.deliver(resolved).await;
        }
    }

    /// The rows somebody subscribed to, with the rights of the roles that are concerned.
    async fn matched(&self, rows: &[Arc<RowChange>]) -> (Vec<Matched>, Views) {
        let mut views = Views::new();
        let give_up = Instant::now() + self.state.resolver.settings.statement_timeout;
        loop {
            let missing: Vec<(Arc<str>, u32)> = {
                let mut index = self.state.index.lock();
                let mut missing: Vec<(Arc<str>, u32)> = Vec::new();
                let mut last = None;
                for row in rows {
                    // Rows of one table mostly come together.
                    if last == Some(row.relation.oid) {
                        continue;
                    }
                    last = Some(row.relation.oid);
                    for (table, role) in index.presented(row.relation.oid) {
                        let key = (role.clone(), table.oid);
                        if !views.contains_key(&key) {
                            missing.push(key);
                        }
                    }
                }
                if missing.is_empty() {
                    let mut matched = Vec::new();
                    let mut hits = Vec::new();
                    for row in rows {
                        index.matches(row, &views, &mut hits);
                        if !hits.is_empty() {
                            matched.push(Matched {
                                row: row.clone(),
                                hits: std::mem::take(&mut hits),
                            });
                        }
                    }
                    return (matched, views);
                }
                missing
            };
            let mut missing = missing;
            missing.sort_unstable();
            missing.dedup();
            let mut pause = Duration::from_millis(50);
            loop {
                match self.state.catalog.views(&missing).await {
                    // Only rows of a table that is locked wait for it, as long as for any other answer.
                    Ok(found)
                        if found.iter().flatten().any(|view| view.unread)
                            && Instant::now() < give_up =>
                    {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Ok(found) => {
                        if found.iter().flatten().any(|view| view.unread) {
                            measures::warn_rarely(|| {
                                tracing::warn!(
                                    "a table is locked; rows whose policies cannot be read stay hidden"
                                );
                            });
                        }
                        views.extend(missing.into_iter().zip(found));
                        break;
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

    /// Delivers the first batch under way, which is `resolved`.
    async fn deliver(&mut self, resolved: Vec<Resolved>) {
        let Some(first) = self.under_way.pop_front() else {
            return;
        };
        for rows in resolved.chunks(TOGETHER) {
            let max_bytes = self.state.resolver.settings.max_record_bytes;
            self.listener
                .delivered(super::delivery::deliver(rows, max_bytes));
            if rows.len() == TOGETHER {
                // Sockets are written by other tasks, which want to begin.
                tokio::task::yield_now().await;
            }
        }
        if let Some(lsn) = first.confirm {
            self.feed.confirm(lsn);
        }
    }

    fn tell(&self, status: Status, message: &str) {
        let members: Vec<Arc<Member>> = {
            let index = self.state.index.lock();
            index
                .everybody()
                .map(|(subscriber, _)| subscriber.member.clone())
                .collect()
        };
        for member in members {
            member.system(EXTENSION, status, message);
        }
    }
}

/// The rows of the first batch under way. Safe to cancel.
async fn finished(first: Option<&mut UnderWay>) -> Vec<Resolved> {
    match first {
        None => pending().await,
        Some(UnderWay {
            resolving: None, ..
        }) => Vec::new(),
        Some(UnderWay {
            resolving: Some(handle),
            ..
        }) => match handle.await {
            Ok(resolved) => resolved,
            Err(error) => {
                // A bug in there must not stop the stream; the rows of the batch stay hidden.
                tracing::error!(%error, "a batch of changes could not be resolved");
                Vec::new()
            }
        },
    }
}

/// Whether the relation is `realtime.messages` or one of its daily partitions (postgres.md §1.3.1).
fn is_message(relation: &Relation) -> bool {
    &*relation.schema == "realtime"
        && relation.name.strip_prefix("messages").is_some_and(|day| {
            day.is_empty()
                || day.len() == "_2026_08_21".len()
                    && day.bytes().enumerate().all(|(at, byte)| match at {
                        0 | 5 | 8 => byte == b'_',
                        _ => byte.is_ascii_digit(),
                    })
        })
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}
