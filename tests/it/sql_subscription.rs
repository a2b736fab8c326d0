//! What the original server finds when it returns: checked subscription rows, and changes judged for each of them.

use crate::sql_fixture::{column, fresh, one};

#[tokio::test]
async fn a_subscription_row_is_refused_with_the_text_of_2_6() {
    let (_server, client) = fresh().await;
    client
        .batch_execute(
            "create table t (id int primary key, name text, v varchar, b boolean, secret text, c char(3));
             grant select (id, name, v, b, c) on t to anon; revoke all on t from anon; grant select (id, name, v, b, c) on t to anon",
        )
        .await
        .unwrap();
    let insert = |filters: &str, columns: &str| {
        format!(
            "insert into realtime.subscription (subscription_id, entity, claims, filters, selected_columns)
             values (gen_random_uuid(), 't', '{{\"role\": \"anon\"}}', {filters}, {columns})"
        )
    };
    let filter = |column: &str, op: &str, value: &str| {
        format!("array[('{column}', '{op}', '{value}', false)::realtime.user_defined_filter]")
    };
    let hundred_one = format!(
        "{{{}}}",
        (0..101)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(",")
    );
    for (filters, columns, text) in [
        (
            filter("nope", "eq", "1"),
            "null",
            "invalid column for filter nope",
        ),
        (
            filter("secret", "eq", "1"),
            "null",
            "invalid column for filter secret",
        ),
        (
            filter("ctid", "eq", "1"),
            "null",
            "invalid column for filter ctid",
        ),
        (
            "'{}'".into(),
            "'{id,secret}'",
            "invalid column for select secret",
        ),
        (
            filter("id", "in", &hundred_one),
            "null",
            "too many values for `in` filter. Maximum 100",
        ),
        (
            filter("id", "eq", "abc"),
            "null",
            "invalid input syntax for type integer: \"abc\"",
        ),
        (
            filter("id", "eq", "99999999999"),
            "null",
            "value \"99999999999\" is out of range for type integer",
        ),
        (
            filter("id", "in", "{1,,2}"),
            "null",
            "malformed array literal: \"{1,,2}\"",
        ),
        (
            filter("b", "is", "TRUE"),
            "null",
            "invalid value for is filter: must be null, true, false, or unknown",
        ),
        (
            filter("name", "is", "true"),
            "null",
            "is true filter requires a boolean column, got text",
        ),
        (
            filter("id", "like", "x"),
            "null",
            "operator like requires a text-compatible column type, got integer",
        ),
        (
            filter("id", "match", "x"),
            "null",
            "operator match requires a text-compatible column type, got integer",
        ),
        (
            filter("c", "match", "x"),
            "null",
            "operator match requires a text-compatible column type, got character",
        ),
        (
            filter("name", "match", "("),
            "null",
            "invalid regular expression for match filter: invalid regular expression: parentheses () not balanced",
        ),
    ] {
        let error = client
            .batch_execute(&insert(&filters, columns))
            .await
            .unwrap_err();
        assert_eq!(error.as_db_error().unwrap().message(), text, "{filters}");
    }
    for filters in [
        filter("name", "like", "a%"),
        filter("v", "ilike", "a%"),
        filter("v", "match", "a"),
        filter("c", "like", "a%"),
        filter("b", "is", "true"),
        filter("id", "is", "null"),
    ] {
        client
            .batch_execute(&insert(&filters, "null"))
            .await
            .unwrap();
    }
    client
        .batch_execute("delete from realtime.subscription")
        .await
        .unwrap();
    client
        .batch_execute(&insert(
            "array[('name', 'eq', 'b', false), ('id', 'lt', '1', false), ('id', 'eq', '2', false)]::realtime.user_defined_filter[]",
            "'{name,id}'",
        ))
        .await
        .unwrap();
    assert_eq!(
        one(
            &client,
            "select (filters, selected_columns, claims_role) from realtime.subscription"
        )
        .await,
        "(\"{\"\"(id,eq,2,f)\"\",\"\"(id,lt,1,f)\"\",\"\"(name,eq,b,f)\"\"}\",\"{id,name}\",anon)"
    );
}

