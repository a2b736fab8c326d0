//! Relationships between relations, from foreign keys: between tables, through views that show their columns, and
//! through tables that join two others.
//!
//! Pure. Only relations of the same exposed schema are related; what another schema holds is never told.

use std::collections::{HashMap, HashSet};

use super::load::RawRelation;
use super::model::{Link, Relationship, Way};
use super::views::Origin;

/// A key of a table.
#[derive(Debug)]
pub(super) struct Constraint {
    pub(super) relation: i64,
    pub(super) name: String,
    pub(super) columns: Vec<i16>,
    pub(super) kind: ConstraintKind,
}

/// See [`Constraint`].
#[derive(Debug)]
pub(super) enum ConstraintKind {
    Key,
    Unique,
    Foreign { target: i64, columns: Vec<i16> },
}

/// Views on views on views are followed this far.
const CHAIN: usize = 16;

/// A relation that shows columns of a table: the table itself, or a view of it.
struct Face<'a> {
    /// Its place in the list of relations.
    place: usize,
    /// Names it gives to the columns of the table.
    columns: HashMap<i16, &'a str>,
}

/// Keys and relationships of each relation, in the order of the relations.
pub(super) struct Related {
    pub(super) keys: Vec<Vec<String>>,
    pub(super) relationships: Vec<Vec<Relationship>>,
}

/// See the module.
pub(super) fn related(
    relations: &[RawRelation],
    constraints: &[Constraint],
    views: &HashMap<i64, Vec<Origin>>,
) -> Related {
    let faces = faces(relations, views);
    let none = Vec::new();
    let faces_of = |table: &i64| faces.get(table).unwrap_or(&none);
    let mut keys = vec![Vec::new(); relations.len()];
    let mut unique: HashMap<i64, HashSet<Vec<i16>>> = HashMap::new();
    for constraint in constraints {
        if matches!(constraint.kind, ConstraintKind::Foreign { .. }) {
            continue;
        }
        let sets = unique.entry(constraint.relation).or_default();
        sets.insert(sorted(&constraint.columns));
        if matches!(constraint.kind, ConstraintKind::Key) {
            for face in faces_of(&constraint.relation) {
                let names = face.names(&constraint.columns);
                if let (Some(names), Some(key)) = (names, keys.get_mut(face.place))
                    && key.is_empty()
                {
                    *key = names;
                }
            }
        }
    }
    let mut direct = vec![Vec::new(); relations.len()];
    for constraint in constraints {
        let ConstraintKind::Foreign { target, columns } = &constraint.kind else {
            continue;
        };
        let one_to_one = unique
            .get(&constraint.relation)
            .is_some_and(|sets| sets.contains(&sorted(&constraint.columns)));
        for here in faces_of(&constraint.relation) {
            for there in faces_of(target) {
                let (Some(from), Some(to)) =
                    (relations.get(here.place), relations.get(there.place))
                else {
                    continue;
                };
                let names = (here.names(&constraint.columns), there.names(columns));
                if let (true, (Some(near), Some(far))) = (from.schema == to.schema, names) {
                    let link = |a: &[String], b: &[String]| Link {
                        constraint: constraint.name.clone(),
                        columns: a.iter().cloned().zip(b.iter().cloned()).collect(),
                    };
                    let (out, back) = (link(&near, &far), link(&far, &near));
                    let (out, back) = match one_to_one {
                        true => (Way::OneToOne(out), Way::OneToOne(back)),
                        false => (Way::ManyToOne(out), Way::OneToMany(back)),
                    };
                    push(&mut direct, here.place, relationship(to, from, out));
                    push(&mut direct, there.place, relationship(from, to, back));
                }
            }
        }
    }
    let joined = joined(relations, &keys, &direct);
    for (place, relationship) in joined {
        push(&mut direct, place, relationship);
    }
    Related {
        keys,
        relationships: direct,
    }
}

fn push(all: &mut [Vec<Relationship>], place: usize, relationship: Relationship) {
    if let Some(list) = all.get_mut(place) {
        list.push(relationship);
    }
}

fn relationship(target: &RawRelation, from: &RawRelation, way: Way) -> Relationship {
    Relationship {
        target: target.name.clone(),
        target_is_view: target.view,
        itself: target.number == from.number,
        way,
    }
}

