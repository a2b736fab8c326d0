//! Postgres Changes: who subscribed to what, who may see it, and how it gets there (postgres.md §2).
//!
//! [`Changes`] is what the socket sees. Inside, data flows one way: the stream is taken by the worker ([`worker`]),
//! matched against the [`index`], resolved ([`resolve`]: filters of Postgres, visibility, missing values) and
//! delivered ([`delivery`]). The [`catalog`] is a cache that the stream itself invalidates.
//!
//! What is not proven to be visible is not sent, whatever fails.

mod catalog;
mod compiled;
mod complete;
mod condition;
mod delivery;
mod entry;
pub mod filter;
mod image;
mod index;
mod measures;
mod plan;
pub mod record;
mod resolve;
mod row;
mod settings;
mod state;
mod visibility;
mod worker;

#[cfg(test)]
mod tests;

/// What a row passes on its way from the stream to subscribers, in memory alone: for whoever measures or checks a step
/// without a database.
pub mod steps {
    pub use super::catalog::{Table, TableRow, View};
    pub use super::compiled::{Bound, Columns, Compiled, FunctionRow, Functions, Readers, Unsure};
    pub use super::condition::Filter;
    pub use super::entry::Wanted;
    pub use super::image::Image;
    pub use super::index::{Binding, Hit, Index, Subscriber, Views};
    pub use super::plan::{Plan, Planned, Requested, RequestedEntry};
    pub use super::row::RowChange;
    pub use super::visibility::Audience;
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

pub use catalog::ExplainedPolicy;
pub use settings::Settings;

use crate::auth::Claims;
use crate::hub::Member;
use crate::postgres::ConnectOptions;
use crate::protocol::encode::Status;
use crate::replication::{self, Feed, Watch};
use catalog::Catalog;
use entry::Request;
use index::Subscriber;
use plan::{Failure, Plan, Requested, RequestedEntry};
use resolve::Resolver;
use state::State;
use visibility::{Audience, Connections};
use worker::Worker;

/// How long a join waits for the stream to run.
const LIVE_TIMEOUT: Duration = Duration::from_secs(8);

/// How long the database may take to tell of its policies.
const EXPLAINING: Duration = Duration::from_secs(10);

/// Hears what else comes with the stream. Called on the worker's task, in commit order; must not wait.
pub trait Listener: Send + Sync + 'static {
    /// A change of `realtime.messages` or one of its partitions, committed.
    fn message(&self, change: &replication::Change, begin: &crate::pgoutput::Begin);
    /// The transaction that comes next, or is under way, has DDL; [`Listener::catalog_changed`] follows.
    fn catalog_changes(&self);
    /// DDL was committed, and other sessions see it.
    fn catalog_changed(&self);
    /// The database is not the one it was: its transactions have other numbers.
    fn replaced(&self);
    /// So many frames of a change were handed to channels.
    fn delivered(&self, frames: u64);
}

impl Listener for () {
    fn message(&self, _: &replication::Change, _: &crate::pgoutput::Begin) {}
    fn catalog_changes(&self) {}
    fn catalog_changed(&self) {}
    fn replaced(&self) {}
    fn delivered(&self, _: u64) {}
}

/// Postgres Changes of one tenant. Stops when the stream does.
pub struct Changes {
    state: Arc<State>,
    watch: Watch,
    worker: tokio::task::JoinHandle<()>,
}

/// One entry of a channel's `postgres_changes`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What `ids` of the events name it; deterministic from the entry.
    pub id: u64,
    /// The entry as sent.
    pub params: Map<String, Value>,
    /// Events named INSERT, UPDATE, DELETE with bare data (§3.17).
    pub legacy: bool,
}

/// A validated subscription that is not attached yet.
pub struct Prepared {
    plan: Arc<Plan>,
    audience: Arc<Audience>,
    /// Why parts of it can never deliver anything, for people.
    pub warnings: Vec<String>,
}

/// A subscription that was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Text of the `system` message (§2.6, §2.7).
    pub message: String,
    /// The same may succeed later.
    pub retry: bool,
    /// What kind of failure it was.
    pub kind: RefusedKind,
}

/// Why a subscription was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKind {
    /// The entries are wrong.
    Entries,
    /// The database could not be asked.
    Database,
    /// The stream of changes does not run.
    NotLive,
}

/// An attached subscription; dropping it ends it at once.
pub struct Subscription {
    state: Arc<State>,
    subscriber: Arc<Subscriber>,
    /// The subscription was replaced: what it was lives on in its successor.
    replaced: bool,
}

/// How each policy on a table of the publication is decided.
///
/// # Errors
/// When the database cannot be reached or read, in words.
pub async fn explain_policies(
    options: &ConnectOptions,
    publication: &str,
) -> Result<Vec<ExplainedPolicy>, String> {
    let publications = vec![publication.to_owned()];
    let catalog = Catalog::new(options.clone(), publications, EXPLAINING, true);
    catalog.explain().await.map_err(|error| error.to_string())
}

