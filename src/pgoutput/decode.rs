//! From bytes to messages.

use bytes::Bytes;

use super::lsn::Lsn;
use super::message::{
    Begin, Column, Commit, Delete, Insert, LogicalMessage, Message, Origin, Relation,
    ReplicaIdentity, Truncate, Type, Update,
};
use super::tuple::{OldKind, OldTuple, Tuple};

/// Why bytes are not a message. Never holds values of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The message ends before it is complete.
    #[error("message of the replication stream is cut short")]
    Truncated,
    /// The message goes on after its end.
    #[error("message of the replication stream has {0} bytes too many")]
    Trailing(usize),
    /// No message of protocol version 1 starts with this byte.
    #[error("message of the replication stream has the unknown type {0:#04x}")]
    UnknownMessage(u8),
    /// No value starts with this byte.
    #[error("value in the replication stream has the unknown kind {0:#04x}")]
    UnknownValue(u8),
    /// A tuple was announced as something that is not possible there.
    #[error("row in the replication stream has the unknown part {0:#04x}")]
    UnknownTuple(u8),
    /// No replica identity is written like this.
    #[error("relation in the replication stream has the unknown replica identity {0:#04x}")]
    UnknownIdentity(u8),
    /// More than 4 GiB.
    #[error("row in the replication stream is too long")]
    TooLong,
}

/// Decodes one message.
///
/// # Errors
/// [`Error`] for anything that is not exactly one message of protocol version 1.
pub fn decode(bytes: Bytes) -> Result<Message, Error> {
    let mut reader = Reader { bytes, at: 0 };
    let message = match reader.u8()? {
        b'I' => Message::Insert(insert(&mut reader)?),
        b'U' => Message::Update(update(&mut reader)?),
        b'D' => Message::Delete(delete(&mut reader)?),
        b'B' => Message::Begin(Begin {
            final_lsn: reader.lsn()?,
            commit_time: reader.i64()?,
            xid: reader.u32()?,
        }),
        b'C' => {
            let _flags = reader.u8()?;
            Message::Commit(Commit {
                commit_lsn: reader.lsn()?,
                end_lsn: reader.lsn()?,
                commit_time: reader.i64()?,
            })
        }
        b'R' => Message::Relation(relation(&mut reader)?),
        b'Y' => Message::Type(Type {
            oid: reader.u32()?,
            schema: reader.schema()?,
            name: reader.name()?,
        }),
        b'T' => Message::Truncate(truncate(&mut reader)?),
        b'M' => Message::Message(logical_message(&mut reader)?),
        b'O' => Message::Origin(Origin {
            lsn: reader.lsn()?,
            name: reader.name()?,
        }),
        other => return Err(Error::UnknownMessage(other)),
    };
    match reader.remaining() {
        0 => Ok(message),
        extra => Err(Error::Trailing(extra)),
    }
}

fn insert(reader: &mut Reader) -> Result<Insert, Error> {
    let relation = reader.u32()?;
    match reader.u8()? {
        b'N' => Ok(Insert {
            relation,
            new: Tuple::read(reader)?,
        }),
        other => Err(Error::UnknownTuple(other)),
    }
}

fn update(reader: &mut Reader) -> Result<Update, Error> {
    let relation = reader.u32()?;
    let (old, part) = match reader.u8()? {
        b'N' => (None, b'N'),
        part => (Some(old_tuple(part, reader)?), reader.u8()?),
    };
    match part {
        b'N' => Ok(Update {
            relation,
            old,
            new: Tuple::read(reader)?,
        }),
        other => Err(Error::UnknownTuple(other)),
    }
}

fn delete(reader: &mut Reader) -> Result<Delete, Error> {
    let relation = reader.u32()?;
    let part = reader.u8()?;
    Ok(Delete {
        relation,
        old: old_tuple(part, reader)?,
    })
}

fn old_tuple(part: u8, reader: &mut Reader) -> Result<OldTuple, Error> {
    let kind = match part {
        b'K' => OldKind::Key,
        b'O' => OldKind::Full,
        other => return Err(Error::UnknownTuple(other)),
    };
    Ok(OldTuple {
        kind,
        tuple: Tuple::read(reader)?,
    })
}

fn relation(reader: &mut Reader) -> Result<Relation, Error> {
    Ok(Relation {
        oid: reader.u32()?,
        schema: reader.schema()?,
        name: reader.name()?,
        replica_identity: match reader.u8()? {
            b'd' => ReplicaIdentity::Default,
            b'n' => ReplicaIdentity::Nothing,
            b'f' => ReplicaIdentity::Full,
            b'i' => ReplicaIdentity::Index,
            other => return Err(Error::UnknownIdentity(other)),
        },
        columns: {
            let count = reader.u16()?;
            (0..count)
                .map(|_| column(reader))
                .collect::<Result<_, _>>()?
        },
    })
}

fn column(reader: &mut Reader) -> Result<Column, Error> {
    Ok(Column {
        is_key: reader.u8()? & 1 == 1,
        name: reader.name()?,
        type_oid: reader.u32()?,
        type_modifier: reader.u32()?.cast_signed(),
    })
}

fn truncate(reader: &mut Reader) -> Result<Truncate, Error> {
    let count = reader.u32()?;
    let flags = reader.u8()?;
    Ok(Truncate {
        cascade: flags & 1 != 0,
        restart_identity: flags & 2 != 0,
        // The count is not trusted with memory: a short message fails at its first missing oid.
        relations: (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?,
    })
}

fn logical_message(reader: &mut Reader) -> Result<LogicalMessage, Error> {
    Ok(LogicalMessage {
        transactional: reader.u8()? & 1 == 1,
        lsn: reader.lsn()?,
        prefix: reader.name()?,
        content: {
            let length = reader.u32()?;
            reader.take(length as usize)?
        },
    })
}

/// A cursor over the message.
pub(super) struct Reader {
    bytes: Bytes,
    at: usize,
}

impl Reader {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let array = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .ok_or(Error::Truncated)?;
        self.at += N;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, Error> {
        self.array().map(i64::from_be_bytes)
    }

    fn lsn(&mut self) -> Result<Lsn, Error> {
        self.array().map(|bytes| Lsn(u64::from_be_bytes(bytes)))
    }

    /// A text that ends with a zero byte. A database in `SQL_ASCII` may hold names that are not UTF-8: replaced,
    /// because refusing them would stop the stream for everybody.
    fn name(&mut self) -> Result<Box<str>, Error> {
        let rest = self.bytes.get(self.at..).ok_or(Error::Truncated)?;
        let length = rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(Error::Truncated)?;
        let name = rest.get(..length).ok_or(Error::Truncated)?;
        let name = String::from_utf8_lossy(name).into();
        self.at += length + 1;
        Ok(name)
    }

    /// A schema's name; `pg_catalog` is sent as an empty text.
    fn schema(&mut self) -> Result<Box<str>, Error> {
        self.name().map(|name| match &*name {
            "" => "pg_catalog".into(),
            _ => name,
        })
    }

    pub(super) fn skip(&mut self, length: usize) -> Result<(), Error> {
        if length > self.remaining() {
            return Err(Error::Truncated);
        }
        self.at += length;
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<Bytes, Error> {
        let start = self.at;
        self.skip(length)?;
        Ok(self.bytes.slice(start..self.at))
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Everything from here on, without moving.
    pub(super) fn rest(&self) -> Bytes {
        self.bytes.slice(self.at..)
    }
}
