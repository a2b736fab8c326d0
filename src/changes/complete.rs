//! What the stream did not carry: generated columns, large values that an UPDATE did not touch, and values whose JSON
//! only Postgres knows. Asked as the server itself, for rows that somebody may see; a value that cannot be had is left
//! out, as the original does.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use super::catalog::{Generated, Table, identifier, literal};
use super::condition::Filter;
use super::filter::parse_array;
use super::image::{Cell, Image};
use super::record::{self, Operation, Value};
use super::resolve::Resolved;
use super::row::{Fetched, RowChange, sent_position};
use super::settings::Settings;
use super::visibility::{Answer, Connections, Question, array, same_value, unnest_of};

/// For which rows of a batch (by position in `rows`) are the conditions true that Postgres has to evaluate?
pub(super) fn filter_question(table: &Table, filter: &Filter, rows: &[&RowChange]) -> Question {
    let columns: BTreeSet<usize> = filter.asked_columns().collect();
    let nothing = Vec::new();
    let values: Vec<Vec<Option<String>>> = rows
        .iter()
        .map(|row| {
            let aligned = row.aligned(&table.shape, &nothing, &nothing);
            let change = aligned.change(row, &table.shape);
            columns
                .iter()
                .map(|column| match change.filter_value(*column) {
                    Value::Text(text) => std::str::from_utf8(text).ok().map(str::to_owned),
                    Value::Null | Value::Missing => None,
                })
                .collect()
        })
        .collect();
    // A value that was not sent is not NULL: `is.null` must not be true for it (§2.10.7).
    let known: Vec<bool> = rows
        .iter()
        .map(|row| {
            let aligned = row.aligned(&table.shape, &nothing, &nothing);
            let change = aligned.change(row, &table.shape);
            columns
                .iter()
                .all(|column| change.filter_value(*column) != Value::Missing)
        })
        .collect();
    let known = format!(
        "'{{{}}}'::pg_catalog.bool[]",
        known
            .iter()
            .map(|known| if *known { "t" } else { "f" })
            .collect::<Vec<_>>()
            .join(",")
    );
    let source = over(
        table,
        &columns.into_iter().collect::<Vec<_>>(),
        &values,
        Some(&known),
    );
    Question::plain(format!(
        "select row_position from ({source}) as r where row_known and ({})",
        filter.expression("r")
    ))
}

/// Positions (from 0) that an answer names.
pub(super) fn positions(answer: Answer) -> impl Iterator<Item = usize> {
    texts(answer).into_iter().map(|(position, _)| position)
}

fn texts(answer: Answer) -> Vec<(usize, Option<String>)> {
    match answer {
        Answer::Rows(rows) => rows
            .into_iter()
            .filter_map(|(position, text)| Some(((position as usize).checked_sub(1)?, text)))
            .collect(),
        Answer::Unusable | Answer::Raised | Answer::Failed | Answer::Lost => Vec::new(),
    }
}

/// Rows of values as a sub-select with the columns' names and types, and their position.
fn over(
    table: &Table,
    columns: &[usize],
    values: &[Vec<Option<String>>],
    known: Option<&str>,
) -> String {
    let mut select = String::new();
    let mut arrays = Vec::new();
    let mut names = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let Some(column) = table.columns.get(*column) else {
            continue;
        };
        let _ = write!(
            select,
            "u.c{number}::{} as {}, ",
            column.type_sql(),
            identifier(&column.name)
        );
        let cells = values.iter().map(|row| {
            row.get(number)
                .and_then(Option::as_deref)
                .map_or(Cell::Null, Cell::Text)
        });
        arrays.push(format!("{}::pg_catalog.text[]", literal(&array(cells))));
        names.push(format!("c{number}"));
    }
    if let Some(known) = known {
        select.push_str("u.k as row_known, ");
        arrays.push(known.to_owned());
        names.push("k".to_owned());
    }
    format!(
        "select {select}u.o as row_position from {} as u({}, o)",
        unnest_of(&arrays),
        names.join(", ")
    )
}

