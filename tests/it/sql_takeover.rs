//! Starting on databases that are not empty: our own second start, several starts at once, and what the original server
//! of various ages leaves (`postgres.md` 1.12, 1.13).

use dovetail::postgres::embedded::Embedded;
use dovetail::postgres::migrate::{Error, Set, migrate};
use dovetail::postgres::{ConnectOptions, connect, partitions};
use tokio_postgres::Client;

use crate::sql_fixture::{alone, both_sets, column, fingerprint, one};

async fn bare() -> (Embedded, Client) {
    let server = Embedded::start_ephemeral().await.unwrap();
    let client = connect(&server.connect_options(), "realtime_test")
        .await
        .unwrap();
    (server, client)
}

#[tokio::test]
async fn g066_a_second_start_changes_nothing() {
    let (_server, client) = alone().await;
    let before = fingerprint(&client).await;
    let (supabase, realtime) = both_sets(&client).await;
    assert!(supabase.applied.is_empty() && realtime.applied.is_empty());
    partitions::maintain(&client, true).await.unwrap();
    assert_eq!(fingerprint(&client).await, before);
}

#[tokio::test]
async fn every_file_can_be_applied_twice() {
    let (_server, client) = alone().await;
    client
        .batch_execute("create policy mine on realtime.messages for select using (topic = 'x'); delete from dovetail.migrations")
        .await
        .unwrap();
    client
        .batch_execute("delete from realtime.schema_migrations where version > 20260101000000")
        .await
        .unwrap();
    let (supabase, realtime) = both_sets(&client).await;
    assert_eq!((supabase.applied.len(), realtime.applied.len()), (4, 10));
    assert!(
        supabase.notes.is_empty() && realtime.notes.is_empty(),
        "{realtime:?}"
    );
    assert_eq!(
        one(&client, "select count(*) from realtime.schema_migrations").await,
        "81"
    );
    assert_eq!(
        column(&client, "select polname from pg_policy").await,
        ["mine"]
    );
    assert_eq!(
        one(
            &client,
            "select count(*) from pg_inherits where inhparent = 'realtime.messages'::regclass"
        )
        .await,
        "5"
    );
}

#[tokio::test]
async fn g067_first_starts_at_once_on_one_and_on_two_databases_do_not_fail() {
    let (server, client) = bare().await;
    client.batch_execute("create database other").await.unwrap();
    let start = |options: ConnectOptions| async move {
        let client = connect(&options, "realtime_test").await.unwrap();
        both_sets(&client).await;
        partitions::maintain(&client, true).await.unwrap()
    };
    let here = server.connect_options();
    let there = here.with_dbname("other");
    let (a, b, c, d) = tokio::join!(
        start(here.clone()),
        start(here.clone()),
        start(there.clone()),
        start(there)
    );
    for report in [a, b, c, d] {
        assert!(report.warnings.is_empty(), "{report:?}");
    }
    assert_eq!(
        one(&client, "select count(*) from realtime.schema_migrations").await,
        "81"
    );
}

#[tokio::test]
async fn what_somebody_dropped_comes_back_at_the_next_start() {
    let (_server, client) = alone().await;
    client
        .batch_execute("drop publication supabase_realtime; drop publication supabase_realtime_messages_publication; drop event trigger dovetail_drop")
        .await
        .unwrap();
    let (supabase, realtime) = both_sets(&client).await;
    assert_eq!(supabase.applied, ["supabase/004_publication.sql"]);
    assert_eq!(
        realtime.applied,
        ["realtime/008_publication.sql", "realtime/010_signals.sql"]
    );
    client
        .batch_execute("drop schema realtime cascade")
        .await
        .unwrap();
    both_sets(&client).await;
    partitions::maintain(&client, true).await.unwrap();
    client
        .batch_execute("select realtime.send('{}', 'e', 't')")
        .await
        .unwrap();
    assert_eq!(
        one(&client, "select count(*) from realtime.messages").await,
        "1"
    );
    assert_eq!(
        one(
            &client,
            "select count(*) from pg_publication_rel where prrelid = 'realtime.messages'::regclass"
        )
        .await,
        "1"
    );
}

