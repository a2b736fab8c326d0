//! Reads a feed as a test wants it: as lines of text, with deadlines.

use std::time::Duration;

use dovetail::pgoutput::{Lsn, OldKind, Tuple, Value};
use dovetail::replication::{Change, Event, Feed, Row, Settings, Status, Watch, slot_name, start};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::replication_postgres::Cluster;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Reader {
    pub feed: Feed,
    pub watch: Watch,
    pub stop: CancellationToken,
    /// Confirm every commit as soon as it is read.
    pub confirms: bool,
    /// How many publications are streamed, as of the last event that was read.
    streaming: usize,
    waiting: std::collections::VecDeque<Event>,
}

pub fn settings(cluster: &Cluster) -> Settings {
    let slot = slot_name("supabase_realtime_replication_slot", Some(""), "postgres");
    Settings::new("test", cluster.options(), "supabase_realtime", slot)
}

impl Reader {
    pub fn start(settings: Settings) -> Self {
        let stop = CancellationToken::new();
        let (feed, watch) = start(settings, &stop);
        Self {
            feed,
            watch,
            stop,
            confirms: true,
            streaming: 0,
            waiting: Default::default(),
        }
    }

    /// Started, and the stream runs.
    pub async fn live(settings: Settings) -> Self {
        let mut reader = Self::start(settings);
        reader.until("live new").await;
        reader
    }

    pub async fn next(&mut self) -> Event {
        while self.waiting.is_empty() {
            let mut batch = Vec::new();
            let open = timeout(PATIENCE, self.feed.recv(&mut batch))
                .await
                .expect("something happens in the stream");
            assert!(open, "the stream ended");
            self.waiting.extend(batch);
        }
        let event = self.waiting.pop_front().unwrap();
        if let (true, Event::Commit(commit)) = (self.confirms, &event) {
            self.feed.confirm(commit.end_lsn);
        }
        if let Event::Publications(names) = &event {
            self.streaming = names.len();
        }
        event
    }

    /// The next event that is not about relations, as a line.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(line) = describe(&self.next().await) {
                return line;
            }
        }
    }

    /// Lines until `last`, which is included.
    pub async fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let done = line == last;
            lines.push(line);
            if done {
                return lines;
            }
            assert!(lines.len() < 1000, "{last} does not come: {lines:?}");
        }
    }

    /// Reads until `count` publications are streamed.
    pub async fn publications(&mut self, count: usize) {
        while self.streaming != count {
            self.next().await;
        }
    }

    /// The lines of the next transaction, without its borders.
    pub async fn transaction(&mut self) -> Vec<String> {
        assert_eq!(self.line().await, "begin");
        let mut lines = self.until("commit").await;
        lines.pop();
        lines
    }

    pub async fn is_live(&mut self) {
        let status = self.watch.live(Instant::now() + PATIENCE).await;
        assert!(matches!(status, Status::Live { .. }), "{status:?}");
    }

    /// Waits until the status says `text`.
    pub async fn waits_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Status::Waiting { reason } = self.watch.status()
                && reason.contains(text)
            {
                return;
            }
            let changed = tokio::time::timeout_at(deadline, self.watch.changed()).await;
            assert_eq!(changed, Ok(true), "{text}: {:?}", self.watch.status());
        }
    }
}

fn describe(event: &Event) -> Option<String> {
    Some(match event {
        Event::Live { slot_is_new, .. } => if *slot_is_new {
            "live new"
        } else {
            "live again"
        }
        .into(),
        Event::Lost { reason } => format!("lost {}", reason.as_str()),
        Event::Gap { reason } => format!("gap {}", reason.as_str()),
        Event::Begin(_) => "begin".into(),
        Event::Commit(_) => "commit".into(),
        Event::Relation(_) => return None,
        Event::Publications(_) => return None,
        Event::Truncate(relations) => {
            let names: Vec<&str> = relations.iter().map(|relation| &*relation.name).collect();
            format!("truncate {}", names.join(" "))
        }
        Event::Message(message) => format!(
            "message {} {}",
            message.prefix,
            String::from_utf8_lossy(&message.content)
        ),
        Event::Change(Change { relation, row }) => {
            let name = &relation.name;
            match row {
                Row::Insert { new } => format!("insert {name} {}", values(new)),
                Row::Update { old: None, new } => format!("update {name} {}", values(new)),
                Row::Update {
                    old: Some(old),
                    new,
                } => format!(
                    "update {name} {} {} to {}",
                    kind(old.kind),
                    values(&old.tuple),
                    values(new)
                ),
                Row::Delete { old } => {
                    format!("delete {name} {} {}", kind(old.kind), values(&old.tuple))
                }
            }
        }
    })
}

fn kind(kind: OldKind) -> &'static str {
    match kind {
        OldKind::Key => "key",
        OldKind::Full => "full",
    }
}

fn values(tuple: &Tuple) -> String {
    let values: Vec<String> = tuple
        .iter()
        .map(|value| match value {
            Value::Null => "NULL".into(),
            Value::Unchanged => "UNCHANGED".into(),
            Value::Text(text) if text.len() > 100 => format!("{} bytes", text.len()),
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Value::Binary(_) => "BINARY".into(),
        })
        .collect();
    format!("({})", values.join("|"))
}

/// `confirmed_flush_lsn` of the only slot.
pub async fn confirmed(sql: &tokio_postgres::Client) -> Lsn {
    let row = sql
        .query_one(
            "SELECT confirmed_flush_lsn::text FROM pg_replication_slots",
            &[],
        )
        .await
        .unwrap();
    row.get::<_, String>(0).parse().unwrap()
}
