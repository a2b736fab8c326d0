//! Messages from the database: each once, in commit order, also to who joins with a replay while they are written.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::leaks::topics::partitions;
use crate::leaks::users::{ANN, SERVICE};
use crate::support::cluster::Cluster;
use crate::support::phoenix::{Client, Frame};
use crate::support::server::Server;
use crate::support::socket::Item;

const POLICY: &str =
    "create policy r on realtime.messages for select to authenticated using (true)";

/// The number and the id of a message of the room, and whether it was replayed.
fn message(item: &Item) -> Option<(i64, String, bool)> {
    match item {
        Item::Text(text) => {
            let frame = Frame::parse(text)?;
            if frame.event != "broadcast" {
                return None;
            }
            let id = frame.payload["meta"]["id"].as_str()?.to_owned();
            let n = frame.payload["payload"]["n"].as_i64()?;
            Some((n, id, frame.payload["meta"]["replayed"] == true))
        }
        Item::Binary(bytes) => {
            let [topic, event, meta] = [bytes[1], bytes[2], bytes[3]].map(usize::from);
            let rest = &bytes[5 + topic + event..];
            let meta: Value = serde_json::from_slice(&rest[..meta]).unwrap();
            let payload: Value = serde_json::from_slice(&rest[meta.to_string().len()..]).unwrap();
            let id = meta["id"].as_str().unwrap().to_owned();
            Some((payload["n"].as_i64()?, id, false))
        }
        _ => None,
    }
}

/// Everything up to message `last`.
async fn until(client: &Client, last: i64) -> Vec<(i64, String, bool)> {
    let mut heard = Vec::new();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        while let Some((_, item)) = client.socket.take(1).pop() {
            let Some(message) = message(&item) else {
                continue;
            };
            let end = message.0 == last;
            heard.push(message);
            if end {
                return heard;
            }
        }
        assert!(
            client.socket.holds(1, deadline).await,
            "message {last} did not come after {heard:?}"
        );
    }
}

async fn ids(sql: &tokio_postgres::Client, topic: &str) -> HashMap<i64, String> {
    let rows = sql
        .query(
            "select (payload ->> 'n')::bigint, id::text from realtime.messages where topic = $1",
            &[&topic],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_come_once_and_in_commit_order_within_and_across_transactions() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(POLICY).await.unwrap();
    let server = Server::start(&database).await;
    partitions(&sql).await;
    let mut clients = Vec::new();
    for user in [ANN, ANN, SERVICE] {
        let client = Client::connect(&server, &user.token()).await;
        client
            .join("realtime:room", json!({ "private": true }))
            .await;
        clients.push(client);
    }
    // Two transactions that overlap: the one that commits first comes first, whatever began first.
    let other = database.connect().await;
    let send = |n: i64| format!("select realtime.send('{{\"n\": {n}}}', 'e', 'room', true)");
    other
        .batch_execute(&format!("begin; {}; {}", send(6), send(7)))
        .await
        .unwrap();
    let statements =
        format!(
        "begin; {}; {}; savepoint s; {}; rollback to savepoint s; {}; commit; begin; {}; rollback;
         begin; {}; {}; commit",
        send(1), send(2), send(90), send(3), send(91), send(4), send(5)
    );
    sql.batch_execute(&statements).await.unwrap();
    other
        .batch_execute(&format!("{}; commit", send(8)))
        .await
        .unwrap();
    sql.batch_execute("do $$ begin for n in 9..300 loop perform realtime.send(jsonb_build_object('n', n), 'e', 'room', true); end loop; end $$")
        .await
        .unwrap();
    sql.batch_execute(&send(301)).await.unwrap();
    let ids = ids(&sql, "room").await;
    let expected: Vec<_> = (1..=301)
        .filter(|n| ids.contains_key(n))
        .map(|n| (n, ids[&n].clone(), false))
        .collect();
    assert_eq!(expected.len(), 301);
    for client in &clients {
        assert_eq!(until(client, 301).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_with_replay_while_somebody_writes_misses_nothing_and_hears_nothing_twice() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(POLICY).await.unwrap();
    let server = Server::start(&database).await;
    partitions(&sql).await;
    let mut met = 0;
    for round in 0..12 {
        let topic = format!("room:{round}");
        let wire = format!("realtime:{topic}");
        let clients: Vec<Client> =
            join_all((0..6).map(|_| async { Client::connect(&server, &ANN.token()).await })).await;
        let writer = async {
            // Fewer than a replay takes, one after the other.
            for n in 1..=24_i64 {
                let payload = json!({ "n": n }).to_string();
                sql.execute(
                    "select realtime.send($1::text::jsonb, 'e', $2, true)",
                    &[&payload, &topic],
                )
                .await
                .unwrap();
            }
        };
        let joins = join_all(clients.iter().map(|client| async {
            let config =
                json!({ "private": true, "broadcast": { "replay": { "since": 0, "limit": 25 } } });
            client.join(&wire, config).await;
            until(client, 24).await
        }));
        let ((), heard) = tokio::join!(writer, joins);
        let ids = ids(&sql, &topic).await;
        for heard in heard {
            let replayed = heard.iter().filter(|(_, _, replayed)| *replayed).count();
            met += usize::from(replayed > 0 && replayed < 24);
            let expected: Vec<_> = (1..=24_i64)
                .zip(&heard)
                .map(|(n, (_, _, replayed))| (n, ids[&n].clone(), *replayed))
                .collect();
            assert_eq!(heard, expected, "round {round}");
            // First what was replayed, then what came live.
            let first_live = heard.iter().position(|(_, _, replayed)| !replayed);
            assert_eq!(first_live.unwrap_or(heard.len()), replayed);
        }
        for client in &clients {
            client.heartbeat().await;
            let rest = client.socket.take(usize::MAX);
            let rest: Vec<_> = rest.iter().filter_map(|(_, item)| message(item)).collect();
            assert_eq!(rest, [], "nothing comes a second time");
        }
    }
    assert!(met > 0, "no join met the writer");
}
