//! The tenants of the metadata that are being served: looked up, remembered, and kept in step with their rows.
//!
//! A tenant is served as it was read until `TENANT_CACHE_EXPIRATION_IN_MS` is over; then the next who asks reads its row
//! again, and one question reads the rows of all that have sockets. While the metadata are away everything goes on as it
//! was read last, and a name that is not known yet is not answered with "not found".
//!
//! Whoever reads a row to apply it, or writes one, holds the gate of its name: what was read before a write is never
//! applied after it, and many who ask for one name ask once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ahash::RandomState;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::NoTenant;
use super::record::{RecordError, TenantRecord};
use super::seed::Seed;
use super::store::{Store, StoreError};
use super::template::Template;
use crate::tenant::{Settings, Tenant};

/// How long a name without a tenant is remembered.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// At most so many of them.
const UNKNOWN_NAMES: usize = 10_000;
/// How long nobody asks the metadata after they did not answer.
const AWAY_FOR: Duration = Duration::from_secs(2);
/// Gates; names that share one wait for each other.
const GATES: usize = 64;
/// Longest name of a tenant in bytes.
const LONGEST_NAME: usize = 255;

/// See the module.
pub struct Many {
    pub(super) store: Store,
    pub(super) template: Template,
    /// How long a row counts as it was read.
    fresh_for: Duration,
    /// How long a tenant without sockets keeps its database connections.
    idle_release: Duration,
    known: DashMap<String, Known, RandomState>,
    unknown: Mutex<std::collections::HashMap<String, Instant, RandomState>>,
    gates: [tokio::sync::Mutex<()>; GATES],
    hasher: RandomState,
    /// Until when the metadata are not asked.
    away: Mutex<Option<Instant>>,
    /// The tables are there, and the tenant of the environment is in them if it is to be.
    pub(super) ready: AtomicBool,
}

struct Known {
    tenant: Arc<Tenant>,
    record: TenantRecord,
    read_at: Instant,
    used_at: Instant,
}

/// Proof that nobody else reads or writes the rows behind a gate.
pub(super) struct Gate<'a>(#[allow(dead_code)] tokio::sync::MutexGuard<'a, ()>);

impl Many {
    /// Knows no tenant yet. Rows count as they were read for `fresh_for`; a tenant without sockets keeps its database
    /// connections for `idle_release`. The tenant of `seed` is made anew first. Looked after until `stop`.
    pub fn start(
        store: Store,
        template: Template,
        fresh_for: Duration,
        idle_release: Duration,
        seed: Option<Seed>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let many = Arc::new(Self {
            store,
            template,
            fresh_for,
            idle_release,
            known: DashMap::default(),
            unknown: Mutex::default(),
            gates: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: RandomState::default(),
            away: Mutex::default(),
            ready: AtomicBool::new(false),
        });
        tokio::spawn(super::keep::run(Arc::downgrade(&many), seed, stop));
        many
    }

    /// The tenant of this name, opened to its sockets.
    pub(super) async fn resolve(&self, name: &str) -> Result<Arc<Tenant>, NoTenant> {
        let tenant = self.find(name).await?;
        if let Some(mut known) = self.known.get_mut(name) {
            known.used_at = Instant::now();
        }
        Ok(tenant)
    }

