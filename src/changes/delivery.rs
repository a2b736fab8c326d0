//! From resolved rows to frames: each body rendered once, each frame encoded once, one frame per channel and group.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::measures;
use super::record::{self, BodyError, ColumnSet, OldValues, Prepared};
use super::resolve::{Group, Resolved, Values};
use super::row::sent_position;
use crate::protocol::{Version, encode};

/// A rendered body: table, columns, old values, error row.
type Body = (u32, ColumnSet, OldValues, bool, Option<Arc<[u8]>>);
type FrameKey = (Arc<str>, Version, SmallVec<[u64; 1]>);

/// Sends one row to everybody it is for. Never waits.
pub(super) fn deliver(row: &Resolved, max_bytes: usize) -> u64 {
    let mut bodies: Vec<Body> = Vec::new();
    let mut delivered = 0_u64;
    for group in &row.groups {
        let visible = visible(row, group);
        let oid = group.view.table.oid;
        let known = bodies.iter().find(|(table, columns, old, error, _)| {
            *table == oid
                && *error == group.error
                && (group.error || (*columns == visible && *old == group.old_values))
        });
        let body = match known {
            Some((.., body)) => body.clone(),
            None => {
                let body = render(row, group, &visible, max_bytes);
                bodies.push((oid, visible, group.old_values, group.error, body.clone()));
                body
            }
        };
        let Some(body) = body else { continue };
        let event = if group.legacy {
            row.row.operation.as_str()
        } else {
            "postgres_changes"
        };
        let mut frames: HashMap<FrameKey, Bytes, ahash::RandomState> = HashMap::default();
        let share = group.recipients.len() > 1;
        for recipient in &group.recipients {
            let subscriber = &recipient.subscriber;
            if !subscriber.is_alive() {
                continue;
            }
            let member = &subscriber.member;
            let make = || {
                let payload = payload(&recipient.ids, &body, group.legacy);
                encode::fan_out(member.version, &member.topic, event, &payload)
            };
            let frame = if share {
                let key = (member.topic.clone(), member.version, recipient.ids.clone());
                frames.entry(key).or_insert_with(make).clone()
            } else {
                make()
            };
            delivered += u64::from(member.send(frame));
        }
    }
    metrics::counter!(measures::DELIVERED).increment(delivered);
    delivered
}

fn payload(ids: &[u64], body: &[u8], legacy: bool) -> Vec<u8> {
    if legacy {
        return body.to_vec();
    }
    let mut payload = Vec::with_capacity(body.len() + 24 + 12 * ids.len());
    payload.extend_from_slice(b"{\"ids\":[");
    for (number, id) in ids.iter().enumerate() {
        if number > 0 {
            payload.push(b',');
        }
        payload.extend_from_slice(id.to_string().as_bytes());
    }
    payload.extend_from_slice(b"],\"data\":");
    payload.extend_from_slice(body);
    payload.push(b'}');
    payload
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