/// What the original of 2024-09 leaves, in the parts that differ: no partitions, short operators, other results.
const OF_2024: &str = r#"
    create role anon nologin noinherit; create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role supabase_admin login superuser;
    create role supabase_realtime_admin nologin noinherit;
    set role supabase_admin;
    create schema realtime;
    grant usage on schema realtime to postgres, anon, authenticated, service_role;
    grant all on schema realtime to supabase_realtime_admin with grant option;
    create type realtime.action as enum ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'ERROR');
    create type realtime.equality_op as enum ('eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in');
    create type realtime.user_defined_filter as (column_name text, op realtime.equality_op, value text);
    create type realtime.wal_column as (name text, type_name text, type_oid oid, value jsonb, is_pkey boolean, is_selectable boolean);
    create type realtime.wal_rls as (wal jsonb, is_rls_enabled boolean, subscription_ids uuid[], errors text[]);
    create function realtime.to_regrole(role_name text) returns regrole language sql immutable as 'select role_name::regrole';
    create function realtime.topic() returns text language sql stable as $$ select nullif(current_setting('realtime.topic', true), '') $$;
    create function realtime.subscription_check_filters() returns trigger language plpgsql as 'begin return new; end';
    create function realtime.list_changes(publication name, slot_name name, max_changes int, max_record_bytes int)
      returns setof realtime.wal_rls language sql as 'select null::realtime.wal_rls';
    create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
      returns void language sql as '';
    create table realtime.subscription (
      id bigint generated always as identity, subscription_id uuid not null, entity regclass not null,
      filters realtime.user_defined_filter[] not null default '{}', claims jsonb not null,
      claims_role regrole not null generated always as (realtime.to_regrole(claims ->> 'role')) stored,
      created_at timestamp not null default timezone('utc', now()),
      constraint pk_subscription primary key (id));
    create unique index subscription_subscription_id_entity_filters_key on realtime.subscription (subscription_id, entity, filters);
    create trigger tr_check_filters before insert or update on realtime.subscription
      for each row execute function realtime.subscription_check_filters();
    create table realtime.messages (
      id uuid not null default gen_random_uuid() primary key, topic text not null, extension text not null,
      inserted_at timestamp(0) not null default now(), updated_at timestamp(0) not null default now(),
      payload jsonb, event text, private boolean default false);
    alter table realtime.messages owner to supabase_realtime_admin;
    alter table realtime.messages enable row level security;
    create publication supabase_realtime;
    create publication supabase_realtime_messages_publication for table realtime.messages;
    create table realtime.schema_migrations (version bigint primary key, inserted_at timestamp(0));
    insert into realtime.schema_migrations values (20211116024918, now()), (20240919163305, now());
    reset role;
    create table public.room_members (user_id uuid, room_topic text);
    insert into realtime.subscription (subscription_id, entity, filters, claims)
      values (gen_random_uuid(), 'public.room_members', array[('room_topic', 'eq', 'x')::realtime.user_defined_filter], '{"role": "anon"}');
"#;

const POLICIES: &str = r#"
    create policy "members read" on realtime.messages for select to authenticated
      using ( realtime.messages.extension in ('broadcast','presence')
              and exists (select 1 from public.room_members m
                          where m.room_topic = (select realtime.topic()) ) );
    create policy "members write" on realtime.messages for insert to authenticated, anon
      with check ( realtime.messages.extension = 'broadcast' and (select realtime.topic()) like 'room:%' );
    create policy "not on sundays" on realtime.messages as restrictive using (true) with check (topic <> 'sunday');
"#;

const POLICY_TEXT: &str =
    "select (policyname, permissive, roles, cmd, qual, with_check) from pg_policies
    where schemaname = 'realtime' and tablename = 'messages' order by policyname";

