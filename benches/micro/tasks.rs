//! The table of the benches, as Postgres describes it to the server, and rows of it as they come with the stream:
//!
//! ```sql
//! create table public.tasks (id int8 primary key, owner uuid not null, title text not null, details jsonb not null,
//!                            due timestamp not null);
//! ```

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use dovetail::changes::record::Operation;
use dovetail::changes::record::schema::{TypeInfo, TypeKind, Types, oids};
use dovetail::changes::steps::{RowChange, Table, TableRow};
use dovetail::pgoutput::{Message, Relation, Tuple, decode};
use serde_json::{Value, json};

/// Its oid.
pub const OID: u32 = 16_400;
/// Name, type and the name of that type, in order.
pub const COLUMNS: [(&str, u32, &str); 5] = [
    ("id", oids::INT8, "int8"),
    ("owner", oids::UUID, "uuid"),
    ("title", oids::TEXT, "text"),
    ("details", oids::JSONB, "jsonb"),
    ("due", oids::TIMESTAMP, "timestamp"),
];
/// 2026-01-02 03:04:05.678901 UTC in microseconds since 2000.
pub const COMMIT_TIME: i64 = 820_638_245_678_901;

const DETAILS: &str = r#"{"done": false, "tags": ["home", "garden"], "estimate": 2.5}"#;
const DUE: &str = "2026-02-03 10:00:00";

/// A `uuid` that belongs to a number.
pub fn owner(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Text output of the columns of one row.
pub fn values(id: u32) -> [String; 5] {
    [
        id.to_string(),
        owner(id),
        format!("task {id}: water the \"plants\""),
        DETAILS.to_owned(),
        DUE.to_owned(),
    ]
}

/// The row as JSON that clients know.
pub fn record(id: u32) -> Value {
    let details: Value = serde_json::from_str(DETAILS).unwrap();
    let due = DUE.replace(' ', "T");
    json!({ "id": id, "owner": owner(id), "title": values(id)[2], "details": details, "due": due })
}

/// A `Begin` message.
pub fn begin() -> Bytes {
    let mut out = vec![b'B'];
    out.put_u64(0x16B_3748);
    out.put_i64(COMMIT_TIME);
    out.put_u32(731);
    out.into()
}

/// A `Commit` message.
pub fn commit() -> Bytes {
    let mut out = vec![b'C', 0];
    out.put_u64(0x16B_3748);
    out.put_u64(0x16B_3778);
    out.put_i64(COMMIT_TIME);
    out.into()
}

/// The `Relation` message of the table.
pub fn relation_message() -> Bytes {
    let mut out = vec![b'R'];
    out.put_u32(OID);
    out.put_slice(b"public\0tasks\0d");
    out.put_u16(COLUMNS.len() as u16);
    for (place, (name, type_oid, _)) in COLUMNS.iter().enumerate() {
        out.put_u8(u8::from(place == 0));
        out.put_slice(name.as_bytes());
        out.put_u8(0);
        out.put_u32(*type_oid);
        out.put_i32(-1);
    }
    out.into()
}

/// An `Insert` message.
pub fn insert(id: u32) -> Bytes {
    let mut out = vec![b'I'];
    out.put_u32(OID);
    out.put_u8(b'N');
    put_tuple(&mut out, &values(id).map(Some));
    out.into()
}

/// An `Update` message that changed the key: the old row has nothing but that.
pub fn update_of_key(from: u32, to: u32) -> Bytes {
    let mut out = vec![b'U'];
    out.put_u32(OID);
    out.put_u8(b'K');
    put_tuple(&mut out, &[Some(from.to_string()), None, None, None, None]);
    out.put_u8(b'N');
    put_tuple(&mut out, &values(to).map(Some));
    out.into()
}

fn put_tuple(out: &mut Vec<u8>, values: &[Option<String>]) {
    out.put_u16(values.len() as u16);
    for value in values {
        match value {
            Some(text) => {
                out.put_u8(b't');
                out.put_u32(text.len() as u32);
                out.put_slice(text.as_bytes());
            }
            None => out.put_u8(b'n'),
        }
    }
}

/// The table as the stream describes it.
pub fn relation() -> Arc<Relation> {
    match decode(relation_message()).unwrap() {
        Message::Relation(relation) => Arc::new(relation),
        other => panic!("{other:?}"),
    }
}

/// A row as the stream has it.
pub fn tuple(id: u32) -> Tuple {
    match decode(insert(id)).unwrap() {
        Message::Insert(insert) => insert.new,
        other => panic!("{other:?}"),
    }
}

/// A row that was inserted.
pub fn inserted(id: u32) -> RowChange {
    RowChange {
        relation: relation(),
        operation: Operation::Insert,
        new: Some(tuple(id)),
        old: None,
        commit_time: COMMIT_TIME,
        xid: 731,
    }
}

/// The types of its columns.
pub fn types() -> Types {
    let mut types = Types::new();
    for (_, oid, name) in COLUMNS {
        types.insert(TypeInfo {
            oid,
            schema: "pg_catalog".to_owned(),
            name: name.to_owned(),
            sql_name: name.to_owned(),
            kind: TypeKind::Base,
            delimiter: b',',
            has_json_cast: false,
        });
    }
    types
}

/// The table as the catalog describes it.
pub fn table() -> Arc<Table> {
    let columns: Vec<Value> = (1..)
        .zip(COLUMNS)
        .map(|(number, (name, type_oid, type_name))| {
            json!({
                "number": number, "name": name, "type_oid": type_oid, "type_schema": "pg_catalog", "type_name": type_name,
                "modifier": -1, "not_null": true, "generated": "", "tree": null,
            })
        })
        .collect();
    let row: TableRow = serde_json::from_value(json!({
        "oid": OID, "schema": "public", "name": "tasks", "rls": true, "identity": "d", "columns": columns,
        "primary_key": [1], "identity_index": [], "ancestors": [], "policies": [],
    }))
    .unwrap();
    Arc::new(Table::new(row, Arc::new(types())))
}
