//! What the doctor says about a healthy database and about each thing that can be wrong.

use dovetail::doctor::{self, KeysInfo, Report, Severity};
use dovetail::postgres::ConnectOptions;
use dovetail::postgres::embedded::Embedded;

use crate::sql_fixture::{alone, one};

async fn examine(options: &ConnectOptions) -> Report {
    let keys = KeysInfo {
        anon_key: None,
        service_key: None,
        jwt_secret: None,
        verify: &|_| Ok(()),
    };
    doctor::run(options, keys).await
}

/// The one line of `check`, with its severity and fix.
fn line(report: &Report, check: &str) -> String {
    let found: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.check == check)
        .map(|finding| {
            format!(
                "{:?}: {} -> {}",
                finding.severity,
                finding.problem,
                finding.fix.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(found.len(), 1, "{check}: {report}");
    found.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_healthy_database_has_no_finding_but_what_is_good_to_know() {
    let (server, client) = alone().await;
    client
        .batch_execute(
            "create table notes (id int primary key, owner uuid); alter table notes enable row level security;
             create policy own on notes for select using (owner = auth.uid());
             create policy room on realtime.messages for select using (true);
             alter table notes replica identity full;
             alter publication supabase_realtime add table notes",
        )
        .await
        .unwrap();
    let report = examine(&server.connect_options()).await;
    assert!(report.findings.is_empty(), "{report}");
    assert!(!report.has_errors());
}

#[tokio::test]
async fn every_trouble_with_tables_is_named_with_what_to_run() {
    let (server, client) = alone().await;
    client
        .batch_execute(
            "create schema \"Shop\";
             create table \"Shop\".\"Order Items\" (n int);
             create table silent (id int primary key); alter table silent enable row level security;
             create table open (id int primary key);
             create table shut (id int primary key, x text); revoke all on shut from anon, authenticated;
             grant select (x) on shut to authenticated;
             alter publication supabase_realtime add table \"Shop\".\"Order Items\", silent, open, shut;",
        )
        .await
        .unwrap();
    let report = examine(&server.connect_options()).await;
    assert!(report.has_errors());
    let text = report.to_string();
    for expected in [
        "error    replica-identity: \"Shop\".\"Order Items\" has no replica identity",
        "run: alter table \"Shop\".\"Order Items\" replica identity full",
        "warning  primary-key: \"Shop\".\"Order Items\" has no primary key",
        "run: grant usage on schema \"Shop\" to anon, authenticated",
        "warning  policies: public.silent has row level security but no policy",
        "info     policies: public.open has no row level security",
        "warning  grants: neither anon nor authenticated may read the key of public.shut",
        "run: grant select on public.shut to authenticated",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains("public.open to"), "{text}");
    // The fixes are commands: what they name must be what Postgres understands.
    client
        .batch_execute(
            "alter table \"Shop\".\"Order Items\" replica identity full; grant usage on schema \"Shop\" to anon, authenticated;
             grant select on public.shut to authenticated",
        )
        .await
        .unwrap();
    let text = examine(&server.connect_options()).await.to_string();
    assert!(!text.contains("replica identity:"), "{text}");
    assert!(!text.contains("public.shut"), "{text}");
}

#[tokio::test]
async fn troubles_of_schema_roles_and_slots_are_named_with_what_to_run() {
    let (server, client) = alone().await;
    let options = server.connect_options();
    client
        .batch_execute(
            "drop publication supabase_realtime;
             alter publication supabase_realtime_messages_publication add table dovetail.migrations;
             alter role service_role nobypassrls; alter role anon bypassrls;
             alter event trigger dovetail_ddl disable;
             alter table realtime.messages disable row level security;
             alter database postgres set timezone to 'Europe/Berlin';
             create table realtime.messages_default partition of realtime.messages default;
             do $$ begin execute 'drop table realtime.messages_' || to_char(now() at time zone 'utc', 'YYYY_MM_DD'); end $$",
        )
        .await
        .unwrap();
    one(&client, "select pg_create_logical_replication_slot('supabase_realtime_replication_slot', 'pgoutput')").await;
    let report = examine(&options).await;
    let text = report.to_string();
    for expected in [
        "error    publication: publication supabase_realtime does not exist",
        "warning  publication: publication supabase_realtime_messages_publication holds tables other",
        "run: alter publication supabase_realtime_messages_publication set table realtime.messages",
        "warning  roles: service_role does not bypass",
        "error    roles: anon bypasses row level security",
        "warning  event-triggers:",
        "error    realtime-schema: row level security of realtime.messages is off",
        "error    partitions: realtime.messages has no partition for",
        "warning  partitions: realtime.messages_default is a partition",
        "warning  slots: slot supabase_realtime_replication_slot is permanent and nobody reads it",
        "run: if no server uses it: select pg_drop_replication_slot('supabase_realtime_replication_slot')",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert_eq!(
        line(&report, "timezone"),
        "Warning: TimeZone is Europe/Berlin: partitions and replay of realtime.messages assume UTC -> alter database postgres set timezone to 'UTC'; then reconnect"
    );
    let order: Vec<Severity> = report
        .findings
        .iter()
        .map(|finding| finding.severity)
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn an_empty_database_on_a_server_that_cannot_stream_is_told_all_at_once() {
    let settings = [
        ("wal_level", "replica"),
        ("max_slot_wal_keep_size", "-1"),
        ("max_replication_slots", "0"),
    ];
    let server = Embedded::start_ephemeral_with(
        settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )
    .await
    .unwrap();
    let admin = dovetail::postgres::connect(&server.connect_options(), "realtime_test")
        .await
        .unwrap();
    admin
        .batch_execute("create role worker login password 'w'; create role anon")
        .await
        .unwrap();
    let options = ConnectOptions {
        user: "worker".into(),
        password: Some("w".into()),
        ..server.connect_options()
    };
    let report = examine(&options).await;
    assert!(line(&report, "wal-level").contains("alter system set wal_level = logical"));
    assert!(line(&report, "wal-keep").starts_with("Warning"));
    assert!(line(&report, "slots-free").contains("0 of 0 max_replication_slots"));
    assert!(line(&report, "replication").contains("alter role worker replication"));
    assert!(line(&report, "realtime-schema").contains("dovetail migrate"));
    let text = report.to_string();
    assert!(
        text.contains("the login worker cannot become anon"),
        "{text}"
    );
    assert!(text.contains("role authenticated does not exist"), "{text}");
    assert!(text.contains("run: grant anon to worker"), "{text}");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_one_error_beside_those_of_the_keys() {
    let server = Embedded::start_ephemeral().await.unwrap();
    let options = ConnectOptions {
        dbname: "nowhere".into(),
        ..server.connect_options()
    };
    let keys = KeysInfo {
        anon_key: Some("a.b.c"),
        service_key: None,
        jwt_secret: None,
        verify: &|_| Err("signature does not match".into()),
    };
    let report = doctor::run(&options, keys).await;
    assert_eq!(report.findings.len(), 2, "{report}");
    assert!(line(&report, "connection").contains("the database does not exist: check DB_NAME"));
    assert!(line(&report, "keys").contains("ANON_KEY"));
}
