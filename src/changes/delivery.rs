//! From resolved rows to frames: each body rendered once, each frame encoded once, one frame per channel and group.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::measures;
use super::record::{self, BodyError, ColumnSet, OldValues, Prepared};
use super::resolve::{Group, Recipient, Resolved, Values};
use super::row::sent_position;
use crate::protocol::encode;

/// A rendered body: table, columns, old values, error row.
type Body = (u32, ColumnSet, OldValues, bool, Option<Arc<[u8]>>);

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
        // Recipients of one topic come together; what one got is kept for the next.
        let mut payload = Payload::new(&body, group.legacy);
        let mut last: Option<(&Recipient, Bytes)> = None;
        for recipient in &group.recipients {
            let subscriber = &recipient.subscriber;
            if !subscriber.is_alive() {
                continue;
            }
            let member = &subscriber.member;
            let frame = match &last {
                Some((same, frame)) if same.has_frame_of(recipient) => frame.clone(),
                _ => {
                    let payload = payload.of(&recipient.ids);
                    let frame = encode::fan_out(member.version, &member.topic, event, payload);
                    last = Some((recipient, frame.clone()));
                    frame
                }
            };
            delivered += u64::from(member.send(frame));
        }
    }
    metrics::counter!(measures::DELIVERED).increment(delivered);
    delivered
}

impl Recipient {
    /// Does the other get the same bytes for the same body?
    fn has_frame_of(&self, other: &Self) -> bool {
        let (one, another) = (&self.subscriber.member, &other.subscriber.member);
        one.version == another.version && self.ids == other.ids && one.topic == another.topic
    }
}

/// The body with the ids of a recipient, written once for all whose ids are the same.
struct Payload<'a> {
    body: &'a [u8],
    legacy: bool,
    ids: SmallVec<[u64; 1]>,
    text: Vec<u8>,
}

impl<'a> Payload<'a> {
    fn new(body: &'a [u8], legacy: bool) -> Self {
        Self {
            body,
            legacy,
            ids: SmallVec::new(),
            text: Vec::new(),
        }
    }

    fn of(&mut self, ids: &SmallVec<[u64; 1]>) -> &[u8] {
        if self.legacy {
            return self.body;
        }
        if self.text.is_empty() || self.ids != *ids {
            self.ids.clone_from(ids);
            let text = &mut self.text;
            text.clear();
            text.reserve(self.body.len() + 24 + 12 * ids.len());
            text.extend_from_slice(b"{\"ids\":[");
            for (number, id) in ids.iter().enumerate() {
                if number > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(id.to_string().as_bytes());
            }
            text.extend_from_slice(b"],\"data\":");
            text.extend_from_slice(self.body);
            text.push(b'}');
        }
        &self.text
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
