//! Which subscriptions a change concerns.
//!
//! Per relation of the stream: groups of bindings that share one filter. Groups whose filter has a condition on a
//! column's equality are found through a hash of that column's value; the others are evaluated, each once per change
//! however many subscriptions share it. Adding and removing a subscription touches its own groups only.
//!
//! A plain structure behind one mutex: the worker holds it while it matches a batch, a join while it is added. Nothing
//! here waits for anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::RandomState;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::catalog::{Policy, Table, View};
use super::compiled::{Bound, Readers};
use super::condition::{Filter, Key, key_of};
use super::entry::Wanted;
use super::image::Image;
use super::plan::Plan;
use super::record::Operation;
use super::row::RowChange;
use super::visibility::Audience;
use crate::hub::Member;

type Map<K, V> = HashMap<K, V, RandomState>;

/// A channel with entries.
pub struct Subscriber {
    /// Unique in this process.
    pub id: u64,
    /// Where its frames go.
    pub member: Arc<Member>,
    /// Whose rights count.
    pub audience: Arc<Audience>,
    /// False as soon as the channel has left, also for changes that are on their way. Survives a new token.
    pub alive: Arc<AtomicBool>,
}

impl Subscriber {
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }
}

/// One entry of a channel on one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The id in `ids`.
    pub id: u64,
    /// Operations.
    pub wanted: Wanted,
    /// Selected columns.
    pub select: Option<Arc<[String]>>,
    /// Bare events named by the operation.
    pub legacy: bool,
}

/// A subscriber in a group, with its bindings that share the group's filter.
#[derive(Clone)]
pub(crate) struct Concerned {
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) bindings: SmallVec<[Binding; 1]>,
}

/// The subscribers of a group at one moment.
pub(crate) type Snapshot = Arc<Crowd>;

/// A role, the id of the policy that is its own now, and that policy's readers if they can be told apart.
type ReadersOf = (Arc<str>, u64, Option<Arc<Readers>>);

/// See [`Snapshot`].
pub(crate) struct Crowd {
    list: Vec<Concerned>,
    roles: SmallVec<[Arc<str>; 1]>,
    /// Ways to find those of a role whom its policy shows a row, made when first needed. One for a role: policies are read
    /// anew again and again while a crowd stays as it is.
    readers: Mutex<SmallVec<[ReadersOf; 1]>>,
}

