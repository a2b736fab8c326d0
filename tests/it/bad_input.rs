//! Input that no honest client sends: the reply or close of the protocol, and other sockets notice nothing.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::cluster::Cluster;
use crate::support::phoenix::Client;
use crate::support::server::Server;
use crate::support::token::anon;

const TOPIC: &str = "realtime:bystanders";

/// Two clients of one room who go about their business while somebody misbehaves.
struct Bystanders {
    one: Client,
    two: Client,
    join_ref: String,
}

impl Bystanders {
    async fn join(server: &Server) -> Self {
        let one = Client::connect(server, &anon()).await;
        let two = Client::connect(server, &anon()).await;
        let join_ref = one.join(TOPIC, json!({})).await;
        two.join(TOPIC, json!({})).await;
        Self { one, two, join_ref }
    }

    /// They still hear each other, promptly, and heard nothing else.
    async fn are_undisturbed(&self) {
        let began = Instant::now();
        self.one
            .broadcast(&self.join_ref, TOPIC, "still here", json!({}));
        self.two
            .until("a bystander's broadcast", |frame| {
                frame.event == "broadcast"
            })
            .await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "a bystander waited {took:?}");
        assert_eq!(self.one.socket.unread(), vec![]);
        assert_eq!(self.two.socket.unread(), vec![]);
    }
}

async fn scene() -> (Server, Bystanders, Client) {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::with(
        &database,
        &[
            ("TENANT_MAX_EVENTS_PER_SECOND", "1000000"),
            ("TENANT_MAX_JOINS_PER_SECOND", "100000"),
            ("TENANT_MAX_CONCURRENT_USERS", "100000"),
            ("CHANNEL_ERROR_BACKOFF_MS", "50"),
            ("CONNECT_ERROR_BACKOFF_MS", "50"),
        ],
    )
    .await;
    let bystanders = Bystanders::join(&server).await;
    let offender = Client::connect(&server, &anon()).await;
    (server, bystanders, offender)
}

fn no_panic(server: &mut Server) {
    assert!(server.alive());
    let log = server.log();
    assert!(!log.contains("panicked"), "the server panicked:\n{log}");
}

#[tokio::test]
async fn malformed_frames_are_dropped_and_the_socket_stays() {
    let (mut server, bystanders, offender) = scene().await;
    for text in [
        "",
        " ",
        "null",
        "0",
        "\"text\"",
        "[",
        "]",
        "{}",
        "[]",
        "[1,2,3]",
        "[null,null,null,null,null]",
        "[null,\"1\",\"realtime:x\",\"phx_join\"]",
        "[null,\"1\",\"realtime:x\",\"phx_join\",{},{}]",
        "[{},[],{},[],0]",
        "[null,\"1\",{\"a\":1},\"phx_join\",{}]",
        "{\"topic\":\"realtime:x\"}",
        "[null,\"1\",\"realtime:x\",\"\\ud800\",{}]",
        "[1e400,-1e400,\"realtime:x\",\"e\",{}]",
        "\u{0}",
        "\u{feff}[]",
    ] {
        offender.socket.text(text);
    }
    for bytes in [
        vec![],
        vec![0],
        vec![3],
        vec![3, 255, 255, 255, 255, 255, 255],
        vec![0, 255, 255, 255, 255],
        vec![4, 0, 0, 0, 0],
        vec![255; 64],
        (0..=255).collect(),
    ] {
        offender.socket.binary(bytes);
    }
    offender.heartbeat().await;
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}

#[tokio::test]
async fn wrong_utf8_is_dropped_and_the_socket_stays() {
    let (mut server, bystanders, offender) = scene().await;
    let join_ref = offender
        .join("realtime:utf8", json!({ "broadcast": { "self": true } }))
        .await;
    for bad in [
        &b"\xff\xfe"[..],
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        let mut frame = format!("[\"{join_ref}\",\"9\",\"realtime:utf8\",\"broadcast\",{{\"type\":\"broadcast\",\"event\":\"e\",\"payload\":{{\"x\":\"").into_bytes();
        frame.extend_from_slice(bad);
        frame.extend_from_slice(b"\"}}]");
        offender.socket.text_bytes(frame);
        offender.socket.text_bytes(bad.to_vec());
    }
    offender.heartbeat().await;
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}

#[tokio::test]
async fn an_oversized_frame_ends_its_own_socket_only() {
    let (mut server, bystanders, offender) = scene().await;
    offender.socket.text("x".repeat(5_000_001));
    let code = offender.closed().await;
    assert!(
        code == 1009 || code == 1006,
        "too big is 1009 (or a reset), not {code}"
    );
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}