    /// The tenant of this name; asking does not keep its database open.
    pub(super) async fn find(&self, name: &str) -> Result<Arc<Tenant>, NoTenant> {
        if let Some(answer) = self.remembered(name) {
            return answer;
        }
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
            return Err(NoTenant::Unknown);
        }
        let gate = self.gate(name).await;
        // Whoever held the gate may have asked for the same name.
        if let Some(answer) = self.remembered(name) {
            return answer;
        }
        self.read(name, &gate).await
    }

    /// What needs no question: a fresh tenant, a name without one, or whatever there is while the metadata are away.
    fn remembered(&self, name: &str) -> Option<Result<Arc<Tenant>, NoTenant>> {
        let away = self.is_away();
        if let Some(known) = self.known.get(name) {
            let fresh = known.read_at.elapsed() < self.fresh_for;
            return (fresh || away).then(|| Ok(Arc::clone(&known.tenant)));
        }
        if self
            .unknown
            .lock()
            .get(name)
            .is_some_and(|at| at.elapsed() < UNKNOWN_FOR)
        {
            return Some(Err(NoTenant::Unknown));
        }
        away.then_some(Err(NoTenant::Unavailable))
    }

    pub(super) async fn read(&self, name: &str, gate: &Gate<'_>) -> Result<Arc<Tenant>, NoTenant> {
        match self.heard(self.store.get(name).await) {
            Ok(Some(record)) => self.apply(record, gate).map_err(|error| {
                tracing::error!(tenant = name, %error, "a tenant cannot be served");
                NoTenant::Unavailable
            }),
            Ok(None) => {
                self.forget(name, gate);
                Err(NoTenant::Unknown)
            }
            Err(_) => match self.known.get(name) {
                Some(known) => Ok(Arc::clone(&known.tenant)),
                None => Err(NoTenant::Unavailable),
            },
        }
    }

    /// Takes note of whether the metadata answer; says so once when that changes.
    pub(super) fn heard<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let mut away = self.away.lock();
        match &answer {
            Ok(_) => {
                if away.take().is_some() {
                    tracing::info!("the metadata of tenants can be read again");
                }
            }
            Err(error) => {
                if away.is_none() {
                    tracing::error!(
                        %error,
                        "the metadata of tenants cannot be read; tenants that are known are served as they are"
                    );
                }
                *away = Some(Instant::now() + AWAY_FOR);
            }
        }
        answer
    }

    /// Whether they did not answer just now. One asks again when the time is over, the others go on meanwhile.
    fn is_away(&self) -> bool {
        let now = Instant::now();
        let mut away = self.away.lock();
        match *away {
            Some(until) if until > now => true,
            Some(_) => {
                *away = Some(now + AWAY_FOR);
                false
            }
            None => false,
        }
    }

    pub(super) async fn gate(&self, name: &str) -> Gate<'_> {
        let hash = self.hasher.hash_one(name);
        let index = usize::try_from(hash % GATES as u64).unwrap_or(0);
        // The index is a remainder, so there is such a gate.
        let gate = self.gates.get(index).unwrap_or(&self.gates[0]);
        Gate(gate.lock().await)
    }

    /// Serves a tenant as its row says from now on. Sockets are closed only when they must come back (§3.18).
    pub(super) fn apply(
        &self,
        record: TenantRecord,
        _gate: &Gate<'_>,
    ) -> Result<Arc<Tenant>, RecordError> {
        let now = Instant::now();
        self.unknown.lock().remove(&record.external_id);
        let mut known = match self.known.entry(record.external_id.clone()) {
            Entry::Occupied(known) => known,
            Entry::Vacant(place) => {
                let settings = self.settings(&record, None)?;
                let tenant = self.template.tenant(&record, settings);
                place.insert(Known {
                    tenant: Arc::clone(&tenant),
                    record,
                    read_at: now,
                    used_at: now,
                });
                return Ok(tenant);
            }
        };
        if known.get().record != record {
            let told = known.get().tenant.settings_now();
            match self.settings(&record, Some((&known.get().record, &told))) {
                Ok(settings) => known.get().tenant.reconfigure(settings),
                Err(error) => {
                    // Nobody may go on under keys that were taken away.
                    let gone = known.remove();
                    end(&gone.tenant);
                    return Err(error);
                }
            }
        }
        let known = known.get_mut();
        known.record = record;
        known.read_at = now;
        Ok(Arc::clone(&known.tenant))
    }

    fn settings(
        &self,
        record: &TenantRecord,
        before: Option<(&TenantRecord, &Settings)>,
    ) -> Result<Settings, RecordError> {
        self.template.settings(record, before, self.store.crypt())
    }

    /// There is no tenant of this name any more: its sockets are closed, and what it held is given back.
    pub(super) fn forget(&self, name: &str, _gate: &Gate<'_>) -> Option<Arc<Tenant>> {
        let mut unknown = self.unknown.lock();
        if unknown.len() >= UNKNOWN_NAMES {
            unknown.clear();
        }
        unknown.insert(name.to_owned(), Instant::now());
        drop(unknown);
        let (_, known) = self.known.remove(name)?;
        end(&known.tenant);
        Some(known.tenant)
    }

    /// The tenant of this name if it is being served.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Tenant>> {
        self.known.get(name).map(|known| Arc::clone(&known.tenant))
    }

    /// The tenants that are being served.
    pub(super) fn served(&self) -> Vec<Arc<Tenant>> {
        let known = self.known.iter();
        known.map(|known| Arc::clone(&known.tenant)).collect()
    }

    /// Reads the rows of all tenants with sockets again when they are old, in one question.
    pub(super) async fn refresh(&self) {
        let old: Vec<String> = self
            .known
            .iter()
            .filter(|known| {
                known.tenant.sockets.count() > 0 && known.read_at.elapsed() >= self.fresh_for
            })
            .map(|known| known.key().clone())
            .collect();
        if old.is_empty() || self.is_away() {
            return;
        }
        let asked_at = Instant::now();
        let Ok(records) = self.heard(self.store.find(&old).await) else {
            return;
        };
        for name in old {
            let gate = self.gate(&name).await;
            // Somebody has read or written the row since: that is newer.
            if self
                .known
                .get(&name)
                .is_none_or(|known| known.read_at >= asked_at)
            {
                continue;
            }
            match records.iter().find(|record| record.external_id == name) {
                Some(record) => {
                    if let Err(error) = self.apply(record.clone(), &gate) {
                        tracing::error!(tenant = name, %error, "a tenant cannot be served any more");
                    }
                }
                None => drop(self.forget(&name, &gate)),
            }
        }
    }

    /// Releases the database of tenants that nobody has used for a while, and forgets them.
    pub(super) fn release_idle(&self) {
        for mut known in self.known.iter_mut() {
            if known.tenant.sockets.count() > 0 {
                known.used_at = Instant::now();
            } else if known.used_at.elapsed() >= self.idle_release && known.tenant.release() {
                tracing::info!(tenant = %known.key(), "nobody is there; the database connections are released");
            }
        }
        // Under the lock of the map nobody can get a tenant that we alone hold.
        self.known.retain(|_, known| {
            known.used_at.elapsed() < self.idle_release || Arc::strong_count(&known.tenant) > 1
        });
    }

    /// How often [`Many::refresh`] and [`Many::release_idle`] are due.
    pub(super) fn pace(&self) -> Duration {
        let shortest = self.fresh_for.min(self.idle_release) / 2;
        shortest.clamp(Duration::from_millis(50), Duration::from_secs(15))
    }
}

/// Nobody is served any more. Sockets that are just being opened find it suspended.
fn end(tenant: &Arc<Tenant>) {
    tenant.release();
    let mut settings = (*tenant.settings_now()).clone();
    settings.suspend = true;
    tenant.reconfigure(settings);
    // Also when it was suspended before.
    tenant.disconnect_all();
}
