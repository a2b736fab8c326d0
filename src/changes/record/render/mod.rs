//! `pgoutput` text to JSON (postgres.md §2.15).
//!
//! Owns the choice of a JSON form for a type and the difference between a column's own value and a value inside
//! an array or a composite (NaN, bytea). The forms themselves live beside it, one file each. Text that is not
//! what its type should print (it cannot come from Postgres) becomes a JSON string: nothing here fails on bytes.
mod array;
mod composite;
mod hstore;
mod number;
mod string;
mod time;

pub(super) use string::push_string;

use super::schema::{Field, Oid, TypeKind, Types, oids};
use crate::changes::record::sql_text::type_name;

/// A value whose type only Postgres can render: a cast to `json` that is not ours, or a type not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("type {type_oid} can only be rendered as JSON by Postgres")]
pub struct NeedsPostgres {
    /// The type that stopped it.
    pub type_oid: Oid,
}

/// Why a form stopped half way; what it wrote is thrown away.
enum Stop {
    /// Not the text of such a value.
    Malformed,
    /// A type inside cannot be rendered here.
    NeedsPostgres(Oid),
}

/// Where a value stands: the original treats a column's own value and a nested one differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Column,
    Nested,
}

/// Arrays of composites of arrays … deeper than this are left to Postgres; a stack is finite.
const MAX_DEPTH: usize = 32;

/// First oid of types that are not built in; only those can have a cast to `json` that counts.
const FIRST_USER_OID: Oid = 16_384;

/// How a type looks in JSON.
enum Form<'a> {
    Bool,
    Number,
    Timestamp,
    TimestampTz,
    Bytea,
    Json,
    NumberVector,
    StringVector,
    Hstore,
    Array { element: Oid },
    Composite(&'a [Field]),
    Text,
}

fn form_of(types: &Types, type_oid: Oid) -> Result<Form<'_>, Stop> {
    let base = types.base_of(type_oid);
    Ok(match base {
        oids::BOOL => Form::Bool,
        oids::INT2 | oids::INT4 | oids::INT8 | oids::FLOAT4 | oids::FLOAT8 | oids::NUMERIC => {
            Form::Number
        }
        oids::TIMESTAMP => Form::Timestamp,
        oids::TIMESTAMPTZ => Form::TimestampTz,
        oids::BYTEA => Form::Bytea,
        oids::JSON | oids::JSONB => Form::Json,
        oids::INT2VECTOR => Form::NumberVector,
        oids::OIDVECTOR => Form::StringVector,
        oids::TEXT
        | oids::VARCHAR
        | oids::BPCHAR
        | oids::NAME
        | oids::CHAR
        | oids::UUID
        | oids::DATE
        | oids::OID => Form::Text,
        _ => {
            let info = types.get(base).ok_or(Stop::NeedsPostgres(base))?;
            match &info.kind {
                TypeKind::Array { element } => Form::Array { element: *element },
                TypeKind::Composite { fields } => Form::Composite(fields),
                _ if info.has_json_cast && base >= FIRST_USER_OID => {
                    if info.name == "hstore" && info.kind == TypeKind::Base {
                        Form::Hstore
                    } else {
                        return Err(Stop::NeedsPostgres(base));
                    }
                }
                _ => Form::Text,
            }
        }
    })
}

/// Appends the JSON of a column's text value to `out` (§2.15).
///
/// # Errors
/// [`NeedsPostgres`] for types that only Postgres renders; `out` is then as it was.
pub fn render_value(
    types: &Types,
    type_oid: Oid,
    text: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), NeedsPostgres> {
    let start = out.len();
    match render(types, type_oid, text, Place::Column, 0, out) {
        Ok(()) => Ok(()),
        Err(Stop::Malformed) => {
            out.truncate(start);
            push_string(text, out);
            Ok(())
        }
        Err(Stop::NeedsPostgres(type_oid)) => {
            out.truncate(start);
            Err(NeedsPostgres { type_oid })
        }
    }
}

fn render(
    types: &Types,
    type_oid: Oid,
    text: &[u8],
    place: Place,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Stop> {
    if depth > MAX_DEPTH {
        return Err(Stop::NeedsPostgres(type_oid));
    }
    match form_of(types, type_oid)? {
        Form::Bool => out.extend_from_slice(match text {
            b"t" => b"true",
            b"f" => b"false",
            _ => return Err(Stop::Malformed),
        }),
        Form::Number => number::push_number(text, place, out)?,
        Form::Timestamp => time::push_timestamp(text, out),
        Form::TimestampTz => time::push_timestamptz(text, out),
        Form::Bytea => push_bytea(text, place, out),
        Form::Json => push_json(text, out)?,
        Form::NumberVector => push_vector(text, out, |item, out| {
            number::push_number(item, Place::Nested, out)
        })?,
        Form::StringVector => push_vector(text, out, |item, out| {
            push_string(item, out);
            Ok(())
        })?,
        Form::Hstore => hstore::push_hstore(text, out)?,
        Form::Array { element } => array::push_array(types, element, text, depth, out)?,
        Form::Composite(fields) => composite::push_composite(types, fields, text, depth, out)?,
        Form::Text => push_string(text, out),
    }
    Ok(())
}

/// Whether [`render_value`] knows the type, so that a caller can prepare what it does not know.
#[must_use]
pub fn can_render(types: &Types, type_oid: Oid) -> bool {
    fn check(types: &Types, type_oid: Oid, depth: usize) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        match form_of(types, type_oid) {
            Err(_) => false,
            Ok(Form::Array { element }) => check(types, element, depth + 1),
            Ok(Form::Composite(fields)) => fields
                .iter()
                .all(|field| check(types, field.type_oid, depth + 1)),
            Ok(_) => true,
        }
    }
    check(types, type_oid, 0)
}

/// SQL that renders parameter `$1` (text) as JSON text the way [`render_value`] would, for a type that
/// [`can_render`] denies. `None` when the type has not been read from the catalog.
#[must_use]
pub fn render_sql(types: &Types, type_oid: Oid) -> Option<String> {
    let name = type_name(types, type_oid)?;
    Some(format!(
        "pg_catalog.to_jsonb(($1::pg_catalog.text)::{name})::pg_catalog.text"
    ))
}

/// A column's own `bytea` is hex without prefix; a nested one keeps `\x` (§2.15).
fn push_bytea(text: &[u8], place: Place, out: &mut Vec<u8>) {
    let text = match place {
        Place::Column => text.strip_prefix(b"\\x").unwrap_or(text),
        Place::Nested => text,
    };
    push_string(text, out);
}

fn push_json(text: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
    let raw: &serde_json::value::RawValue =
        serde_json::from_slice(text).map_err(|_| Stop::Malformed)?;
    out.extend_from_slice(raw.get().as_bytes());
    Ok(())
}

/// `int2vector` and `oidvector` print their elements with blanks between.
fn push_vector(
    text: &[u8],
    out: &mut Vec<u8>,
    push_item: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    out.push(b'[');
    let mut first = true;
    for item in text
        .split(|byte| *byte == b' ')
        .filter(|item| !item.is_empty())
    {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        push_item(item, out)?;
    }
    out.push(b']');
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