#[tokio::test]
async fn deep_json_neither_recurses_nor_stalls() {
    let (mut server, bystanders, offender) = scene().await;
    let join_ref = offender.join("realtime:deep", json!({})).await;
    let depth = 200_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for deep in [&deep, &deep_object] {
        for text in [
            deep.clone(),
            format!("[null,\"7\",\"realtime:deeper\",\"phx_join\",{{\"config\":{deep}}}]"),
            format!(
                "[null,\"7\",\"realtime:deeper\",\"phx_join\",{{\"config\":{{\"presence\":{deep},\"postgres_changes\":{deep}}}}}]"
            ),
            format!(
                "[\"{join_ref}\",\"8\",\"realtime:deep\",\"broadcast\",{{\"type\":\"broadcast\",\"event\":\"e\",\"payload\":{deep}}}]"
            ),
            format!(
                "[\"{join_ref}\",\"9\",\"realtime:deep\",\"presence\",{{\"type\":\"presence\",\"event\":\"track\",\"payload\":{{\"x\":{deep}}}}}]"
            ),
            format!("[\"{join_ref}\",\"9\",\"realtime:deep\",\"access_token\",{deep}]"),
        ] {
            offender.socket.text(text);
        }
    }
    offender.heartbeat().await;
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}

#[tokio::test]
async fn huge_topic_names_are_answered_or_dropped() {
    let (mut server, bystanders, offender) = scene().await;
    for length in [255, 256, 65_536, 1_000_000] {
        let topic = format!("realtime:{}", "t".repeat(length));
        offender.push(Some("1"), &topic, "phx_join", &json!({ "config": {} }));
        offender.push(
            Some("1"),
            &topic,
            "broadcast",
            &json!({ "type": "broadcast", "event": "e".repeat(length), "payload": {} }),
        );
        offender.push(Some("1"), &topic, "phx_leave", &json!({}));
    }
    offender.push(
        None,
        &"x".repeat(1_000_000),
        &"y".repeat(1_000_000),
        &json!({}),
    );
    offender.heartbeat().await;
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}

#[tokio::test]
async fn unknown_events_change_nothing() {
    let (mut server, bystanders, offender) = scene().await;
    let join_ref = offender.join(TOPIC, json!({})).await;
    for event in [
        "",
        "nonsense",
        "phx_reply",
        "phx_close",
        "phx_error",
        "system",
        "presence_state",
        "presence_diff",
        "postgres_changes",
    ] {
        offender.push(
            Some(&join_ref),
            TOPIC,
            event,
            &json!({ "status": "ok", "response": {} }),
        );
        offender.push(None, "phoenix", event, &json!({}));
    }
    offender.heartbeat().await;
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}

#[tokio::test]
async fn a_flood_costs_the_flooder_and_nobody_else() {
    let (mut server, bystanders, offender) = scene().await;
    let before = server.resident();
    let topics = 50;
    for n in 0..20_000 {
        offender.push(None, "phoenix", "heartbeat", &json!({}));
        let topic = format!("realtime:flood{}", n % topics);
        if n % 10 == 0 {
            offender.push(
                Some("1"),
                &topic,
                "phx_join",
                &json!({ "config": { "presence": { "enabled": true } } }),
            );
        }
        offender.push(
            Some("1"),
            &topic,
            "presence",
            &json!({ "event": "track", "payload": { "n": n } }),
        );
    }
    bystanders.are_undisturbed().await;
    if let (Some(before), Some(after)) = (before, server.resident()) {
        let grown = after.saturating_sub(before) / (1 << 20);
        assert!(grown < 96, "one flooder cost {grown} MiB");
    }
    no_panic(&mut server);
}

#[tokio::test]
async fn half_open_and_abandoned_connections_hold_nobody_up() {
    let (mut server, bystanders, _offender) = scene().await;
    let mut kept = Vec::new();
    for n in 0..300 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port()))
            .await
            .expect("a connection");
        let start: &[u8] = match n % 4 {
            0 => b"",
            1 => b"GET /socket/websocket HTTP/1.1\r\nHost: x\r\n",
            2 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            _ => b"\r\n\r\n\r\n\0\0\0",
        };
        stream.write_all(start).await.ok();
        if n % 2 == 0 {
            kept.push(stream);
        }
    }
    let newcomer = Client::connect(&server, &anon()).await;
    newcomer.join("realtime:newcomer", json!({})).await;
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}

#[tokio::test]
async fn a_request_with_a_huge_head_is_refused() {
    let (mut server, bystanders, _offender) = scene().await;
    for (path, header) in [
        (format!("/{}", "p".repeat(9_000)), String::new()),
        ("/socket/websocket".to_owned(), "h".repeat(100_000)),
    ] {
        let request = crate::support::http::Request {
            method: "GET".into(),
            path,
            headers: vec![
                ("Host".into(), "localhost".into()),
                ("Connection".into(), "close".into()),
                ("X-Large".into(), header),
            ],
            body: None,
        };
        let answer = crate::support::http::exchange(("127.0.0.1", server.port()), &request).await;
        // A reset while we are still sending is a refusal as well.
        if let Ok(answer) = answer {
            assert!((400..500).contains(&answer.status), "{}", answer.status);
        }
    }
    bystanders.are_undisturbed().await;
    no_panic(&mut server);
}
