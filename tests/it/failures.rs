//! What breaks around the server, and that it comes back by itself: the walsender, Postgres, the slot,
//! a client that hangs, the server's own restart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Database, Stop};
use crate::support::eventually;
use crate::support::phoenix::{Client, Frame};
use crate::support::server::Server;
use crate::support::token::anon;

const TOPIC: &str = "realtime:failures";

/// Limits that a test of something else must not run into.
const UNLIMITED: [(&str, &str); 3] = [
    ("TENANT_MAX_EVENTS_PER_SECOND", "1000000"),
    ("TENANT_MAX_JOINS_PER_SECOND", "100000"),
    ("TENANT_MAX_CONCURRENT_USERS", "100000"),
];

async fn notes(database: &Database) -> tokio_postgres::Client {
    let sql = database.connect().await;
    sql.batch_execute(
        "create table notes (id int primary key, v text);
         grant select on notes to anon, authenticated;
         alter publication supabase_realtime add table notes",
    )
    .await
    .expect("a table in the publication");
    sql
}

fn every_note() -> Value {
    json!({ "event": "*", "schema": "public", "table": "notes" })
}

async fn insert(sql: &tokio_postgres::Client, id: i32) {
    sql.execute("insert into notes values ($1, 'x')", &[&id])
        .await
        .expect("an insert");
}

/// A client that listens and has seen row `id`: everything works.
async fn listening(server: &Server, sql: &tokio_postgres::Client, id: i32) -> Client {
    let client = Client::connect(server, &anon()).await;
    client.listen(TOPIC, every_note()).await;
    insert(sql, id).await;
    assert_eq!(client.change(TOPIC).await["record"]["id"], id);
    client
}

/// The process of the walsender that feeds this server.
async fn walsender(server: &Server, sql: &tokio_postgres::Client) -> Option<i32> {
    let suffix = format!("{}_", server.slot_suffix());
    let rows = sql
        .query(
            "select active_pid from pg_replication_slots
             where strpos(slot_name, $1) > 0 and active",
            &[&suffix],
        )
        .await
        .ok()?;
    rows.first()?.get(0)
}

async fn terminate(sql: &tokio_postgres::Client, pid: i32) {
    sql.execute("select pg_terminate_backend($1)", &[&pid])
        .await
        .expect("an order to a backend");
}

/// Any `system` message about Postgres Changes on the topic.
fn about_changes(frame: &Frame) -> bool {
    frame.topic == TOPIC
        && frame.event == "system"
        && frame.payload["extension"] == "postgres_changes"
}

/// After a break: the channel was told, the stream is live again, and the next commit arrives.
async fn recovers(server: &Server, sql: &tokio_postgres::Client, client: &Client, id: i32) {
    client
        .until("a system message about the break", about_changes)
        .await;
    eventually("a walsender again", || walsender(server, sql)).await;
    client
        .until("Subscribed to PostgreSQL again", |frame| {
            frame.topic == TOPIC && frame.says_subscribed()
        })
        .await;
    insert(sql, id).await;
    loop {
        // Rows of the time of the break may come too, but none after this one.
        if client.change(TOPIC).await["record"]["id"] == id {
            return;
        }
    }
}

#[tokio::test]
async fn kill_the_walsender() {
    let database = Cluster::shared().await.prepared().await;
    let mut server = Server::start(&database).await;
    let sql = notes(&database).await;
    let client = listening(&server, &sql, 1).await;
    for round in 2..5 {
        let pid = eventually("a walsender", || walsender(&server, &sql)).await;
        terminate(&sql, pid).await;
        recovers(&server, &sql, &client, round).await;
    }
    assert!(server.alive(), "the server must survive");
}

#[tokio::test]
async fn restart_postgres() {
    let mut cluster = Cluster::start().await;
    let database = cluster.prepared().await;
    let mut server = Server::start(&database).await;
    let sql = notes(&database).await;
    let client = listening(&server, &sql, 1).await;
    for (id, how) in [(2, Stop::Fast), (3, Stop::Immediate)] {
        cluster.stop(how).await;
        // Broadcast needs no database.
        let peer = Client::connect(&server, &anon()).await;
        let join_ref = peer
            .join(
                "realtime:meanwhile",
                json!({ "broadcast": { "self": true } }),
            )
            .await;
        peer.broadcast(&join_ref, "realtime:meanwhile", "still", json!({}));
        peer.until("a broadcast without a database", |frame| {
            frame.event == "broadcast"
        })
        .await;
        cluster.resume().await;
        let sql = database.connect().await;
        recovers(&server, &sql, &client, id).await;
    }
    assert!(server.alive(), "the server must survive");
}

#[tokio::test]
async fn drop_the_slot() {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::with(&database, &[("SLOT_DURABLE", "true")]).await;
    let sql = notes(&database).await;
    let client = listening(&server, &sql, 1).await;
    let suffix = format!("{}_", server.slot_suffix());
    // The server comes back within milliseconds: terminate and drop until the drop gets through.
    let pid = eventually("a walsender", || walsender(&server, &sql)).await;
    terminate(&sql, pid).await;
    eventually("the slot is dropped", || async {
        let dropped = sql
            .query(
                "select pg_drop_replication_slot(slot_name), pg_terminate_backend(active_pid)
                 from pg_replication_slots where strpos(slot_name, $1) > 0",
                &[&suffix],
            )
            .await;
        match dropped {
            Ok(rows) => (!rows.is_empty()).then_some(()),
            Err(_) => {
                if let Some(pid) = walsender(&server, &sql).await {
                    terminate(&sql, pid).await;
                }
                None
            }
        }
    })
    .await;
    recovers(&server, &sql, &client, 2).await;
    let slots = sql
        .query(
            "select from pg_replication_slots where strpos(slot_name, $1) > 0",
            &[&suffix],
        )
        .await
        .expect("the slots");
    assert_eq!(slots.len(), 1, "one slot, made again");
}

