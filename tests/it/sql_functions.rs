//! What the functions of schema `realtime` do (`postgres.md` 1.6).

use std::sync::{Arc, Mutex};

use dovetail::postgres::ConnectOptions;
use futures_util::{StreamExt, stream};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::sql_fixture::{column, fresh, one};

/// A connection that keeps the warnings it gets.
async fn listening(options: &ConnectOptions) -> (Client, Arc<Mutex<Vec<String>>>) {
    let (client, mut connection) = tokio_postgres::Config::new()
        .host(&options.host)
        .port(options.port)
        .user(&options.user)
        .password(options.password.as_deref().unwrap())
        .dbname(&options.dbname)
        .connect(NoTls)
        .await
        .unwrap();
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&warnings);
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                kept.lock()
                    .unwrap()
                    .push(format!("{}: {}", notice.severity(), notice.message()));
            }
        }
    });
    (client, warnings)
}

const LAST: &str = "select jsonb_build_object('payload', payload, 'event', event, 'topic', topic, 'private', private, 'extension', extension,
    'same_id', payload ->> 'id' = id::text, 'bytes', encode(binary_payload, 'hex'))
    from realtime.messages";

#[tokio::test]
async fn g026_topic_is_null_when_unset_or_empty() {
    let (_server, client) = fresh().await;
    assert_eq!(one(&client, "select realtime.topic()").await, "NULL");
    client
        .batch_execute("begin; select set_config('realtime.topic', 'room:1', true)")
        .await
        .unwrap();
    assert_eq!(one(&client, "select realtime.topic()").await, "room:1");
    client.batch_execute("commit").await.unwrap();
    // What a local set_config leaves behind is an empty text.
    assert_eq!(one(&client, "select realtime.topic()").await, "NULL");
}

