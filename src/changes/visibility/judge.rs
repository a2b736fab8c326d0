//! Turns "who sees this row" into as few questions as possible, and back.
//!
//! Rows that agree in the columns a policy reads are one row to it; a policy that is the same for all audiences of a
//! role is asked once; audiences that are asked about the same rows share the text of those rows.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;

use super::connection::{Answer, Connections, Question};
use super::statement::{self, Statement, execute_arguments};
use super::{Answers, Ask, Audience, Opinions, Visibility};
use crate::changes::catalog::{Access, Policy};
use crate::changes::image::{Cell, Image};
use crate::changes::measures;

/// Answers by asking Postgres.
pub(crate) struct Postgres {
    connections: Arc<Connections>,
    /// Statements (of one policy and role) that did not work; the rows are looked up instead.
    unusable: Mutex<HashSet<String>>,
}

/// How one row is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Method {
    Image,
    Key,
}

/// Rows asked about with one statement, without duplicates.
struct Rows<'a> {
    statement: Arc<Statement>,
    width: usize,
    rows: Vec<Vec<Cell<'a>>>,
    positions: HashMap<Vec<Cell<'a>>, u32>,
}

/// Where the answer of one ask comes from: a statement and a row of it.
#[derive(Clone, Copy)]
struct Source {
    statement: usize,
    row: u32,
    shared: bool,
}

impl Postgres {
    pub(crate) fn new(connections: Arc<Connections>) -> Self {
        Self {
            connections,
            unusable: Mutex::default(),
        }
    }

    /// The catalog changed: statements get another chance.
    pub(crate) fn forget(&self) {
        self.unusable.lock().clear();
    }

    /// What the policies say of the rows' images; `None` where they could not be asked.
    pub(crate) async fn opinions(&self, asks: &[Ask]) -> Opinions {
        let asks: Vec<&Ask> = asks.iter().collect();
        let (found, retry, failed) = self.round(&asks, Method::Image).await;
        let lists = found.into_iter().zip(retry).zip(failed);
        lists
            .map(|((found, retry), failed)| {
                let each = found.into_iter().zip(retry).zip(failed);
                each.map(|((found, retry), failed)| (!retry && !failed).then_some(found))
                    .collect()
            })
            .collect()
    }

