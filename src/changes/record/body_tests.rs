#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::changes::record::OldTuple;
use crate::changes::record::schema::{Column, TypeInfo, TypeKind, oids};

fn types() -> Types {
    let mut types = Types::new();
    for (oid, name, sql_name) in [
        (oids::INT4, "int4", "integer"),
        (oids::TEXT, "text", "text"),
    ] {
        types.insert(TypeInfo {
            oid,
            schema: "pg_catalog".into(),
            name: name.into(),
            sql_name: sql_name.into(),
            kind: TypeKind::Base,
            delimiter: b',',
            has_json_cast: false,
        });
    }
    types
}

/// `id int4 primary key, code text, body text`, identity as given.
fn table(identity: &[usize]) -> Table {
    let column = |position: usize, name: &str, type_oid| Column {
        name: name.into(),
        type_oid,
        typmod: -1,
        attnum: i16::try_from(position).unwrap() + 1,
        in_identity: identity.contains(&position),
        generated: false,
        not_null: position == 0,
    };
    Table {
        oid: 1,
        schema: "public".into(),
        name: "todo \"s\"".into(),
        columns: vec![
            column(0, "id", oids::INT4),
            column(1, "code", oids::TEXT),
            column(2, "body", oids::TEXT),
        ],
        primary_key: vec![0],
    }
}

const ALL: OldValues = OldValues::Identity;

