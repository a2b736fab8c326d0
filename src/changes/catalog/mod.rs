//! What the database says about its tables, types, roles and policies, cached.
//!
//! The worker invalidates the cache in the order of the stream, when a message there announces DDL or GRANT, or when a
//! fingerprint of the catalog differs. Until then nothing is asked twice. An answer that was asked for before an
//! invalidation and arrives after it is used by its asker but not kept.

mod explain;
mod link;
mod load;
mod policy;
mod table;
mod view;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

pub use explain::ExplainedPolicy;
pub use load::TableRow;
pub use table::Table;
pub use view::View;

pub(crate) use crate::postgres::literal;
pub(crate) use policy::{Access, Policy, Reason};
pub(crate) use table::{Generated, identifier};

use super::compiled::{self, Functions};
use crate::postgres::{self, ConnectOptions};
use link::Link;
use load::{ExpressionRow, FunctionsRow, PublishedRow, RoleRow, TypeRow};

/// A table that was locked is left alone for so long.
const LOCKED_PAUSE: Duration = Duration::from_millis(50);

/// Why the catalog could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] postgres::Error),
    /// Postgres refused or the connection broke.
    #[error("the catalog could not be read")]
    Query(#[from] tokio_postgres::Error),
    /// Postgres did not answer in time.
    #[error("the database did not answer in time")]
    Timeout,
    /// The answer is not what was asked for.
    #[error("unexpected answer of the catalog")]
    Answer(#[from] serde_json::Error),
}

impl Error {
    /// The error Postgres reported, if it was one.
    pub(crate) fn db(&self) -> Option<&tokio_postgres::error::DbError> {
        match self {
            Self::Query(error) => error.as_db_error(),
            _ => None,
        }
    }
}

/// A table that can be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Schema, unquoted.
    pub(crate) schema: String,
    /// Name, unquoted.
    pub(crate) name: String,
    /// The table that is presented to subscribers.
    pub(crate) oid: u32,
    /// The relations of the stream whose changes are its changes: itself, or its partitions.
    pub(crate) sources: Vec<u32>,
    /// Not listed by the publication itself: a partitioned table whose partitions are. Only its own name reaches it.
    pub(crate) root_only: bool,
}

/// See the module.
pub(crate) struct Catalog {
    options: ConnectOptions,
    publications: Vec<String>,
    timeout: Duration,
    client: Arc<tokio::sync::Mutex<Option<Arc<Link>>>>,
    cache: Mutex<Cache>,
    /// Held by who reads what is missing; those who miss the same wait, and find it.
    reading: tokio::sync::Mutex<()>,
    /// Policies are compiled where they can be.
    compiles: bool,
    /// Tables whose policies are not, since Postgres said otherwise once.
    distrusted: Arc<Mutex<BTreeSet<u32>>>,
}

#[derive(Default)]
struct Cache {
    generation: u64,
    /// Counts everything that was forgotten: an answer to an older question is not kept.
    epoch: u64,
    published: Option<Arc<Vec<Published>>>,
    tables: HashMap<u32, Option<Arc<Table>>>,
    /// Tables whose expressions could not be read, and when.
    locked: HashMap<u32, Instant>,
    views: HashMap<(Arc<str>, u32), Option<Arc<View>>>,
}

impl Cache {
    fn invalidate(&mut self) {
        *self = Self {
            generation: self.generation + 1,
            epoch: self.epoch + 1,
            ..Self::default()
        };
    }
}

impl Catalog {
    pub(crate) fn new(
        options: ConnectOptions,
        publications: Vec<String>,
        timeout: Duration,
        compiles: bool,
    ) -> Self {
        Self {
            options,
            publications,
            timeout,
            client: Arc::default(),
            cache: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            compiles,
            distrusted: Arc::default(),
        }
    }

    /// The same catalog with nothing known. Its generation is none that this one ever has: what is derived from it has to
    /// be derived again.
    pub(crate) fn unread(&self) -> Self {
        Self {
            options: self.options.clone(),
            publications: self.publications.clone(),
            timeout: self.timeout,
            client: self.client.clone(),
            cache: Mutex::new(Cache {
                generation: u64::MAX,
                ..Cache::default()
            }),
            reading: tokio::sync::Mutex::default(),
            compiles: self.compiles,
            distrusted: self.distrusted.clone(),
        }
    }

