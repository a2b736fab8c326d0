//! Typed values of filters and rows: parsed from Postgres' text output, ordered and keyed as SQL does.
//!
//! Owns the list of types whose comparison is done here ([`Family`]), and for each of them the parser of its
//! canonical text, its order and its key. A text that does not parse has no value, hence no answer: a format
//! this code does not know (another `DateStyle`) hides a row, it never compares it wrongly.
use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

use super::datetime::{parse_date, parse_time, parse_timestamp, parse_timestamptz};
use super::decimal::Decimal;
use crate::changes::record::schema::{Oid, TypeKind, Types, oids};

/// Types compared here, grouped by how they are read and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bool,
    /// int2, int4, int8, oid.
    Integer,
    Numeric,
    Float4,
    Float8,
    Uuid,
    /// text, varchar: equal when their bytes are, under any deterministic collation.
    Text,
    /// char(n): trailing blanks do not count.
    PaddedText,
    /// name: always compared bytewise, its collation is `C`.
    Name,
    /// bytea, compared as the original does: by its hex text (§2.10.6).
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    /// Only for equality: the order of labels can change under a running server.
    Enum,
}

impl Family {
    /// `None` when Postgres must compare values of this type.
    pub(super) fn of(types: &Types, type_oid: Oid) -> Option<Self> {
        let base = types.base_of(type_oid);
        Some(match base {
            oids::BOOL => Self::Bool,
            oids::INT2 | oids::INT4 | oids::INT8 | oids::OID => Self::Integer,
            oids::NUMERIC => Self::Numeric,
            oids::FLOAT4 => Self::Float4,
            oids::FLOAT8 => Self::Float8,
            oids::UUID => Self::Uuid,
            oids::TEXT | oids::VARCHAR => Self::Text,
            oids::BPCHAR => Self::PaddedText,
            oids::NAME => Self::Name,
            oids::BYTEA => Self::Bytea,
            oids::DATE => Self::Date,
            oids::TIME => Self::Time,
            oids::TIMESTAMP => Self::Timestamp,
            oids::TIMESTAMPTZ => Self::TimestampTz,
            _ if types
                .get(base)
                .is_some_and(|info| info.kind == TypeKind::Enum) =>
            {
                Self::Enum
            }
            _ => return None,
        })
    }

    /// Whether `<` is decided here too.
    pub(super) fn is_ordered(self, types: &Types) -> bool {
        match self {
            Self::Text | Self::PaddedText => types.bytewise_text_order,
            Self::Enum => false,
            _ => true,
        }
    }

    /// NaN and infinite numbers reach clients as `null`, and filters treat them so (§2.10.6).
    pub(super) fn counts_as_null(self, text: &[u8]) -> bool {
        matches!(self, Self::Numeric | Self::Float4 | Self::Float8)
            && matches!(text, b"NaN" | b"Infinity" | b"-Infinity")
    }

    /// A row's value from Postgres' text output.
    pub(super) fn parse(self, text: &[u8]) -> Option<Scalar<'_>> {
        Some(match self {
            Self::Bool => Scalar::Integer(match text {
                b"f" => 0,
                b"t" => 1,
                _ => return None,
            }),
            Self::Integer => Scalar::Integer(parse_str(text)?),
            Self::Numeric => Scalar::Decimal(Decimal::parse(text)?),
            Self::Float4 => Scalar::Float4(parse_str(text)?),
            Self::Float8 => Scalar::Float8(parse_str(text)?),
            Self::Uuid => Scalar::Uuid(parse_uuid(text)?),
            Self::Text | Self::Name | Self::Enum => Scalar::Bytes(Cow::Borrowed(text)),
            Self::PaddedText => Scalar::Bytes(Cow::Borrowed(trim_blanks(text))),
            Self::Bytea => Scalar::Bytes(Cow::Borrowed(text.strip_prefix(b"\\x")?)),
            Self::Date => Scalar::Integer(parse_date(text)?),
            Self::Time => Scalar::Integer(parse_time(text)?),
            Self::Timestamp => Scalar::Integer(parse_timestamp(text)?),
            Self::TimestampTz => Scalar::Integer(parse_timestamptz(text)?),
        })
    }

    /// A filter's value: as a row's, but `bytea` follows the input syntax of Postgres, whose result is compared
    /// with the hex text of the row (so `deadbeef` matches and `\xdeadbeef` does not).
    pub(super) fn parse_literal(self, text: &str) -> Option<Scalar<'static>> {
        match self {
            Self::Bytea => {
                bytea_input(text.as_bytes()).map(|bytes| Scalar::Bytes(Cow::Owned(bytes)))
            }
            _ => self.parse(text.as_bytes()).map(Scalar::into_owned),
        }
    }
}

