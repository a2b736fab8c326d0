//! What rendering and filtering must know about the catalog, as plain data.
//!
//! Owns the description of types ([`TypeInfo`], [`Types`]), columns and tables. It is filled from `pg_type`,
//! `pg_attribute`, `pg_index` and `pg_class` by the catalog on a floor above and never asks a database itself.
//! Everything is a snapshot: a DDL makes a new `Table`, it never changes one in place.
use std::collections::HashMap;

use ahash::RandomState;

/// An object id of Postgres.
pub type Oid = u32;

/// Type oids that never change (`pg_type.dat` of every supported Postgres).
#[allow(
    missing_docs,
    reason = "each constant is the type of the same name in pg_type"
)]
pub mod oids {
    use super::Oid;
    pub const BOOL: Oid = 16;
    pub const BYTEA: Oid = 17;
    pub const CHAR: Oid = 18;
    pub const NAME: Oid = 19;
    pub const INT8: Oid = 20;
    pub const INT2: Oid = 21;
    pub const INT2VECTOR: Oid = 22;
    pub const INT4: Oid = 23;
    pub const TEXT: Oid = 25;
    pub const OID: Oid = 26;
    pub const OIDVECTOR: Oid = 30;
    pub const JSON: Oid = 114;
    pub const XML: Oid = 142;
    pub const POINT: Oid = 600;
    pub const FLOAT4: Oid = 700;
    pub const FLOAT8: Oid = 701;
    pub const BPCHAR: Oid = 1042;
    pub const VARCHAR: Oid = 1043;
    pub const DATE: Oid = 1082;
    pub const TIME: Oid = 1083;
    pub const TIMESTAMP: Oid = 1114;
    pub const TIMESTAMPTZ: Oid = 1184;
    pub const NUMERIC: Oid = 1700;
    pub const UUID: Oid = 2950;
    pub const JSONB: Oid = 3802;
}

/// One attribute of a composite type, in attribute order, dropped ones left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// `pg_attribute.attname`.
    pub name: String,
    /// `pg_attribute.atttypid`.
    pub type_oid: Oid,
}

/// What a type is made of (`pg_type.typtype`, and `typsubscript` for arrays).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeKind {
    /// A scalar with its own text form; also pseudo types.
    Base,
    /// A true array (`typelem <> 0 and typlen = -1` and not `int2vector`, `oidvector`).
    Array {
        /// `pg_type.typelem`.
        element: Oid,
    },
    /// `typtype = 'd'`.
    Domain {
        /// `pg_type.typbasetype`; may itself be a domain.
        base: Oid,
    },
    /// `typtype = 'e'`.
    Enum,
    /// `typtype = 'c'`.
    Composite {
        /// Live attributes by `attnum`.
        fields: Vec<Field>,
    },
    /// `typtype = 'r'`.
    Range,
    /// `typtype = 'm'`.
    Multirange,
}

/// One row of `pg_type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeInfo {
    /// `pg_type.oid`.
    pub oid: Oid,
    /// Schema of the type, unquoted; used to write casts that no `search_path` can redirect.
    pub schema: String,
    /// `pg_type.typname`: the `type` of `columns` (§2.16).
    pub name: String,
    /// `format_type(oid, NULL)`: the name in messages (`integer`, `character varying`), §2.6.
    pub sql_name: String,
    /// What it is made of.
    pub kind: TypeKind,
    /// `pg_type.typdelim`: separates elements of arrays *of this type* (`,`; `;` for `box`).
    pub delimiter: u8,
    /// There is a cast function from this type to `json` (PostGIS, hstore), which `to_jsonb` would use.
    pub has_json_cast: bool,
}

/// The types a server has met, by oid.
#[derive(Debug, Clone, Default)]
pub struct Types {
    by_oid: HashMap<Oid, TypeInfo, RandomState>,
    /// The database's default collation compares bytes (`C`, `POSIX`, builtin `C.UTF-8`). Only then is the
    /// order of text decided without asking Postgres.
    pub bytewise_text_order: bool,
}

/// Domains over domains deeper than this are not followed: a catalog cannot be cyclic, a bug could.
const MAX_DOMAIN_DEPTH: usize = 32;

/// Types below this oid are written into Postgres' sources, and none of them is a domain. (The domains of
/// `information_schema` are made by initdb, above it.)
const FIRST_OID_OF_INITDB: Oid = 10_000;

impl Types {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a type.
    pub fn insert(&mut self, info: TypeInfo) {
        self.by_oid.insert(info.oid, info);
    }

    /// The type with this oid, if it has been read from the catalog.
    #[must_use]
    pub fn get(&self, oid: Oid) -> Option<&TypeInfo> {
        self.by_oid.get(&oid)
    }

    /// The oid below all domains; the oid itself when it is no domain or unknown.
    #[must_use]
    pub fn base_of(&self, oid: Oid) -> Oid {
        let mut current = oid;
        // Nearly every column: spares a look-up for each value.
        if oid < FIRST_OID_OF_INITDB {
            return oid;
        }
        for _ in 0..MAX_DOMAIN_DEPTH {
            match self.by_oid.get(&current).map(|info| &info.kind) {
                Some(TypeKind::Domain { base }) => current = *base,
                _ => break,
            }
        }
        current
    }
}

/// One live column of a table, by `attnum` in [`Table::columns`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// `attname`, unquoted.
    pub name: String,
    /// `atttypid`.
    pub type_oid: Oid,
    /// `atttypmod`; -1 when there is none.
    pub typmod: i32,
    /// `attnum`; positive, with gaps where columns were dropped.
    pub attnum: i16,
    /// Part of the replica identity: what an old tuple of kind `K` carries (§2.20).
    pub in_identity: bool,
    /// `attgenerated <> ''`: absent from the stream before Postgres 18 (§2.17).
    pub generated: bool,
    /// `attnotnull`.
    pub not_null: bool,
}

/// One published table as the catalog shows it now (§2.16: `columns` follow the catalog, not the change).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Schema, unquoted.
    pub schema: String,
    /// Table name, unquoted.
    pub name: String,
    /// Live columns by `attnum`. Tuples handed to this module are aligned with this list.
    pub columns: Vec<Column>,
    /// Positions in [`Table::columns`] of the primary key; empty when there is none.
    pub primary_key: Vec<usize>,
}

impl Table {
    /// Position of a column by exact name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
