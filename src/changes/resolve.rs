//! From matched rows to what is sent to whom: filters that only Postgres can evaluate, visibility, missing values.
//!
//! Runs beside the worker, so that the next batch is read and matched meanwhile. Everything that is not proven is left
//! out here; what comes out may be delivered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use super::catalog::{Access, Table, View};
use super::complete;
use super::condition::Filter;
use super::entry::Wanted;
use super::image::Image;
use super::index::{Concerned, Hit, Subscriber, Views};
use super::record::{OldValues, Operation};
use super::row::{Fetched, RowChange};
use super::settings::Settings;
use super::visibility::{Ask, Connections, Visibility};

/// A row and the groups of subscribers it concerns.
pub(crate) struct Matched {
    pub(crate) row: Arc<RowChange>,
    pub(crate) hits: Vec<Hit>,
}

/// A subscriber and its entries that matched.
#[derive(Clone)]
pub(crate) struct Recipient {
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) ids: SmallVec<[u64; 1]>,
}

/// Recipients of the same body.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) view: Arc<View>,
    pub(crate) select: Option<Arc<[String]>>,
    pub(crate) legacy: bool,
    /// Only an error row may be sent (§2.14.2, §2.14.3).
    pub(crate) error: bool,
    pub(crate) old_values: OldValues,
    /// Shared by rows that are for the same.
    pub(crate) recipients: Arc<Vec<Recipient>>,
}

/// A row with everything that is needed to send it.
pub(crate) struct Resolved {
    pub(crate) row: Arc<RowChange>,
    pub(crate) groups: Vec<Group>,
    /// By presented table.
    pub(crate) values: HashMap<u32, Values>,
}

/// Position, text, JSON.
pub(crate) type Rendered = (usize, Box<[u8]>, Box<[u8]>);

/// A filter on a presented table.
type Asked = (u32, Arc<Filter>);

/// What the stream did not carry, for one row and table.
#[derive(Default)]
pub(crate) struct Values {
    pub(crate) new: Fetched,
    pub(crate) old: Fetched,
    /// Values rendered by Postgres.
    pub(crate) rendered: Vec<Rendered>,
}

/// What resolving needs.
pub(crate) struct Resolver {
    pub(crate) settings: Settings,
    pub(crate) visibility: Arc<dyn Visibility>,
    pub(crate) connections: Arc<Connections>,
}

impl Resolver {
    /// Resolves a batch, in order.
    pub(crate) async fn resolve(&self, mut batch: Vec<Matched>, views: &Views) -> Vec<Resolved> {
        self.ask_filters(&mut batch).await;
        let mut last: Option<(Operation, Vec<Hit>, Vec<Group>)> = None;
        let mut resolved: Vec<Resolved> = Vec::with_capacity(batch.len());
        for matched in batch {
            let operation = matched.row.operation;
            let groups = match &last {
                Some((of, hits, groups)) if *of == operation && same_hits(hits, &matched.hits) => {
                    groups.clone()
                }
                _ => {
                    let (groups, whoever) = groups(&matched, views);
                    last = whoever.then(|| (operation, matched.hits, groups.clone()));
                    groups
                }
            };
            resolved.push(Resolved {
                row: matched.row,
                groups,
                values: HashMap::new(),
            });
        }
        self.judge(&mut resolved).await;
        resolved.retain(|row| !row.groups.is_empty());
        complete::complete(&self.connections, &self.settings, &mut resolved).await;
        resolved
    }

    /// Drops the hits whose conditions Postgres finds not true.
    async fn ask_filters(&self, batch: &mut [Matched]) {
        let mut wanted: HashMap<Asked, (Arc<Table>, Vec<usize>)> = HashMap::new();
        for (number, matched) in batch.iter().enumerate() {
            for hit in &matched.hits {
                if let Some(filter) = &hit.asked {
                    let key = (hit.table.oid, filter.clone());
                    let entry = wanted
                        .entry(key)
                        .or_insert_with(|| (hit.table.clone(), Vec::new()));
                    entry.1.push(number);
                }
            }
        }
        if wanted.is_empty() {
            return;
        }
        let asked: Vec<_> = wanted.into_iter().collect();
        let rows = asked.iter().map(|((_, filter), (table, numbers))| {
            let rows: Vec<&RowChange> = numbers
                .iter()
                .filter_map(|number| batch.get(*number))
                .map(|matched| &*matched.row)
                .collect();
            complete::filter_question(table, filter, &rows)
        });
        let answers = self.connections.ask(rows.collect()).await;
        let mut true_for: std::collections::HashSet<(u32, Arc<Filter>, usize)> =
            std::collections::HashSet::new();
        for (((oid, filter), (_, numbers)), answer) in asked.into_iter().zip(answers) {
            for position in complete::positions(answer) {
                if let Some(number) = numbers.get(position) {
                    true_for.insert((oid, filter.clone(), *number));
                }
            }
        }
        for (number, matched) in batch.iter_mut().enumerate() {
            matched.hits.retain(|hit| match &hit.asked {
                None => true,
                Some(filter) => true_for.contains(&(hit.table.oid, filter.clone(), number)),
            });
        }
    }