impl Crowd {
    fn new(mut list: Vec<Concerned>) -> Self {
        // Those of one topic get the same frame.
        list.sort_by(|one, other| {
            let (one, other) = (&one.subscriber.member, &other.subscriber.member);
            (&one.topic, one.version as u8).cmp(&(&other.topic, other.version as u8))
        });
        let mut roles: SmallVec<[Arc<str>; 1]> = SmallVec::new();
        for concerned in &list {
            let role = concerned.subscriber.audience.role();
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
        Self {
            list,
            roles,
            readers: Mutex::default(),
        }
    }

    /// The roles of all.
    pub(crate) fn roles(&self) -> &[Arc<str>] {
        &self.roles
    }

    /// Everybody of a role.
    pub(crate) fn of_role<'a>(&'a self, role: &'a Arc<str>) -> impl Iterator<Item = &'a Concerned> {
        let only = self.roles.len() == 1;
        let list = self.list.iter();
        list.filter(move |concerned| only || concerned.subscriber.audience.role() == role)
    }

    /// Those of a role to whom a compiled policy may show the row, and perhaps others. `None`: it cannot be told apart.
    pub(crate) fn readers(
        &self,
        role: &Arc<str>,
        policy: &Policy,
        image: &Image,
    ) -> Option<impl Iterator<Item = &Concerned>> {
        let compiled = policy.compiled()?;
        let readers = {
            let mut known = self.readers.lock();
            match known.iter().find(|(_, id, _)| *id == policy.id) {
                Some((.., readers)) => readers.clone(),
                None => {
                    let bound: Vec<(u32, Arc<Bound>)> = (0u32..)
                        .zip(&self.list)
                        .filter(|(_, concerned)| concerned.subscriber.audience.role() == role)
                        .map(|(place, concerned)| {
                            let audience = &concerned.subscriber.audience;
                            (place, audience.bound(policy.id, compiled))
                        })
                        .collect();
                    let places = bound.iter().map(|(place, bound)| (*place, &**bound));
                    let readers = Readers::new(compiled, places).map(Arc::new);
                    known.retain(|(of, ..)| of != role);
                    known.push((role.clone(), policy.id, readers.clone()));
                    readers
                }
            }
        }?;
        let places = readers.of(compiled, &compiled.columns(&policy.guard, image))?;
        let list = &self.list;
        Some(
            places
                .into_iter()
                .filter_map(|place| list.get(place as usize)),
        )
    }
}

/// Bindings with the same filter on the same presented table.
struct Group {
    filter: Arc<Filter>,
    members: Map<u64, Concerned>,
    /// What matches hand out; made when it is first needed after a change.
    snapshot: Option<Snapshot>,
}

/// A table as it is presented to subscribers of one relation: itself, or a partitioned table above it.
struct Target {
    table: Arc<Table>,
    groups: Map<u64, Group>,
    by_filter: Map<Arc<Filter>, u64>,
    /// Groups that have to be evaluated for every change.
    scanned: Vec<u64>,
    /// Groups by a value of a column (an index into the table's columns).
    keyed: Map<usize, Map<Key, SmallVec<[u64; 2]>>>,
    /// How many subscribers of each role there are.
    roles: Map<Arc<str>, usize>,
}

/// A group that a change concerns.
pub struct Hit {
    /// The table as these subscribers know it.
    pub(crate) table: Arc<Table>,
    /// Who.
    pub(crate) snapshot: Snapshot,
    /// Conditions that only Postgres can evaluate and that must hold as well.
    pub(crate) asked: Option<Arc<Filter>>,
    /// Meant for roles that cannot be told more than that something happened, whatever their filters say.
    pub(crate) error: bool,
}

/// Rights by role and presented table.
pub type Views = HashMap<(Arc<str>, u32), Option<Arc<View>>>;

/// Subscriptions by the rows they want.
#[derive(Default)]
pub struct Index {
    sources: Map<u32, Vec<Target>>,
    subscribers: Map<u64, (Arc<Subscriber>, Arc<Plan>)>,
    next_group: u64,
}

impl Index {
    /// Number of subscriptions.
    pub(crate) fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Is this subscriber there?
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.subscribers.contains_key(&id)
    }

    /// Everybody, with the plan they were added by.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = (&Arc<Subscriber>, &Arc<Plan>)> {
        self.subscribers
            .values()
            .map(|(subscriber, plan)| (subscriber, plan))
    }

    /// Adds a subscriber; replaces its plan if it is there.
    pub fn add(&mut self, subscriber: &Arc<Subscriber>, plan: &Arc<Plan>) {
        self.remove(subscriber.id);
        for planned in &plan.bindings {
            self.next_group += 1;
            let fresh = self.next_group;
            let targets = self.sources.entry(planned.source).or_default();
            let target = match targets
                .iter()
                .position(|target| target.table.oid == planned.table.oid)
            {
                Some(position) => targets.get_mut(position),
                None => {
                    targets.push(Target::new(planned.table.clone()));
                    targets.last_mut()
                }
            };
            if let Some(target) = target {
                target.table = planned.table.clone();
                target.add(fresh, subscriber, &planned.filter, planned.binding.clone());
            }
        }
        self.subscribers
            .insert(subscriber.id, (subscriber.clone(), plan.clone()));
    }

    /// Removes a subscriber, if it is there.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some((subscriber, plan)) = self.subscribers.remove(&id) else {
            return;
        };
        for planned in &plan.bindings {
            let Some(targets) = self.sources.get_mut(&planned.source) else {
                continue;
            };
            for target in targets
                .iter_mut()
                .filter(|target| target.table.oid == planned.table.oid)
            {
                target.remove(&subscriber, &planned.filter);
            }
            targets.retain(|target| !target.groups.is_empty());
            if targets.is_empty() {
                self.sources.remove(&planned.source);
            }
        }
    }

    /// Is anybody interested in this relation?
    pub(crate) fn concerns(&self, source: u32) -> bool {
        self.sources.contains_key(&source)
    }

    /// The tables presented for a relation, and the roles of their subscribers.
    pub(crate) fn presented(&self, source: u32) -> impl Iterator<Item = (&Arc<Table>, &Arc<str>)> {
        self.sources
            .get(&source)
            .into_iter()
            .flatten()
            .flat_map(|target| target.roles.keys().map(move |role| (&target.table, role)))
    }

    /// The groups whose filter `row` passes, as far as it can be said here. Nothing is copied for a row nobody wants.
    pub fn matches(&mut self, row: &RowChange, views: &Views, hits: &mut Vec<Hit>) {
        let nothing = Vec::new();
        for target in self
            .sources
            .get_mut(&row.relation.oid)
            .into_iter()
            .flatten()
        {
            let table = target.table.clone();
            let denied = row.operation != Operation::Delete
                && target.roles.keys().any(|role| {
                    let view = views.get(&(role.clone(), table.oid));
                    view.is_some_and(|view| view.as_ref().is_some_and(|view| !view.key_selectable))
                });
            if denied {
                hits.extend(target.groups.values_mut().map(|group| Hit {
                    table: table.clone(),
                    snapshot: group.snapshot(),
                    asked: None,
                    error: true,
                }));
            }
            let aligned = row.aligned(&target.table.shape, &nothing, &nothing);
            let change = aligned.change(row, &target.table.shape);
            let mut candidates: SmallVec<[u64; 8]> = target.scanned.iter().copied().collect();
            for (column, keys) in &target.keyed {
                if let Some(groups) =
                    key_of(&target.table, *column, &change).and_then(|key| keys.get(&key))
                {
                    candidates.extend(groups.iter().copied());
                }
            }
            for id in candidates {
                let Some(group) = target.groups.get_mut(&id) else {
                    continue;
                };
                if group.filter.passes(&change) {
                    hits.push(Hit {
                        table: target.table.clone(),
                        snapshot: group.snapshot(),
                        asked: group.filter.is_asked().then(|| group.filter.clone()),
                        error: false,
                    });
                }
            }
        }
    }
}

