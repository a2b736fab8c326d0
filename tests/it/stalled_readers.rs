//! Two thousand clients that stopped reading, and what they cost: a bounded amount of memory, and nobody else's messages.
//!
//! A message to a topic is one frame that every outbox refers to, so what a reader that hangs would pile up is not copies of
//! messages but references to frames, and the frames themselves once. [`MESSAGES`] is chosen so that these references alone
//! would be several times what the outboxes' limits let them be.

use std::ops::Range;
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::cluster::Cluster;
use crate::support::http::{self, Request};
use crate::support::phoenix::{Client, Frame};
use crate::support::server::Server;
use crate::support::socket::Item;
use crate::support::{PATIENCE, eventually, token};

const CROWDED: &str = "realtime:crowded";
const QUIET: &str = "realtime:quiet";

const STALLED: usize = 2000;
const HEALTHY: usize = 50;
const ELSEWHERE: usize = 5;

/// `OUTBOX_MAX_BYTES` and `OUTBOX_MAX_FRAMES` of the server: small, so that a reader that hangs is soon over them.
const OUTBOX_BYTES: usize = 128 << 10;
const OUTBOX_FRAMES: usize = 64;

/// Messages that are under way at once; readers that read must stay far below the limits.
const WINDOW: usize = 20;
const WINDOWS: usize = 200;
const MESSAGES: usize = WINDOW * WINDOWS;
/// Bytes of filling in a message: all messages together are more than the kernel keeps for a socket.
const FILLING: usize = 1500;

/// What one frame costs each outbox that it waits in.
const REFERENCE: usize = size_of::<Bytes>();
/// A list has room for up to twice what is in it.
const GROWTH: usize = 2;
/// An outbox is full while its writer still holds what it took from it last.
const HELD: usize = 2;
/// References of all stalled readers within the limits, frames they refer to (shared by all), and what the allocator and
/// the ends of two thousand connections need.
const ALLOWED: usize =
    STALLED * HELD * OUTBOX_FRAMES * REFERENCE * GROWTH + HELD * OUTBOX_BYTES + SLACK;
const SLACK: usize = 32 << 20;
/// What stalled readers would hold without limits.
const UNBOUNDED: usize = MESSAGES * (STALLED * REFERENCE + FILLING);
const _: () = assert!(UNBOUNDED > 4 * ALLOWED);

/// Smallest receive buffer: the kernel must not read on behalf of who does not.
const RECEIVE_BUFFER: u32 = 4096;
/// Handshakes at a time.
const AT_ONCE: usize = 64;

/// As many open files as both ends of all sockets need, or as many as there may be.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(2 * STALLED).unwrap();
    if limit.current.is_some_and(|current| current < wanted) {
        let current = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
        let raised = Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).expect("more open files");
    }
}

/// A connection that joined the crowded topic and will never be read from again.
async fn stalled(server: &Server, token: &str) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
    let mut stream = socket
        .connect(([127, 0, 0, 1], server.port()).into())
        .await
        .unwrap();
    let upgrade = [
        ("Host", "127.0.0.1"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "ZG92ZXRhaWwgdGVzdHMhIQ=="),
    ];
    let request = Request {
        method: "GET".into(),
        path: server.target(token).path,
        headers: upgrade
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        body: None,
    };
    let (response, rest) = http::begin(&mut stream, &request).await.unwrap();
    assert_eq!(response.status, 101);
    let config = WebSocketConfig::default().read_buffer_size(1024);
    let mut socket =
        WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config)).await;
    let join = json!(["1", "1", CROWDED, "phx_join", { "config": {} }]);
    socket.send(Message::text(join.to_string())).await.unwrap();
    let reply = loop {
        let message = socket.next().await.expect("a reply").unwrap();
        let frame = Frame::parse(message.to_text().unwrap()).unwrap();
        if frame.replies_to("1") {
            break frame;
        }
    };
    assert_eq!(reply.payload["status"], "ok", "{reply:?}");
    socket
}

/// Clients that joined a topic and read everything.
async fn readers(server: &Server, token: &str, topic: &str, count: usize) -> Vec<Client> {
    join_all((0..count).map(|_| async {
        let client = Client::connect(server, token).await;
        client.join(topic, json!({})).await;
        // What belongs to the join is not counted as a message.
        client.heartbeat().await;
        client.socket.take(usize::MAX);
        client
    }))
    .await
}