fn body_with(
    table: &Table,
    operation: Operation,
    new: &[Value<'_>],
    old: OldTuple<'_>,
    visible: &[usize],
    old_values: OldValues,
    max_bytes: usize,
) -> Json {
    let change = Change {
        table,
        operation,
        commit_time: 840_618_753_421_999,
        new,
        old,
    };
    let visible: ColumnSet = visible.iter().copied().collect();
    let view = View {
        visible: &visible,
        old_values,
        max_bytes,
        prepared: &[],
    };
    let mut out = Vec::new();
    write_body(&types(), &change, &view, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn body(table: &Table, operation: Operation, new: &[Value<'_>], old: OldTuple<'_>) -> Json {
    body_with(table, operation, new, old, &[0, 1, 2], ALL, 1_048_576)
}

fn text(value: &str) -> Value<'_> {
    Value::Text(value.as_bytes())
}

#[test]
fn insert_has_a_record_and_no_old_record() {
    let table = table(&[0]);
    assert_eq!(
        body(
            &table,
            Operation::Insert,
            &[text("1"), Value::Null, text("x\n")],
            OldTuple::None
        ),
        json!({
            "schema": "public", "table": "todo \"s\"", "type": "INSERT", "commit_timestamp": "2026-08-21T09:12:33.421Z",
            "columns": [{"name": "id", "type": "int4"}, {"name": "code", "type": "text"}, {"name": "body", "type": "text"}],
            "record": {"id": 1, "code": null, "body": "x\n"}, "errors": null,
        })
    );
}

#[test]
fn delete_has_an_old_record_and_no_record() {
    let table = table(&[0]);
    let old = [text("1"), Value::Null, Value::Null];
    let shown = body(&table, Operation::Delete, &[], OldTuple::Key(&old));
    assert_eq!(shown["old_record"], json!({"id": 1}));
    assert!(shown.get("record").is_none());
}

#[test]
fn update_without_old_tuple_takes_the_key_of_the_new_row() {
    let new = [text("1"), text("c"), text("b")];
    assert_eq!(
        body(&table(&[0]), Operation::Update, &new, OldTuple::None)["old_record"],
        json!({"id": 1})
    );
    // REPLICA IDENTITY USING INDEX on code: the index columns only.
    assert_eq!(
        body(&table(&[1]), Operation::Update, &new, OldTuple::None)["old_record"],
        json!({"code": "c"})
    );
}

#[test]
fn a_changed_key_shows_the_old_one() {
    let new = [text("2"), text("c"), text("b")];
    let old = [text("1"), Value::Null, Value::Null];
    let shown = body(&table(&[0]), Operation::Update, &new, OldTuple::Key(&old));
    assert_eq!(
        (&shown["old_record"], &shown["record"]["id"]),
        (&json!({"id": 1}), &json!(2))
    );
}

#[test]
fn unchanged_toast_is_absent_by_default_and_filled_in_under_full() {
    let new = [text("1"), text("c"), Value::Missing];
    let shown = body(&table(&[0]), Operation::Update, &new, OldTuple::None);
    assert_eq!(shown["record"], json!({"id": 1, "code": "c"}));
    assert_eq!(shown["columns"].as_array().unwrap().len(), 3);
    let old = [text("1"), text("a"), text("long")];
    let shown = body(
        &table(&[0, 1, 2]),
        Operation::Update,
        &new,
        OldTuple::Full(&old),
    );
    assert_eq!(
        shown["record"],
        json!({"id": 1, "code": "c", "body": "long"})
    );
    assert_eq!(
        shown["old_record"],
        json!({"id": 1, "code": "a", "body": "long"})
    );
}

#[test]
fn filters_see_the_old_image_for_deletes_and_for_unchanged_toast_under_full() {
    let full = table(&[0, 1, 2]);
    let old = [text("1"), text("a"), text("long")];
    let new = [text("1"), text("c"), Value::Missing];
    let update = Change {
        table: &full,
        operation: Operation::Update,
        commit_time: 0,
        new: &new,
        old: OldTuple::Full(&old),
    };
    assert_eq!(
        (update.filter_value(1), update.filter_value(2)),
        (text("c"), text("long"))
    );
    let keyed = table(&[0]);
    let key = [text("1"), Value::Null, Value::Null];
    let delete = Change {
        table: &keyed,
        operation: Operation::Delete,
        commit_time: 0,
        new: &[],
        old: OldTuple::Key(&key),
    };
    assert_eq!(
        (delete.filter_value(0), delete.filter_value(1)),
        (text("1"), Value::Missing)
    );
}

#[test]
fn a_delete_under_row_security_tells_the_primary_key_only() {
    let old = [text("1"), text("a"), text("b")];
    let shown = body_with(
        &table(&[0, 1, 2]),
        Operation::Delete,
        &[],
        OldTuple::Full(&old),
        &[0, 1, 2],
        OldValues::PrimaryKey,
        1_048_576,
    );
    assert_eq!(shown["old_record"], json!({"id": 1}));
    let key = [Value::Null, text("a"), Value::Null];
    let shown = body_with(
        &table(&[1]),
        Operation::Delete,
        &[],
        OldTuple::Key(&key),
        &[0, 1, 2],
        OldValues::PrimaryKey,
        1_048_576,
    );
    assert_eq!(shown["old_record"], json!({}));
}

#[test]
fn invisible_columns_leave_no_trace() {
    let new = [text("1"), text("secret"), text("b")];
    let shown = body_with(
        &table(&[0, 1, 2]),
        Operation::Update,
        &new,
        OldTuple::Full(&new),
        &[0, 2],
        ALL,
        1_048_576,
    );
    assert!(!shown.to_string().contains("secret") && !shown.to_string().contains("code"));
    assert_eq!(shown["record"], json!({"id": 1, "body": "b"}));
    let shown = body_with(
        &table(&[0]),
        Operation::Delete,
        &[],
        OldTuple::Key(&new),
        &[],
        ALL,
        1_048_576,
    );
    assert_eq!(
        (&shown["old_record"], &shown["columns"]),
        (&json!({}), &json!([]))
    );
}

#[test]
fn a_change_that_is_too_large_keeps_short_values() {
    let table = table(&[0]);
    let long = "x".repeat(1_100_000);
    let (kept, gone) = ("s".repeat(62), "s".repeat(63));
    let shown = body(
        &table,
        Operation::Insert,
        &[text("1"), text(&kept), text(&long)],
        OldTuple::None,
    );
    assert_eq!(shown["errors"], json!(["Error 413: Payload Too Large"]));
    assert_eq!(shown["record"], json!({"id": 1, "code": kept}));
    assert_eq!(shown["columns"].as_array().unwrap().len(), 3);
    let shown = body(
        &table,
        Operation::Insert,
        &[text("1"), text(&gone), text(&long)],
        OldTuple::None,
    );
    assert_eq!(shown["record"], json!({"id": 1}));
    let shown = body(
        &table,
        Operation::Insert,
        &[text("1"), Value::Null, text(&long)],
        OldTuple::None,
    );
    assert_eq!(shown["record"], json!({"id": 1}));
}

#[test]
fn both_images_count_towards_the_size() {
    let full = table(&[0, 1, 2]);
    let half = "x".repeat(530_000);
    let row = [text("1"), Value::Null, text(&half)];
    assert_eq!(
        body(&full, Operation::Insert, &row, OldTuple::None)["errors"],
        Json::Null
    );
    assert_ne!(
        body(&full, Operation::Update, &row, OldTuple::Full(&row))["errors"],
        Json::Null
    );
}

#[test]
fn error_rows_are_empty() {
    for (operation, expected) in [
        (
            Operation::Insert,
            json!({"schema": "public", "table": "todo \"s\"", "type": "INSERT", "commit_timestamp": null, "columns": [], "record": {}, "errors": ["Error 400: Bad Request, no primary key"]}),
        ),
        (
            Operation::Update,
            json!({"schema": "public", "table": "todo \"s\"", "type": "UPDATE", "commit_timestamp": null, "columns": [], "record": {}, "old_record": {}, "errors": ["Error 400: Bad Request, no primary key"]}),
        ),
    ] {
        let mut out = Vec::new();
        write_error_body(&table(&[0]), operation, BodyError::NoPrimaryKey, &mut out);
        assert_eq!(serde_json::from_slice::<Json>(&out).unwrap(), expected);
    }
    let mut out = Vec::new();
    write_error_body(
        &table(&[0]),
        Operation::Insert,
        BodyError::Unauthorized,
        &mut out,
    );
    assert_eq!(
        serde_json::from_slice::<Json>(&out).unwrap()["errors"],
        json!(["Error 401: Unauthorized"])
    );
}

#[test]
fn values_prepared_by_postgres_are_used_and_missing_ones_undo_everything() {
    let mut table = table(&[0]);
    table.columns[1].type_oid = 70_000;
    let new = [text("1"), text("0101"), Value::Null];
    let change = Change {
        table: &table,
        operation: Operation::Insert,
        commit_time: 0,
        new: &new,
        old: OldTuple::None,
    };
    let visible = ColumnSet::all(3);
    let prepared = [Prepared {
        column: 1,
        text: b"0101",
        json: b"{\"type\":\"Point\"}",
    }];
    let mut out = Vec::new();
    let view = View {
        visible: &visible,
        old_values: ALL,
        max_bytes: 1_000_000,
        prepared: &prepared,
    };
    write_body(&types(), &change, &view, &mut out).unwrap();
    assert_eq!(
        serde_json::from_slice::<Json>(&out).unwrap()["record"]["code"]["type"],
        "Point"
    );
    out.clear();
    let view = View {
        prepared: &[],
        ..view
    };
    assert_eq!(
        write_body(&types(), &change, &view, &mut out),
        Err(NeedsPostgres { type_oid: 70_000 })
    );
    assert!(out.is_empty());
}

#[test]
fn json_is_measured_in_the_spacing_of_jsonb() {
    for (compact, spaced) in [
        ("[1,2]", "[1, 2]"),
        ("{\"a\":\",:\"}", "{\"a\": \",:\"}"),
        ("\"a\\\",\"", "\"a\\\",\""),
        ("{ }", "{}"),
    ] {
        assert_eq!(jsonb_length(compact.as_bytes()), spaced.len());
    }
}

/// A tuple of any length: not sent, NULL, or any bytes.
fn tuples() -> impl Strategy<Value = Vec<Option<Option<Vec<u8>>>>> {
    prop::collection::vec(
        prop::option::of(prop::option::of(prop::collection::vec(any::<u8>(), 0..80))),
        0..5,
    )
}

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

proptest! {
    #[test]
    fn any_tuples_give_valid_json_that_names_no_invisible_column(
        new in tuples(),
        old in tuples(),
        shape in any::<u8>(),
        visible in prop::collection::vec(0..3_usize, 0..4),
        identity in prop::collection::vec(0..3_usize, 0..4),
        commit_time in any::<i64>(),
    ) {
        let table = table(&identity);
        let (new, old) = (values(&new), values(&old));
        let operation = [Operation::Insert, Operation::Update, Operation::Delete][usize::from(shape % 3)];
        let old = [OldTuple::None, OldTuple::Key(&old), OldTuple::Full(&old)][usize::from(shape / 3 % 3)];
        let old_values = if shape / 9 % 2 == 0 { OldValues::Identity } else { OldValues::PrimaryKey };
        let max_bytes = if shape / 18 % 2 == 0 { 0 } else { 1 << 20 };
        let change = Change { table: &table, operation, commit_time, new: &new, old };
        let set: ColumnSet = visible.iter().copied().collect();
        let mut out = Vec::new();
        write_body(&types(), &change, &View { visible: &set, old_values, max_bytes, prepared: &[] }, &mut out).unwrap();
        let body: Json = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(body.get("record").is_some(), operation != Operation::Delete);
        prop_assert_eq!(body.get("old_record").is_some(), operation != Operation::Insert);
        for record in ["record", "old_record"] {
            for name in body.get(record).and_then(Json::as_object).into_iter().flat_map(|record| record.keys()) {
                prop_assert!(visible.contains(&table.position(name).unwrap()));
            }
        }
    }
}