#[tokio::test]
async fn g027_to_g030_send_adds_an_id_keeps_one_that_is_there_and_leaves_the_topic_set() {
    let (_server, client) = fresh().await;
    client
        .batch_execute("select realtime.send('{\"a\": 1}', 'ev', 'room:1')")
        .await
        .unwrap();
    let row: serde_json::Value = serde_json::from_str(&one(&client, LAST).await).unwrap();
    assert_eq!(row["same_id"], true);
    assert_eq!(row["payload"]["a"], 1);
    assert_eq!(row["event"], "ev");
    assert_eq!(row["topic"], "room:1");
    assert_eq!(row["private"], true);
    assert_eq!(row["extension"], "broadcast");

    for (given, kept) in [
        ("{\"id\": null}", "null"),
        ("{\"id\": \"mine\"}", "\"mine\""),
    ] {
        client
            .batch_execute(&format!(
                "delete from realtime.messages;
                 select realtime.send(private => false, payload => '{given}', topic => 't', event => 'e')"
            ))
            .await
            .unwrap();
        let row: serde_json::Value = serde_json::from_str(&one(&client, LAST).await).unwrap();
        assert_eq!(row["payload"]["id"].to_string(), kept);
        assert_ne!(row["same_id"], true);
        assert_eq!(row["private"], false);
    }

    client
        .batch_execute("begin; select realtime.send('{}', 'e', 'still here')")
        .await
        .unwrap();
    assert_eq!(one(&client, "select realtime.topic()").await, "still here");
    client.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn sql_null_payload_event_and_private_are_stored() {
    let (_server, client) = fresh().await;
    client
        .batch_execute("select realtime.send(null, null, 't', null)")
        .await
        .unwrap();
    assert_eq!(
        one(
            &client,
            "select (payload, event, private, topic) from realtime.messages"
        )
        .await,
        "(,,,t)"
    );
}

#[tokio::test]
async fn g031_to_g035_a_failing_send_is_a_warning_and_the_transaction_goes_on() {
    let (options, owner) = fresh().await;
    let (client, warnings) = listening(&options).await;
    client
        .batch_execute("create table business (id int)")
        .await
        .unwrap();
    let cases = [
        (
            "realtime.send('[1]', 'e', 't')",
            "path element at position 1 is not an integer: \"id\"",
        ),
        (
            "realtime.send('[\"id\"]', 'e', 't')",
            "path element at position 1 is not an integer: \"id\"",
        ),
        ("realtime.send('5', 'e', 't')", "cannot set path in scalar"),
        (
            "realtime.send('\"id\"', 'e', 't')",
            "cannot set path in scalar",
        ),
        (
            "realtime.send('null', 'e', 't')",
            "cannot set path in scalar",
        ),
        (
            "realtime.send('{}', 'e', null)",
            "syntax error at or near \"NULL\"",
        ),
        (
            "realtime.send_binary('x', 'e', null)",
            "syntax error at or near \"NULL\"",
        ),
    ];
    for (call, text) in cases {
        client
            .batch_execute(&format!(
                "begin; insert into business values (1); select {call}; insert into business values (2); commit"
            ))
            .await
            .unwrap();
        assert_eq!(
            warnings.lock().unwrap().drain(..).collect::<Vec<_>>(),
            [format!("WARNING: WarnSendingBroadcastMessage: {text}")],
            "{call}"
        );
    }
    client
        .batch_execute(
            "begin; set local role authenticated; select realtime.send('{}', 'e', 't'); commit",
        )
        .await
        .unwrap();
    assert_eq!(
        warnings.lock().unwrap().drain(..).collect::<Vec<_>>(),
        [
            "WARNING: WarnSendingBroadcastMessage: new row violates row-level security policy for table \"messages\""
        ]
    );
    assert_eq!(
        one(&owner, "select count(*) from realtime.messages").await,
        "0"
    );
    let drop_all = "do $$ declare t regclass; begin for t in select inhrelid from pg_inherits where inhparent = 'realtime.messages'::regclass loop execute 'drop table ' || t; end loop; end $$";
    owner.batch_execute(drop_all).await.unwrap();
    client
        .batch_execute(
            "begin; select realtime.send('{}', 'e', 't'); insert into business values (3); commit",
        )
        .await
        .unwrap();
    assert_eq!(
        warnings.lock().unwrap().drain(..).collect::<Vec<_>>(),
        [
            "WARNING: WarnSendingBroadcastMessage: no partition of relation \"messages\" found for row"
        ]
    );
    assert_eq!(one(&owner, "select count(*) from business").await, "15");
}

#[tokio::test]
async fn authenticated_sends_where_a_policy_allows_it() {
    let (_server, client) = fresh().await;
    client
        .batch_execute(
            "create policy p on realtime.messages for insert to authenticated with check (realtime.topic() = 'open');
             begin; set local role authenticated; select realtime.send('{}', 'e', 'open'); commit;
             begin; set local role authenticated; select realtime.send('{}', 'e', 'closed'); commit",
        )
        .await
        .unwrap();
    assert_eq!(
        column(&client, "select topic from realtime.messages").await,
        ["open"]
    );
}

#[tokio::test]
async fn g036_send_binary_stores_the_bytes_and_no_payload() {
    let (_server, client) = fresh().await;
    client
        .batch_execute("select realtime.send_binary('\\xdead'::bytea, 'e', 't', private => false)")
        .await
        .unwrap();
    let row: serde_json::Value = serde_json::from_str(&one(&client, LAST).await).unwrap();
    assert_eq!(row["bytes"], "dead");
    assert!(row["payload"].is_null());
    assert_eq!(row["private"], false);
}

#[tokio::test]
async fn g037_g040_a_trigger_broadcasts_changes_as_private_messages() {
    let (_server, client) = fresh().await;
    client
        .batch_execute(
            "create table todos (id int primary key, b bytea, f float8);
             create function note() returns trigger language plpgsql as $$ begin
               perform realtime.broadcast_changes('todos:' || coalesce(new.id, old.id), tg_op, tg_op, tg_table_name, tg_table_schema, new, old);
               return null; end $$;
             create trigger t after insert or update or delete on todos for each row execute function note();
             insert into todos values (1, '\\xdead', 'NaN');",
        )
        .await
        .unwrap();
    let get = "select payload - 'id' || jsonb_build_object('private', private, 'topic', topic, 'ev', event, 'has_id', payload ->> 'id' = id::text) from realtime.messages";
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let row = serde_json::json!({"id": 1, "b": "\\xdead", "f": "NaN"});
    assert_eq!(
        json(one(&client, get).await),
        serde_json::json!({"operation": "INSERT", "schema": "public", "table": "todos", "record": row, "old_record": null,
            "private": true, "topic": "todos:1", "ev": "INSERT", "has_id": true})
    );
    client
        .batch_execute("delete from realtime.messages; update todos set b = null")
        .await
        .unwrap();
    let changed = serde_json::json!({"id": 1, "b": null, "f": "NaN"});
    let message = json(one(&client, get).await);
    assert_eq!(
        (&message["record"], &message["old_record"]),
        (&changed, &row)
    );
    client
        .batch_execute("delete from realtime.messages; delete from todos")
        .await
        .unwrap();
    let message = json(one(&client, get).await);
    assert_eq!(message["operation"], "DELETE");
    assert_eq!(
        (&message["record"], &message["old_record"]),
        (&serde_json::Value::Null, &changed)
    );
}

#[tokio::test]
async fn g038_g039_bad_level_or_operation_aborts_with_the_known_text() {
    let (_server, client) = fresh().await;
    for (operation, level, text) in [
        (
            "INSERT",
            "STATEMENT",
            "function can only be triggered for each row, not for each statement",
        ),
        ("TRUNCATE", "ROW", "Unexpected operation type: TRUNCATE"),
        ("insert", "row", "Unexpected operation type: insert"),
    ] {
        let error = client
            .batch_execute(&format!(
                "select realtime.broadcast_changes('t', 'e', '{operation}', 'x', 'public', null::record, null::record, '{level}')"
            ))
            .await
            .unwrap_err();
        assert_eq!(
            error.as_db_error().unwrap().message(),
            format!("Failed to process the row: {text}")
        );
    }
}

async fn verdict(
    client: &Client,
    op: &str,
    type_: &str,
    one_: &str,
    two: &str,
    negate: bool,
) -> String {
    one(
        client,
        &format!(
            "select realtime.check_equality_op('{op}', '{type_}'::regtype, {one_}, {two}, {negate})"
        ),
    )
    .await
}

#[tokio::test]
async fn g041_g042_operators_answer_as_sql_does() {
    let (_server, client) = fresh().await;
    for (op, type_, left, right, negate, answer) in [
        ("eq", "integer", "'5'", "'5'", false, "true"),
        ("eq", "numeric", "'1.50'", "'1.5'", false, "true"),
        ("neq", "text", "'a'", "'b'", false, "true"),
        ("eq", "integer", "'5'", "'5'", true, "false"),
        ("lt", "date", "'2024-01-01'", "'2024-01-02'", false, "true"),
        (
            "gte",
            "timestamptz",
            "'2024-01-01 00:00+00'",
            "'2024-01-01 01:00+01'",
            false,
            "true",
        ),
        ("eq", "integer", "null", "'5'", false, "NULL"),
        ("eq", "integer", "null", "'5'", true, "NULL"),
        ("in", "integer", "'5'", "'{6,NULL}'", false, "NULL"),
        ("in", "integer", "'5'", "'{6,NULL}'", true, "NULL"),
        ("in", "integer", "'5'", "'{}'", true, "true"),
        ("in", "text", "'a b'", "'{x,\"a b\"}'", false, "true"),
        ("like", "text", "'abc'", "'a%'", false, "true"),
        ("ilike", "text", "'ABC'", "'a%'", true, "false"),
        ("match", "text", "'abc'", "'^a'", false, "true"),
        ("imatch", "text", "'ABC'", "'^a'", false, "true"),
        ("is", "boolean", "'true'", "'true'", false, "true"),
        ("is", "boolean", "null", "'unknown'", false, "true"),
        ("is", "integer", "null", "'null'", true, "false"),
        ("isdistinct", "integer", "null", "'5'", false, "true"),
        ("isdistinct", "integer", "null", "'5'", true, "false"),
        ("isdistinct", "integer", "null", "null", true, "true"),
    ] {
        assert_eq!(
            verdict(&client, op, type_, left, right, negate).await,
            answer,
            "{left} {op} {right} negated {negate}"
        );
    }
    let error = client
        .batch_execute(
            "select realtime.check_equality_op('is', 'boolean'::regtype, 'true', 'TRUE', false)",
        )
        .await
        .unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().message(),
        "invalid value for is filter: must be null, true, false, or unknown"
    );
    let error = client
        .batch_execute("select realtime.check_equality_op('like', 'text'::regtype, 'a', 'a')")
        .await
        .unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().message(),
        "unsupported equality operator: like"
    );
    assert_eq!(
        one(
            &client,
            "select realtime.check_equality_op('in', 'integer'::regtype, '1', '{1,2}')"
        )
        .await,
        "true"
    );
}

