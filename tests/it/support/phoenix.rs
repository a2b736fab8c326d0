//! A small Phoenix client, serializer 2.0.0: join, push, and wait for what one is looking for.
//!
//! Frames that nobody has asked for yet stay in the mailbox, in order, so that a test says what it
//! waits for and not what else may be on its way.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::server::Server;
use super::socket::{Item, Socket};

/// A message of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub join_ref: Option<String>,
    pub reference: Option<String>,
    pub topic: String,
    pub event: String,
    pub payload: Value,
}

impl Frame {
    /// Parses a text frame `[join_ref, ref, topic, event, payload]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (join_ref, reference, topic, event, payload) = serde_json::from_str(text).ok()?;
        Some(Self {
            join_ref,
            reference,
            topic,
            event,
            payload,
        })
    }

    /// Is it the reply to the push with this ref?
    pub fn replies_to(&self, reference: &str) -> bool {
        self.event == "phx_reply" && self.reference.as_deref() == Some(reference)
    }

    /// Is it the `system` message that says Postgres Changes are live?
    pub fn says_subscribed(&self) -> bool {
        self.event == "system"
            && self.payload["extension"] == "postgres_changes"
            && self.payload["status"] == "ok"
    }
}

/// A connected client.
pub struct Client {
    pub socket: Socket,
    references: AtomicU32,
}

impl Client {
    /// Connects with a token.
    pub async fn connect(server: &Server, token: &str) -> Self {
        Self::over(server.socket(token).await)
    }

    /// Talks over a socket that is open already.
    pub fn over(socket: Socket) -> Self {
        Self {
            socket,
            references: AtomicU32::new(1),
        }
    }

    fn reference(&self) -> String {
        self.references.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Pushes any event; returns its ref.
    pub fn push(
        &self,
        join_ref: Option<&str>,
        topic: &str,
        event: &str,
        payload: &Value,
    ) -> String {
        let reference = self.reference();
        let frame = json!([join_ref, reference, topic, event, payload]);
        self.socket.text(frame.to_string());
        reference
    }

    /// Sends `phx_join` and returns its join_ref and the payload of the reply, whatever it is.
    pub async fn try_join(&self, topic: &str, config: Value) -> (String, Value) {
        let reference = self.reference();
        let payload = json!({ "config": config });
        let frame = json!([reference, reference, topic, "phx_join", payload]);
        self.socket.text(frame.to_string());
        let reply = self
            .until("the reply to the join", |frame| {
                frame.replies_to(&reference)
            })
            .await;
        (reference, reply.payload)
    }

    /// Joins; panics unless the reply is ok. Returns the join_ref.
    pub async fn join(&self, topic: &str, config: Value) -> String {
        let (join_ref, reply) = self.try_join(topic, config).await;
        assert_eq!(reply["status"], "ok", "joining {topic}: {reply}");
        join_ref
    }

    /// Joins with one postgres_changes binding and waits until it is live.
    pub async fn listen(&self, topic: &str, binding: Value) -> String {
        let join_ref = self
            .join(topic, json!({ "postgres_changes": [binding] }))
            .await;
        self.until("Subscribed to PostgreSQL", |frame| {
            frame.topic == topic && frame.says_subscribed()
        })
        .await;
        join_ref
    }

    /// Broadcasts on a joined topic; returns the ref.
    pub fn broadcast(&self, join_ref: &str, topic: &str, event: &str, payload: Value) -> String {
        let body = json!({ "type": "broadcast", "event": event, "payload": payload });
        self.push(Some(join_ref), topic, "broadcast", &body)
    }

    /// The reply to a heartbeat: proof that the server has handled everything we sent before.
    pub async fn heartbeat(&self) {
        let reference = self.push(None, "phoenix", "heartbeat", &json!({}));
        self.until("the reply to a heartbeat", |frame| {
            frame.replies_to(&reference)
        })
        .await;
    }

    /// Waits for the first frame that fits and takes it out of the mailbox.
    pub async fn until(&self, what: &str, fits: impl Fn(&Frame) -> bool) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.socket.unread();
            let found = self.socket.pick(|item| match item {
                Item::Text(text) => Frame::parse(text).filter(&fits),
                _ => None,
            });
            if let Some(frame) = found {
                return frame;
            }
            let closed = seen.iter().any(|item| matches!(item, Item::Close { .. }));
            assert!(
                !closed && self.socket.holds(seen.len() + 1, deadline).await,
                "{what} did not come; the mailbox has {:?}",
                self.socket.unread()
            );
        }
    }

    /// Waits for a change of a row on this topic and returns its `data`.
    pub async fn change(&self, topic: &str) -> Value {
        let mut frame = self
            .until("a postgres_changes frame", |frame| {
                frame.topic == topic && frame.event == "postgres_changes"
            })
            .await;
        frame.payload["data"].take()
    }

    /// Waits for the end of the connection and returns the close code.
    pub async fn closed(&self) -> u16 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.socket.unread().len();
            let found = self.socket.pick(|item| match item {
                Item::Close { code, .. } => Some(*code),
                _ => None,
            });
            if let Some(code) = found {
                return code;
            }
            assert!(
                self.socket.holds(seen + 1, deadline).await,
                "the connection was not closed"
            );
        }
    }

    /// Nothing on this topic is unread, and nothing comes for so long.
    pub async fn silent(&self, topic: &str, length: Duration) {
        let deadline = Instant::now() + length;
        loop {
            let unread = self.socket.unread();
            let unwanted = unread.iter().find(|item| match item {
                Item::Text(text) => Frame::parse(text).is_none_or(|frame| frame.topic == topic),
                _ => true,
            });
            assert!(unwanted.is_none(), "unexpected on {topic}: {unwanted:?}");
            if !self.socket.holds(unread.len() + 1, deadline).await {
                return;
            }
        }
    }
}