    /// Keeps the recipients who may see the row, and decides how much of the old row they get.
    async fn judge(&self, rows: &mut [Resolved]) {
        /// What an answer is for.
        #[derive(Clone, Copy)]
        enum About {
            Row,
            Old,
        }
        let mut asks: Vec<Ask> = Vec::new();
        let mut places: Vec<(usize, usize, About)> = Vec::new();
        for (number, row) in rows.iter_mut().enumerate() {
            let mut new: Option<Arc<Image>> = None;
            let mut old: Option<Arc<Image>> = None;
            let change = row.row.clone();
            for (place, group) in row.groups.iter_mut().enumerate() {
                if group.error {
                    continue;
                }
                let delete = change.operation == Operation::Delete;
                group.old_values = if delete && group.view.guarded {
                    OldValues::PrimaryKey
                } else {
                    OldValues::Identity
                };
                if delete {
                    if !self.settings.deletes_authorised {
                        continue;
                    }
                    // Who may read no column does not learn that there was a row.
                    let blind = !group.view.selectable.contains(&true);
                    if blind || !group.view.key_selectable && group.view.guarded {
                        group.recipients = Arc::default();
                        continue;
                    }
                }
                match &group.view.access {
                    Access::Open => continue,
                    Access::Closed(_) => {
                        group.recipients = Arc::default();
                        continue;
                    }
                    Access::Judged(_) => {}
                }
                let audiences: Vec<_> = group
                    .recipients
                    .iter()
                    .map(|recipient| recipient.subscriber.audience.clone())
                    .collect();
                if !delete {
                    if new.is_none() {
                        new = change.new_image().map(Arc::new);
                    }
                    let Some(image) = &new else {
                        group.recipients = Arc::default();
                        continue;
                    };
                    asks.push(Ask {
                        view: group.view.clone(),
                        image: image.clone(),
                        audiences: audiences.clone(),
                    });
                    places.push((number, place, About::Row));
                }
                let old_matters = change.operation == Operation::Update
                    && !self.settings.old_record_original
                    && (change.old_tells_more_than_key(&group.view.table.shape)
                        || self.settings.deletes_authorised && change.old.is_some());
                if delete || old_matters {
                    if old.is_none() {
                        old = change.old_image().map(Arc::new);
                    }
                    let Some(image) = &old else {
                        group.recipients = Arc::default();
                        continue;
                    };
                    asks.push(Ask {
                        view: group.view.clone(),
                        image: image.clone(),
                        audiences,
                    });
                    places.push((number, place, if delete { About::Row } else { About::Old }));
                }
            }
        }
        let answers = if asks.is_empty() {
            Vec::new()
        } else {
            self.visibility.judge(asks).await
        };
        let mut seen: HashMap<(usize, usize), Vec<bool>> = HashMap::new();
        let mut seen_old: HashMap<(usize, usize), Vec<bool>> = HashMap::new();
        for ((number, place, about), answer) in places.iter().zip(answers) {
            match about {
                About::Row => seen.insert((*number, *place), answer),
                About::Old => seen_old.insert((*number, *place), answer),
            };
        }
        // A question without an answer hides.
        for (number, place, about) in places {
            match about {
                About::Row => seen.entry((number, place)).or_default(),
                About::Old => seen_old.entry((number, place)).or_default(),
            };
        }
        for (number, row) in rows.iter_mut().enumerate() {
            let mut reduced = Vec::new();
            for (place, group) in row.groups.iter_mut().enumerate() {
                let visible = seen.get(&(number, place));
                let old = seen_old.get(&(number, place));
                let is = |list: Option<&Vec<bool>>, index: usize| {
                    list.is_none_or(|list| list.get(index).copied().unwrap_or(false))
                };
                if visible.is_none() && old.is_none() {
                    continue;
                }
                let recipients = Arc::unwrap_or_clone(std::mem::take(&mut group.recipients));
                let (mut full, mut key_only) = (Vec::new(), Vec::new());
                for (index, recipient) in recipients.into_iter().enumerate() {
                    if !is(visible, index) {
                        continue;
                    }
                    if is(old, index) {
                        full.push(recipient);
                    } else {
                        key_only.push(recipient);
                    }
                }
                group.recipients = Arc::new(full);
                if !key_only.is_empty() {
                    reduced.push(Group {
                        view: group.view.clone(),
                        select: group.select.clone(),
                        legacy: group.legacy,
                        error: false,
                        // A key that is no more is told like that of a deleted row.
                        old_values: match self.settings.deletes_authorised {
                            true => OldValues::SameKey,
                            false => OldValues::PrimaryKey,
                        },
                        recipients: Arc::new(key_only),
                    });
                }
            }
            row.groups.extend(reduced);
            row.groups.retain(|group| !group.recipients.is_empty());
        }
    }
}

