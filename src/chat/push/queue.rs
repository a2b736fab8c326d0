//! `notification_outbox` as the worker sees it: functions of `sql/chat/015_notifications.sql`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::types::Json;

use super::encrypt::MAX_TEXT;
use super::send::Subscription;
use crate::chat::link::{Failure, Link};

/// A notification that this worker has until its lease is over.
pub(super) struct Claimed {
    pub(super) id: i64,
    /// Counts from 1; says which claim an outcome belongs to.
    pub(super) attempt: i32,
    pub(super) user: uuid::Uuid,
    kind: String,
    title: String,
    body: String,
    url: Option<String>,
    data: Value,
    /// Those that are not done with.
    pub(super) subscriptions: Vec<Subscription>,
}

impl Claimed {
    /// What the service worker of the browser gets: title, body, url, tag (the conversation, so that a later message
    /// replaces an earlier one), kind, and data {conversation_id, message_id, sender_id, kind}.
    pub(super) fn text(&self) -> Vec<u8> {
        let whole = self.json(&self.body);
        match whole.len() <= MAX_TEXT {
            true => whole,
            false => self.short(),
        }
    }

    /// The same without what the message says, for push services that take less.
    pub(super) fn short(&self) -> Vec<u8> {
        self.json("")
    }

    fn json(&self, body: &str) -> Vec<u8> {
        let text = json!({
            "title": self.title, "body": body, "url": self.url, "tag": self.conversation(), "kind": self.kind,
            "data": self.data,
        });
        text.to_string().into_bytes()
    }

    /// The conversation it is about.
    pub(super) fn conversation(&self) -> Option<&str> {
        self.data.get("conversation_id")?.as_str()
    }

    /// Whether somebody is meant personally.
    pub(super) fn is_mention(&self) -> bool {
        self.kind == "mention"
    }
}

/// How an attempt ended.
#[derive(Default)]
pub(super) struct Settlement {
    /// Endpoints that need no other attempt.
    pub(super) done: Vec<String>,
    /// Endpoints that do.
    pub(super) failed: Vec<String>,
    /// Endpoints that are no more.
    pub(super) gone: Vec<String>,
    /// Endpoints that will never take it, and why.
    pub(super) refused: Vec<(String, String)>,
    /// Why the last of those that failed did.
    pub(super) error: Option<String>,
    /// Not before that.
    pub(super) after: Option<Duration>,
}

/// Claims at most so many, none of those users.
pub(super) async fn claim(
    link: &Link,
    batch: usize,
    lease: Duration,
    busy: &[uuid::Uuid],
) -> Result<Vec<Claimed>, Failure> {
    let batch = i32::try_from(batch).unwrap_or(i32::MAX);
    let sql = "select id, attempt, user_id, kind, title, body, url, data, subscriptions \
               from chat.claim_notifications($1, $2 * interval '1 second', $3)";
    let client = link.client().await?;
    let rows = client
        .query(sql, &[&batch, &lease.as_secs_f64(), &busy])
        .await?;
    let claimed = rows.iter().map(|row| {
        let Json(subscriptions): Json<Vec<Subscription>> = row.try_get(8)?;
        Ok(Claimed {
            id: row.try_get(0)?,
            attempt: row.try_get(1)?,
            user: row.try_get(2)?,
            kind: row.try_get(3)?,
            title: row.try_get(4)?,
            body: row.try_get(5)?,
            url: row.try_get(6)?,
            data: row.try_get(7)?,
            subscriptions,
        })
    });
    claimed.collect()
}

/// Writes down how an attempt ended.
pub(super) async fn settle(
    link: &Link,
    claimed: &Claimed,
    how: &Settlement,
) -> Result<(), Failure> {
    let client = link.client().await?;
    // First, so that a repetition of the rest finds it done.
    for endpoint in &how.gone {
        let sql = "select chat.drop_subscription($1)";
        client.execute(sql, &[endpoint]).await?;
    }
    let after = how.after.map(|after| after.as_secs_f64());
    let sql =
        "select chat.settle_notification($1, $2, $3, $4, $5, $6::float8 * interval '1 second')";
    let (id, attempt) = (&claimed.id, &claimed.attempt);
    client
        .execute(
            sql,
            &[id, attempt, &how.done, &how.failed, &how.error, &after],
        )
        .await?;
    for (endpoint, why) in &how.refused {
        let sql = "select chat.note_subscription($1, $2)";
        client.execute(sql, &[endpoint, why]).await?;
    }
    Ok(())
}

/// Gives back what was not begun.
pub(super) async fn release(link: &Link, ids: &[i64]) -> Result<(), Failure> {
    let client = link.client().await?;
    let sql = "select chat.release_notifications($1)";
    client.execute(sql, &[&ids]).await?;
    Ok(())
}

/// Seconds until the next is due that is not of those users, negative when one is already; none when nothing waits.
pub(super) async fn next(link: &Link, busy: &[uuid::Uuid]) -> Result<Option<f64>, Failure> {
    let client = link.client().await?;
    let row = client
        .query_one("select chat.next_notification($1)", &[&busy])
        .await?;
    Ok(row.try_get(0)?)
}

/// Removes what is old, some at a time; whether there may be more.
pub(super) async fn clean(link: &Link) -> Result<bool, Failure> {
    let client = link.client().await?;
    let row = client
        .query_one("select chat.clean_notifications()", &[])
        .await?;
    Ok(row.try_get::<_, i64>(0)? >= 5000)
}
