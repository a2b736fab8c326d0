//! The shapes of the messages.

use bytes::Bytes;

use super::lsn::Lsn;
use super::tuple::{OldTuple, Tuple};

/// One message of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A committed transaction starts.
    Begin(Begin),
    /// The transaction that was begun is complete.
    Commit(Commit),
    /// The transaction came from another server.
    Origin(Origin),
    /// The shape of a table, sent before its first change and again after it may have changed.
    Relation(Relation),
    /// The name of a type that is not built in, sent before the first relation that uses it.
    Type(Type),
    /// A row appeared.
    Insert(Insert),
    /// A row changed.
    Update(Update),
    /// A row vanished.
    Delete(Delete),
    /// Tables were emptied.
    Truncate(Truncate),
    /// Somebody called `pg_logical_emit_message`.
    Message(LogicalMessage),
}

/// A committed transaction starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Where the commit record of this transaction is.
    pub final_lsn: Lsn,
    /// Time of the commit, in microseconds since 2000-01-01 00:00 UTC.
    pub commit_time: i64,
    /// The transaction's id (the low 32 bits).
    pub xid: u32,
}

/// The transaction is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Where the commit record starts; equals [`Begin::final_lsn`].
    pub commit_lsn: Lsn,
    /// Where the commit record ends: confirming this position means "never send this transaction again".
    pub end_lsn: Lsn,
    /// Time of the commit, in microseconds since 2000-01-01 00:00 UTC.
    pub commit_time: i64,
}

/// The transaction came from another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Position of the commit on that server.
    pub lsn: Lsn,
    /// Name of the origin.
    pub name: Box<str>,
}

/// Which columns identify a row in old tuples: `ALTER TABLE … REPLICA IDENTITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// Nothing: updates and deletes carry no old tuple.
    Nothing,
    /// Every column.
    Full,
    /// The columns of a chosen unique index.
    Index,
}

/// The shape of a table as it was at this point of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Oid of the table (of the root, for a publication with `publish_via_partition_root`).
    pub oid: u32,
    /// Its schema.
    pub schema: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// What identifies a row.
    pub replica_identity: ReplicaIdentity,
    /// The published columns; tuples have their values in this order.
    pub columns: Box<[Column]>,
}

/// A published column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Part of the replica identity (every column is when that is FULL).
    pub is_key: bool,
    /// Its name.
    pub name: Box<str>,
    /// Oid of its type.
    pub type_oid: u32,
    /// Modifier of its type (length, precision), -1 if none.
    pub type_modifier: i32,
}

/// The name of a type that is not built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// Oid of the type.
    pub oid: u32,
    /// Its schema.
    pub schema: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// A row appeared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// Oid of the relation.
    pub relation: u32,
    /// The row.
    pub new: Tuple,
}

/// A row changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Oid of the relation.
    pub relation: u32,
    /// What the row was: only if the identity is FULL or the key changed (or a key column is stored out of line).
    pub old: Option<OldTuple>,
    /// The row now; large values that did not change are [`super::Value::Unchanged`].
    pub new: Tuple,
}

/// A row vanished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Oid of the relation.
    pub relation: u32,
    /// What the row was.
    pub old: OldTuple,
}

/// Tables were emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncate {
    /// `TRUNCATE … CASCADE`
    pub cascade: bool,
    /// `TRUNCATE … RESTART IDENTITY`
    pub restart_identity: bool,
    /// Oids of the relations.
    pub relations: Box<[u32]>,
}

/// What `pg_logical_emit_message` wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalMessage {
    /// Part of a transaction: comes between its begin and its commit, and not at all if it is rolled back.
    pub transactional: bool,
    /// Where in the log it is.
    pub lsn: Lsn,
    /// Whom it is for.
    pub prefix: Box<str>,
    /// What it says; any bytes.
    pub content: Bytes,
}