/// One value, comparable with others of its family.
#[derive(Debug, Clone)]
pub(super) enum Scalar<'a> {
    Integer(i64),
    Decimal(Decimal<'a>),
    Float4(f32),
    Float8(f64),
    Uuid([u8; 16]),
    Bytes(Cow<'a, [u8]>),
}

impl Scalar<'_> {
    fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Integer(value) => Scalar::Integer(value),
            Self::Decimal(value) => Scalar::Decimal(value.into_owned()),
            Self::Float4(value) => Scalar::Float4(value),
            Self::Float8(value) => Scalar::Float8(value),
            Self::Uuid(value) => Scalar::Uuid(value),
            Self::Bytes(value) => Scalar::Bytes(Cow::Owned(value.into_owned())),
        }
    }

    /// The order of SQL. `None` for values of different families, which no caller mixes.
    pub(super) fn compare(&self, other: &Scalar<'_>) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Integer(a), Scalar::Integer(b)) => a.cmp(b),
            (Self::Decimal(a), Scalar::Decimal(b)) => a.compare(b),
            (Self::Float4(a), Scalar::Float4(b)) => compare_floats(f64::from(*a), f64::from(*b)),
            (Self::Float8(a), Scalar::Float8(b)) => compare_floats(*a, *b),
            (Self::Uuid(a), Scalar::Uuid(b)) => a.cmp(b),
            (Self::Bytes(a), Scalar::Bytes(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// Equal keys ⇔ equal values.
    pub(super) fn key(&self) -> Key {
        let mut bytes = SmallVec::new();
        match self {
            Self::Integer(value) => bytes.extend_from_slice(&value.to_be_bytes()),
            Self::Decimal(value) => value.push_key(&mut bytes),
            // Adding zero makes minus zero plus zero; there is one NaN in SQL.
            Self::Float4(value) if value.is_nan() => bytes.push(b'n'),
            Self::Float8(value) if value.is_nan() => bytes.push(b'n'),
            Self::Float4(value) => bytes.extend_from_slice(&(value + 0.0).to_be_bytes()),
            Self::Float8(value) => bytes.extend_from_slice(&(value + 0.0).to_be_bytes()),
            Self::Uuid(value) => bytes.extend_from_slice(value),
            Self::Bytes(value) => bytes.extend_from_slice(value),
        }
        Key(bytes)
    }
}

/// Bytes that are equal exactly when the values are equal in SQL, within one column type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(SmallVec<[u8; 24]>);

/// The key of a row's value, for a look-up among the keys of [`Native::index_keys`](super::Native::index_keys).
/// `None` when the value equals nothing (it counts as NULL) or its type is not compared here.
#[must_use]
pub fn key_of(types: &Types, type_oid: Oid, text: &[u8]) -> Option<Key> {
    let family = Family::of(types, type_oid)?;
    if family.counts_as_null(text) {
        return None;
    }
    family.parse(text).map(|value| value.key())
}

/// Postgres' order of floats: NaN equals itself and is greater than everything.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn parse_str<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse_ascii(text)
        .ok()
        .map(uuid::Uuid::into_bytes)
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| *byte != b' ')
        .map_or(0, |at| at + 1);
    text.get(..end).unwrap_or_default()
}

/// Input syntax of `bytea`: `\x` and hex digits, or text in which `\\` is a backslash and `\ooo` a byte.
fn bytea_input(text: &[u8]) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix(b"\\x") {
        let digits: Vec<u8> = hex
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        return digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
                _ => None,
            })
            .collect();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        rest = match tail {
            [b'\\', tail @ ..] => {
                bytes.push(b'\\');
                tail
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                tail
            }
            _ => return None,
        };
    }
    Some(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