/// Pairs of foreign keys that are both part of a relation's primary key.
fn joined(
    relations: &[RawRelation],
    keys: &[Vec<String>],
    direct: &[Vec<Relationship>],
) -> Vec<(usize, Relationship)> {
    let places: HashMap<(&str, &str), usize> = relations
        .iter()
        .enumerate()
        .map(|(place, relation)| ((&*relation.schema, &*relation.name), place))
        .collect();
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    // Tables first: a view of a table that joins the same two says nothing new.
    let mut junctions: Vec<usize> = (0..relations.len()).collect();
    junctions.sort_by_key(|place| relations.get(*place).is_some_and(|relation| relation.view));
    for place in junctions {
        let (Some(junction), Some(key), Some(ways)) =
            (relations.get(place), keys.get(place), direct.get(place))
        else {
            continue;
        };
        let links: Vec<(&Relationship, &Link)> = ways
            .iter()
            .filter_map(|way| match &way.way {
                Way::ManyToOne(link) => Some((way, link)),
                _ => None,
            })
            .filter(|(_, link)| link.columns.iter().all(|(column, _)| key.contains(column)))
            .collect();
        for (to_near, near) in &links {
            for (to_far, far) in &links {
                let pair = (
                    &*junction.schema,
                    &*to_near.target,
                    &*to_far.target,
                    &*near.constraint,
                    &*far.constraint,
                );
                if near.constraint == far.constraint || (junction.view && seen.contains(&pair)) {
                    continue;
                }
                seen.insert(pair);
                let Some(from) = places.get(&(&*junction.schema, &*to_near.target)) else {
                    continue;
                };
                let relationship = Relationship {
                    target: to_far.target.clone(),
                    target_is_view: to_far.target_is_view,
                    itself: to_near.target == to_far.target,
                    way: Way::ManyToMany {
                        junction: junction.name.clone(),
                        near: reversed(near),
                        far: reversed(far),
                    },
                };
                found.push((*from, relationship));
            }
        }
    }
    found
}

fn reversed(link: &Link) -> Link {
    Link {
        constraint: link.constraint.clone(),
        columns: link
            .columns
            .iter()
            .map(|(a, b)| (b.clone(), a.clone()))
            .collect(),
    }
}

fn sorted(columns: &[i16]) -> Vec<i16> {
    let mut columns = columns.to_vec();
    columns.sort_unstable();
    columns
}

/// For each table everything exposed that shows columns of it.
fn faces<'a>(
    relations: &'a [RawRelation],
    views: &HashMap<i64, Vec<Origin>>,
) -> HashMap<i64, Vec<Face<'a>>> {
    let mut faces: HashMap<i64, Vec<Face<'a>>> = HashMap::new();
    for (place, relation) in relations.iter().enumerate() {
        if !relation.view {
            let columns = relation.columns.iter();
            let columns = columns
                .map(|(number, column)| (*number, &*column.name))
                .collect();
            faces
                .entry(relation.number)
                .or_default()
                .push(Face { place, columns });
            continue;
        }
        let mut of: HashMap<i64, HashMap<i16, &str>> = HashMap::new();
        for (number, column) in &relation.columns {
            if let Some((table, source)) = source(relation.number, *number, views) {
                of.entry(table)
                    .or_default()
                    .entry(source)
                    .or_insert(&column.name);
            }
        }
        for (table, columns) in of {
            faces
                .entry(table)
                .or_default()
                .push(Face { place, columns });
        }
    }
    faces
}

/// The column of a table that a column of a view shows in the end.
fn source(view: i64, column: i16, views: &HashMap<i64, Vec<Origin>>) -> Option<(i64, i16)> {
    let mut at = (view, column);
    for _ in 0..CHAIN {
        let Some(origins) = views.get(&at.0) else {
            return Some(at);
        };
        let origin = origins.iter().find(|origin| origin.column == at.1)?;
        at = (origin.relation, origin.source);
    }
    None
}

impl Face<'_> {
    /// Names of these columns, if it shows all of them.
    fn names(&self, columns: &[i16]) -> Option<Vec<String>> {
        let name = |number| self.columns.get(number).map(|name| (*name).to_owned());
        columns.iter().map(name).collect()
    }
}