#[tokio::test]
async fn g043_without_filters_visible_and_without_the_column_not() {
    let (_server, client) = fresh().await;
    let ask = |filters: &str| {
        format!(
            "select realtime.is_visible_through_filters(
               array[('id', 'int4', 'int4'::regtype::oid, '5', true, true)::realtime.wal_column,
                     ('n', 'text', 'text'::regtype::oid, null, false, true)::realtime.wal_column], {filters})"
        )
    };
    for (filters, answer) in [
        ("null", "true"),
        ("'{}'", "true"),
        (
            "array[('id', 'eq', '5', false)::realtime.user_defined_filter]",
            "true",
        ),
        (
            "array[('id', 'eq', '5', null)::realtime.user_defined_filter]",
            "true",
        ),
        (
            "array[('id', 'eq', '5', true)::realtime.user_defined_filter]",
            "false",
        ),
        (
            "array[('n', 'eq', '5', false)::realtime.user_defined_filter]",
            "false",
        ),
        (
            "array[('n', 'is', 'null', false)::realtime.user_defined_filter]",
            "true",
        ),
        (
            "array[('id', 'eq', '5', false), ('gone', 'is', 'null', false)]::realtime.user_defined_filter[]",
            "false",
        ),
    ] {
        assert_eq!(one(&client, &ask(filters)).await, answer, "{filters}");
    }
}

#[tokio::test]
async fn g044_names_are_escaped_for_wal2json() {
    let (_server, client) = fresh().await;
    client
        .batch_execute("create table \"a,b.c d\\e\" ()")
        .await
        .unwrap();
    assert_eq!(
        one(&client, "select realtime.quote_wal2json('\"a,b.c d\\e\"')").await,
        "public.a\\,b\\.c\\ d\\\\e"
    );
    assert_eq!(
        one(
            &client,
            "select realtime.\"cast\"('deadbeef', 'bytea') || realtime.\"cast\"('1.50', 'numeric')"
        )
        .await,
        "[\"deadbeef\", 1.50]"
    );
    let error = client
        .batch_execute("select realtime.to_regrole('Nobody Here')")
        .await
        .unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().message(),
        "role \"Nobody Here\" does not exist"
    );
}