impl Changes {
    /// Starts the worker on a task of its own. `feed` and `watch` are the two ends of one stream.
    #[must_use]
    pub fn start(
        settings: Settings,
        options: ConnectOptions,
        feed: Feed,
        watch: Watch,
        listener: Arc<dyn Listener>,
    ) -> Arc<Self> {
        let catalog = Arc::new(Catalog::new(
            options.clone(),
            vec![settings.publication.clone()],
            settings.statement_timeout,
            settings.compile_policies,
        ));
        let connections = Arc::new(Connections::new(
            options,
            settings.visibility_connections,
            settings.statement_timeout,
        ));
        let judge = Arc::new(visibility::Postgres::new(connections.clone()));
        let shortcut =
            visibility::Shortcut::new(judge.clone(), catalog.clone(), settings.compare_every);
        let resolver = Resolver {
            settings,
            visibility: Arc::new(shortcut),
            connections,
        };
        let state = Arc::new(State::new(catalog, resolver, judge));
        let worker = tokio::spawn(Worker::new(state.clone(), feed, listener).run());
        Arc::new(Self {
            state,
            watch,
            worker,
        })
    }

    /// Reads and validates all entries of one channel for these claims. Resolves when the stream is live, so that a
    /// commit after [`Changes::attach`] is seen.
    ///
    /// # Errors
    /// [`Refused`] with the original's text for wrong entries (§2.2 to §2.6); retryable when the database or the stream
    /// is not there.
    pub async fn prepare(
        &self,
        entries: Vec<Entry>,
        claims: Arc<Claims>,
    ) -> Result<Prepared, Refused> {
        let mut requested = Requested {
            entries: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            let request = Request::read(&entry.params).map_err(Refused::entries)?;
            requested.entries.push(RequestedEntry {
                id: entry.id,
                legacy: entry.legacy,
                request,
            });
        }
        let mut watch = self.watch.clone();
        match watch.live(Instant::now() + LIVE_TIMEOUT).await {
            replication::Status::Live { .. } => {}
            replication::Status::Waiting { reason } => {
                return Err(Refused {
                    message: format!("Changes of the database cannot be received: {reason}"),
                    retry: true,
                    kind: RefusedKind::NotLive,
                });
            }
            replication::Status::Stopped => {
                return Err(Refused {
                    message: "Changes of the database cannot be received: the server is stopping"
                        .to_owned(),
                    retry: false,
                    kind: RefusedKind::NotLive,
                });
            }
        }
        let requested = Arc::new(requested);
        match self.state.plan(&requested, &claims.role).await {
            Ok(plan) => Ok(Prepared {
                warnings: if self.state.resolver.settings.warnings {
                    plan.warnings.clone()
                } else {
                    Vec::new()
                },
                plan,
                audience: self.state.audience(&claims),
            }),
            Err(Failure::Refused(message)) => Err(Refused::entries(message)),
            Err(Failure::Catalog(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a subscription could not be validated"
                );
                let message = match error {
                    catalog::Error::Timeout => {
                        "{:error, \"Too many database timeouts\"}".to_owned()
                    }
                    other => format!("The database could not be asked: {other}"),
                };
                Err(Refused {
                    message,
                    retry: true,
                    kind: RefusedKind::Database,
                })
            }
        }
    }

    /// Runs `before` (which pushes the join reply) and subscribes, as one step: no change is delivered earlier than what
    /// `before` pushed, and none that is committed afterwards is missed. `replacing` (a token refresh) ends in the same
    /// step. Then the warnings are pushed.
    pub fn attach(
        &self,
        prepared: Prepared,
        member: Arc<Member>,
        replacing: Option<Subscription>,
        before: impl FnOnce(),
    ) -> Subscription {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let Prepared {
            plan,
            audience,
            warnings,
        } = prepared;
        // What the replaced subscription matched is on its way under its old claims; it arrives unless the channel ends.
        let alive = replacing.as_ref().map_or_else(
            || Arc::new(AtomicBool::new(true)),
            |old| old.subscriber.alive.clone(),
        );
        let subscriber = Arc::new(Subscriber {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            member: member.clone(),
            audience,
            alive,
        });
        {
            let mut index = self.state.index.lock();
            if let Some(mut old) = replacing {
                index.remove(old.subscriber.id);
                old.replaced = true;
            }
            before();
            index.add(&subscriber, &plan);
        }
        if plan.generation != self.state.catalog.generation() {
            self.state.mark_outdated(subscriber.id);
        }
        for warning in warnings {
            member.system("postgres_changes", Status::Error, &warning);
        }
        Subscription {
            state: self.state.clone(),
            subscriber,
            replaced: false,
        }
    }

    /// Number of live subscriptions.
    pub fn subscriptions(&self) -> usize {
        self.state.index.lock().len()
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Refused {
    fn entries(message: String) -> Self {
        Self {
            message,
            retry: false,
            kind: RefusedKind::Entries,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.replaced {
            return;
        }
        self.subscriber.alive.store(false, Ordering::Release);
        let mut index = self.state.index.lock();
        index.remove(self.subscriber.id);
    }
}
