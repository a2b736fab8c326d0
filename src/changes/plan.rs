//! From the entries of a channel and a role to bindings on tables: expansion over the publication, validation, warnings.
//!
//! Strict at subscribe time, with the original's refusals (§2.5, §2.6); lenient afterwards, when the catalog changed
//! under a subscription: what does not fit any more yields nothing (§2.10.10), the rest goes on.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_postgres::error::SqlState;

use super::catalog::{self, Access, Catalog, Published, Reason, Table, View};
use super::condition::Filter;
use super::entry::Request;
use super::filter::{self, Condition, Refusal};
use super::index::Binding;

/// What one channel asks for. Equal ones of different channels share plans.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requested {
    /// Per entry.
    pub entries: Vec<RequestedEntry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestedEntry {
    /// The id in `ids`.
    pub(crate) id: u64,
    /// Bare events (§3.17).
    pub(crate) legacy: bool,
    /// What it asks for.
    pub(crate) request: Request,
}

/// A binding on one relation of the stream.
#[derive(Debug)]
pub struct Planned {
    /// Relation of the stream.
    pub source: u32,
    /// The table as it is presented.
    pub table: Arc<Table>,
    /// Its conditions.
    pub filter: Arc<Filter>,
    /// The rest.
    pub binding: Binding,
}

/// The bindings of one channel.
#[derive(Debug)]
pub struct Plan {
    /// What it was made from.
    pub requested: Arc<Requested>,
    /// For this role.
    pub role: Arc<str>,
    /// Of the catalog.
    pub generation: u64,
    /// What to put into the index.
    pub bindings: Vec<Planned>,
    /// Why parts of it can never deliver.
    pub warnings: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The entries cannot be subscribed; the text of the `system` message.
    Refused(String),
    /// The database could not be asked.
    Catalog(catalog::Error),
}

impl From<catalog::Error> for Failure {
    fn from(error: catalog::Error) -> Self {
        Self::Catalog(error)
    }
}

/// Plans that may be remembered; beyond, they are forgotten and made again.
const REMEMBERED: usize = 20_000;

/// `regproc`, `regclass` and their like: which values they accept changes with the catalog.
const NAMES: [u32; 11] = [
    24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
];

type Plans = HashMap<(Arc<Requested>, Arc<str>), Arc<Plan>>;
type Canonical = HashMap<(u32, Condition), Result<String, Refusal>>;

/// Makes plans.
pub(crate) struct Planner {
    pub(crate) catalog: Arc<Catalog>,
    plans: Mutex<Plans>,
    /// Values as Postgres writes them, or why it refuses them.
    canonical: Mutex<(u64, Canonical)>,
}

