//! Bodies: any tuples, of any lengths, give valid JSON that names no invisible column.
#![no_main]
use std::collections::HashMap;

use dovetail::changes::record::schema::{Column, Table, Types};
use dovetail::changes::record::{
    Change, ColumnSet, OldTuple, OldValues, Operation, Value, View, write_body,
};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fn values(tuple: &[Option<Option<Vec<u8>>>]) -> Vec<Value<'_>> {
    tuple
        .iter()
        .map(|value| match value {
            None => Value::Missing,
            Some(None) => Value::Null,
            Some(Some(text)) => Value::Text(text),
        })
        .collect()
}

type Tuple = Vec<Option<Option<Vec<u8>>>>;

fuzz_target!(|input: (u8, u8, u8, i64, Tuple, Tuple)| {
    let (shape, visible, identity, commit_time, new, old) = input;
    let columns = (0..6_u8)
        .map(|position| Column {
            name: format!("column \"{position}\""),
            type_oid: [20, 25, 114, 1700, 1184, 17][usize::from(position)],
            typmod: -1,
            attnum: i16::from(position) + 1,
            in_identity: identity & (1 << position) != 0,
            generated: false,
            not_null: false,
        })
        .collect();
    let table = Table {
        oid: 1,
        schema: "s".into(),
        name: "t".into(),
        columns,
        primary_key: vec![0],
    };
    let (new, old) = (values(&new), values(&old));
    let change = Change {
        table: &table,
        operation: [Operation::Insert, Operation::Update, Operation::Delete]
            [usize::from(shape % 3)],
        commit_time,
        new: &new,
        old: match shape / 3 % 3 {
            0 => OldTuple::None,
            1 => OldTuple::Key(&old),
            _ => OldTuple::Full(&old),
        },
    };
    let visible: ColumnSet = (0..8)
        .filter(|position| visible & (1 << position) != 0)
        .collect();
    let view = View {
        visible: &visible,
        old_values: if shape / 9 % 2 == 0 {
            OldValues::Identity
        } else {
            OldValues::PrimaryKey
        },
        max_bytes: if shape / 18 % 2 == 0 { 0 } else { 1 << 20 },
        prepared: &[],
    };
    let mut out = Vec::new();
    if write_body(&Types::new(), &change, &view, &mut out).is_err() {
        return;
    }
    // Raw, because a number may be valid JSON and still too large for any type of serde's.
    let body: HashMap<String, &RawValue> =
        serde_json::from_slice(&out).expect("a body is a JSON object");
    for record in ["record", "old_record"]
        .iter()
        .filter_map(|key| body.get(*key))
    {
        let record: HashMap<String, &RawValue> =
            serde_json::from_str(record.get()).expect("a record is a JSON object");
        for name in record.keys() {
            assert!(
                table
                    .position(name)
                    .is_some_and(|position| visible.contains(position))
            );
        }
    }
});