#[tokio::test]
async fn g063_g007_a_database_of_2024_without_partitions_is_brought_forward_with_its_policies() {
    let (_server, client) = bare().await;
    client.batch_execute(OF_2024).await.unwrap();
    client.batch_execute(POLICIES).await.unwrap();
    client
        .batch_execute(
            "insert into realtime.messages (topic, extension) values ('old', 'broadcast')",
        )
        .await
        .unwrap();
    let policies = column(&client, POLICY_TEXT).await;
    let (_, report) = both_sets(&client).await;
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("dovetail.messages_before_partitions")),
        "{report:?}"
    );
    let made = partitions::maintain(&client, true).await.unwrap();
    assert_eq!(made.created.len(), 5, "{made:?}");
    assert_eq!(column(&client, POLICY_TEXT).await, policies);
    assert_eq!(
        one(
            &client,
            "select topic from dovetail.messages_before_partitions"
        )
        .await,
        "old"
    );
    client
        .batch_execute("select realtime.send('{}', 'e', 't'), realtime.send_binary('x', 'e', 't')")
        .await
        .unwrap();
    assert_eq!(
        one(&client, "select count(*) from realtime.messages").await,
        "2"
    );
    assert_eq!(
        column(&client, "select prrelid::regclass from pg_publication_rel").await,
        ["realtime.messages"]
    );
    // The old row of three fields is still readable, and its filter not negated.
    assert_eq!(
        one(
            &client,
            "select (filters, action_filter, selected_columns) from realtime.subscription"
        )
        .await,
        "(\"{\"\"(room_topic,eq,x,)\"\"}\",*,)"
    );
    assert_eq!(
        one(&client, "select string_agg(enumlabel, ' ' order by enumsortorder) from pg_enum where enumtypid = 'realtime.equality_op'::regtype").await,
        "eq neq lt lte gt gte in like ilike is match imatch isdistinct"
    );
    assert_eq!(
        column(&client, "select indexname from pg_indexes where schemaname = 'realtime' and tablename = 'subscription' order by 1").await,
        [
            "ix_realtime_subscription_entity",
            "pk_subscription",
            "subscription_subscription_id_entity_filters_action_filter_selec"
        ]
    );
    // Owners stay; so the version that changes them is left for the original to run (G-023).
    assert_eq!(
        one(
            &client,
            "select proowner::regrole from pg_proc where oid = 'realtime.topic'::regproc"
        )
        .await,
        "supabase_admin"
    );
    assert_eq!(
        one(
            &client,
            "select relowner::regrole from pg_class where oid = 'realtime.subscription'::regclass"
        )
        .await,
        "supabase_admin"
    );
    assert_eq!(
        one(&client, "select (count(*), count(*) filter (where version = 20260707120000)) from realtime.schema_migrations").await,
        "(80,0)"
    );
    let before = fingerprint(&client).await;
    both_sets(&client).await;
    assert_eq!(fingerprint(&client).await, before);
}

/// What the original of 2025-09 leaves: partitions, but neither binary payloads nor the new operators.
const OF_2025: &str = r#"
    alter table realtime.messages drop constraint messages_payload_exclusive;
    alter table realtime.messages drop column binary_payload;
    drop function realtime.send_binary, realtime.apply_rls, realtime.list_changes, realtime.is_visible_through_filters,
      realtime.check_equality_op(realtime.equality_op, regtype, text, text, boolean);
    drop table realtime.subscription;
    drop function realtime.check_equality_op;
    drop type realtime.user_defined_filter; drop type realtime.equality_op;
    create type realtime.equality_op as enum ('eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in');
    create type realtime.user_defined_filter as (column_name text, op realtime.equality_op, value text);
    alter type realtime.equality_op owner to supabase_realtime_admin;
    alter type realtime.user_defined_filter owner to supabase_realtime_admin;
    create table realtime.subscription (
      id bigint generated always as identity, subscription_id uuid not null, entity regclass not null,
      filters realtime.user_defined_filter[] not null default '{}', claims jsonb not null,
      claims_role regrole not null generated always as (realtime.to_regrole(claims ->> 'role')) stored,
      created_at timestamp not null default timezone('utc', now()),
      constraint pk_subscription primary key (id));
    alter table realtime.subscription owner to supabase_realtime_admin;
    create unique index subscription_subscription_id_entity_filters_key on realtime.subscription (subscription_id, entity, filters);
    delete from realtime.schema_migrations where version > 20250905041441;
    drop schema dovetail cascade;
