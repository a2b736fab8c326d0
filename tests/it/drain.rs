//! A server that is told to stop: clients come back to another one, and nobody loses a word (P-110, protocol.md §3.18).

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::phoenix::{Client, Frame};
use crate::support::server::Server;
use crate::support::socket::Item;
use crate::support::token::anon;
use crate::support::{eventually, http};

/// More than are closed at once.
const MANY: usize = 150;

async fn joined(server: &Server, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..count {
        let client = Client::connect(server, &anon()).await;
        client
            .join(&format!("realtime:drain-{number}"), json!({}))
            .await;
        clients.push(client);
    }
    clients
}

fn signal(server: &Server) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a pid"), Signal::TERM).expect("it takes a signal");
}

/// Everything the client got from its channels: nothing but the replies to what it asked.
fn unasked(client: &Client) -> Vec<Frame> {
    let unread = client.socket.unread().into_iter();
    unread
        .filter_map(|item| match item {
            Item::Text(text) => Frame::parse(&text),
            _ => None,
        })
        .filter(|frame| frame.event != "phx_reply")
        .collect()
}

#[tokio::test]
async fn p110_many_sockets_are_closed_in_batches_and_without_a_last_word() {
    let database = Cluster::shared().await.prepared().await;
    let settings = [
        ("DRAIN_SECONDS", "8"),
        ("TENANT_MAX_JOINS_PER_SECOND", "100000"),
    ];
    let mut server = Server::with(&database, &settings).await;
    let clients = joined(&server, MANY).await;
    let without_channel = Client::connect(&server, &anon()).await;
    let end = server.end(Signal::TERM);
    let closes = async {
        let mut codes = Vec::new();
        for client in clients.iter().chain([&without_channel]) {
            codes.push(client.closed().await);
        }
        codes
    };
    let (status, codes) = tokio::join!(end, closes);
    assert!(status.success(), "{status}");
    assert_eq!(codes, vec![1012; MANY + 1]);
    for client in &clients {
        assert_eq!(unasked(client), []);
    }
    assert!(!server.log().contains("left behind"), "{}", server.log());
}

#[tokio::test]
async fn while_it_drains_nothing_is_accepted_and_a_second_signal_ends_it() {
    let database = Cluster::shared().await.prepared().await;
    let settings = [
        ("DRAIN_SECONDS", "3000"),
        ("CHANNEL_ERROR_BACKOFF_MS", "0"),
        ("TENANT_MAX_JOINS_PER_SECOND", "100000"),
    ];
    let mut server = Server::with(&database, &settings).await;
    let clients = joined(&server, MANY).await;
    signal(&server);
    eventually("the port is closed", || async {
        let request = http::Request::get("localhost", "/readyz");
        let answer = http::exchange(("127.0.0.1", server.port()), &request).await;
        answer.is_err().then_some(())
    })
    .await;
    // Spread over 40 minutes, hardly any socket is closed yet: those that are left may not join, and stay as they are.
    let mut refused = 0;
    for client in &clients {
        let payload = json!({ "config": {} });
        let reference = client.push(Some("x"), "realtime:more", "phx_join", &payload);
        let item = eventually("an answer or the end", || async {
            client.socket.pick(|item| match item {
                Item::Close { code, .. } => Some(Err(*code)),
                Item::Text(text) => Frame::parse(text)
                    .filter(|frame| frame.replies_to(&reference))
                    .map(Ok),
                _ => None,
            })
        })
        .await;
        match item {
            Ok(reply) => {
                let expected = json!({ "status": "error", "response":
                    { "reason": "RealtimeRestarting: Realtime is restarting, please standby" } });
                assert_eq!(reply.payload, expected);
                client.heartbeat().await;
                refused += 1;
            }
            Err(code) => assert_eq!(code, 1012),
        }
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "sockets are still there");
    let log = server.log();
    assert!(log.contains("code=\"RealtimeRestarting\""), "{log}");
    let status = server.end(Signal::TERM).await;
    assert_eq!(status.code(), Some(130), "at once, not after 50 minutes");
}

#[tokio::test]
async fn few_sockets_are_closed_at_once() {
    let database = Cluster::shared().await.prepared().await;
    let mut server = Server::with(&database, &[("DRAIN_SECONDS", "3000")]).await;
    let clients = joined(&server, 3).await;
    let begun = Instant::now();
    assert!(server.end(Signal::TERM).await.success());
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    for client in &clients {
        assert_eq!(client.closed().await, 1012);
    }
}