    /// Counts invalidations: what was derived from one generation is stale in the next.
    pub(crate) fn generation(&self) -> u64 {
        self.cache.lock().generation
    }

    /// Forgets everything.
    pub(crate) fn invalidate(&self) {
        self.cache.lock().invalidate();
    }

    /// Forgets everything, unless that happened since this generation; says whether it did.
    pub(crate) fn invalidate_if(&self, generation: u64) -> bool {
        let mut cache = self.cache.lock();
        let same = cache.generation == generation;
        if same {
            cache.invalidate();
        }
        same
    }

    /// Is it known that this relation of the stream is published?
    pub(crate) fn is_published(&self, relation: u32) -> bool {
        let cache = self.cache.lock();
        cache.published.as_ref().is_some_and(|published| {
            published
                .iter()
                .any(|table| table.oid == relation || table.sources.contains(&relation))
        })
    }

    /// Forgets one table and the rights on it and on what is presented for it.
    pub(crate) fn forget(&self, relation: u32) {
        let mut cache = self.cache.lock();
        cache.epoch += 1;
        let presented: BTreeSet<u32> = cache
            .published
            .iter()
            .flat_map(|published| published.iter())
            .filter(|table| table.sources.contains(&relation))
            .map(|table| table.oid)
            .chain([relation])
            .collect();
        cache.tables.retain(|oid, table| {
            let ancestors = table.as_ref().map_or(&[][..], |table| &table.ancestors);
            !presented.contains(oid) && !ancestors.iter().any(|oid| presented.contains(oid))
        });
        let tables: BTreeSet<u32> = cache.tables.keys().copied().collect();
        cache.views.retain(|(_, oid), _| tables.contains(oid));
    }

    /// Everything that can be subscribed to now.
    pub(crate) async fn published(&self) -> Result<Arc<Vec<Published>>, Error> {
        if let Some(published) = &self.cache.lock().published {
            return Ok(published.clone());
        }
        let _reading = self.reading().await?;
        let epoch = {
            let cache = self.cache.lock();
            if let Some(published) = &cache.published {
                return Ok(published.clone());
            }
            cache.epoch
        };
        let rows: Vec<PublishedRow> = self.json(load::PUBLISHED, &[&self.publications]).await?;
        let published = Arc::new(with_roots(rows));
        let mut cache = self.cache.lock();
        if cache.epoch == epoch {
            cache.published = Some(published.clone());
        }
        Ok(published)
    }

