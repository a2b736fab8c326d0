//! How long it takes until everybody is back after a restart of the server.
//!
//! `cargo bench --bench reconnect [-- <clients>]`: that many clients (2,000) with a claim of their own each sit on a private
//! channel that a policy over a membership table opens to them; the server is stopped and started again; each client
//! reconnects at a random moment of the first second in which the server listens, and joins. Prints when the last one was
//! joined, and how many round trips to the database the rights took. Fails when somebody is left out.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;
use support::cluster::Cluster;
use support::server::Server;
use support::token;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const ROOMS: usize = 100;

/// One client, as small as it can be: a socket that sends its join and waits for the reply.
async fn join(port: u16, number: usize, token: &str) -> (TcpStream, Instant) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .expect("connects");
    let request = format!(
        "GET /socket/websocket?vsn=2.0.0&apikey={token} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the request");
    let mut seen = Vec::new();
    until(&mut stream, &mut seen, b"\r\n\r\n").await;
    assert!(
        seen.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&seen)
    );
    let topic = format!("realtime:room-{}", number % ROOMS);
    let frame = json!(["1", "1", topic, "phx_join", { "config": { "private": true } }]).to_string();
    let mut bytes = vec![0x81];
    match frame.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(frame.as_bytes());
    stream.write_all(&bytes).await.expect("the join");
    seen.clear();
    until(&mut stream, &mut seen, b"phx_reply").await;
    let joined = Instant::now();
    let reply = String::from_utf8_lossy(&seen);
    assert!(reply.contains(r#""status":"ok""#), "{reply}");
    (stream, joined)
}

async fn until(stream: &mut TcpStream, seen: &mut Vec<u8>, end: &[u8]) {
    let mut buffer = [0; 1024];
    while !seen.windows(end.len()).any(|window| window == end) {
        let read = stream.read(&mut buffer).await.expect("reads");
        assert!(read > 0, "the socket was closed");
        seen.extend(buffer.get(..read).unwrap());
    }
}

/// All of them within a second from now; when the last one was joined.
async fn everybody(port: u16, tokens: &[String]) -> (Vec<TcpStream>, Duration) {
    let began = Instant::now();
    let mut joins = JoinSet::new();
    for (number, token) in tokens.iter().enumerate() {
        let token = token.clone();
        let wait = Duration::from_micros(1_000_000 * number as u64 / tokens.len() as u64);
        joins.spawn(async move {
            tokio::time::sleep(wait).await;
            join(port, number, &token).await
        });
    }
    let joined = joins.join_all().await;
    let last = joined.iter().map(|(_, at)| *at).max().unwrap();
    let sockets = joined.into_iter().map(|(socket, _)| socket).collect();
    (sockets, last - began)
}

async fn counter(server: &Server, name: &str) -> f64 {
    let mut request = support::http::Request::get("localhost", "/metrics");
    request.headers.push((
        "authorization".into(),
        format!("Bearer {}", token::service()),
    ));
    let answer = support::http::exchange(("127.0.0.1", server.port()), &request)
        .await
        .expect("metrics");
    let text = answer.text();
    text.lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::main]
async fn main() {
    let clients = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(2000);
    let cluster = Cluster::shared().await;
    let database = cluster.prepared().await;
    database
        .connect()
        .await
        .batch_execute(
            "create table public.room_members (user_id uuid, room_topic text, primary key (user_id, room_topic));
             grant select on public.room_members to authenticated;
             create policy members on realtime.messages for select to authenticated using (exists (
               select 1 from public.room_members m
               where m.user_id = (select auth.uid()) and m.room_topic = (select realtime.topic())));",
        )
        .await
        .expect("the policy");
    let sub = |number: usize| format!("00000000-0000-4000-8000-{number:012}");
    database
        .connect()
        .await
        .batch_execute(&format!(
            "insert into public.room_members select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'room-' || (n % {ROOMS})
             from generate_series(0, {clients}) n; analyze public.room_members"
        ))
        .await
        .expect("the members");
    let tokens: Vec<String> = (0..clients)
        .map(|number| token::user(&sub(number)))
        .collect();
    let mut server = Server::with(
        &database,
        &[
            ("METRICS_JWT_SECRET", token::SECRET),
            ("RUST_LOG", "warn"),
            ("MAX_CONNECTIONS", "100000"),
        ],
    )
    .await;
    let (sockets, first) = everybody(server.port(), &tokens).await;
    println!(
        "{clients} clients on private channels, joined {:.2} s after the first connect",
        first.as_secs_f64()
    );
    for round in 1..=3 {
        let stopped = Instant::now();
        server.end(rustix::process::Signal::TERM).await;
        server.spawn();
        // Clients come back as soon as the port is open; nobody waits for the stream or for the database.
        while TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let away = stopped.elapsed();
        let (again, last) = everybody(server.port(), &tokens).await;
        let questions = counter(&server, "dovetail_access_questions_total").await;
        let trips = counter(&server, "dovetail_access_round_trips_total").await;
        println!(
            "restart {round}: away {:.2} s; {} joined, the last {:.2} s after the port was open; {questions} questions in {trips} round trips",
            away.as_secs_f64(),
            again.len(),
            last.as_secs_f64(),
        );
        drop(again);
    }
    drop(sockets);
    server.end(rustix::process::Signal::TERM).await;
}
