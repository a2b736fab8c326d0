//! The messaging system at the size of a year: a million messages in ten thousand conversations.
//!
//! `cargo bench --bench chat` makes that world (minutes), then lets twenty users call each function over HTTP, as supabase-js does: one
//! after the other without a pause, and with pauses of 0 to 100 ms, which are twenty people who hurry. Times are those of the caller.
//! `cargo bench --bench chat -- 100000 5` makes a smaller world and measures five seconds each.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dovetail::postgres::migrate::{Set, migrate};
use serde_json::{Value, json};
use support::surface::Surface;
use support::token;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const USERS: usize = 20;
const CONVERSATIONS: usize = 10_000;
/// Between two calls of one user in the second row of each function, on average: people do not all ask at one beat.
const PAUSE: Duration = Duration::from_millis(50);

/// A user of the world and what they may ask for.
struct Person {
    bearer: String,
    conversations: Vec<String>,
}

/// One connection that is kept.
struct Http {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Http {
    async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            seen: Vec::new(),
        }
    }

    /// Calls a function; gives the size of the answer.
    async fn rpc(&mut self, person: &Person, name: &str, arguments: &Value) -> usize {
        let body = arguments.to_string();
        let request = format!(
            "POST /rest/v1/rpc/{name} HTTP/1.1\r\nhost: localhost\r\napikey: {0}\r\nauthorization: Bearer {0}\r\n\
             content-type: application/json\r\ncontent-length: {1}\r\n\r\n{body}",
            person.bearer,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.seen.clear();
        loop {
            assert!(
                self.stream.read_buf(&mut self.seen).await.unwrap() > 0,
                "closed"
            );
            let Some(end) = self.seen.windows(4).position(|part| part == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.seen[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if self.seen.len() >= end + 4 + length {
                let whole = String::from_utf8_lossy(&self.seen);
                assert!(head.starts_with("http/1.1 20"), "{name} {body}: {whole}");
                return length;
            }
        }
    }
}

/// What one call is made of, by its number.
type Call = fn(&Person, u64) -> (&'static str, Value);

fn of(person: &Person, number: u64) -> &str {
    let count = person.conversations.len() as u64;
    &person.conversations[(number * 7 % count) as usize]
}

/// Words of every kind: common, rare, beginnings, parts, and such that nobody said.
const WORDS: [&str; 6] = ["abc", "4c", "e1 7", "0f3a", "fff0e", "zzzz"];

const CALLS: [(&str, Call); 7] = [
    ("get_conversations", |_, _| ("get_conversations", json!({}))),
    ("get_messages", |person, n| {
        (
            "get_messages",
            json!({"conversation_id": of(person, n), "page_size": 50}),
        )
    }),
    ("get_unread_count", |_, _| ("get_unread_count", json!({}))),
    ("mark_as_read", |person, n| {
        ("mark_as_read", json!({"conversation_id": of(person, n)}))
    }),
    ("send_message", |person, n| {
        (
            "send_message",
            json!({"conversation_id": of(person, n), "content": format!("Message {n}, of the length that messages have"),
                   "client_id": uuid::Uuid::new_v4().to_string()}),
        )
    }),
    ("search_messages", |_, n| {
        ("search_messages", json!({"query": WORDS[(n % 6) as usize]}))
    }),
    ("all of these but search", |person, n| {
        CALLS[(n % 5) as usize].1(person, n)
    }),
];

async fn measure(
    port: u16,
    people: &[Arc<Person>],
    call: Call,
    pause: Option<Duration>,
    seconds: u64,
) {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    for (place, person) in people.iter().enumerate() {
        let person = Arc::clone(person);
        tasks.spawn(async move {
            let mut http = Http::open(port).await;
            let mut times = Vec::new();
            let mut number = place as u64 * 1000;
            let mut bytes = 0;
            while Instant::now() < end {
                let (name, arguments) = call(&person, number);
                let from = Instant::now();
                bytes += http.rpc(&person, name, &arguments).await;
                times.push(from.elapsed());
                number += 1;
                if let Some(pause) = pause {
                    let share = f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
                    tokio::time::sleep(pause.mul_f64(2.0 * share)).await;
                }
            }
            (times, bytes)
        });
    }
    let done = tasks.join_all().await;
    let seconds = began.elapsed().as_secs_f64();
    let bytes: usize = done.iter().map(|(_, bytes)| bytes).sum();
    let mut times: Vec<Duration> = done.into_iter().flat_map(|(times, _)| times).collect();
    times.sort();
    let at =
        |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!(
        "    {:14} {:6.0}/s   p50 {:6.2} ms   p95 {:6.2} ms   p99 {:6.2} ms   {:6} bytes",
        match pause {
            Some(pause) => format!("pause {} ms", pause.as_millis()),
            None => "no pause".to_owned(),
        },
        times.len() as f64 / seconds,
        at(50),
        at(95),
        at(99),
        bytes / times.len()
    );
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let messages: u64 = numbers.next().unwrap_or(1_000_000);
    let seconds: u64 = numbers.next().unwrap_or(8);
    let surface = Surface::with(&[("RUST_LOG", "off"), ("SURFACE_CONNECTIONS", "20")]).await;
    let sql = surface.database.connect().await;
    migrate(&sql, Set::Chat).await.unwrap();
    let began = Instant::now();
    let world = include_str!("chat/generate.sql")
        .replace(":messages", &messages.to_string())
        .replace(":conversations", &CONVERSATIONS.to_string());
    // Vacuum does not run among others.
    for part in world.split("vacuum analyze;") {
        sql.batch_execute(part).await.unwrap();
    }
    sql.batch_execute("vacuum analyze").await.unwrap();
    println!(
        "{messages} messages in {CONVERSATIONS} conversations, made in {:.0?}",
        began.elapsed()
    );
    let mut people = Vec::new();
    for number in 0..USERS {
        let rows = sql
            .query(
                "select p.conversation_id::text, p.user_id::text from public.conversation_participants p \
                 where p.user_id = md5('user ' || ($1::int4 * 97))::uuid order by 1",
                &[&(number as i32)],
            )
            .await
            .unwrap();
        let user: String = rows.first().expect("conversations").get(1);
        people.push(Arc::new(Person {
            bearer: token::user(&user),
            conversations: rows.iter().map(|row| row.get(0)).collect(),
        }));
    }
    rls(&sql).await;
    let port = surface.server.port();
    for (name, call) in CALLS {
        println!("{name}");
        // Once for plans and caches.
        measure_quietly(port, &people, call).await;
        for pause in [None, Some(PAUSE)] {
            measure(port, &people, call, pause, seconds).await;
        }
    }
    rls(&sql).await;
}

async fn measure_quietly(port: u16, people: &[Arc<Person>], call: Call) {
    let mut http = Http::open(port).await;
    for (number, person) in people.iter().enumerate() {
        let (name, arguments) = call(person, number as u64);
        http.rpc(person, name, &arguments).await;
    }
}

/// Listing a thousand messages as a participant, beside the same without row level security. Before and after the load: that
/// leaves rows behind which nobody has cleaned up yet.
async fn rls(sql: &tokio_postgres::Client) {
    let row = sql
        .query_one(
            "select p.conversation_id::text, p.user_id::text from public.conversation_participants p \
             where p.conversation_id = (select conversation_id from public.messages group by 1 order by count(*) desc limit 1) limit 1",
            &[],
        )
        .await
        .unwrap();
    let (conversation, user): (String, String) = (row.get(0), row.get(1));
    sql.batch_execute(&format!(
        "insert into public.messages (conversation_id, sender_id, content) \
         select '{conversation}', '{user}', 'filling up ' || n from generate_series(1, 1000) n; analyze public.messages"
    ))
    .await
    .unwrap();
    let list = format!(
        "select id, sender_id, content, created_at from public.messages where conversation_id = '{conversation}' order by created_at desc limit 1000"
    );
    let mut best = [f64::MAX; 2];
    let mut plans = [Vec::new(), Vec::new()];
    for turn in 0..40 {
        let begin = match turn % 2 {
            0 => "begin".to_owned(),
            _ => format!(
                "begin; set local role authenticated; set local request.jwt.claims = '{{\"role\":\"authenticated\",\"sub\":\"{user}\"}}'"
            ),
        };
        sql.batch_execute(&begin).await.unwrap();
        let from = Instant::now();
        let rows = sql.query(&list, &[]).await.unwrap();
        let time = from.elapsed().as_secs_f64() * 1e3;
        assert_eq!(rows.len(), 1000);
        sql.batch_execute("commit").await.unwrap();
        best[turn % 2] = best[turn % 2].min(time);
        sql.batch_execute(&begin).await.unwrap();
        let explain = format!("explain (analyze) {list}");
        let plan = sql.query(&explain, &[]).await.unwrap();
        plans[turn % 2] = plan.iter().map(|row| row.get(0)).collect();
        sql.batch_execute("commit").await.unwrap();
    }
    for plan in plans {
        let plan: Vec<String> = plan;
        println!("{}", plan.join("\n"));
    }
    println!(
        "1,000 messages listed: {:.2} ms, under row level security {:.2} ms, ratio {:.2} (best of 20 each)",
        best[0],
        best[1],
        best[1] / best[0]
    );
}