/// Do the same subscribers stand behind both, in the same way?
fn same_hits(one: &[Hit], other: &[Hit]) -> bool {
    let same = |(one, other): (&Hit, &Hit)| {
        Arc::ptr_eq(&one.snapshot, &other.snapshot)
            && one.table.oid == other.table.oid
            && one.error == other.error
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// Groups recipients by role and selection (§2.19), in that order; entries of one channel come together. And whether another
/// row of the same hits and operation has the same groups, whatever it says.
fn groups(matched: &Matched, views: &Views) -> (Vec<Group>, bool) {
    let operation = matched.row.operation;
    let mut groups: Vec<(Group, Vec<Recipient>)> = Vec::new();
    let mut image = None;
    let mut whoever = true;
    for hit in &matched.hits {
        for role in hit.snapshot.roles() {
            let Some(view) = views.get(&(role.clone(), hit.table.oid)).cloned().flatten() else {
                continue;
            };
            let error = operation != Operation::Delete && !view.key_selectable;
            if error != hit.error {
                continue;
            }
            // Whoever is not among those who may see the row as it is now gets nothing of it.
            let readers = match &view.access {
                Access::Judged(policy) if !error && operation != Operation::Delete => image
                    .get_or_insert_with(|| matched.row.new_image())
                    .as_ref()
                    .and_then(|image| hit.snapshot.readers(role, policy, image)),
                _ => None,
            };
            match readers {
                Some(readers) => {
                    whoever = false;
                    add(&mut groups, &view, error, operation, readers);
                }
                None => add(
                    &mut groups,
                    &view,
                    error,
                    operation,
                    hit.snapshot.of_role(role),
                ),
            }
        }
    }
    let together = |(group, mut recipients): (Group, Vec<Recipient>)| {
        if matched.hits.len() > 1 {
            merge(&mut recipients);
        }
        let recipients = Arc::new(recipients);
        Group {
            recipients,
            ..group
        }
    };
    let mut groups: Vec<Group> = groups.into_iter().map(together).collect();
    groups.sort_by(|a, b| {
        let key = |group: &Group| (group.view.role.clone(), group.select.clone());
        key(a).cmp(&key(b))
    });
    (groups, whoever)
}

/// Adds those who want the operation to the groups of their bodies.
fn add<'a>(
    groups: &mut Vec<(Group, Vec<Recipient>)>,
    view: &Arc<View>,
    error: bool,
    operation: Operation,
    readers: impl Iterator<Item = &'a Concerned>,
) {
    for concerned in readers {
        for binding in &concerned.bindings {
            if !wants(binding.wanted, operation) {
                continue;
            }
            let position = groups.iter().position(|(group, _)| {
                Arc::ptr_eq(&group.view, view)
                    && group.legacy == binding.legacy
                    && group.select == binding.select
            });
            let group = match position {
                Some(position) => groups.get_mut(position),
                None => {
                    let group = Group {
                        view: view.clone(),
                        select: binding.select.clone(),
                        legacy: binding.legacy,
                        error,
                        old_values: OldValues::Identity,
                        recipients: Arc::default(),
                    };
                    groups.push((group, Vec::new()));
                    groups.last_mut()
                }
            };
            let Some((_, recipients)) = group else {
                continue;
            };
            match recipients.last_mut() {
                Some(last) if last.subscriber.id == concerned.subscriber.id => {
                    last.ids.push(binding.id);
                }
                _ => recipients.push(Recipient {
                    subscriber: concerned.subscriber.clone(),
                    ids: SmallVec::from_elem(binding.id, 1),
                }),
            }
        }
    }
}

/// One recipient per subscriber: filters of several entries may have matched.
fn merge(recipients: &mut Vec<Recipient>) {
    let mut merged: BTreeMap<u64, Recipient> = BTreeMap::new();
    for recipient in recipients.drain(..) {
        match merged.entry(recipient.subscriber.id) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(recipient);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                entry.get_mut().ids.extend(recipient.ids);
            }
        }
    }
    recipients.extend(merged.into_values());
    // Those of one topic together, as a crowd has them.
    recipients.sort_by(|one, other| {
        let (one, other) = (&one.subscriber.member, &other.subscriber.member);
        one.topic.cmp(&other.topic)
    });
}

fn wants(wanted: Wanted, operation: Operation) -> bool {
    match wanted {
        Wanted::All => true,
        Wanted::Insert => operation == Operation::Insert,
        Wanted::Update => operation == Operation::Update,
        Wanted::Delete => operation == Operation::Delete,
    }
}
