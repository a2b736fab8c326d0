//! From a row of the stream to the `data` of a `postgres_changes` message, which all who see the same columns share.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use dovetail::changes::record::{
    Change, ColumnSet, OldTuple, OldValues, Operation, Value, View, write_body,
};
use serde_json::json;

use crate::tasks;

pub fn all(criterion: &mut Criterion) {
    let (table, types) = (tasks::table(), tasks::types());
    let values = tasks::values(7);
    let new: Vec<Value<'_>> = values
        .iter()
        .map(|value| Value::Text(value.as_bytes()))
        .collect();
    let change = Change {
        table: &table.shape,
        operation: Operation::Insert,
        commit_time: tasks::COMMIT_TIME,
        new: &new,
        old: OldTuple::None,
    };
    let visible = ColumnSet::all(new.len());
    let view = View {
        visible: &visible,
        old_values: OldValues::Identity,
        max_bytes: 1 << 20,
        prepared: &[],
    };
    let mut out = Vec::new();
    write_body(&types, &change, &view, &mut out).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let columns: Vec<_> = tasks::COLUMNS
        .iter()
        .map(|(name, _, type_name)| json!({ "name": name, "type": type_name }))
        .collect();
    let expected = json!({
        "schema": "public", "table": "tasks", "type": "INSERT", "commit_timestamp": "2026-01-02T03:04:05.678Z",
        "columns": columns, "record": tasks::record(7), "errors": null,
    });
    assert_eq!(body, expected);

    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(1));
    group.bench_function("insert_of_5_columns", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_body(&types, black_box(&change), &view, &mut out).is_ok()
        });
    });
    group.finish();
}