    /// The views of these roles on these tables, in order; `None` where role or table does not exist.
    pub(crate) async fn views(
        &self,
        pairs: &[(Arc<str>, u32)],
    ) -> Result<Vec<Option<Arc<View>>>, Error> {
        let known = || {
            let cache = self.cache.lock();
            let known = pairs.iter().filter_map(|pair| {
                let view = cache.views.get(pair)?;
                Some((pair.clone(), view.clone()))
            });
            (known.collect::<HashMap<_, _>>(), cache.epoch)
        };
        let (mut views, mut epoch) = known();
        let _reading = if pairs.iter().all(|pair| views.contains_key(pair)) {
            None
        } else {
            let reading = self.reading().await?;
            (views, epoch) = known();
            Some(reading)
        };
        let mut missing: Vec<&(Arc<str>, u32)> = pairs
            .iter()
            .filter(|pair| !views.contains_key(*pair))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let loaded = self.load_views(&missing, epoch).await?;
            let mut cache = self.cache.lock();
            if cache.epoch == epoch {
                // A role that does not exist may be created without a sign of it in the stream.
                let there = loaded
                    .iter()
                    .filter(|(_, view)| view.as_ref().is_some_and(|view| !view.unread));
                cache
                    .views
                    .extend(there.map(|(pair, view)| (pair.clone(), view.clone())));
            }
            views.extend(loaded);
        }
        Ok(pairs
            .iter()
            .map(|pair| views.get(pair).cloned().flatten())
            .collect())
    }

    async fn reading(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        tokio::time::timeout(self.timeout, self.reading.lock())
            .await
            .map_err(|_| Error::Timeout)
    }

    async fn load_views(
        &self,
        pairs: &[&(Arc<str>, u32)],
        epoch: u64,
    ) -> Result<HashMap<(Arc<str>, u32), Option<Arc<View>>>, Error> {
        let oids: BTreeSet<u32> = pairs.iter().map(|(_, oid)| *oid).collect();
        let tables = self.tables(&oids, epoch).await?;
        // Ancestors matter only for partitions without row level security of their own (D12).
        let above: BTreeSet<u32> = tables
            .values()
            .filter(|table| !table.rls)
            .flat_map(|table| table.ancestors.iter().copied())
            .collect();
        let ancestors = self.tables(&above, epoch).await?;
        let guard_of = |table: &Arc<Table>| {
            if table.rls {
                return Some(table.clone());
            }
            let above = table.ancestors.iter().filter_map(|oid| ancestors.get(oid));
            above.clone().find(|ancestor| ancestor.rls).cloned()
        };
        let mut asked: BTreeSet<(Arc<str>, u32)> = BTreeSet::new();
        for (role, oid) in pairs {
            asked.insert((role.clone(), *oid));
            if let Some(guard) = tables.get(oid).and_then(guard_of) {
                asked.insert((role.clone(), guard.oid));
            }
        }
        let called: BTreeSet<u32> = tables
            .values()
            .chain(ancestors.values())
            .flat_map(|table| policy::functions(&table.policies))
            .collect();
        let called: Vec<i64> = called
            .into_iter()
            .chain(compiled::called_in_bodies())
            .map(i64::from)
            .collect();
        let roles: Vec<&str> = asked.iter().map(|(role, _)| &**role).collect();
        let relations: Vec<i64> = asked.iter().map(|(_, oid)| i64::from(*oid)).collect();
        let rows: Vec<RoleRow> = self
            .json(load::ROLES, &[&roles, &relations, &called])
            .await?;
        let rows: HashMap<(&str, u32), &RoleRow> = rows
            .iter()
            .map(|row| ((row.role.as_str(), row.table), row))
            .collect();
        let known: FunctionsRow = self.json(load::FUNCTIONS, &[&called]).await?;
        let functions = Functions::new(known.others, known.claim_is_unset, known.utf8);
        let compiling = |guard: Option<&Arc<Table>>| {
            let distrusted = self.distrusted.lock();
            let trusted = guard.is_some_and(|guard| !distrusted.contains(&guard.oid));
            (self.compiles && trusted).then_some(&functions)
        };
        Ok(pairs
            .iter()
            .map(|(role, oid)| {
                let view = tables.get(oid).and_then(|table| {
                    let row = rows.get(&(&**role, *oid))?;
                    let guard = guard_of(table);
                    let guard_row = match &guard {
                        Some(guard) => Some(*rows.get(&(&**role, guard.oid))?),
                        None => None,
                    };
                    Some(Arc::new(View::new(
                        role.clone(),
                        table.clone(),
                        row,
                        guard.as_ref().zip(guard_row),
                        &known.pure,
                        compiling(guard.as_ref()),
                    )))
                });
                ((role.clone(), *oid), view)
            })
            .collect())
    }

    /// The policies of this table are not compiled any more.
    pub(crate) fn distrust(&self, table: u32) {
        self.distrusted.lock().insert(table);
    }

    async fn tables(
        &self,
        oids: &BTreeSet<u32>,
        epoch: u64,
    ) -> Result<HashMap<u32, Arc<Table>>, Error> {
        let mut found = HashMap::new();
        let mut missing: Vec<i64> = Vec::new();
        {
            let cache = self.cache.lock();
            for oid in oids {
                match cache.tables.get(oid) {
                    Some(Some(table)) => {
                        found.insert(*oid, table.clone());
                    }
                    Some(None) => {}
                    None => missing.push(i64::from(*oid)),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let mut rows: Vec<TableRow> = self.json(load::TABLES, &[&missing]).await?;
        self.express(&mut rows).await?;
        let type_oids: BTreeSet<i64> = rows
            .iter()
            .flat_map(|row| &row.columns)
            .map(|column| i64::from(column.type_oid))
            .collect();
        let type_oids: Vec<i64> = type_oids.into_iter().collect();
        let type_rows: Vec<TypeRow> = self.json(load::TYPES, &[&type_oids]).await?;
        let bytewise = self.query(load::BYTEWISE, &[]).await?;
        let bytewise = bytewise.first().is_some_and(|row| row.get(0));
        let types = Arc::new(table::types(type_rows, bytewise));
        let loaded: HashMap<u32, Arc<Table>> = rows
            .into_iter()
            .map(|row| (row.oid, Arc::new(Table::new(row, types.clone()))))
            .collect();
        let mut cache = self.cache.lock();
        if cache.epoch == epoch {
            for oid in missing.iter().filter_map(|oid| u32::try_from(*oid).ok()) {
                let table = loaded.get(&oid);
                if table.is_some_and(|table| table.unread) {
                    cache.locked.insert(oid, Instant::now());
                } else {
                    cache.tables.insert(oid, table.cloned());
                }
            }
        }
        found.extend(loaded);
        Ok(found)
    }

    /// Reads the expressions of tables. A table that is locked goes without, which is noted, and keeps nobody waiting.
    async fn express(&self, rows: &mut [TableRow]) -> Result<(), Error> {
        let wanted: Vec<u32> = {
            let cache = self.cache.lock();
            let locked = |oid| {
                let since = cache.locked.get(oid);
                since.is_some_and(|since| since.elapsed() < LOCKED_PAUSE)
            };
            rows.iter()
                .filter(|row| row.has_expressions() && !locked(&row.oid))
                .map(|row| row.oid)
                .collect()
        };
        let mut found = HashMap::new();
        if !wanted.is_empty() && !self.expressions(&wanted, &mut found).await? && wanted.len() > 1 {
            // One of them is locked.
            for oid in wanted {
                self.expressions(&[oid], &mut found).await?;
            }
        }
        for row in rows {
            if row.has_expressions() {
                row.express(&mut found);
            }
        }
        Ok(())
    }

    /// `false`: one of the tables is locked.
    async fn expressions(
        &self,
        oids: &[u32],
        found: &mut HashMap<(u32, i64), ExpressionRow>,
    ) -> Result<bool, Error> {
        match self.simple(&load::expressions(oids)).await {
            Ok(text) => {
                let rows: Vec<ExpressionRow> =
                    serde_json::from_str(text.as_deref().unwrap_or("[]"))?;
                found.extend(rows.into_iter().map(|row| ((row.table, row.of), row)));
                Ok(true)
            }
            Err(error) if error.db().is_some_and(is_about_locks) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Are all these transactions (low 32 bits of their ids) visible to who asks now?
    pub(crate) async fn shows(&self, xids: &[u32]) -> Result<bool, Error> {
        let rows = self.query(load::SNAPSHOT, &[]).await?;
        let text: &str = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => "",
        };
        let snapshot = crate::postgres::Snapshot::read(text);
        Ok(snapshot.is_some_and(|snapshot| xids.iter().all(|xid| snapshot.shows(*xid))))
    }

    /// Whether DDL and GRANT are announced in the stream; if not, [`Self::fingerprint`] has to look at everything.
    pub(crate) async fn announced(&self) -> Result<bool, Error> {
        let rows = self.query(load::ANNOUNCED, &[]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// A text that changes when roles do, or (`everything`) when anything does that this cache holds.
    pub(crate) async fn fingerprint(&self, everything: bool) -> Result<String, Error> {
        let mut text = String::new();
        let mut queries = vec![load::FINGERPRINT_ROLES];
        if everything {
            queries.push(load::FINGERPRINT_ALL);
        }
        for query in queries {
            let rows = self.query(query, &[]).await?;
            if let Some(row) = rows.first() {
                text.push_str(row.try_get(0)?);
                text.push(';');
            }
        }
        Ok(text)
    }
}

fn is_about_locks(error: &tokio_postgres::error::DbError) -> bool {
    let code = error.code();
    *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED
}

/// What the publications list, and the partitioned tables above listed partitions that are not listed themselves.
fn with_roots(rows: Vec<PublishedRow>) -> Vec<Published> {
    let listed: BTreeSet<u32> = rows.iter().map(|row| row.oid).collect();
    let mut roots: HashMap<u32, Published> = HashMap::new();
    let mut published = Vec::with_capacity(rows.len());
    for row in rows {
        for root in row.roots {
            if listed.contains(&root.oid) {
                continue;
            }
            roots
                .entry(root.oid)
                .or_insert_with(|| Published {
                    schema: root.schema,
                    name: root.name,
                    oid: root.oid,
                    sources: Vec::new(),
                    root_only: true,
                })
                .sources
                .push(row.oid);
        }
        published.push(Published {
            schema: row.schema,
            name: row.name,
            oid: row.oid,
            sources: vec![row.oid],
            root_only: false,
        });
    }
    published.extend(roots.into_values());
    published
}