/// The next messages of a reader are exactly these numbers, and they are of its topic.
async fn receives(reader: &Client, topic: &str, numbers: Range<usize>) {
    let deadline = Instant::now() + PATIENCE;
    let count = numbers.len();
    let came = reader.socket.holds(count, deadline).await;
    let items = reader.socket.take(count);
    let seen: Vec<Value> = items
        .iter()
        .map(|(_, item)| match item {
            Item::Text(text) => {
                let frame = Frame::parse(text).unwrap();
                assert_eq!((&*frame.topic, &*frame.event), (topic, "broadcast"));
                frame.payload["payload"]["n"].clone()
            }
            other => panic!("{other:?} after {numbers:?} began"),
        })
        .collect();
    let expected: Vec<Value> = numbers.map(Value::from).collect();
    assert_eq!(seen, expected, "all in time: {came}");
}

/// The sum of a metric over its labels.
async fn metric(server: &Server, name: &str) -> f64 {
    let mut request = Request::get("localhost", "/metrics");
    let authorization = format!("Bearer {}", token::service());
    request
        .headers
        .push(("Authorization".into(), authorization));
    let answer = http::exchange(("127.0.0.1", server.port()), &request)
        .await
        .unwrap();
    let text = answer.text();
    let samples = text.lines().filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let of = key.split('{').next() == Some(name);
        of.then(|| value.parse::<f64>().unwrap())
    });
    samples.sum()
}

#[tokio::test]
async fn readers_that_hang_cost_bounded_memory_and_nobody_elses_messages() {
    raise_open_files();
    let database = Cluster::shared().await.prepared().await;
    let settings = [
        ("OUTBOX_MAX_BYTES", &*OUTBOX_BYTES.to_string()),
        ("OUTBOX_MAX_FRAMES", &*OUTBOX_FRAMES.to_string()),
        ("METRICS_JWT_SECRET", token::SECRET),
    ];
    let server = Server::with(&database, &settings).await;
    let anon = token::anon();
    let healthy = readers(&server, &anon, CROWDED, HEALTHY).await;
    let elsewhere = readers(&server, &anon, QUIET, ELSEWHERE).await;
    let sender = Client::connect(&server, &anon).await;
    let crowded = sender.join(CROWDED, json!({})).await;
    let quiet = sender.join(QUIET, json!({})).await;
    let hanging: Vec<_> = stream::iter(0..STALLED)
        .map(|_| stalled(&server, &anon))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let readers_and_sender = (HEALTHY + ELSEWHERE + 1) as f64;
    let everybody = readers_and_sender + STALLED as f64;
    assert_eq!(metric(&server, "dovetail_sockets").await, everybody);
    let at_rest = server.resident();

    let filling = "x".repeat(FILLING);
    for window in 0..WINDOWS {
        let numbers = window * WINDOW..(window + 1) * WINDOW;
        for n in numbers.clone() {
            let payload = json!({ "n": n, "filling": filling });
            sender.broadcast(&crowded, CROWDED, "message", payload);
        }
        sender.broadcast(&quiet, QUIET, "message", json!({ "n": window }));
        let all = healthy
            .iter()
            .map(|reader| receives(reader, CROWDED, numbers.clone()));
        join_all(all).await;
        let others = elsewhere
            .iter()
            .map(|reader| receives(reader, QUIET, window..window + 1));
        join_all(others).await;
    }

    // Only Linux tells of the most that a process ever held.
    if let (Some(at_rest), Some(peak)) = (at_rest, server.peak_resident()) {
        let grown = peak.saturating_sub(at_rest);
        println!("{STALLED} stalled readers: {grown} bytes more than {at_rest} at rest");
        assert!(
            grown <= ALLOWED as u64,
            "{grown} bytes more than at rest ({at_rest}); {ALLOWED} are allowed"
        );
    }
    eventually("everybody who hangs is found out", || async {
        let slow = metric(&server, "dovetail_slow_consumers_total").await;
        (slow == STALLED as f64).then_some(())
    })
    .await;
    eventually("their connections are closed", || async {
        let sockets = metric(&server, "dovetail_sockets").await;
        (sockets == readers_and_sender).then_some(())
    })
    .await;

    // Who reads is still there, and who comes is welcome.
    let late = readers(&server, &anon, CROWDED, 1).await;
    sender.broadcast(&crowded, CROWDED, "message", json!({ "n": MESSAGES }));
    for reader in healthy.iter().chain(&late) {
        receives(reader, CROWDED, MESSAGES..MESSAGES + 1).await;
        assert_eq!(reader.socket.unread(), []);
    }
    drop(hanging);
}