#[tokio::test]
async fn apply_rls_judges_a_change_for_each_subscriber_and_gives_the_role_back() {
    let (_server, client) = fresh().await;
    client
        .batch_execute(
            "create table notes (id int primary key, owner uuid, body text);
             alter table notes enable row level security;
             create policy own on notes using (owner = auth.uid());
             grant select on notes to authenticated;
             insert into notes values (1, '00000000-0000-0000-0000-000000000001', 'x');
             insert into realtime.subscription (subscription_id, entity, claims)
             select format('00000000-0000-0000-0000-00000000000%s', n)::uuid, 'notes',
                    jsonb_build_object('role', 'authenticated', 'sub', format('00000000-0000-0000-0000-00000000000%s', n))
             from generate_series(1, 3) n",
        )
        .await
        .unwrap();
    let wal = r#"{"action": "I", "schema": "public", "table": "notes", "timestamp": "2024-01-02 03:04:05.123999+00",
        "columns": [{"name": "id", "type": "integer", "typeoid": 23, "value": 1},
                    {"name": "owner", "type": "uuid", "typeoid": 2950, "value": "00000000-0000-0000-0000-000000000001"},
                    {"name": "body", "type": "text", "typeoid": 25, "value": "x"}],
        "pk": [{"name": "id", "type": "integer"}]}"#;
    let rows = column(
        &client,
        &format!("select jsonb_build_array(wal, is_rls_enabled, subscription_ids, errors) from realtime.apply_rls('{wal}')"),
    )
    .await;
    assert_eq!(rows.len(), 1);
    let row: serde_json::Value = serde_json::from_str(&rows[0]).unwrap();
    assert_eq!(
        row,
        serde_json::json!([
            {"schema": "public", "table": "notes", "type": "INSERT", "commit_timestamp": "2024-01-02T03:04:05.123Z",
             "columns": [{"name": "id", "type": "int4"}, {"name": "owner", "type": "uuid"}, {"name": "body", "type": "text"}],
             "record": {"id": 1, "owner": "00000000-0000-0000-0000-000000000001", "body": "x"}},
            true, ["00000000-0000-0000-0000-000000000001"], []
        ])
    );
    assert_eq!(one(&client, "select current_user").await, "postgres");
}

#[tokio::test]
async fn g045_list_changes_of_nothing_is_one_empty_row_and_touches_no_slot() {
    let (_options, client) = fresh().await;
    for publication in ["nowhere", "supabase_realtime"] {
        assert_eq!(
            column(
                &client,
                &format!("select l from realtime.list_changes('{publication}', 'no_such_slot', 10, 1000) l")
            )
            .await,
            ["(,,,,0)"]
        );
    }
}

#[tokio::test]
async fn apply_rls_follows_filters_identity_size_and_missing_keys() {
    let (_options, client) = fresh().await;
    client
        .batch_execute(
            "create table t (id int primary key, big text, hidden text);
             create table nokey (n int);
             grant select (id, big) on t to anon; grant select on nokey to anon;
             revoke all on t from anon; grant select (id, big) on t to anon;
             insert into realtime.subscription (subscription_id, entity, claims, filters) values
               ('00000000-0000-0000-0000-000000000001', 't', '{\"role\": \"anon\"}', '{}'),
               ('00000000-0000-0000-0000-000000000002', 't', '{\"role\": \"anon\"}', array[('id', 'gt', '5', false)::realtime.user_defined_filter]),
               ('00000000-0000-0000-0000-000000000003', 'nokey', '{\"role\": \"anon\"}', array[('n', 'eq', '7', false)::realtime.user_defined_filter])",
        )
        .await
        .unwrap();
    let judge = |wal: serde_json::Value, size: u32| {
        format!(
            "select jsonb_build_array(wal, (select jsonb_agg(right(s::text, 1)) from unnest(subscription_ids) s), errors)
             from realtime.apply_rls('{wal}', {size})"
        )
    };
    let col = |name: &str, type_: &str, oid: u32, value: serde_json::Value| serde_json::json!({"name": name, "type": type_, "typeoid": oid, "value": value});
    let update = serde_json::json!({
        "action": "U", "schema": "public", "table": "t", "timestamp": "2024-01-02 03:04:05+00",
        "columns": [col("id", "integer", 23, 5.into()), col("big", "text", 25, "y".repeat(80).into()), col("hidden", "text", 25, "z".into())],
        "identity": [col("id", "integer", 23, 5.into())],
        "pk": [{"name": "id", "type": "integer"}]});
    let read = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();

    let row = read(one(&client, &judge(update.clone(), 100_000)).await);
    assert_eq!(row[1], serde_json::json!(["1"]));
    assert_eq!(
        row[0]["record"],
        serde_json::json!({"id": 5, "big": "y".repeat(80)})
    );
    assert_eq!(row[0]["old_record"], serde_json::json!({"id": 5}));
    assert_eq!(row[0]["columns"].as_array().unwrap().len(), 2);

    let row = read(one(&client, &judge(update, 100)).await);
    assert_eq!(row[0]["record"], serde_json::json!({"id": 5}));
    assert_eq!(row[2], serde_json::json!(["Error 413: Payload Too Large"]));

    let delete = serde_json::json!({
        "action": "D", "schema": "public", "table": "t", "timestamp": "2024-01-02 03:04:05+00",
        "identity": [col("id", "integer", 23, 6.into())], "pk": [{"name": "id", "type": "integer"}]});
    let row = read(one(&client, &judge(delete, 100_000)).await);
    assert_eq!(row[1], serde_json::json!(["1", "2"]));
    assert!(row[0].get("record").is_none());

    let insert = serde_json::json!({
        "action": "I", "schema": "public", "table": "nokey", "timestamp": "2024-01-02 03:04:05+00",
        "columns": [col("n", "integer", 23, 1.into())], "pk": []});
    let row = read(one(&client, &judge(insert, 100_000)).await);
    assert_eq!(
        row,
        serde_json::json!([{"schema": "public", "table": "nokey", "type": "INSERT", "commit_timestamp": null, "columns": [], "record": {}},
            ["3"], ["Error 400: Bad Request, no primary key"]])
    );
}