/// Which image of a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    New,
    Old,
}

/// Completes the rows of a batch.
pub(super) async fn complete(
    connections: &Connections,
    settings: &Settings,
    rows: &mut [Resolved],
) {
    let mut tables: HashMap<u32, Arc<Table>> = HashMap::new();
    for row in rows.iter_mut() {
        for group in row.groups.iter().filter(|group| !group.error) {
            let table = &group.view.table;
            if needs_anything(table, &row.row) {
                row.values.entry(table.oid).or_default();
                tables.insert(table.oid, table.clone());
            }
        }
    }
    for table in tables.values() {
        if settings.fill_unchanged {
            fetch_unchanged(connections, settings, table, rows).await;
        }
        compute_generated(connections, table, rows).await;
        render(connections, table, rows).await;
    }
}

/// Cheap: is there a column that is not in the stream, or whose JSON only Postgres knows?
fn needs_anything(table: &Table, row: &RowChange) -> bool {
    table
        .shape
        .columns
        .iter()
        .enumerate()
        .any(|(position, column)| {
            if !record::can_render(&table.types, column.type_oid) {
                return true;
            }
            match sent_position(&row.relation, position, &column.name) {
                None => column.generated,
                Some(index) => row
                    .new
                    .as_ref()
                    .is_some_and(|new| new.get(index) == Some(crate::pgoutput::Value::Unchanged)),
            }
        })
}

/// Large values that were not sent, by key, while the row still is what the transaction left behind.
async fn fetch_unchanged(
    connections: &Connections,
    settings: &Settings,
    table: &Table,
    rows: &mut [Resolved],
) {
    if table.key.is_empty() {
        return;
    }
    let mut wanted: HashMap<Vec<usize>, Vec<(usize, Image)>> = HashMap::new();
    for (number, row) in rows.iter().enumerate() {
        if row.row.operation != Operation::Update || !row.values.contains_key(&table.oid) {
            continue;
        }
        let Some(image) = row.row.new_image() else {
            continue;
        };
        let missing: Vec<usize> = table
            .columns
            .iter()
            .enumerate()
            .filter(|(position, column)| {
                column.generated.is_none()
                    && sent_position(&row.row.relation, *position, &column.name).is_some()
                    && image.cell(&column.name) == Cell::Missing
            })
            .map(|(position, _)| position)
            .collect();
        if !missing.is_empty() {
            wanted.entry(missing).or_default().push((number, image));
        }
    }
    for (missing, wanted) in wanted {
        fetch(connections, settings, table, rows, &missing, &wanted).await;
    }
}