impl Group {
    fn snapshot(&mut self) -> Snapshot {
        self.snapshot
            .get_or_insert_with(|| Arc::new(Crowd::new(self.members.values().cloned().collect())))
            .clone()
    }
}

impl Target {
    fn new(table: Arc<Table>) -> Self {
        Self {
            table,
            groups: Map::default(),
            by_filter: Map::default(),
            scanned: Vec::new(),
            keyed: Map::default(),
            roles: Map::default(),
        }
    }

    fn add(
        &mut self,
        fresh: u64,
        subscriber: &Arc<Subscriber>,
        filter: &Arc<Filter>,
        binding: Binding,
    ) {
        let id = *self.by_filter.entry(filter.clone()).or_insert(fresh);
        if id == fresh {
            match filter.key() {
                Some((column, keys)) => {
                    let by_key = self.keyed.entry(column).or_default();
                    for key in keys {
                        by_key.entry(key.clone()).or_default().push(id);
                    }
                }
                None => self.scanned.push(id),
            }
        }
        let group = self.groups.entry(id).or_insert_with(|| Group {
            filter: filter.clone(),
            members: Map::default(),
            snapshot: None,
        });
        group.snapshot = None;
        group
            .members
            .entry(subscriber.id)
            .or_insert_with(|| Concerned {
                subscriber: subscriber.clone(),
                bindings: SmallVec::new(),
            })
            .bindings
            .push(binding);
        *self
            .roles
            .entry(subscriber.audience.role().clone())
            .or_default() += 1;
    }

    fn remove(&mut self, subscriber: &Arc<Subscriber>, filter: &Arc<Filter>) {
        if let Some(count) = self.roles.get_mut(subscriber.audience.role()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.roles.remove(subscriber.audience.role());
            }
        }
        let Some(id) = self.by_filter.get(filter).copied() else {
            return;
        };
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        group.members.remove(&subscriber.id);
        group.snapshot = None;
        if !group.members.is_empty() {
            return;
        }
        self.groups.remove(&id);
        self.by_filter.remove(filter);
        match filter.key() {
            Some((column, keys)) => {
                if let Some(by_key) = self.keyed.get_mut(&column) {
                    for key in keys {
                        if let Some(groups) = by_key.get_mut(key) {
                            groups.retain(|group| *group != id);
                            if groups.is_empty() {
                                by_key.remove(key);
                            }
                        }
                    }
                    if by_key.is_empty() {
                        self.keyed.remove(&column);
                    }
                }
            }
            None => self.scanned.retain(|group| *group != id),
        }
    }
}
