//! What the worker and the joins share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::catalog::{self, Catalog};
use super::index::{Index, Subscriber};
use super::plan::{Failure, Plan, Planner, Requested};
use super::resolve::Resolver;
use super::visibility::{self, Audience};
use crate::auth::Claims;

/// How often the catalog is read again because something was refused.
const REREAD_PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct State {
    pub(super) catalog: Arc<Catalog>,
    pub(super) planner: Planner,
    pub(super) index: Mutex<Index>,
    pub(super) resolver: Resolver,
    pub(super) judge: Arc<visibility::Postgres>,
    /// Somebody was added by a plan of an outdated catalog.
    pub(super) changed: Notify,
    /// Those.
    outdated: Mutex<Vec<u64>>,
    /// See [`State::present`]: since when its catalog is read.
    present: tokio::sync::Mutex<Option<(Instant, Arc<Planner>)>>,
    /// Audiences in use, so that equal claims are asked about once.
    audiences: Mutex<HashMap<Arc<Claims>, std::sync::Weak<Audience>>>,
}

impl State {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        resolver: Resolver,
        judge: Arc<visibility::Postgres>,
    ) -> Self {
        Self {
            planner: Planner::new(catalog.clone()),
            catalog,
            index: Mutex::default(),
            resolver,
            judge,
            changed: Notify::new(),
            outdated: Mutex::default(),
            present: tokio::sync::Mutex::default(),
            audiences: Mutex::default(),
        }
    }

    /// Forgets what was derived from the catalog.
    pub(super) fn invalidate(&self) {
        self.catalog.invalidate();
        self.judge.forget();
    }

    /// The plan for a channel that joins. A refusal is checked against the catalog as it is now: what the stream is
    /// about to tell may have happened already.
    pub(super) async fn plan(
        &self,
        requested: &Arc<Requested>,
        role: &Arc<str>,
    ) -> Result<Arc<Plan>, Failure> {
        let generation = self.catalog.generation();
        let planned = self.planner.plan(requested, role, true).await;
        if !matches!(planned, Err(Failure::Refused(_))) {
            return planned;
        }
        let plan = self.present().await.plan(requested, role, true).await?;
        // Its generation has the worker make it again before the next row.
        if self.catalog.invalidate_if(generation) {
            self.judge.forget();
        }
        Ok(plan)
    }

    /// Plans of the catalog as it is at this moment or later. It is read anew at most once in [`REREAD_PAUSE`], for all
    /// that ask meanwhile: a flood of wrong entries must not become a flood of questions.
    async fn present(&self) -> Arc<Planner> {
        let asked = Instant::now();
        let mut last = self.present.lock().await;
        if let Some((since, planner)) = &*last {
            if *since >= asked {
                return planner.clone();
            }
            tokio::time::sleep_until(*since + REREAD_PAUSE).await;
        }
        let planner = Arc::new(Planner::new(Arc::new(self.catalog.unread())));
        *last = Some((Instant::now(), planner.clone()));
        planner
    }

    /// The audience of these claims.
    pub(super) fn audience(&self, claims: &Arc<Claims>) -> Arc<Audience> {
        let mut audiences = self.audiences.lock();
        if let Some(audience) = audiences.get(claims).and_then(std::sync::Weak::upgrade) {
            return audience;
        }
        // Forget those nobody uses any more whenever the map has doubled.
        if audiences.len().is_power_of_two() {
            audiences.retain(|_, audience| audience.strong_count() > 0);
        }
        let audience = Arc::new(Audience::new(claims.clone()));
        audiences.insert(claims.clone(), Arc::downgrade(&audience));
        audience
    }

    /// The plan of a subscriber that has just been added was made from an outdated catalog.
    pub(super) fn mark_outdated(&self, subscriber: u64) {
        self.outdated.lock().push(subscriber);
        self.changed.notify_one();
    }

    pub(super) fn has_outdated(&self) -> bool {
        !self.outdated.lock().is_empty()
    }

    /// Makes the plans again that are older than the catalog, and puts them into the index: tables come and go.
    pub(super) async fn refresh(&self) -> Result<(), catalog::Error> {
        self.outdated.lock().clear();
        let generation = self.catalog.generation();
        let stale: Vec<(Arc<Subscriber>, Arc<Plan>)> = {
            let index = self.index.lock();
            index
                .everybody()
                .filter(|(_, plan)| plan.generation != generation)
                .map(|(subscriber, plan)| (subscriber.clone(), plan.clone()))
                .collect()
        };
        let distinct: HashMap<usize, Arc<Plan>> = stale
            .iter()
            .map(|(_, plan)| (address(plan), plan.clone()))
            .collect();
        let distinct: Vec<Arc<Plan>> = distinct.into_values().collect();
        self.planner.read_ahead(&distinct).await?;
        let mut again: HashMap<usize, Arc<Plan>> = HashMap::new();
        for plan in &distinct {
            match self.planner.plan(&plan.requested, &plan.role, false).await {
                Ok(new) => {
                    again.insert(address(plan), new);
                }
                Err(Failure::Catalog(error)) => return Err(error),
                // Lenient plans are not refused.
                Err(Failure::Refused(_)) => {}
            }
        }
        let mut index = self.index.lock();
        for (subscriber, plan) in stale {
            // It may have left meanwhile.
            if let Some(new) = again.get(&address(&plan))
                && index.contains(subscriber.id)
            {
                index.add(&subscriber, new);
            }
        }
        Ok(())
    }
}

/// Tells plans apart; those compared are alive.
fn address(plan: &Arc<Plan>) -> usize {
    Arc::as_ptr(plan) as usize
}