#[tokio::test]
async fn fill_the_network_buffer() {
    const MESSAGES: usize = 3000;
    const SIZE: usize = 20_000;
    let database = Cluster::shared().await.prepared().await;
    let mut server = Server::with(&database, &UNLIMITED).await;
    let hung = Client::connect(&server, &anon()).await;
    hung.join(TOPIC, json!({})).await;
    let healthy = Client::connect(&server, &anon()).await;
    healthy.join(TOPIC, json!({})).await;
    let sender = Client::connect(&server, &anon()).await;
    let join_ref = sender.join(TOPIC, json!({})).await;

    hung.socket.stop_reading();
    let before = server.resident();
    let mut most = before;
    let body = "x".repeat(SIZE);
    for n in 0..MESSAGES {
        sender.broadcast(&join_ref, TOPIC, "load", json!({ "n": n, "body": body }));
        if n % 50 == 49 {
            // Its own pace is that of the healthy one: only the hung one falls behind.
            healthy
                .until("the last of fifty", |frame| {
                    frame.payload["payload"]["n"] == n
                })
                .await;
            most = most.max(server.resident());
            let rest = healthy.socket.take(usize::MAX);
            assert_eq!(rest.len(), 49, "the healthy client misses nothing");
        }
    }
    assert!(server.alive());
    if let (Some(before), Some(most)) = (before, most) {
        let grown = (most - before) / (1 << 20);
        assert!(
            grown < 48,
            "one hung client cost {grown} MiB of {} MiB sent",
            (MESSAGES * SIZE) >> 20
        );
    }
    hung.socket.resume_reading();
    hung.closed().await;
    let received = hung.socket.unread().len();
    assert!(
        received < MESSAGES,
        "a hung client is cut off, not served later"
    );
    healthy.heartbeat().await;
    sender.heartbeat().await;
}

#[tokio::test]
async fn restart_the_server() {
    let database = Cluster::shared().await.prepared().await;
    let mut server = Server::start(&database).await;
    let sql = notes(&database).await;
    let client = listening(&server, &sql, 1).await;
    let status = server.end(rustix::process::Signal::TERM).await;
    assert!(
        status.success(),
        "a stop on SIGTERM is not an error: {status}"
    );
    assert_eq!(
        client.closed().await,
        1012,
        "sockets are told of the restart"
    );
    eventually("the slot is gone with its temporary owner", || async {
        let suffix = format!("{}_", server.slot_suffix());
        let slots = sql
            .query(
                "select from pg_replication_slots where strpos(slot_name, $1) > 0",
                &[&suffix],
            )
            .await
            .expect("the slots");
        slots.is_empty().then_some(())
    })
    .await;
    server.spawn();
    server.ready().await;
    listening(&server, &sql, 2).await;

    // And when it is killed: nothing is left that would keep the next one from starting.
    server.end(rustix::process::Signal::KILL).await;
    server.spawn();
    server.ready().await;
    listening(&server, &sql, 3).await;
}

#[tokio::test]
async fn the_server_starts_before_its_database_and_finds_it() {
    let mut cluster = Cluster::start().await;
    let database = cluster.prepared().await;
    cluster.stop(Stop::Fast).await;
    let mut server = Server::unready(&database, &[]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        server.alive(),
        "no database is no reason to end:\n{}",
        server.log()
    );
    cluster.resume().await;
    server.ready().await;
    let client = Client::connect(&server, &anon()).await;
    let sql = notes(&database).await;
    client.listen(TOPIC, every_note()).await;
    insert(&sql, 1).await;
    assert_eq!(client.change(TOPIC).await["record"]["id"], 1);
}

#[tokio::test]
async fn a_write_right_after_subscribed_is_never_lost() {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::with(&database, &UNLIMITED).await;
    let sql = database.connect().await;
    for round in 0..60 {
        let table = format!("fresh_{round}");
        sql.batch_execute(&format!(
            "create table {table} (id int primary key, v text);
             grant select on {table} to anon;
             alter publication supabase_realtime add table {table}"
        ))
        .await
        .expect("a table");
        let client = Client::connect(&server, &anon()).await;
        let binding = |event: &str| json!({ "event": event, "schema": "public", "table": table });
        let bindings = [binding("INSERT"), binding("DELETE")];
        client
            .join(TOPIC, json!({ "postgres_changes": bindings }))
            .await;
        // At once after the reply, which is when supabase-js says SUBSCRIBED.
        sql.batch_execute(&format!("insert into {table} values ({round})"))
            .await
            .expect("an insert");
        sql.batch_execute(&format!("delete from {table}"))
            .await
            .expect("a delete");
        let insert = client.change(TOPIC).await;
        assert_eq!(insert["record"]["id"], round);
        assert_eq!(client.change(TOPIC).await["old_record"]["id"], round);
    }
}
