//! From resolved rows to frames: each body rendered once, frames written out by the sockets they are for, or once where several
//! get the same. Rows that come together and are for the same recipients are handed on together.

use std::sync::Arc;

use super::measures;
use super::record::{self, BodyError, ColumnSet, OldValues, Prepared};
use super::resolve::{Group, Recipient, Resolved, Values};
use super::row::sent_position;
use crate::hub::FEW;
use crate::protocol::{Bodies, Outgoing, Series};

/// A rendered body: table, columns, old values, error row.
type Body = (u32, ColumnSet, OldValues, bool, Option<Arc<[u8]>>);

/// Bodies that go to a socket in one piece: as many bytes as any outbox takes.
const SERIES_BYTES: usize = 32 << 10;

/// Sends rows to everybody they are for. Never waits.
pub(super) fn deliver(rows: &[Resolved], max_bytes: usize) -> u64 {
    let runs = rows.chunk_by(same_recipients);
    // Many rows are left to the writers, who work side by side.
    let at_once = rows.len() <= FEW;
    let delivered = runs.map(|run| deliver_run(run, at_once, max_bytes)).sum();
    metrics::counter!(measures::DELIVERED).increment(delivered);
    delivered
}

/// Can each recipient get both rows at once, without anything of one row being overtaken by the other?
fn same_recipients(one: &Resolved, other: &Resolved) -> bool {
    let alike = |(one, other): (&Group, &Group)| {
        Arc::ptr_eq(&one.recipients, &other.recipients)
            && one.legacy == other.legacy
            && (one.view.role == other.view.role)
    };
    // Bodies of two groups may go to one channel, but not where their roles differ.
    let apart = |(number, group): (usize, &Group)| {
        let before = one.groups.get(..number).unwrap_or_default();
        before
            .iter()
            .all(|other| other.view.role != group.view.role)
    };
    one.groups.len() == other.groups.len()
        && one.row.operation == other.row.operation
        && one.groups.iter().zip(&other.groups).all(alike)
        && one.groups.iter().enumerate().all(apart)
}

/// Rows whose groups have the same recipients, one by one.
fn deliver_run(run: &[Resolved], at_once: bool, max_bytes: usize) -> u64 {
    let Some(first) = run.first() else { return 0 };
    let mut rendered: Vec<Vec<Body>> = vec![Vec::new(); run.len()];
    let mut delivered = 0;
    for (place, group) in first.groups.iter().enumerate() {
        let mut bodies: Vec<Arc<[u8]>> = Vec::new();
        let mut bytes = 0;
        for (row, known) in run.iter().zip(&mut rendered) {
            let its = row.groups.get(place);
            let Some(body) = its.and_then(|its| body(row, its, known, max_bytes)) else {
                continue;
            };
            if bytes + body.len() > SERIES_BYTES && !bodies.is_empty() {
                delivered += send(first, group, at_once, std::mem::take(&mut bodies).into());
                bytes = 0;
            }
            bytes += body.len();
            bodies.push(body);
        }
        if !bodies.is_empty() {
            delivered += send(first, group, at_once, bodies.into());
        }
    }
    delivered
}

/// The body for a group, rendered once for all that see the same of the row.
fn body(
    row: &Resolved,
    group: &Group,
    known: &mut Vec<Body>,
    max_bytes: usize,
) -> Option<Arc<[u8]>> {
    let visible = visible(row, group);
    let oid = group.view.table.oid;
    let same = known.iter().find(|(table, columns, old, error, _)| {
        *table == oid
            && *error == group.error
            && (group.error || (*columns == visible && *old == group.old_values))
    });
    match same {
        Some((.., body)) => body.clone(),
        None => {
            let body = render(row, group, &visible, max_bytes);
            known.push((oid, visible, group.old_values, group.error, body.clone()));
            body
        }
    }
}

