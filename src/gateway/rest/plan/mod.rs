//! What a request asks for, with every name found in the catalog: what the SQL is written from.
//!
//! Pure. A name that the catalog does not have is refused here, so no name of a URL reaches the database except as an
//! alias of a result.

mod call;
mod mutation;
mod read;
mod relate;

use super::catalog::{Column, Computed, Kind, Relation, Relationship};
use super::grammar::{self, Step, Test};
pub(super) use call::{Call, Given, Offered, array, call};
pub(super) use mutation::{Change, Conflict, Mutation, Payload, Wanted, Written, mutation};
pub(super) use read::{Range, read};

/// Rows to answer, from one relation or from the result of a statement before.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Names it in the SQL; no other node of the request has it.
    pub(super) number: usize,
    pub(super) scope: Scope<'a>,
    pub(super) outputs: Vec<Output<'a>>,
    pub(super) embeds: Vec<Embedded<'a>>,
    pub(super) conditions: Vec<Condition<'a>>,
    pub(super) order: Vec<Order<'a>>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

/// Where columns are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) relation: Option<&'a Relation>,
    /// What there is where it is no relation.
    pub(super) columns: &'a [Column],
    /// Its name in errors.
    pub(super) name: &'a str,
    /// The rows are those that a statement before has given, rather than those of the relation.
    pub(super) given: bool,
}

/// One thing to answer.
#[derive(Debug)]
pub(super) enum Output<'a> {
    Star,
    Value {
        value: Value<'a>,
        cast: Option<&'a str>,
        name: &'a str,
    },
    /// The number of rows rather than any of them: a column `count` that the relation has not.
    Count {
        cast: Option<&'a str>,
        name: &'a str,
    },
    /// By its place among the embedded.
    Embed(usize),
}

/// A column, perhaps a way into its JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// A function rather than a column.
    pub(super) computed: Option<&'a Computed>,
    pub(super) path: &'a [Step],
}

/// Rows of a related relation in each row of this one.
#[derive(Debug)]
pub(super) struct Embedded<'a> {
    pub(super) node: Node<'a>,
    pub(super) by: &'a Relationship,
    pub(super) inner: bool,
    pub(super) spread: bool,
    /// Nothing of it is answered: it only filters.
    pub(super) hidden: bool,
    pub(super) name: &'a str,
    /// What the request calls the relation, which is another name for it where there is an alias.
    pub(super) target: &'a str,
    /// What rows around it are ordered by.
    pub(super) ordered_by: Vec<Value<'a>>,
}

/// What rows must be like.
#[derive(Debug)]
pub(super) enum Condition<'a> {
    Test {
        value: Value<'a>,
        test: &'a Test,
    },
    /// Whether there are rows of what is embedded at this place.
    Present {
        place: usize,
        present: bool,
    },
    Tree {
        negated: bool,
        any: bool,
        members: Vec<Condition<'a>>,
    },
}

/// One thing to order by.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) by: By<'a>,
    pub(super) descending: Option<bool>,
    pub(super) nulls_first: Option<bool>,
}

/// See [`Order`].
#[derive(Debug)]
pub(super) enum By<'a> {
    Value(Value<'a>),
    /// Of what is embedded at the first place, the value at the second.
    Related(usize, usize),
}

impl<'a> Scope<'a> {
    pub(super) fn of(relation: &'a Relation) -> Self {
        Self {
            relation: Some(relation),
            columns: &relation.columns,
            name: &relation.name,
            given: false,
        }
    }

    /// A column, or a function that is read like one.
    pub(super) fn value(&self, field: &'a grammar::Field) -> Option<Value<'a>> {
        if let Some(column) = self.columns.iter().find(|column| column.name == field.name) {
            return Some(Value {
                name: &column.name,
                kind: column.kind,
                computed: None,
                path: &field.path,
            });
        }
        let (name, computed) = self.relation?.computed.get_key_value(&field.name)?;
        Some(Value {
            name,
            kind: computed.kind,
            computed: Some(computed),
            path: &field.path,
        })
    }
}

impl Embedded<'_> {
    /// At most one row is embedded.
    pub(super) fn to_one(&self) -> bool {
        self.by.to_one()
    }
}

impl<'a> Node<'a> {
    /// The names of what is answered, with those of spread relations in their place.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for output in &self.outputs {
            match output {
                Output::Star => names.extend(self.scope.columns.iter().map(|column| &*column.name)),
                Output::Value { name, .. } | Output::Count { name, .. } => names.push(name),
                Output::Embed(place) => match self.embeds.get(*place) {
                    Some(embed) if embed.hidden => {}
                    Some(embed) if embed.spread => names.extend(embed.node.names()),
                    Some(embed) => names.push(embed.name),
                    None => {}
                },
            }
        }
        names
    }

    /// Columns and functions that the rows must have: what is answered, ordered by, and related by.
    pub(super) fn needs(&self) -> Needs<'a> {
        let mut needs = Needs::default();
        for output in &self.outputs {
            match output {
                Output::Star => needs.star = true,
                Output::Value { value, .. } => needs.add(value),
                Output::Embed(_) | Output::Count { .. } => {}
            }
        }
        for order in &self.order {
            if let By::Value(value) = &order.by {
                needs.add(value);
            }
        }
        self.conditions
            .iter()
            .for_each(|condition| needs.add_of(condition));
        for embed in &self.embeds {
            let link = match &embed.by.way {
                super::catalog::Way::ManyToMany { near, .. } => near,
                super::catalog::Way::ManyToOne(link)
                | super::catalog::Way::OneToMany(link)
                | super::catalog::Way::OneToOne(link) => link,
            };
            needs
                .columns
                .extend(link.columns.iter().map(|(here, _)| &**here));
        }
        needs
    }
}

/// See [`Node::needs`].
#[derive(Debug, Default)]
pub(super) struct Needs<'a> {
    pub(super) star: bool,
    pub(super) columns: std::collections::BTreeSet<&'a str>,
    pub(super) computed: std::collections::BTreeMap<&'a str, &'a Computed>,
}

impl<'a> Needs<'a> {
    fn add(&mut self, value: &Value<'a>) {
        match value.computed {
            Some(computed) => {
                self.computed.insert(value.name, computed);
            }
            None => {
                self.columns.insert(value.name);
            }
        }
    }

    fn add_of(&mut self, condition: &Condition<'a>) {
        match condition {
            Condition::Test { value, .. } => self.add(value),
            Condition::Present { .. } => {}
            Condition::Tree { members, .. } => {
                members.iter().for_each(|member| self.add_of(member))
            }
        }
    }
}
