//! `rest`: broadcasts over HTTP, one message a request.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::Run;
use super::fanout::bench;
use super::join::Plan;
use super::mark::{Mark, now};
use super::outcome::{Outcome, Target};
use super::server::anon;

/// Connections, each with one request under way.
const CONNECTIONS: usize = 16;
const PAYLOAD: usize = 200;

pub fn rest(run: &Run, out: &mut Outcome) {
    let server = run.server();
    let token = anon();
    let mut bench = bench(&server, &[Plan::public(&token, "realtime:rest")], [vec![0]]);
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let stream =
                TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            stream
        })
        .collect();
    let mut sent = 0;
    let mut refused = Vec::new();
    let mut took = None;
    let mut latency =
        hdrhistogram::Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("valid bounds");
    for seconds in [0.5, run.seconds(6.0)] {
        latency.reset();
        took = Some(bench.measured(|bench| {
            let end = now() + (seconds * 1e6) as u64;
            while now() < end {
                let began = now();
                for stream in &mut streams {
                    let mark = Mark {
                        due: now(),
                        class: 0,
                        number: sent,
                    };
                    stream
                        .write_all(request(&token, mark).as_bytes())
                        .expect("a request");
                    sent += 1;
                }
                for stream in &mut streams {
                    let answer = answer(stream);
                    if !answer.starts_with("HTTP/1.1 202") {
                        refused.push(answer);
                    }
                    latency.saturating_record(now() - began);
                }
                bench.receive_until(now() + 1);
            }
            sent
        }));
    }
    let took = took.expect("it ran");
    out.row(
        "POST api/broadcast, one message a request, kept connections",
        Target::AtLeast(12_000.0),
        took.per_cpu(),
        "requests/CPU-s",
    );
    out.figure("requests a second over 16 connections", took.per_second());
    out.figure(
        "p50 of a request, ms",
        latency.value_at_quantile(0.5) as f64 / 1000.0,
    );
    let mut verdict = bench.check.verdict(|_| sent);
    verdict.trouble.append(&mut bench.trouble);
    refused.truncate(3);
    verdict.trouble.append(&mut refused);
    out.judge(&verdict);
}

fn request(token: &str, mark: Mark) -> String {
    let body = format!(
        r#"{{"messages":[{{"topic":"rest","event":"bench","payload":{}}}]}}"#,
        mark.json(PAYLOAD)
    );
    format!(
        "POST /realtime/v1/api/broadcast HTTP/1.1\r\nhost: localhost\r\napikey: {token}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The head of an answer that has no body.
fn answer(stream: &mut TcpStream) -> String {
    let mut seen = Vec::with_capacity(512);
    let mut buffer = [0; 1024];
    while memchr::memmem::find(&seen, b"\r\n\r\n").is_none() {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the server closed a kept connection");
        seen.extend(&buffer[..read]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}
