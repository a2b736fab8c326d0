//! What is known about the exposed schemas: relations, columns, relationships, functions. Values only.

use std::collections::{BTreeMap, HashMap};

/// Everything that requests may name, by schema.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway::rest) struct Catalog {
    pub(in crate::gateway::rest) schemas: HashMap<String, Schema>,
    /// Which transactions were over when it was read, as Postgres writes a snapshot. Equal ones have equal catalogs.
    pub(in crate::gateway::rest) snapshot: String,
    /// Of the rows that it was read from.
    pub(in crate::gateway::rest) fingerprint: String,
}

/// One exposed schema.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway::rest) struct Schema {
    /// In the order of their names, so that hints are always the same.
    pub(in crate::gateway::rest) relations: BTreeMap<String, Relation>,
    /// Overloads of a name together.
    pub(in crate::gateway::rest) functions: BTreeMap<String, Vec<Function>>,
}

/// A table, a view, or the like.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway::rest) struct Relation {
    pub(in crate::gateway::rest) schema: String,
    pub(in crate::gateway::rest) name: String,
    pub(in crate::gateway::rest) columns: Vec<Column>,
    /// Names of the columns of its primary key; of a view those of the table behind it.
    pub(in crate::gateway::rest) key: Vec<String>,
    /// To other relations of its schema.
    pub(in crate::gateway::rest) relationships: Vec<Relationship>,
    /// Functions of one argument, a row of this relation: they are read like columns.
    pub(in crate::gateway::rest) computed: BTreeMap<String, Computed>,
}

/// A function that is read like a column.
#[derive(Clone, Debug)]
pub(in crate::gateway::rest) struct Computed {
    pub(in crate::gateway::rest) schema: String,
    pub(in crate::gateway::rest) kind: Kind,
}

/// A column.
#[derive(Clone, Debug)]
pub(in crate::gateway::rest) struct Column {
    pub(in crate::gateway::rest) name: String,
    /// As Postgres writes it, with its schema where that is not `pg_catalog`.
    pub(in crate::gateway::rest) type_name: String,
    pub(in crate::gateway::rest) kind: Kind,
    /// The expression of its default, as Postgres writes it.
    pub(in crate::gateway::rest) default: Option<String>,
}

/// What is special about values of a type, also behind a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Kind {
    #[default]
    Other,
    /// `json` or `jsonb`: arrows need no conversion.
    Json,
    /// It can be searched as it is.
    Vector,
}

/// How rows of a relation find rows of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Relationship {
    pub(in crate::gateway::rest) target: String,
    pub(in crate::gateway::rest) target_is_view: bool,
    /// To a row of the relation itself.
    pub(in crate::gateway::rest) itself: bool,
    pub(in crate::gateway::rest) way: Way,
}

/// See [`Relationship`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) enum Way {
    /// The foreign key is here.
    ManyToOne(Link),
    /// The foreign key is there.
    OneToMany(Link),
    /// The columns of the foreign key, here or there, are unique.
    OneToOne(Link),
    /// Two foreign keys of a third relation.
    ManyToMany {
        junction: String,
        /// From here to the junction.
        near: Link,
        /// From the target to the junction.
        far: Link,
    },
}

/// A foreign key and its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Link {
    pub(in crate::gateway::rest) constraint: String,
    /// Each with the one it must be equal to on the other side.
    pub(in crate::gateway::rest) columns: Vec<(String, String)>,
}

impl Relationship {
    /// At most one row is found.
    pub(in crate::gateway::rest) fn to_one(&self) -> bool {
        matches!(self.way, Way::ManyToOne(_) | Way::OneToOne(_))
    }

    /// The foreign key, where there is one alone.
    pub(in crate::gateway::rest) fn link(&self) -> Option<&Link> {
        match &self.way {
            Way::ManyToOne(link) | Way::OneToMany(link) | Way::OneToOne(link) => Some(link),
            Way::ManyToMany { .. } => None,
        }
    }
}

/// A function that can be called.
#[derive(Clone, Debug)]
pub(in crate::gateway::rest) struct Function {
    pub(in crate::gateway::rest) schema: String,
    pub(in crate::gateway::rest) name: String,
    pub(in crate::gateway::rest) arguments: Vec<Argument>,
    pub(in crate::gateway::rest) returns: Returns,
    /// It may change something.
    pub(in crate::gateway::rest) volatile: bool,
}

/// One argument of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::rest) struct Argument {
    /// Empty where it has none.
    pub(in crate::gateway::rest) name: String,
    pub(in crate::gateway::rest) type_name: String,
    pub(in crate::gateway::rest) required: bool,
    pub(in crate::gateway::rest) variadic: bool,
}

/// What a function answers.
#[derive(Clone, Debug)]
pub(in crate::gateway::rest) struct Returns {
    pub(in crate::gateway::rest) set: bool,
    pub(in crate::gateway::rest) shape: Shape,
}

/// See [`Returns`].
#[derive(Clone, Debug)]
pub(in crate::gateway::rest) enum Shape {
    Void,
    /// A value that is no row.
    Scalar,
    /// Rows of a relation of the same schema, by its name.
    Relation(String),
    /// Rows of these columns.
    Columns(Vec<Column>),
}

impl Catalog {
    pub(in crate::gateway::rest) fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.schemas.get(schema)?.relations.get(name)
    }

    /// The overloads of a name.
    pub(in crate::gateway::rest) fn functions(&self, schema: &str, name: &str) -> &[Function] {
        let functions = self
            .schemas
            .get(schema)
            .and_then(|schema| schema.functions.get(name));
        functions.map_or(&[], Vec::as_slice)
    }
}

impl Relation {
    pub(in crate::gateway::rest) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
