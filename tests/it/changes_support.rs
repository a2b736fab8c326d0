//! Postgres Changes driven directly: a private database, the real stream, channels whose frames are read in memory.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dovetail::auth::Claims;
use dovetail::changes::{Changes, Entry, Refused, Settings, Subscription};
use dovetail::hub::{Limits, Member, Outbox};
use dovetail::postgres::embedded::Embedded;
use dovetail::postgres::migrate::{Set, migrate};
use dovetail::protocol::Version;
use dovetail::protocol::encode::Status;
use dovetail::{postgres, replication};
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database with its stream and Postgres Changes.
pub struct World {
    pub changes: Arc<Changes>,
    pub sql: Client,
    server: Embedded,
    _stop: tokio_util::sync::DropGuard,
}

/// A channel that keeps what it is sent.
pub struct Channel {
    pub outbox: Arc<Outbox>,
    pub member: Arc<Member>,
    pub subscription: Option<Subscription>,
    waiting: std::collections::VecDeque<Bytes>,
    /// Leave out `system` messages when changes are read.
    pub skip_warnings: bool,
}

/// The schema most tests use: a table that only owners see, and helpers.
pub const BASE: &str = "
    create role nobody;
    grant usage on schema public to anon, authenticated, service_role;
    alter default privileges in schema public grant select on tables to anon, authenticated, service_role;";

impl World {
    pub async fn new(setup: &str) -> Self {
        Self::with(setup, Settings::default(), true).await
    }

    /// `announced`: with the event triggers that announce DDL in the stream.
    pub async fn with(setup: &str, settings: Settings, announced: bool) -> Self {
        let server = Embedded::start_ephemeral().await.unwrap();
        let options = server.connect_options();
        let sql = postgres::connect(&options, "realtime_test").await.unwrap();
        migrate(&sql, Set::Supabase).await.unwrap();
        migrate(&sql, Set::Realtime).await.unwrap();
        if !announced {
            sql.batch_execute("drop event trigger dovetail_ddl; drop event trigger dovetail_drop")
                .await
                .unwrap();
        }
        sql.batch_execute(
            "drop publication if exists supabase_realtime; create publication supabase_realtime for all tables",
        )
        .await
        .unwrap();
        // Otherwise a commit is sent when the log is written next, 200 ms later.
        sql.batch_execute("set synchronous_commit = on")
            .await
            .unwrap();
        sql.batch_execute(BASE).await.unwrap();
        sql.batch_execute(setup).await.unwrap();
        let stop = CancellationToken::new();
        let (feed, watch) = replication::start(
            replication::Settings::new(
                "test",
                options.clone(),
                "supabase_realtime",
                "realtime_test_slot",
            ),
            &stop,
        );
        let changes = Changes::start(settings, options, feed, watch, std::sync::Arc::new(()));
        Self {
            changes,
            sql,
            server,
            _stop: stop.drop_guard(),
        }
    }

    /// Another session.
    pub async fn session(&self) -> Client {
        postgres::connect(&self.options(), "another_session")
            .await
            .unwrap()
    }

    /// How to reach the database.
    pub fn options(&self) -> postgres::ConnectOptions {
        self.server.connect_options()
    }

    pub async fn run(&self, sql: &str) {
        self.sql
            .batch_execute(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Joins a channel with one entry.
    pub async fn join(&self, claims: &Arc<Claims>, entry: Value) -> Channel {
        self.join_all(claims, &[entry]).await.unwrap()
    }

    pub async fn join_all(
        &self,
        claims: &Arc<Claims>,
        entries: &[Value],
    ) -> Result<Channel, Refused> {
        let prepared = self
            .changes
            .prepare(self::entries(entries), claims.clone())
            .await?;
        let outbox = Arc::new(Outbox::new(Limits {
            bytes: 1 << 30,
            frames: 1 << 24,
        }));
        let member = Arc::new(Member::new(
            "realtime:room".into(),
            Version::V2,
            "\"1\"",
            outbox.clone(),
        ));
        let subscription = self.changes.attach(prepared, member.clone(), None, || {
            member.system("postgres_changes", Status::Ok, "Subscribed to PostgreSQL");
        });
        let mut channel = Channel {
            outbox,
            member,
            subscription: Some(subscription),
            waiting: std::collections::VecDeque::new(),
            skip_warnings: false,
        };
        let first = channel.frame().await;
        assert_eq!(first[4]["message"], "Subscribed to PostgreSQL");
        Ok(channel)
    }

    pub async fn refusal(&self, claims: &Arc<Claims>, entry: Value) -> String {
        match self.join_all(claims, &[entry]).await {
            Ok(_) => panic!("was accepted"),
            Err(refused) => refused.message,
        }
    }
}

/// Entries with ids 1, 2, ….
pub fn entries(entries: &[Value]) -> Vec<Entry> {
    (1..)
        .zip(entries)
        .map(|(id, entry)| Entry {
            id,
            params: entry.as_object().unwrap().clone(),
            legacy: false,
        })
        .collect()
}

/// Claims of a role, with a user if not empty.
pub fn claims(role: &str, sub: &str) -> Arc<Claims> {
    let json = if sub.is_empty() {
        json!({"role": role, "exp": 4_000_000_000_u64})
    } else {
        json!({"role": role, "sub": sub, "exp": 4_000_000_000_u64})
    };
    Arc::new(Claims::from_json(&json.to_string()).unwrap())
}

/// The user number `n`.
pub fn user(n: usize) -> String {
    format!("00000000-0000-0000-0000-{n:012}")
}

/// Everything on a table.
pub fn table(name: &str) -> Value {
    json!({"event": "*", "schema": "public", "table": name})
}

impl Channel {
    /// The next frame.
    pub async fn frame(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.next_frame())
            .await
            .expect("a frame in time")
    }

    async fn next_frame(&mut self) -> Value {
        while self.waiting.is_empty() {
            let mut frames = Vec::new();
            let closing = poll_fn(|context| self.outbox.poll_take(context, &mut frames)).await;
            assert!(
                closing.is_none() || !frames.is_empty(),
                "closed: {closing:?}"
            );
            for frames in frames {
                let mut frames = frames.into_bytes();
                while !frames.is_empty() {
                    self.waiting.push_back(text_of(&mut frames));
                }
            }
        }
        serde_json::from_slice(&self.waiting.pop_front().unwrap()).unwrap()
    }

    /// `data` of the next change; anything else is a failure.
    pub async fn change(&mut self) -> Value {
        let mut frame = self.frame().await;
        while self.skip_warnings && frame[3] == "system" {
            frame = self.frame().await;
        }
        assert_eq!(frame[3], "postgres_changes", "{frame}");
        frame[4]["data"].take()
    }

    /// All changes up to the one whose record has `"id": mark`, which is dropped.
    pub async fn until(&mut self, mark: i64) -> Vec<Value> {
        let mut changes = Vec::new();
        loop {
            let data = self.change().await;
            if data["record"]["id"] == mark {
                return changes;
            }
            changes.push(data);
        }
    }
}

/// Takes the payload of the first frame.
fn text_of(frames: &mut Bytes) -> Bytes {
    let (header, length) = match frames[1] & 0x7f {
        126 => (4, u16::from_be_bytes([frames[2], frames[3]]).into()),
        127 => (
            10,
            u64::from_be_bytes(frames[2..10].try_into().unwrap()) as usize,
        ),
        short => (2, short.into()),
    };
    frames.split_to(header + length).slice(header..)
}
