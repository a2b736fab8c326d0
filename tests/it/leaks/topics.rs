//! Private topics: policies over seats, who may do what by probe rows of our own, and what a socket heard.

use std::time::Instant;

use serde_json::{Value, json};
use tokio_postgres::Client as Sql;

use super::users::{User, ask_as};
use crate::support::phoenix::{Client, Frame};
use crate::support::socket::Item;

/// Sub-topics.
pub const TOPICS: [&str; 6] = [
    "lobby",
    "audit:1",
    "room:a",
    "room:b",
    "sealed",
    "it's \"x\" ä\\",
];

/// Users have seats in topics; guests have the lobby, auditors read broadcasts, nobody reads what is sealed.
pub const POLICIES: &str = "
    create table seats (uid uuid, topic text, reads bool, sees bool, writes bool, tracks bool);
    grant select on seats to anon, authenticated, service_role, auditor;
    create policy seats_read on realtime.messages for select to authenticated using (
      exists (select from public.seats s where s.uid = auth.uid() and s.topic = realtime.topic()
              and case extension when 'broadcast' then s.reads else s.sees end));
    create policy seats_write on realtime.messages for insert to authenticated with check (
      exists (select from public.seats s where s.uid = (select auth.uid()) and s.topic = (select realtime.topic())
              and case extension when 'broadcast' then s.writes else s.tracks end));
    create policy lobby_read on realtime.messages for select to anon using (topic = 'lobby');
    create policy lobby_write on realtime.messages for insert to anon
      with check (realtime.topic() = 'lobby' and extension = 'presence');
    create policy audit on realtime.messages for select to auditor
      using (topic like 'audit:%' and extension = 'broadcast');
    create policy audit_write on realtime.messages for insert to auditor with check (true);
    create policy sealed on realtime.messages as restrictive for all to public
      using (topic <> 'sealed') with check (topic <> 'sealed');";

/// What SQL says somebody may do with a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    pub reads: bool,
    pub sees: bool,
    pub writes: bool,
    pub tracks: bool,
}

/// Tries it with rows of `realtime.messages` that are rolled back.
pub async fn rights(sql: &Sql, user: &User, topic: &str) -> Rights {
    sql.batch_execute("begin").await.unwrap();
    for extension in ["broadcast", "presence"] {
        sql.execute(
            "insert into realtime.messages (id, topic, extension) values
             (md5('leak test ' || $2::text)::uuid, $1, $2)",
            &[&topic, &extension],
        )
        .await
        .unwrap();
    }
    let query = "select string_agg(extension, ' ') from realtime.messages
        where id in (md5('leak test broadcast')::uuid, md5('leak test presence')::uuid)";
    let readable = ask_as(sql, user, topic, query).await.unwrap_or_default();
    let mut writable = Vec::new();
    for extension in ["broadcast", "presence"] {
        let literal = topic.replace('\'', "''");
        let probe = format!(
            "insert into realtime.messages (topic, extension) values ('{literal}', '{extension}'); select 'yes'"
        );
        writable.push(ask_as(sql, user, topic, &probe).await.is_some());
    }
    sql.batch_execute("rollback").await.unwrap();
    Rights {
        reads: readable.contains("broadcast"),
        sees: readable.contains("presence"),
        writes: writable[0],
        tracks: writable[1],
    }
}

/// Waits until the server has made the partition of `realtime.messages` for today.
pub async fn partitions(sql: &Sql) {
    crate::support::eventually("a partition for today", || async {
        let probe =
            "begin; insert into realtime.messages (topic, extension) values ('t', 'broadcast')";
        let made = sql.batch_execute(probe).await.is_ok();
        sql.batch_execute("rollback").await.unwrap();
        made.then_some(())
    })
    .await;
}

/// One thing that came on a topic, in words that two books can be compared by.
pub type Heard = (String, String);

/// Everything that has come, once the server has answered what was sent before. Replies are left out.
pub async fn drain(client: &Client) -> Vec<Heard> {
    client.heartbeat().await;
    taken(client)
}

/// Everything that has come so far.
pub fn taken(client: &Client) -> Vec<Heard> {
    let items = client.socket.take(usize::MAX);
    items.iter().filter_map(|(_, item)| words(item)).collect()
}

/// Reads on until `last` was heard; everything up to it.
pub async fn heard_until(client: &Client, last: &Heard) -> Vec<Heard> {
    let mut heard = Vec::new();
    let deadline = Instant::now() + crate::support::PATIENCE;
    loop {
        while let Some((_, item)) = client.socket.take(1).pop() {
            let Some(words) = words(&item) else { continue };
            if words == *last {
                return heard;
            }
            heard.push(words);
        }
        assert!(
            client.socket.holds(1, deadline).await,
            "{last:?} did not come after {heard:?}"
        );
    }
}

fn words(item: &Item) -> Option<Heard> {
    match item {
        Item::Text(text) => {
            let frame = Frame::parse(text).unwrap();
            let topic = frame
                .topic
                .strip_prefix("realtime:")
                .unwrap_or(&frame.topic);
            Some((topic.to_owned(), frame_words(&frame)?))
        }
        Item::Binary(bytes) => Some(binary_words(bytes)),
        Item::Pong(_) => None,
        Item::Close { code, .. } => Some((String::new(), format!("closed {code}"))),
    }
}

fn frame_words(frame: &Frame) -> Option<String> {
    let payload = &frame.payload;
    Some(match frame.event.as_str() {
        "phx_reply" => return None,
        "broadcast" => {
            let replayed = if payload["meta"]["replayed"] == true {
                "replayed "
            } else {
                ""
            };
            format!("{replayed}{}", payload["payload"]["n"])
        }
        "presence_state" => format!("state {}", entries(payload)),
        "presence_diff" => format!(
            "joins {} leaves {}",
            entries(&payload["joins"]),
            entries(&payload["leaves"])
        ),
        "system" => format!("system {}", payload["message"].as_str().unwrap()),
        other => other.to_owned(),
    })
}

/// `ann=3,bob=5`
fn entries(map: &Value) -> String {
    let mut entries: Vec<String> = map
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(key, value)| {
            let metas = value["metas"].as_array().unwrap();
            metas.iter().map(move |meta| format!("{key}={}", meta["n"]))
        })
        .collect();
    entries.sort();
    entries.join(",")
}

fn binary_words(bytes: &[u8]) -> Heard {
    assert_eq!(bytes[0], 4, "a user broadcast: {bytes:?}");
    let [topic, event, meta] = [bytes[1], bytes[2], bytes[3]].map(usize::from);
    let text = std::str::from_utf8(&bytes[5..]).unwrap();
    let (name, rest) = text.split_at(topic);
    let (_, rest) = rest.split_at(event);
    let (meta, payload) = rest.split_at(meta);
    let payload: Value = serde_json::from_str(payload).unwrap();
    if !meta.is_empty() {
        let meta: Value = serde_json::from_str(meta).unwrap();
        assert_eq!(meta, json!({ "id": payload["id"] }), "the id of the row");
    }
    let name = name.strip_prefix("realtime:").unwrap();
    (name.to_owned(), payload["n"].to_string())
}
