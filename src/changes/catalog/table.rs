//! A table as the catalog describes it now.

use super::load::PolicyRow;

/// A published table, a partition or a partitioned table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Its oid; survives renames.
    pub(crate) oid: u32,
    /// Schema, unquoted.
    pub(crate) schema: String,
    /// Name, unquoted.
    pub(crate) name: String,
    /// Live columns in physical order.
    pub(crate) columns: Vec<Column>,
    /// Indexes into `columns`, in the order of the key; empty without primary key.
    pub(crate) key: Vec<usize>,
    /// Indexes into `columns` of what identifies a row in old images.
    pub(crate) identity: Vec<usize>,
    /// `REPLICA IDENTITY FULL`
    pub(crate) identity_full: bool,
    /// Row level security is on for this very table.
    pub(crate) rls: bool,
    /// Partitioned tables above it, nearest first.
    pub(crate) ancestors: Vec<u32>,
    /// Policies for SELECT, of any role.
    pub(crate) policies: Vec<PolicyRow>,
}

/// A live column.
#[derive(Debug, Default, Clone)]
pub(crate) struct Column {
    /// `attnum`
    pub(crate) number: i16,
    /// Name, unquoted.
    pub(crate) name: String,
    /// Oid of its type.
    pub(crate) type_oid: u32,
    /// Schema of its type.
    pub(crate) type_schema: String,
    /// `typname`
    pub(crate) type_name: String,
    /// SQL spelling of the type without modifier, as in Postgres' messages.
    pub(crate) type_text: String,
    /// How a generated column is computed from the others.
    pub(crate) generated: Option<String>,
}

impl Column {
    /// The type as it can be written in any statement; quoted, so that `bit` and `char` do not mean `bit(1)`.
    pub(crate) fn type_sql(&self) -> String {
        format!("{}.{}", identifier(&self.type_schema), identifier(&self.type_name))
    }
}

impl Table {
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

/// A quoted string; correct under `standard_conforming_strings = on`, which every connection of ours pins.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