impl Planner {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            plans: Mutex::default(),
            canonical: Mutex::default(),
        }
    }

    /// The plan, validated if `strict`.
    pub(crate) async fn plan(
        &self,
        requested: &Arc<Requested>,
        role: &Arc<str>,
        strict: bool,
    ) -> Result<Arc<Plan>, Failure> {
        let generation = self.catalog.generation();
        let key = (requested.clone(), role.clone());
        if let Some(plan) = self.plans.lock().get(&key)
            && plan.generation == generation
        {
            return Ok(plan.clone());
        }
        let plan = Arc::new(self.make(requested, role, generation, strict).await?);
        let mut plans = self.plans.lock();
        if plans.len() >= REMEMBERED {
            plans.clear();
        }
        // A lenient plan must not satisfy somebody who has to be told what is wrong.
        if strict {
            plans.insert(key, plan.clone());
        }
        Ok(plan)
    }

    /// Reads in few questions what making these plans again will ask for.
    pub(crate) async fn read_ahead(&self, plans: &[Arc<Plan>]) -> Result<(), catalog::Error> {
        let published = self.catalog.published().await?;
        let mut pairs: Vec<(Arc<str>, u32)> = Vec::new();
        for plan in plans {
            for entry in &plan.requested.entries {
                let tables = matching(&published, &entry.request);
                pairs.extend(tables.map(|table| (plan.role.clone(), table.oid)));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        self.catalog.views(&pairs).await.map(drop)
    }

    async fn make(
        &self,
        requested: &Arc<Requested>,
        role: &Arc<str>,
        generation: u64,
        strict: bool,
    ) -> Result<Plan, Failure> {
        let published = self.catalog.published().await?;
        let mut pairs: Vec<(Arc<str>, u32)> = Vec::new();
        // From the last entry to the first, as the original: the first refusal is the one that is reported (§2.5).
        for entry in requested.entries.iter().rev() {
            let mut tables = matching(&published, &entry.request).peekable();
            if tables.peek().is_none() && strict {
                return Err(Failure::Refused(entry.request.no_table()));
            }
            pairs.extend(tables.map(|table| (role.clone(), table.oid)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let views = self.catalog.views(&pairs).await?;
        let views: HashMap<u32, Option<Arc<View>>> =
            pairs.iter().map(|(_, oid)| *oid).zip(views).collect();
        let mut plan = Plan {
            requested: requested.clone(),
            role: role.clone(),
            generation,
            bindings: Vec::new(),
            warnings: Vec::new(),
        };
        for entry in requested.entries.iter().rev() {
            for table in matching(&published, &entry.request) {
                let Some(view) = views.get(&table.oid).and_then(Option::as_ref) else {
                    if strict {
                        let refusal = Refusal::unknown_role(role);
                        return Err(Failure::Refused(entry.request.refused(&refusal)));
                    }
                    continue;
                };
                match self.filter(&entry.request, view, strict).await? {
                    Ok(filter) => {
                        let filter = Arc::new(filter);
                        for source in &table.sources {
                            plan.bindings.push(Planned {
                                source: *source,
                                table: view.table.clone(),
                                filter: filter.clone(),
                                binding: Binding {
                                    id: entry.id,
                                    wanted: entry.request.wanted,
                                    select: entry.request.select.clone(),
                                    legacy: entry.legacy,
                                },
                            });
                        }
                        plan.warnings.extend(warning(view));
                    }
                    Err(refusal) if strict => {
                        return Err(Failure::Refused(entry.request.refused(&refusal)));
                    }
                    Err(_) => {}
                }
            }
        }
        plan.warnings.sort_unstable();
        plan.warnings.dedup();
        Ok(plan)
    }

    /// The filter of a request on a table, for a role; the inner error is what the database has against it.
    async fn filter(
        &self,
        request: &Request,
        view: &View,
        strict: bool,
    ) -> Result<Result<Filter, Refusal>, catalog::Error> {
        let table = &view.table;
        let selectable = |name: &str| {
            let position = table.position(name)?;
            view.selectable
                .get(position)
                .copied()
                .unwrap_or(false)
                .then_some(position)
        };
        let mut conditions = request.conditions.clone();
        conditions.sort_unstable();
        let mut placed = Vec::with_capacity(conditions.len());
        for mut condition in conditions {
            // A privilege that is revoked later hides the column, it does not end the subscription.
            let position = if strict {
                selectable(&condition.column)
            } else {
                table.position(&condition.column)
            };
            let Some(position) = position else {
                return Ok(Err(Refusal::invalid_filter_column(&condition.column)));
            };
            match self.canonical(&condition, table, position).await? {
                Ok(Some(value)) => condition.value = value,
                Ok(None) => {}
                Err(refusal) => return Ok(Err(refusal)),
            }
            placed.push((position, condition));
        }
        if strict && let Some(names) = &request.select {
            for name in names.iter() {
                if selectable(name).is_none() {
                    return Ok(Err(Refusal::invalid_select_column(name)));
                }
            }
        }
        Ok(Filter::compile(table, &placed))
    }

    /// The condition's value as Postgres writes it; `None` if it stands as it is.
    async fn canonical(
        &self,
        condition: &Condition,
        table: &Table,
        position: usize,
    ) -> Result<Result<Option<String>, Refusal>, catalog::Error> {
        let Some(column) = table.shape.columns.get(position) else {
            return Ok(Err(Refusal::invalid_filter_column(&condition.column)));
        };
        let Some(sql) = filter::validation_sql(condition, column, &table.types) else {
            return Ok(Ok(None));
        };
        let generation = self.catalog.generation();
        let key = (column.type_oid, condition.clone());
        {
            let mut known = self.canonical.lock();
            if known.1.len() >= REMEMBERED {
                known.1.clear();
            }
            if known.0 != generation {
                known.0 = generation;
                // What types of Postgres itself accept stays accepted, but for those that name objects.
                known.1.retain(|(oid, _), result| {
                    result.is_ok() && *oid < 16384 && !NAMES.contains(oid)
                });
            }
            if let Some(result) = known.1.get(&key) {
                return Ok(result.clone().map(Some));
            }
        }
        let result = match self.catalog.text(&sql).await {
            Ok(value) => Ok(value.unwrap_or_else(|| condition.value.clone())),
            Err(error) => match error.db() {
                // What the database has against the value; anything else is its own trouble.
                Some(db) if db.code() == &SqlState::INVALID_REGULAR_EXPRESSION => {
                    Err(Refusal::invalid_regex(condition.op, db.message()))
                }
                Some(db) if is_about_input(db.code().code()) => {
                    Err(Refusal::from_database(db.code().code(), db.message()))
                }
                _ => return Err(error),
            },
        };
        let mut known = self.canonical.lock();
        if known.0 == generation {
            known.1.insert(key, result.clone());
        }
        Ok(result.map(Some))
    }
}

/// The published tables that a request means.
fn matching<'a>(
    published: &'a [Published],
    request: &'a Request,
) -> impl Iterator<Item = &'a Published> {
    published
        .iter()
        .filter(|table| request.matches(&table.schema, &table.name))
        .filter(|table| !table.root_only || (request.table != "*" && request.schema != "*"))
}

/// Does the SQLSTATE speak of what was asked, not of the state of the server?
fn is_about_input(code: &str) -> bool {
    ["22", "23", "42", "P0", "54", "2B", "0A"]
        .iter()
        .any(|class| code.starts_with(class))
}

fn warning(view: &View) -> Option<String> {
    let name = format!("{}.{}", view.table.schema, view.table.name);
    let role = &view.role;
    if !view.selectable.contains(&true) {
        return Some(format!(
            "No rows of {name} can be delivered: role {role} may not SELECT from it. Grant it with: \
             grant select on {} to {}",
            view.table.sql(),
            catalog::identifier(role)
        ));
    }
    match view.access {
        Access::Closed(Reason::NoPolicy) => Some(format!(
            "No rows of {name} can be delivered: row level security is enabled and no policy for SELECT \
             applies to role {role}"
        )),
        Access::Closed(Reason::NoUsage) => Some(format!(
            "No rows of {name} can be delivered: row level security is enabled and role {role} has no USAGE on \
             schema {}",
            view.table.schema
        )),
        Access::Closed(Reason::Unread) | Access::Open | Access::Judged(_) => None,
    }
}
