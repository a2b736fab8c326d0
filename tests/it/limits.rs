//! Limits as the environment sets them (protocol.md §6.7, §7). The original's own effects are in the transcripts 900 to 910.

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::phoenix::Client;
use crate::support::server::Server;
use crate::support::{socket::Failure, token};

const ROOM: &str = "realtime:room";

fn track(n: u32) -> Value {
    json!({ "type": "presence", "event": "track", "payload": { "n": n } })
}

async fn server(settings: &[(&str, &str)]) -> Server {
    let database = Cluster::shared().await.prepared().await;
    let mut all = vec![
        ("CHANNEL_ERROR_BACKOFF_MS", "1"),
        ("CONNECT_ERROR_BACKOFF_MS", "1"),
    ];
    all.extend(settings);
    Server::with(&database, &all).await
}

fn with_presence(key: &str) -> Value {
    json!({ "presence": { "enabled": true, "key": key } })
}

#[tokio::test]
async fn a_client_that_tracks_too_often_is_slowed_down_to_its_last_state_and_not_cut_off() {
    let server = server(&[
        ("CLIENT_PRESENCE_MAX_CALLS", "2"),
        ("CLIENT_PRESENCE_WINDOW_MS", "1000"),
    ])
    .await;
    let watcher = Client::connect(&server, &token::anon()).await;
    watcher.join(ROOM, with_presence("watcher")).await;
    let busy = Client::connect(&server, &token::anon()).await;
    let join_ref = busy.join(ROOM, with_presence("busy")).await;
    for n in 1..=50 {
        let reference = busy.push(Some(&join_ref), ROOM, "presence", &track(n));
        let reply = busy
            .until("the reply to a track", |frame| frame.replies_to(&reference))
            .await;
        assert_eq!(reply.payload["status"], "ok");
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&json!(50)) {
        let diff = watcher
            .until("a presence_diff", |frame| frame.event == "presence_diff")
            .await;
        seen.push(diff.payload["joins"]["busy"]["metas"][0]["n"].clone());
    }
    assert_eq!(
        seen[..2],
        [json!(1), json!(2)],
        "within the window's number at once"
    );
    // Fifty calls take a moment; at two a second hardly more than a handful of states goes out.
    assert!(seen.len() < 25, "{seen:?}");
    // The channel is there: it leaves when it is told to.
    let reference = busy.push(Some(&join_ref), ROOM, "phx_leave", &json!({}));
    busy.until("the reply to the leave", |frame| {
        frame.replies_to(&reference)
    })
    .await;
    let left = watcher
        .until("the leave", |frame| frame.event == "presence_diff")
        .await;
    assert_eq!(left.payload["leaves"]["busy"]["metas"][0]["n"], 50);
}

#[tokio::test]
async fn an_untrack_replaces_the_state_that_waits() {
    let server = server(&[
        ("CLIENT_PRESENCE_MAX_CALLS", "1"),
        ("CLIENT_PRESENCE_WINDOW_MS", "500"),
    ])
    .await;
    let watcher = Client::connect(&server, &token::anon()).await;
    watcher.join(ROOM, with_presence("watcher")).await;
    let busy = Client::connect(&server, &token::anon()).await;
    let join_ref = busy.join(ROOM, with_presence("busy")).await;
    busy.push(Some(&join_ref), ROOM, "presence", &track(1));
    busy.push(Some(&join_ref), ROOM, "presence", &track(2));
    let untrack = json!({ "type": "presence", "event": "untrack" });
    busy.push(Some(&join_ref), ROOM, "presence", &untrack);
    let joined = watcher
        .until("the join", |frame| frame.event == "presence_diff")
        .await;
    assert_eq!(joined.payload["joins"]["busy"]["metas"][0]["n"], 1);
    let left = watcher
        .until("the leave", |frame| frame.event == "presence_diff")
        .await;
    assert_eq!(
        left.payload["joins"],
        json!({}),
        "the second state never was"
    );
    assert_eq!(left.payload["leaves"]["busy"]["metas"][0]["n"], 1);
}

#[tokio::test]
async fn abuse_of_presence_closes_the_channel_all_the_same() {
    let server = server(&[
        ("CLIENT_PRESENCE_MAX_CALLS", "1"),
        ("CLIENT_PRESENCE_WINDOW_MS", "600000"),
    ])
    .await;
    let client = Client::connect(&server, &token::anon()).await;
    let join_ref = client.join(ROOM, with_presence("busy")).await;
    for n in 0..=100 {
        client.push(Some(&join_ref), ROOM, "presence", &track(n));
    }
    let why = client
        .until("the reason", |frame| {
            frame.event == "system" && frame.payload["status"] == "error"
        })
        .await;
    assert_eq!(
        why.payload["message"],
        "Client presence rate limit exceeded"
    );
    client
        .until("the close", |frame| frame.event == "phx_close")
        .await;
}

#[tokio::test]
async fn p113_p201_private_only_and_presence_for_everybody_by_the_environment() {
    let server = server(&[
        ("TENANT_PRIVATE_ONLY", "true"),
        ("TENANT_PRESENCE_ENABLED", "true"),
    ])
    .await;
    let client = Client::connect(&server, &token::service()).await;
    let (_, reply) = client.try_join(ROOM, json!({})).await;
    assert_eq!(
        reply["response"]["reason"],
        "PrivateOnly: This project only allows private channels"
    );
    client.join(ROOM, json!({ "private": true })).await;
    let state = client
        .until("presence_state", |frame| frame.event == "presence_state")
        .await;
    assert_eq!(state.payload, json!({}));
}

#[tokio::test]
async fn p114_users_by_the_environment_and_none_by_default() {
    let server = server(&[("TENANT_MAX_CONCURRENT_USERS", "1")]).await;
    let first = Client::connect(&server, &token::anon()).await;
    let second = Client::connect(&server, &token::anon()).await;
    first.join(ROOM, json!({})).await;
    let (_, reply) = second.try_join(ROOM, json!({})).await;
    assert_eq!(
        reply["response"]["reason"],
        "ConnectionRateLimitReached: Too many connected users"
    );
    let refused = crate::support::socket::Socket::connect(&server.target(&token::anon())).await;
    assert!(matches!(refused, Err(Failure::Refused(ref answer)) if answer.status == 429));
    // A socket that is counted may go on, and its place is free when it goes.
    first.join("realtime:another", json!({})).await;
    first.socket.close(1000);
    first.closed().await;
    crate::support::eventually("a free place", || async {
        let (_, reply) = second.try_join(ROOM, json!({})).await;
        (reply["status"] == "ok").then_some(())
    })
    .await;
}