"#;

#[tokio::test]
async fn g064_a_database_of_2025_gets_what_it_lacks_and_keeps_messages_and_policies() {
    let (_server, client) = alone().await;
    client.batch_execute(OF_2025).await.unwrap();
    client
        .batch_execute(
            "create policy p on realtime.messages for select to anon using (realtime.topic() = 'x');
             select realtime.send('{\"a\": 1}', 'kept', 't')",
        )
        .await
        .unwrap();
    let (policies, oid) = (
        column(&client, POLICY_TEXT).await,
        one(&client, "select 'realtime.messages'::regclass::oid").await,
    );
    let (_, report) = both_sets(&client).await;
    assert!(report.notes.is_empty(), "{report:?}");
    assert_eq!(column(&client, POLICY_TEXT).await, policies);
    assert_eq!(
        one(&client, "select 'realtime.messages'::regclass::oid").await,
        oid
    );
    assert_eq!(
        one(&client, "select event from realtime.messages").await,
        "kept"
    );
    client
        .batch_execute("select realtime.send_binary('x', 'e', 't')")
        .await
        .unwrap();
    assert_eq!(
        one(
            &client,
            "select realtime.check_equality_op('ilike', 'text'::regtype, 'A', 'a', false)"
        )
        .await,
        "true"
    );
    assert_eq!(
        one(&client, "select count(*) from realtime.schema_migrations").await,
        "81"
    );
}

#[tokio::test]
async fn g065_g069_a_newer_schema_is_left_as_it_is() {
    let (_server, client) = alone().await;
    client
        .batch_execute(
            "drop schema dovetail cascade;
             insert into realtime.schema_migrations values (20270101000000, now());
             alter table realtime.messages add column priority int;
             create function realtime.future() returns int language sql as 'select 1';
             create or replace function realtime.topic() returns text language sql stable as $$ select 'newer' $$;
             alter function realtime.topic() owner to supabase_admin;",
        )
        .await
        .unwrap();
    let state = "select md5(string_agg(x, ',' order by x)) from (
        select p.xmin || p::text as x from pg_proc p where pronamespace = 'realtime'::regnamespace
        union all select c.xmin || c::text from pg_class c where relnamespace = 'realtime'::regnamespace
        union all select xmin || m::text from realtime.schema_migrations m) q";
    let before = one(&client, state).await;
    let (_, report) = both_sets(&client).await;
    assert_eq!(
        report.applied,
        ["realtime/008_publication.sql", "realtime/010_signals.sql"]
    );
    assert_eq!(one(&client, state).await, before);
}

#[tokio::test]
async fn g053_g055_a_login_without_superuser_starts_where_roles_exist_and_is_told_what_it_may_not_do()
 {
    let (server, admin) = bare().await;
    admin.batch_execute("create database app").await.unwrap();
    admin
        .batch_execute("create role worker login replication password 'w'; grant create on database app to worker")
        .await
        .unwrap();
    let options = ConnectOptions {
        user: "worker".into(),
        password: Some("w".into()),
        ..server.connect_options().with_dbname("app")
    };
    let client = connect(&options, "realtime_test").await.unwrap();
    let error = migrate(&client, Set::Supabase)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("role anon is missing"), "{error}");
    assert!(error.contains("create role anon"), "{error}");
    assert!(error.contains("superuser"), "{error}");
    // Nothing is half done, and the connection is usable.
    assert_eq!(
        one(
            &client,
            "select count(*) from pg_namespace where nspname in ('auth', 'dovetail')"
        )
        .await,
        "0"
    );

    admin
        .batch_execute(
            "create role anon nologin noinherit; create role authenticated nologin noinherit; create role service_role nologin noinherit bypassrls;
             create role supabase_realtime_admin nologin noinherit;
             grant anon, authenticated, service_role, supabase_realtime_admin to worker",
        )
        .await
        .unwrap();
    let (supabase, realtime) = both_sets(&client).await;
    let notes = [supabase.notes, realtime.notes].concat().join("\n");
    assert!(notes.contains("may not create event triggers"), "{notes}");
    partitions::maintain(&client, true).await.unwrap();
    client
        .batch_execute(
            "select realtime.send('{}', 'e', 't'); set role anon; select auth.uid(); reset role",
        )
        .await
        .unwrap();
    assert_eq!(
        one(&client, "select count(*) from realtime.messages").await,
        "1"
    );
    // Without event triggers a second start still changes nothing.
    let (_, again) = both_sets(&client).await;
    assert!(again.applied.is_empty(), "{again:?}");
}