/// Fetches these columns of these rows. A later command of the transaction may have changed the row, and handed it on:
/// everything else that is known of it must be as it was.
async fn fetch(
    connections: &Connections,
    settings: &Settings,
    table: &Table,
    rows: &mut [Resolved],
    columns: &[usize],
    wanted: &[(usize, Image)],
) {
    let mut known = table.key.clone();
    known.extend((0..table.columns.len()).filter(|position| {
        let sent = |(_, image): &(usize, Image)| {
            let column = table.columns.get(*position);
            column.is_some_and(|column| image.cell(&column.name) != Cell::Missing)
        };
        !table.key.contains(position) && wanted.iter().all(sent)
    }));
    let values: Vec<Vec<Option<String>>> = wanted
        .iter()
        .map(|(_, image)| {
            let cells = image.values(table, &known).unwrap_or_default();
            cells
                .into_iter()
                .map(|cell| match cell {
                    Cell::Text(text) => Some(text.to_owned()),
                    Cell::Null | Cell::Missing => None,
                })
                .collect()
        })
        .collect();
    let xids: Vec<String> = wanted
        .iter()
        .map(|(_, image)| image.xid.to_string())
        .collect();
    let xids = literal(&array(xids.iter().map(|xid| Cell::Text(xid))));
    let source = over(
        table,
        &known,
        &values,
        Some(&format!("{xids}::pg_catalog.text[]")),
    );
    let join: Vec<String> = known
        .iter()
        .filter_map(|position| Some((position, table.columns.get(*position)?)))
        .map(|(position, column)| {
            let name = identifier(&column.name);
            let (stored, sent) = (format!("t.{name}"), format!("r.{name}"));
            if table.key.contains(position) {
                format!("{stored} = {sent}")
            } else {
                same_value(&stored, &sent)
            }
        })
        .collect();
    // A value of its own that is too large would cut the whole row (§2.14.4), so it stays out.
    let parts: Vec<String> = columns
        .iter()
        .filter_map(|position| table.columns.get(*position))
        .map(|column| {
            let name = identifier(&column.name);
            format!(
                "case when t.{name} is null then '{{NULL}}' \
                 when pg_catalog.octet_length(t.{name}::pg_catalog.text) <= {} \
                 then (array[t.{name}::pg_catalog.text])::pg_catalog.text end",
                settings.max_record_bytes
            )
        })
        .collect();
    let question = Question::plain(format!(
        "select r.row_position, (array[{}])::pg_catalog.text from ({source}) as r join {} as t on {} \
         where t.xmin::pg_catalog.text = r.row_known",
        parts.join(", "),
        table.sql(),
        join.join(" and "),
    ));
    for answer in connections.ask(vec![question]).await {
        for (position, text) in texts(answer) {
            let Some((number, _)) = wanted.get(position) else {
                continue;
            };
            let Some(values) = rows
                .get_mut(*number)
                .and_then(|row| row.values.get_mut(&table.oid))
            else {
                continue;
            };
            let outer = text
                .and_then(|text| parse_array(&text).ok())
                .unwrap_or_default();
            for (column, value) in columns.iter().zip(outer) {
                // No value: too large. An array of one: the value, or NULL.
                if let Some(inner) = value.and_then(|text| parse_array(&text).ok())
                    && let Some(value) = inner.into_iter().next()
                {
                    values.new.push((
                        *column,
                        value.map(|value| value.into_bytes().into_boxed_slice()),
                    ));
                }
            }
        }
    }
}