    /// Answers what can be answered by `method`; true in the second list where the other method should be tried, and in the
    /// third where there was no answer.
    async fn round(
        &self,
        asks: &[&Ask],
        method: Method,
    ) -> (Answers, Vec<Vec<bool>>, Vec<Vec<bool>>) {
        let mut statements: Vec<Rows<'_>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut xids: Vec<String> = Vec::with_capacity(asks.len());
        for ask in asks {
            xids.push(ask.image.xid.to_string());
        }
        // The statements and their rows.
        let mut sources: Vec<Option<Source>> = Vec::with_capacity(asks.len());
        for (ask, xid) in asks.iter().zip(&xids) {
            let source = (|| {
                let Access::Judged(policy) = &ask.view.access else {
                    return None;
                };
                let (row, columns) = match method {
                    Method::Image => (image_row(policy, &ask.image)?, Vec::new()),
                    Method::Key => key_row(ask, xid)?,
                };
                let name_key = match method {
                    Method::Image => format!("i{} {}", policy.id, ask.view.role),
                    // Rows of which the same columns are known share a statement.
                    Method::Key => {
                        format!("k{} {} {columns:?}", ask.view.table.oid, ask.view.role)
                    }
                };
                let index = *known.entry(name_key).or_insert_with(|| {
                    statements.push(Rows {
                        statement: Arc::new(match method {
                            Method::Image => statement::over_images(policy, &ask.view.role),
                            Method::Key => statement::by_key(&ask.view, &columns),
                        }),
                        width: row.len(),
                        rows: Vec::new(),
                        positions: HashMap::new(),
                    });
                    statements.len() - 1
                });
                let rows = statements.get_mut(index)?;
                let position = match rows.positions.get(&row) {
                    Some(position) => *position,
                    None => {
                        let position = u32::try_from(rows.rows.len()).ok()?;
                        rows.positions.insert(row.clone(), position);
                        rows.rows.push(row);
                        position
                    }
                };
                Some(Source {
                    statement: index,
                    row: position,
                    shared: method == Method::Image && policy.same_for_all,
                })
            })();
            sources.push(source);
        }
        // Which rows each audience is asked about.
        let mut wanted: HashMap<(usize, u64), (Arc<Audience>, Vec<u32>)> = HashMap::new();
        for (ask, source) in asks.iter().zip(&sources) {
            let Some(source) = source else { continue };
            for audience in &ask.audiences {
                let key = (
                    source.statement,
                    if source.shared { 0 } else { audience.id },
                );
                let entry = wanted
                    .entry(key)
                    .or_insert_with(|| (audience.clone(), Vec::new()));
                if entry.1.last() != Some(&source.row) {
                    entry.1.push(source.row);
                }
                if source.shared {
                    break;
                }
            }
        }
        let mut wanted: Vec<Wanted> = wanted
            .into_iter()
            .map(|(key, (audience, mut positions))| {
                positions.sort_unstable();
                positions.dedup();
                (key, audience, positions)
            })
            .collect();
        let mut visible: HashSet<(usize, u64, u32)> = HashSet::new();
        let mut unusable: HashSet<(usize, u64)> = HashSet::new();
        let mut failed: HashSet<(usize, u64)> = HashSet::new();
        while !wanted.is_empty() {
            let asked = std::mem::take(&mut wanted);
            let answers = self.connections.ask(questions(&statements, &asked)).await;
            for ((key, audience, positions), answer) in asked.into_iter().zip(answers) {
                match answer {
                    Answer::Rows(rows) => visible.extend(rows.iter().filter_map(|(ordinal, _)| {
                        let position = positions.get((*ordinal as usize).checked_sub(1)?)?;
                        Some((key.0, key.1, *position))
                    })),
                    Answer::Unusable => {
                        unusable.insert(key);
                        if let Some(rows) = statements.get(key.0) {
                            self.unusable.lock().insert(rows.statement.name.clone());
                        }
                    }
                    // One row may have raised the error: the others are asked about without it.
                    Answer::Raised if positions.len() > 1 => {
                        let (left, right) = positions.split_at(positions.len() / 2);
                        wanted.push((key, audience.clone(), left.to_vec()));
                        wanted.push((key, audience, right.to_vec()));
                    }
                    Answer::Raised => measures::hidden(positions.len()),
                    Answer::Failed | Answer::Lost => {
                        failed.insert(key);
                        measures::hidden(positions.len());
                    }
                }
            }
        }
        let (mut answers, mut retry, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        for (ask, source) in asks.iter().zip(&sources) {
            let key = |audience: &Audience| {
                let source = source.as_ref()?;
                let id = if source.shared { 0 } else { audience.id };
                Some(((source.statement, id), source.row))
            };
            let each = |is: &dyn Fn((usize, u64), u32) -> bool, otherwise: bool| -> Vec<bool> {
                let audiences = ask.audiences.iter();
                audiences
                    .map(|audience| key(audience).map_or(otherwise, |(key, row)| is(key, row)))
                    .collect()
            };
            answers.push(each(
                &|key, row| visible.contains(&(key.0, key.1, row)),
                false,
            ));
            let image = method == Method::Image;
            retry.push(each(&|key, _| unusable.contains(&key), image));
            unanswered.push(each(&|key, _| failed.contains(&key), false));
        }
        (answers, retry, unanswered)
    }

    /// The look-up by key is the only way for this ask.
    fn by_key_only(&self, ask: &Ask) -> bool {
        let Access::Judged(policy) = &ask.view.access else {
            return false;
        };
        policy.needs_row
            || self
                .unusable
                .lock()
                .contains(&statement::over_images(policy, &ask.view.role).name)
    }
}

/// Rows of a statement that an audience is asked about: statement and audience, the audience, positions of rows.
type Wanted = ((usize, u64), Arc<Audience>, Vec<u32>);

/// One question per item; equal lists of rows share their text.
fn questions(statements: &[Rows<'_>], wanted: &[Wanted]) -> Vec<Question> {
    let mut texts: HashMap<(usize, &[u32]), Arc<str>> = HashMap::new();
    wanted
        .iter()
        .filter_map(|((number, _), audience, positions)| {
            let rows = statements.get(*number)?;
            let arguments = texts.entry((*number, positions)).or_insert_with(|| {
                let chosen: Vec<&[Cell<'_>]> = positions
                    .iter()
                    .filter_map(|position| rows.rows.get(*position as usize))
                    .map(Vec::as_slice)
                    .collect();
                execute_arguments(&chosen, rows.width).into()
            });
            Some(Question {
                statement: rows.statement.clone(),
                audience: Some(audience.clone()),
                arguments: arguments.clone(),
            })
        })
        .collect()
}

impl Visibility for Postgres {
    fn judge(&self, asks: Vec<Ask>) -> Pin<Box<dyn Future<Output = Answers> + Send + '_>> {
        Box::pin(async move {
            let mut answers: Answers = asks
                .iter()
                .map(|ask| {
                    let open = matches!(ask.view.access, Access::Open);
                    vec![open; ask.audiences.len()]
                })
                .collect();
            let judged = |(_, ask): &(usize, &Ask)| matches!(ask.view.access, Access::Judged(_));
            let (mut lookups, images): (Vec<_>, Vec<_>) = asks
                .iter()
                .enumerate()
                .filter(judged)
                .partition(|(_, ask)| self.by_key_only(ask));
            if !images.is_empty() {
                let round: Vec<&Ask> = images.iter().map(|(_, ask)| *ask).collect();
                let (found, retry, _) = self.round(&round, Method::Image).await;
                for (((index, ask), found), retry) in images.iter().zip(found).zip(retry) {
                    if retry.contains(&true) {
                        lookups.push((*index, *ask));
                    }
                    if let Some(slot) = answers.get_mut(*index) {
                        *slot = found;
                    }
                }
            }
            if !lookups.is_empty() {
                let round: Vec<&Ask> = lookups.iter().map(|(_, ask)| *ask).collect();
                let (found, _, _) = self.round(&round, Method::Key).await;
                for ((index, _), found) in lookups.iter().zip(found) {
                    if let Some(slot) = answers.get_mut(*index) {
                        // A look-up under the real policies may add to what the image proved, never take away.
                        for (answer, found) in slot.iter_mut().zip(found) {
                            *answer |= found;
                        }
                    }
                }
            }
            answers
        })
    }
}

/// The values a policy reads, `None` if the image does not have them all.
fn image_row<'a>(policy: &Policy, image: &'a Image) -> Option<Vec<Cell<'a>>> {
    image.values(&policy.guard, &statement::inputs(policy))
}

/// Key, what else is known and selectable, and transaction of a row as the transaction left it, with the columns of
/// these values; an old row is not there any more. A later command of the transaction may have changed the row: then its
/// visibility says nothing about what it was before.
fn key_row<'a>(ask: &'a Ask, xid: &'a str) -> Option<(Vec<Cell<'a>>, Vec<usize>)> {
    let (view, table) = (&ask.view, &ask.view.table);
    if !ask.image.current || table.key.is_empty() {
        return None;
    }
    let mut row = ask.image.values(table, &table.key)?;
    let mut columns = table.key.clone();
    for (index, column) in table.columns.iter().enumerate() {
        let selectable = view.selectable.get(index).copied().unwrap_or(false);
        if !selectable || table.key.contains(&index) {
            continue;
        }
        match ask.image.cell(&column.name) {
            Cell::Missing => {}
            cell => {
                row.push(cell);
                columns.push(index);
            }
        }
    }
    row.push(Cell::Text(xid));
    Some((row, columns))
}
