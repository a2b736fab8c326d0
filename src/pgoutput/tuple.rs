//! Rows, as slices of the bytes they came in.

use bytes::Bytes;
use smallvec::SmallVec;

use super::decode::{Error, Reader};

/// One column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL NULL; in an old tuple of kind [`OldKind::Key`] also every column that is not part of the identity.
    Null,
    /// A large value stored out of line that the update did not touch: not sent.
    Unchanged,
    /// The type's text output.
    Text(&'a [u8]),
    /// The type's binary output (only if asked for with `binary`).
    Binary(&'a [u8]),
}

/// The values of one row, in the order of [`super::Relation::columns`]. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Tuple {
    bytes: Bytes,
    /// Where each column's kind byte is. Most tables have few columns: no allocation up to 16.
    columns: SmallVec<[u32; 16]>,
}

/// What an old tuple holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldKind {
    /// Only the columns of the identity; the others read as NULL whatever they were.
    Key,
    /// The whole row (replica identity FULL).
    Full,
}

/// What a row was before it was changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldTuple {
    /// What is in it.
    pub kind: OldKind,
    /// The values.
    pub tuple: Tuple,
}

impl Tuple {
    /// Number of columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// A row without columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The value of column `index`, `None` if there is no such column.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'_>> {
        let start = *self.columns.get(index)? as usize;
        let (kind, rest) = self.bytes.get(start..)?.split_first()?;
        // The lengths were checked when the tuple was read.
        let content = || {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            rest.get(..u32::from_be_bytes(*length) as usize)
        };
        match kind {
            b'n' => Some(Value::Null),
            b'u' => Some(Value::Unchanged),
            b't' => content().map(Value::Text),
            b'b' => content().map(Value::Binary),
            _ => None,
        }
    }

    /// The values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'_>> {
        (0..self.len()).map(|index| self.get(index).unwrap_or(Value::Null))
    }

    /// Size of the row as it was sent, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Column `index` as bytes that share this row's memory, for values that outlive the row.
    #[must_use]
    pub fn share(&self, index: usize) -> Option<Bytes> {
        match self.get(index)? {
            Value::Text(value) | Value::Binary(value) => Some(self.bytes.slice_ref(value)),
            Value::Null | Value::Unchanged => None,
        }
    }

    /// Reads one tuple and leaves `reader` behind it.
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Error> {
        let whole = reader.rest();
        let count = reader.u16()?;
        let mut columns = SmallVec::new();
        for _ in 0..count {
            let start = whole.len() - reader.remaining();
            match reader.u8()? {
                b'n' | b'u' => {}
                b't' | b'b' => {
                    let length = reader.u32()?;
                    reader.skip(length as usize)?;
                }
                kind => return Err(Error::UnknownValue(kind)),
            }
            columns.push(u32::try_from(start).map_err(|_| Error::TooLong)?);
        }
        let end = whole.len() - reader.remaining();
        Ok(Self {
            bytes: whole.slice(..end),
            columns,
        })
    }
}

/// Equal when the values are, wherever the bytes are.
impl PartialEq for Tuple {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Tuple {}
