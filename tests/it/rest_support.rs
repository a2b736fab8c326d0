//! A server with a database whose policies the test writes, and REST requests to it.

use serde_json::{Value, json};
use tokio_postgres::Client as Sql;

use dovetail::postgres::partitions;

use crate::support::cluster::Cluster;
use crate::support::http::{self, Request, Response};
use crate::support::phoenix::{Client, Frame};
use crate::support::server::Server;
use crate::support::socket::{Item, Socket};
use crate::support::token::{SECRET, mint};

/// Host of the tenant; the servers here choose it by the host.
pub const HOST: &str = "realtime-dev.localhost";

pub struct Rest {
    pub server: Server,
    pub sql: Sql,
}

impl Rest {
    pub async fn new() -> Self {
        Self::with("", &[]).await
    }

    /// `setup` is SQL.
    pub async fn with(setup: &str, settings: &[(&str, &str)]) -> Self {
        let database = Cluster::shared().await.prepared().await;
        let sql = database.connect().await;
        partitions::maintain(&sql, false).await.unwrap();
        sql.batch_execute(setup).await.unwrap();
        let mut all = vec![
            ("TENANT_FROM_HOST", "true"),
            ("METRICS_JWT_SECRET", SECRET),
            ("CONNECT_ERROR_BACKOFF_MS", "50"),
            ("CHANNEL_ERROR_BACKOFF_MS", "50"),
        ];
        all.extend_from_slice(settings);
        let server = Server::with(&database, &all).await;
        Self { server, sql }
    }

    /// Any request; `Host` and `Connection` are added unless they are given.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Response {
        http::exchange(
            ("127.0.0.1", self.server.port()),
            &request(method, path, headers, body),
        )
        .await
        .unwrap_or_else(|err| panic!("{method} {path}: {err}\n{}", self.server.log()))
    }

    /// A batch, with headers besides the content type.
    pub async fn batch(&self, headers: &[(&str, &str)], messages: Value) -> Response {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        let body = json!({ "messages": messages }).to_string();
        self.send("POST", "/api/broadcast", &headers, Some(body.as_bytes()))
            .await
    }

    /// A single JSON message; `target` is `topic/events/event`, with a query if there is one.
    pub async fn single(&self, headers: &[(&str, &str)], target: &str, body: Value) -> Response {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        let path = format!("/api/broadcast/{target}");
        self.send("POST", &path, &headers, Some(body.to_string().as_bytes()))
            .await
    }

    /// A client that joined a topic.
    pub async fn member(&self, token: &str, topic: &str, private: bool) -> Member {
        let mut target = self.server.target(token);
        target.host = HOST.into();
        let Ok(socket) = Socket::connect(&target).await else {
            panic!("no socket:\n{}", self.server.log());
        };
        let client = Client::over(socket);
        client
            .join(&format!("realtime:{topic}"), json!({ "private": private }))
            .await;
        Member { client }
    }

    /// The value of one of our counters, all labels together; zero when it was never counted.
    pub async fn counted(&self, name: &str) -> u64 {
        let authorization = format!("Bearer {}", mint(json!({})));
        let answer = self
            .send(
                "GET",
                "/metrics",
                &[("authorization", &authorization)],
                None,
            )
            .await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = rest
                .starts_with(['{', ' '])
                .then(|| rest.rsplit(' ').next());
            value??.parse::<f64>().ok()
        });
        values.sum::<f64>() as u64
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Request {
    let mut all = Vec::new();
    for (name, value) in [("Host", HOST), ("Connection", "close")] {
        if !headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
        {
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    all.extend(
        headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    Request {
        method: method.into(),
        path: path.into(),
        headers: all,
        body: body.map(<[u8]>::to_vec),
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What a member heard: a text frame, or a kind 4 frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Text(Value),
    User {
        event: String,
        json: bool,
        payload: Vec<u8>,
    },
}

impl Heard {
    /// The event, whichever way it came.
    pub fn event(&self) -> &str {
        match self {
            Self::Text(payload) => payload["event"].as_str().unwrap_or_default(),
            Self::User { event, .. } => event,
        }
    }
}

pub struct Member {
    pub client: Client,
}

impl Member {
    /// The next broadcast, whatever it is; nothing else may come.
    pub async fn next(&self) -> Heard {
        let socket = &self.client.socket;
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
        assert!(socket.holds(1, deadline).await, "no broadcast came");
        let (_, item) = socket.take(1).remove(0);
        heard(&item).unwrap_or_else(|| panic!("no broadcast but {item:?}"))
    }
}

fn heard(item: &Item) -> Option<Heard> {
    match item {
        Item::Text(text) => {
            let frame = Frame::parse(text).filter(|frame| frame.event == "broadcast")?;
            Some(Heard::Text(frame.payload))
        }
        Item::Binary(bytes) => {
            let [4, topic, event, meta, encoding, rest @ ..] = bytes.as_slice() else {
                return None;
            };
            let (_, rest) = rest.split_at_checked(usize::from(*topic))?;
            let (event, rest) = rest.split_at_checked(usize::from(*event))?;
            let (_, payload) = rest.split_at_checked(usize::from(*meta))?;
            Some(Heard::User {
                event: String::from_utf8_lossy(event).into_owned(),
                json: *encoding == 1,
                payload: payload.to_vec(),
            })
        }
        _ => None,
    }
}