/// Generated columns, from the others.
async fn compute_generated(connections: &Connections, table: &Table, rows: &mut [Resolved]) {
    let generated: Vec<(usize, &Generated)> = table
        .columns
        .iter()
        .enumerate()
        .filter_map(|(position, column)| Some((position, column.generated.as_ref()?)))
        .collect();
    if generated.is_empty() {
        return;
    }
    let inputs: BTreeSet<usize> = generated
        .iter()
        .flat_map(|(_, generated)| generated.reads.iter().copied())
        .collect();
    let inputs: Vec<usize> = inputs.into_iter().collect();
    // Per row: where it is, and which generated columns can be computed from what is known.
    let mut wanted: Vec<(usize, Side, Vec<bool>)> = Vec::new();
    let mut values: Vec<Vec<Option<String>>> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let Some(known) = row.values.get(&table.oid) else {
            continue;
        };
        let sides = [
            (Side::New, row.row.new.is_some()),
            (
                Side::Old,
                row.row
                    .old
                    .as_ref()
                    .is_some_and(|old| old.kind == crate::pgoutput::OldKind::Full),
            ),
        ];
        for (side, _) in sides.into_iter().filter(|(_, there)| *there) {
            let aligned = row.row.aligned(&table.shape, &known.new, &known.old);
            let change = aligned.change(&row.row, &table.shape);
            let of = |column: usize| match side {
                Side::New => change.new_value(column),
                Side::Old => change.old_value(column),
            };
            let computable: Vec<bool> = generated
                .iter()
                .map(|(column, generated)| {
                    of(*column) == Value::Missing
                        && generated
                            .reads
                            .iter()
                            .all(|read| of(*read) != Value::Missing)
                })
                .collect();
            if !computable.contains(&true) {
                continue;
            }
            values.push(
                inputs
                    .iter()
                    .map(|column| match of(*column) {
                        Value::Text(text) => std::str::from_utf8(text).ok().map(str::to_owned),
                        Value::Null | Value::Missing => None,
                    })
                    .collect(),
            );
            wanted.push((number, side, computable));
        }
    }
    if wanted.is_empty() {
        return;
    }
    // The dummy keeps the list of arrays from being empty.
    let known = literal(&array(values.iter().map(|_| Cell::Null)));
    let known = format!("{known}::pg_catalog.text[]");
    let source = over(table, &inputs, &values, Some(&known));
    let parts: Vec<String> = generated
        .iter()
        .map(|(_, generated)| format!("({})::pg_catalog.text", generated.expression))
        .collect();
    let question = Question::plain(format!(
        "select row_position, (array[{}])::pg_catalog.text from ({source}) as {}",
        parts.join(", "),
        identifier(&table.name)
    ));
    for answer in connections.ask(vec![question]).await {
        for (position, text) in texts(answer) {
            let Some((number, side, computable)) = wanted.get(position) else {
                continue;
            };
            let Some(known) = rows
                .get_mut(*number)
                .and_then(|row| row.values.get_mut(&table.oid))
            else {
                continue;
            };
            let computed = text
                .and_then(|text| parse_array(&text).ok())
                .unwrap_or_default();
            let side: &mut Fetched = match side {
                Side::New => &mut known.new,
                Side::Old => &mut known.old,
            };
            let computed = generated.iter().zip(computed).zip(computable);
            for (((column, _), value), _) in computed.filter(|(_, computable)| **computable) {
                side.push((
                    *column,
                    value.map(|value| value.into_bytes().into_boxed_slice()),
                ));
            }
        }
    }
}

/// JSON of values that only Postgres renders, one question per distinct value.
async fn render(connections: &Connections, table: &Table, rows: &mut [Resolved]) {
    let columns: Vec<(usize, String)> = table
        .shape
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !record::can_render(&table.types, column.type_oid))
        .filter_map(|(position, column)| {
            Some((position, record::render_sql(&table.types, column.type_oid)?))
        })
        .collect();
    if columns.is_empty() {
        return;
    }
    let mut questions = Vec::new();
    let mut places: Vec<(usize, usize, Box<[u8]>)> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let Some(known) = row.values.get(&table.oid) else {
            continue;
        };
        let aligned = row.row.aligned(&table.shape, &known.new, &known.old);
        let change = aligned.change(&row.row, &table.shape);
        for (column, sql) in &columns {
            for value in [change.new_value(*column), change.old_value(*column)] {
                let Value::Text(text) = value else { continue };
                let known = places
                    .iter()
                    .rev()
                    .take(2)
                    .any(|(of, at, known)| *of == number && at == column && **known == *text);
                let Ok(text) = std::str::from_utf8(text) else {
                    continue;
                };
                if known {
                    continue;
                }
                let sql = sql.replace("$1", &format!("{}::pg_catalog.text", literal(text)));
                let sql = sql.trim_start();
                let value = if sql.to_ascii_lowercase().starts_with("select") {
                    format!("({sql})")
                } else {
                    sql.to_owned()
                };
                questions.push(Question::plain(format!(
                    "select 1, ({value})::pg_catalog.text"
                )));
                places.push((number, *column, text.as_bytes().into()));
            }
        }
    }
    let answers = connections.ask(questions).await;
    for ((number, column, text), answer) in places.into_iter().zip(answers) {
        let Some((_, Some(json))) = texts(answer).into_iter().next() else {
            continue;
        };
        if let Some(known) = rows
            .get_mut(number)
            .and_then(|row| row.values.get_mut(&table.oid))
        {
            known
                .rendered
                .push((column, text, json.into_bytes().into_boxed_slice()));
        }
    }
}