fn send(row: &Resolved, group: &Group, at_once: bool, bodies: Bodies) -> u64 {
    let event = if group.legacy {
        row.row.operation.as_str()
    } else {
        "postgres_changes"
    };
    let at_once = at_once && group.recipients.len() <= FEW;
    let mut delivered = 0;
    // Recipients of one topic come together; what one got is kept for the next.
    let mut last: Option<(&Recipient, Outgoing)> = None;
    let mut following = group.recipients.iter();
    while let Some(recipient) = following.next() {
        let subscriber = &recipient.subscriber;
        if !subscriber.is_alive() {
            continue;
        }
        let member = &subscriber.member;
        let frames = match &last {
            Some((same, frames)) if same.has_frames_of(recipient) => frames.clone(),
            _ => {
                let ids = (!group.legacy).then_some(&recipient.ids[..]);
                let series = Series::new(member.version, &member.topic, event, ids, bodies.clone());
                let next = following.as_slice().first();
                if next.is_some_and(|next| recipient.has_frames_of(next)) {
                    let frames = series.finish();
                    last = Some((recipient, frames.clone()));
                    frames
                } else if at_once {
                    series.finish()
                } else {
                    Outgoing::Series(series)
                }
            }
        };
        let count = u64::from(frames.count());
        if member.send_when(at_once, frames) {
            delivered += count;
        }
    }
    delivered
}

impl Recipient {
    /// Does the other get the same bytes for the same bodies?
    fn has_frames_of(&self, other: &Self) -> bool {
        let (one, another) = (&self.subscriber.member, &other.subscriber.member);
        one.version == another.version && self.ids == other.ids && one.topic == another.topic
    }
}

/// Selectable ∩ (selected ∪ key) ∩ published (§2.11, §2.17).
fn visible(row: &Resolved, group: &Group) -> ColumnSet {
    let table = &group.view.table;
    let published =
        |position: usize, name: &str| sent_position(&row.row.relation, position, name).is_some();
    // A publication with a column list hides what generated columns are made of, and so the columns themselves.
    let complete =
        table.columns.iter().enumerate().all(|(position, column)| {
            column.generated.is_some() || published(position, &column.name)
        });
    table
        .columns
        .iter()
        .enumerate()
        .filter(|(position, column)| {
            let selected = group
                .select
                .as_ref()
                .is_none_or(|select| select.contains(&column.name) || table.key.contains(position));
            let carried =
                published(*position, &column.name) || (column.generated.is_some() && complete);
            selected
                && carried
                && group
                    .view
                    .selectable
                    .get(*position)
                    .copied()
                    .unwrap_or(false)
        })
        .map(|(position, _)| position)
        .collect()
}

fn render(
    row: &Resolved,
    group: &Group,
    visible: &ColumnSet,
    max_bytes: usize,
) -> Option<Arc<[u8]>> {
    let table = &group.view.table;
    let mut body = Vec::with_capacity(256 + row.row.size() * 2);
    if group.error {
        let error = if table.key.is_empty() {
            BodyError::NoPrimaryKey
        } else {
            BodyError::Unauthorized
        };
        record::write_error_body(&table.shape, row.row.operation, error, &mut body);
        return Some(body.into());
    }
    let nothing = Values::default();
    let values = row.values.get(&table.oid).unwrap_or(&nothing);
    let aligned = row.row.aligned(&table.shape, &values.new, &values.old);
    let change = aligned.change(&row.row, &table.shape);
    let prepared: Vec<Prepared<'_>> = values
        .rendered
        .iter()
        .map(|(column, text, json)| Prepared {
            column: *column,
            text,
            json,
        })
        .collect();
    let mut view = record::View {
        visible,
        old_values: group.old_values,
        max_bytes,
        prepared: &prepared,
    };
    match record::write_body(&table.types, &change, &view, &mut body) {
        Ok(()) => Some(body.into()),
        Err(error) => {
            // The value could not be had from Postgres: the row without it is better than no row.
            let without: ColumnSet = (0..table.columns.len())
                .filter(|position| visible.contains(*position))
                .filter(|position| {
                    table
                        .shape
                        .columns
                        .get(*position)
                        .is_some_and(|column| record::can_render(&table.types, column.type_oid))
                })
                .collect();
            measures::warn_rarely(
                || tracing::warn!(%error, "a column could not be rendered and is left out"),
            );
            view.visible = &without;
            body.clear();
            record::write_body(&table.types, &change, &view, &mut body).ok()?;
            Some(body.into())
        }
    }
}