#[tokio::test]
async fn an_old_schema_of_somebody_else_is_refused_with_what_to_do() {
    let (server, admin) = bare().await;
    admin.batch_execute(OF_2024).await.unwrap();
    admin
        .batch_execute("create role worker login password 'w'; grant create on database postgres to worker; grant anon, authenticated, service_role to worker")
        .await
        .unwrap();
    let options = ConnectOptions {
        user: "worker".into(),
        password: Some("w".into()),
        ..server.connect_options()
    };
    let client = connect(&options, "realtime_test").await.unwrap();
    let error = migrate(&client, Set::Realtime).await.unwrap_err();
    assert!(matches!(&error, Error::Apply { .. }));
    assert!(
        error
            .to_string()
            .contains("run `dovetail migrate` once with a superuser"),
        "{error}"
    );
}

#[tokio::test]
async fn a_plain_database_opens_new_tables_to_clients_and_old_ones_not() {
    let (_server, client) = bare().await;
    client
        .batch_execute("create table before (id int)")
        .await
        .unwrap();
    both_sets(&client).await;
    client
        .batch_execute("create table after (id int primary key)")
        .await
        .unwrap();
    let may = |table: &str| format!("select has_table_privilege('anon', '{table}', 'select')");
    assert_eq!(one(&client, &may("after")).await, "true");
    assert_eq!(one(&client, &may("before")).await, "false");
    client
        .batch_execute(
            "select set_config('request.jwt.claims', '{\"sub\": \"00000000-0000-0000-0000-000000000001\", \"role\": \"authenticated\", \"email\": \"a@b\"}', false)",
        )
        .await
        .unwrap();
    assert_eq!(
        one(
            &client,
            "select (auth.uid(), auth.role(), auth.email(), auth.jwt() ->> 'sub')"
        )
        .await,
        "(00000000-0000-0000-0000-000000000001,authenticated,a@b,00000000-0000-0000-0000-000000000001)"
    );
    client
        .batch_execute("select set_config('request.jwt.claims', '', false)")
        .await
        .unwrap();
    assert_eq!(
        one(
            &client,
            "select (auth.uid(), auth.role(), auth.email(), auth.jwt())"
        )
        .await,
        "(,,,)"
    );
}

#[tokio::test]
async fn supabases_own_functions_and_grants_are_not_touched() {
    let (_server, client) = bare().await;
    client
        .batch_execute("create schema auth; create function auth.uid() returns uuid language sql stable as $$ select null::uuid $$")
        .await
        .unwrap();
    let before = one(
        &client,
        "select (p.xmin, p) from pg_proc p where oid = 'auth.uid'::regproc",
    )
    .await;
    both_sets(&client).await;
    assert_eq!(
        one(
            &client,
            "select (p.xmin, p) from pg_proc p where oid = 'auth.uid'::regproc"
        )
        .await,
        before
    );
    client
        .batch_execute("create table after (id int)")
        .await
        .unwrap();
    assert_eq!(
        one(
            &client,
            "select has_table_privilege('anon', 'after', 'select')"
        )
        .await,
        "false"
    );
}
