//! A private server with a migrated database, and ways to ask its catalog.

use std::sync::atomic::{AtomicU32, Ordering};

use dovetail::postgres::embedded::Embedded;
use dovetail::postgres::migrate::{Report, Set, migrate};
use dovetail::postgres::{ConnectOptions, connect, partitions};
use tokio::sync::OnceCell;
use tokio_postgres::Client;

/// The server that tests share which only look at, or change, what belongs to one database. It lives as long as the process;
/// then its watchdog removes it.
static SHARED: OnceCell<Embedded> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A migrated database of its own, on a shared server; the client is a superuser.
pub async fn fresh() -> (ConnectOptions, Client) {
    let server = SHARED
        .get_or_init(|| async {
            let (server, client) = alone().await;
            drop(client);
            let admin = server.connect_options().with_dbname("template1");
            connect(&admin, "realtime_test")
                .await
                .unwrap()
                .batch_execute("alter database postgres rename to migrated")
                .await
                .unwrap();
            server
        })
        .await;
    let admin = server.connect_options().with_dbname("template1");
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    connect(&admin, "realtime_test")
        .await
        .unwrap()
        .batch_execute(&format!("create database {name} template migrated"))
        .await
        .unwrap();
    let options = admin.with_dbname(&name);
    let client = connect(&options, "realtime_test").await.unwrap();
    (options, client)
}

/// A server of its own with a migrated database; the client is a superuser.
pub async fn alone() -> (Embedded, Client) {
    let server = Embedded::start_ephemeral().await.unwrap();
    let client = connect(&server.connect_options(), "realtime_test")
        .await
        .unwrap();
    // A role of the Supabase image that the server does not make.
    client
        .batch_execute("create role dashboard_user nologin createrole createdb replication")
        .await
        .unwrap();
    both_sets(&client).await;
    partitions::maintain(&client, true).await.unwrap();
    (server, client)
}

pub async fn both_sets(client: &Client) -> (Report, Report) {
    (
        migrate(client, Set::Supabase).await.unwrap(),
        migrate(client, Set::Realtime).await.unwrap(),
    )
}

/// The first column of every row, as text.
pub async fn column(client: &Client, sql: &str) -> Vec<String> {
    client
        .query(&format!("select x::text from ({sql}) q (x)"), &[])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .iter()
        .map(|row| row.get::<_, Option<String>>(0).unwrap_or("NULL".into()))
        .collect()
}

pub async fn one(client: &Client, sql: &str) -> String {
    let list = column(client, sql).await;
    assert_eq!(list.len(), 1, "{sql}: {list:?}");
    list.into_iter().next().unwrap()
}

/// Everything of the catalog that DDL could change, as text; object ids are part of it, so that a drop and create shows.
pub async fn fingerprint(client: &Client) -> String {
    let mut text = String::new();
    for (catalog, condition) in [
        ("pg_namespace", "nspname !~ '^pg_(toast_)?temp'"),
        (
            "pg_class",
            "relnamespace not in (select oid from pg_namespace where nspname ~ '^pg_')",
        ),
        ("pg_attribute", "attrelid > 16383"),
        (
            "pg_proc",
            "pronamespace not in (select oid from pg_namespace where nspname ~ '^pg_')",
        ),
        (
            "pg_type",
            "typnamespace not in (select oid from pg_namespace where nspname ~ '^pg_')",
        ),
        ("pg_enum", "true"),
        ("pg_constraint", "oid > 16383"),
        ("pg_trigger", "true"),
        ("pg_policy", "true"),
        ("pg_publication", "true"),
        ("pg_publication_rel", "true"),
        ("pg_authid", "true"),
        ("pg_auth_members", "true"),
        ("pg_event_trigger", "true"),
        ("pg_db_role_setting", "true"),
        ("pg_default_acl", "true"),
        ("realtime.schema_migrations", "true"),
        ("dovetail.migrations", "true"),
    ] {
        // The transaction that wrote a row last is a part: writing the same again shows.
        let sql = format!(
            "select coalesce(string_agg(x, E'\n' order by x), '') from (select ctid || ' ' || xmin || ' ' || t as x from {catalog} t where {condition}) q"
        );
        text.push_str(&one(client, &sql).await);
        text.push('\n');
    }
    text
}
