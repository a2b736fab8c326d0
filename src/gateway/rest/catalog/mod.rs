//! The schema cache: what there is in the exposed schemas, kept until it may have changed.
//!
//! It is read at the first request, again after [`Cache::invalidate`], and again when a request names something that is
//! not there and the catalogs of Postgres are not those that it was read from. Readings are shared: while one is under way,
//! others wait for it. What cannot be answered from a catalog is waited for at most [`PAUSE`], so that nobody makes the server
//! read it all the time.

mod load;
mod model;
mod relationships;
mod views;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::super::database::{Database, Error};
pub(super) use model::*;

/// Least time between two readings that nobody asked for by [`Cache::invalidate`].
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Cache {
    database: Database,
    schemas: Vec<String>,
    extra: Vec<String>,
    current: ArcSwapOption<Catalog>,
    /// It has been said that something changed.
    outdated: AtomicBool,
    /// Told at the same time.
    changed: Notify,
    /// Held while the catalog is read; when that was last.
    reading: Mutex<Option<Instant>>,
}

impl Cache {
    /// Reads nothing yet.
    pub(super) fn new(database: Database, schemas: Vec<String>, extra: Vec<String>) -> Self {
        Self {
            database,
            schemas,
            extra,
            current: ArcSwapOption::empty(),
            outdated: AtomicBool::new(false),
            changed: Notify::new(),
            reading: Mutex::new(None),
        }
    }

    /// Something has changed: the next request reads it anew.
    pub(super) fn invalidate(&self) {
        self.outdated.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// What is known.
    pub(super) async fn get(&self) -> Result<Arc<Catalog>, Error> {
        match self.known() {
            Some(catalog) => Ok(catalog),
            None => {
                let mut last = self.reading.lock().await;
                match self.known() {
                    // Somebody else has read it meanwhile.
                    Some(catalog) => Ok(catalog),
                    None => self.read(&mut last).await,
                }
            }
        }
    }

    /// What is there now, where this did not suffice. None: there is nothing else.
    pub(super) async fn newer(&self, than: &Arc<Catalog>) -> Result<Option<Arc<Catalog>>, Error> {
        let mut last = self.reading.lock().await;
        if let Some(known) = self.known()
            && !Arc::ptr_eq(&known, than)
        {
            return Ok(Some(known));
        }
        if load::snapshot(&self.database).await? == than.snapshot
            || load::fingerprint(&self.database).await? == than.fingerprint
        {
            return Ok(None);
        }
        if let Some(last) = *last {
            // Others wait for this too, so word of a change ends it.
            tokio::select! {
                () = tokio::time::sleep_until(last + PAUSE) => {}
                () = self.changed.notified() => {}
            }
        }
        Ok(Some(self.read(&mut last).await?))
    }

    fn known(&self) -> Option<Arc<Catalog>> {
        match self.outdated.load(Ordering::Acquire) {
            true => None,
            false => self.current.load_full(),
        }
    }

    async fn read(&self, last: &mut Option<Instant>) -> Result<Arc<Catalog>, Error> {
        // Before it is read: what changes meanwhile makes it outdated again.
        self.outdated.store(false, Ordering::Release);
        let unread = Unread(self);
        let raw = load::read(&self.database, &self.schemas, &self.extra).await?;
        std::mem::forget(unread);
        let catalog = Arc::new(assemble(raw, &self.extra));
        self.current.store(Some(Arc::clone(&catalog)));
        *last = Some(Instant::now());
        Ok(catalog)
    }
}

/// Dropped, what was to be read was not: an error, or a client that went away.
struct Unread<'a>(&'a Cache);

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        self.0.invalidate();
    }
}

fn assemble(raw: load::Raw, extra: &[String]) -> Catalog {
    let mut catalog = Catalog {
        snapshot: raw.snapshot,
        fingerprint: raw.fingerprint,
        ..Catalog::default()
    };
    let related = relationships::related(&raw.relations, &raw.constraints, &raw.views);
    let keys = related.keys.into_iter().zip(related.relationships);
    for (known, (key, relationships)) in raw.relations.into_iter().zip(keys) {
        let may_be_read = |computed: &Computed| {
            computed.schema == known.schema || extra.contains(&computed.schema)
        };
        let computed = raw
            .computed
            .iter()
            .filter(|(of, _, computed)| *of == known.number && may_be_read(computed))
            .map(|(_, name, computed)| (name.clone(), computed.clone()))
            .collect();
        let relation = Relation {
            columns: known
                .columns
                .into_iter()
                .map(|(_, column)| column)
                .collect(),
            key,
            relationships,
            computed,
            schema: known.schema,
            name: known.name,
        };
        let schema = catalog.schemas.entry(relation.schema.clone()).or_default();
        schema.relations.insert(relation.name.clone(), relation);
    }
    for function in raw.functions {
        let schema = catalog.schemas.entry(function.schema.clone()).or_default();
        let overloads = schema.functions.entry(function.name.clone()).or_default();
        overloads.push(function);
    }
    catalog
}
