//! Changes of the catalog reach the replication stream in commit order, and never stand in anybody's way.

use tokio_postgres::Client;

use crate::sql_fixture::{alone, column, one};

/// What a subscriber of the stream would get since the last call: tags of signals, and `row` for inserted rows.
async fn stream(client: &Client) -> Vec<String> {
    column(
        client,
        "select case get_byte(data, 0)
                  when 77 then substring(convert_from(substring(data from 24), 'utf8') from '\"tag\": \"([^\"]*)\"')
                  else 'row' end
         from pg_logical_slot_get_binary_changes('s', null, null, 'proto_version', '2', 'publication_names', 'supabase_realtime', 'messages', 'true')
         where get_byte(data, 0) in (77, 73)",
    )
    .await
}

#[tokio::test]
async fn ddl_and_grants_are_signalled_in_commit_order_and_temporary_objects_are_not() {
    let (_server, client) = alone().await;
    client
        .batch_execute(
            "create table t (id int primary key); alter publication supabase_realtime add table t",
        )
        .await
        .unwrap();
    one(
        &client,
        "select pg_create_logical_replication_slot('s', 'pgoutput')",
    )
    .await;
    client
        .batch_execute("insert into t values (1); alter table t enable row level security; insert into t values (2)")
        .await
        .unwrap();
    assert_eq!(stream(&client).await, ["row", "ALTER TABLE", "row"]);

    for (sql, tag) in [
        ("create policy p on t using (true)", "CREATE POLICY"),
        ("alter policy p on t using (false)", "ALTER POLICY"),
        ("drop policy p on t", "DROP POLICY"),
        ("grant select on t to anon", "GRANT"),
        ("revoke select on t from anon", "REVOKE"),
        ("alter table t replica identity full", "ALTER TABLE"),
        (
            "create function f() returns int language sql as 'select 1'",
            "CREATE FUNCTION",
        ),
        (
            "alter default privileges in schema public grant select on tables to anon",
            "ALTER DEFAULT PRIVILEGES",
        ),
        ("create type mood as enum ('a')", "CREATE TYPE"),
        ("alter type mood add value 'b'", "ALTER TYPE"),
        ("create table u ()", "CREATE TABLE"),
        ("create table v as select 1 as one", "CREATE TABLE AS"),
        ("drop table u", "DROP TABLE"),
        ("create publication more for table t", "CREATE PUBLICATION"),
        ("alter publication more drop table t", "ALTER PUBLICATION"),
        ("drop publication more", "DROP PUBLICATION"),
    ] {
        client.batch_execute(sql).await.unwrap();
        let tags = stream(&client).await;
        assert!(
            !tags.is_empty() && tags.iter().all(|one| one == tag),
            "{sql}: {tags:?}"
        );
    }

    for sql in [
        "create temporary table x (id serial primary key, t text default 'x')",
        "alter table x add column more int",
        "drop table x",
        "create temporary table y on commit drop as select 1 as one",
        "comment on table t is 'x'",
        "begin; create table z (); rollback",
        "create table if not exists t ()",
    ] {
        client.batch_execute(sql).await.unwrap();
        assert_eq!(stream(&client).await, [""; 0], "{sql}");
    }
}

#[tokio::test]
async fn a_user_without_rights_on_our_schema_makes_ddl_and_is_signalled() {
    let (_server, client) = alone().await;
    client
        .batch_execute(
            "create role app login; grant create on schema public to app; grant usage on schema public to app",
        )
        .await
        .unwrap();
    one(
        &client,
        "select pg_create_logical_replication_slot('s', 'pgoutput')",
    )
    .await;
    client
        .batch_execute("set role app; create table mine (id int); reset role")
        .await
        .unwrap();
    assert_eq!(stream(&client).await, ["CREATE TABLE"]);
}

#[tokio::test]
async fn a_signal_that_fails_does_not_fail_the_ddl() {
    let (_server, client) = alone().await;
    // Without the right to write the message every signal fails.
    client
        .batch_execute(
            "revoke execute on function pg_logical_emit_message(boolean, text, text) from public;
             create role app login; grant create on schema public to app;
             set role app; create table public.mine (id int); alter table public.mine add column x int; drop table public.mine; reset role",
        )
        .await
        .unwrap();
    assert_eq!(
        one(
            &client,
            "select count(*) from pg_class where relname = 'mine'"
        )
        .await,
        "0"
    );
}
