//! A table as the catalog describes it now.

use std::sync::Arc;

use super::load::{PolicyRow, TableRow, TypeRow};
use super::policy::variables;
use crate::changes::record::schema::{self, Field, TypeInfo, TypeKind, Types};

/// A published table, a partition or a partitioned table.
#[derive(Debug)]
pub struct Table {
    /// Its oid; survives renames.
    pub(crate) oid: u32,
    /// Schema, unquoted.
    pub(crate) schema: String,
    /// Name, unquoted.
    pub(crate) name: String,
    /// The table as filters and rendering know it; positions are those of `columns`.
    pub shape: schema::Table,
    /// The types of its columns and what they are made of.
    pub(crate) types: Arc<Types>,
    /// Live columns in physical order.
    pub(crate) columns: Vec<Column>,
    /// Indexes into `columns`, in the order of the key; empty without primary key.
    pub(crate) key: Vec<usize>,
    /// Row level security is on for this very table.
    pub(crate) rls: bool,
    /// Partitioned tables above it, nearest first.
    pub(crate) ancestors: Vec<u32>,
    /// Policies for SELECT, of any role.
    pub(super) policies: Vec<PolicyRow>,
    /// Somebody's lock kept policies or the expressions of generated columns from us.
    pub(super) unread: bool,
}

/// A live column.
#[derive(Debug, Default, Clone)]
pub(crate) struct Column {
    /// `attnum`
    pub(crate) number: i16,
    /// Name, unquoted.
    pub(crate) name: String,
    /// Schema of its type.
    pub(crate) type_schema: String,
    /// `typname`
    pub(crate) type_name: String,
    /// How a generated column is computed from the others.
    pub(crate) generated: Option<Generated>,
}

/// How a generated column is computed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Generated {
    /// SQL text, names qualified except those of columns.
    pub(crate) expression: String,
    /// Indexes of the columns it reads.
    pub(crate) reads: Vec<usize>,
}

impl Column {
    /// The type as it can be written in any statement; quoted, so that `bit` and `char` do not mean `bit(1)`.
    pub(crate) fn type_sql(&self) -> String {
        format!(
            "{}.{}",
            identifier(&self.type_schema),
            identifier(&self.type_name)
        )
    }
}

impl Table {
    /// From what the catalog tells of it; `types` has those of its columns.
    pub fn new(row: TableRow, types: Arc<Types>) -> Self {
        let positions = |numbers: &[i16]| -> Vec<usize> {
            numbers
                .iter()
                .filter_map(|number| {
                    row.columns
                        .iter()
                        .position(|column| column.number == *number)
                })
                .collect()
        };
        let key = positions(&row.primary_key);
        let identity = match row.identity.as_str() {
            "f" => (0..row.columns.len()).collect(),
            "i" => positions(&row.identity_index),
            "n" => Vec::new(),
            _ => key.clone(),
        };
        let shape = schema::Table {
            oid: row.oid,
            schema: row.schema.clone(),
            name: row.name.clone(),
            columns: row
                .columns
                .iter()
                .enumerate()
                .map(|(position, column)| schema::Column {
                    name: column.name.clone(),
                    type_oid: column.type_oid,
                    typmod: column.modifier,
                    attnum: column.number,
                    in_identity: identity.contains(&position),
                    generated: !column.generated.is_empty(),
                    not_null: column.not_null,
                })
                .collect(),
            primary_key: key.clone(),
        };
        let numbers: Vec<i16> = row.columns.iter().map(|column| column.number).collect();
        let columns = row
            .columns
            .into_iter()
            .map(|column| {
                let generated = column.expression.map(|expression| Generated {
                    expression,
                    reads: variables(column.tree.as_deref().unwrap_or_default())
                        .filter_map(|number| numbers.iter().position(|known| *known == number))
                        .collect(),
                });
                Column {
                    number: column.number,
                    name: column.name,
                    type_schema: column.type_schema,
                    type_name: column.type_name,
                    generated,
                }
            })
            .collect();
        Self {
            oid: row.oid,
            schema: row.schema,
            name: row.name,
            shape,
            types,
            columns,
            key,
            rls: row.rls,
            ancestors: row.ancestors,
            policies: row.policies,
            unread: row.unread,
        }
    }

    /// Index of the column called `name`.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// `"schema"."name"`
    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }
}

/// A quoted identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn types(rows: Vec<TypeRow>, bytewise_text_order: bool) -> Types {
    let mut types = Types::new();
    types.bytewise_text_order = bytewise_text_order;
    for row in rows {
        let kind = match row.kind.as_str() {
            "a" => TypeKind::Array {
                element: row.element,
            },
            "d" => TypeKind::Domain { base: row.base },
            "e" => TypeKind::Enum,
            "c" => TypeKind::Composite {
                fields: row
                    .fields
                    .into_iter()
                    .map(|field| Field {
                        name: field.name,
                        type_oid: field.type_oid,
                    })
                    .collect(),
            },
            "r" => TypeKind::Range,
            "m" => TypeKind::Multirange,
            _ => TypeKind::Base,
        };
        types.insert(TypeInfo {
            oid: row.oid,
            schema: row.schema,
            name: row.name,
            sql_name: row.sql_name,
            kind,
            delimiter: row.delimiter.bytes().next().unwrap_or(b','),
            has_json_cast: row.json_cast,
        });
    }
    types
}
