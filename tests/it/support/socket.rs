//! One WebSocket as the wire shows it: what was received, in order, with the time it came.
//!
//! Reading and writing are separate tasks, so that a server which stops reading cannot keep us from
//! seeing what it says. Knows nothing of Phoenix: see [`super::phoenix`].

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::http::{self, Request, Response};

/// Something that arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// The end of the connection; 1006 when there was no close frame, 1005 when it had no code.
    Close {
        code: u16,
        reason: String,
    },
}

/// Where and how to connect.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: String,
    pub port: u16,
    pub host: String,
    /// Path and query.
    pub path: String,
    pub headers: Vec<(String, String)>,
}

/// Why there is no socket.
#[derive(Debug)]
pub enum Failure {
    /// The server answered with something else than 101.
    Refused(Response),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Self {
        Self::Io(err)
    }
}

#[derive(Default)]
struct Inbox {
    items: Mutex<VecDeque<(Instant, Item)>>,
    arrived: Notify,
}

impl Inbox {
    fn put(&self, item: Item) {
        let mut items = self.items.lock().unwrap();
        items.push_back((Instant::now(), item));
        drop(items);
        self.arrived.notify_waiters();
    }
}

/// An open (or closed again) WebSocket.
pub struct Socket {
    inbox: Arc<Inbox>,
    out: mpsc::UnboundedSender<Message>,
    reading: watch::Sender<bool>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.terminate();
    }
}

impl Socket {
    /// Connects and upgrades.
    pub async fn connect(target: &Target) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect((target.address.as_str(), target.port)).await?;
        stream.set_nodelay(true)?;
        let mut headers = vec![("Host".to_owned(), target.host.clone())];
        for (name, value) in [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "ZG92ZXRhaWwgdGVzdHMhIQ=="),
        ] {
            headers.push((name.into(), value.into()));
        }
        headers.extend(target.headers.iter().cloned());
        let request = Request {
            method: "GET".into(),
            path: target.path.clone(),
            headers,
            body: None,
        };
        let (mut response, rest) = http::begin(&mut stream, &request).await?;
        if response.status != 101 {
            response.body = http::read_body(&mut stream, &response, rest).await?;
            return Err(Failure::Refused(response));
        }
        Ok(Self::over(stream, rest).await)
    }

    async fn over(stream: TcpStream, rest: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .max_message_size(Some(64 << 20))
            .max_frame_size(Some(64 << 20));
        let stream =
            WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config)).await;
        let (mut sink, mut source) = stream.split();
        let inbox = Arc::new(Inbox::default());
        let (out, mut waiting) = mpsc::unbounded_channel::<Message>();
        let received = Arc::clone(&inbox);
        let (reading, mut gate) = watch::channel(true);
        let reader = tokio::spawn(async move {
            let mut farewell = None;
            loop {
                if gate.wait_for(|open| *open).await.is_err() {
                    return; // the socket was dropped
                }
                let Some(Ok(message)) = source.next().await else {
                    break;
                };
                match message {
                    Message::Text(text) => received.put(Item::Text(text.as_str().to_owned())),
                    Message::Binary(bytes) => received.put(Item::Binary(bytes.to_vec())),
                    Message::Pong(bytes) => received.put(Item::Pong(bytes.to_vec())),
                    Message::Close(frame) => {
                        farewell = Some(frame.map_or((1005, String::new()), |frame| {
                            (frame.code.into(), frame.reason.as_str().to_owned())
                        }));
                    }
                    Message::Ping(_) | Message::Frame(_) => {}
                }
            }
            let (code, reason) = farewell.unwrap_or((1006, String::new()));
            received.put(Item::Close { code, reason });
        });
        let writer = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if sink.send(message).await.is_err() {
                    break; // the reader says how it ended
                }
            }
            // Keeps its half open: a dropped sender of messages is not a closed connection.
            std::future::pending::<()>().await;
        });
        Self {
            inbox,
            out,
            reading,
            reader,
            writer,
        }
    }

    fn send(&self, message: Message) {
        // A writer that is gone means a connection that is gone; its end is in the inbox.
        let _ = self.out.send(message);
    }

    /// Sends a text frame.
    pub fn text(&self, text: impl Into<String>) {
        self.send(Message::text(text.into()));
    }

    /// Sends a text frame whose bytes need not be UTF-8.
    pub fn text_bytes(&self, bytes: Vec<u8>) {
        let frame = Frame::message(Bytes::from(bytes), OpCode::Data(Data::Text), true);
        self.send(Message::Frame(frame));
    }

    /// Sends a binary frame.
    pub fn binary(&self, bytes: Vec<u8>) {
        self.send(Message::binary(bytes));
    }

    /// Sends a WebSocket ping.
    pub fn ping(&self, bytes: Vec<u8>) {
        self.send(Message::Ping(bytes.into()));
    }

    /// Starts the closing handshake.
    pub fn close(&self, code: u16) {
        self.send(Message::Close(Some(CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        })));
    }

    /// Drops the TCP connection without a word.
    pub fn terminate(&self) {
        self.reader.abort();
        self.writer.abort();
    }

    /// Stays connected but reads no more (after at most one more message), as a client that hangs.
    pub fn stop_reading(&self) {
        self.reading.send_replace(false);
    }

    /// Reads again: first what the system has kept for it.
    pub fn resume_reading(&self) {
        self.reading.send_replace(true);
    }

    /// Waits until at least `count` items are unread; false when `deadline` came first.
    pub async fn holds(&self, count: usize, deadline: Instant) -> bool {
        loop {
            let arrived = self.inbox.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if self.inbox.items.lock().unwrap().len() >= count {
                return true;
            }
            if tokio::time::timeout_at(deadline.into(), arrived)
                .await
                .is_err()
            {
                return self.inbox.items.lock().unwrap().len() >= count;
            }
        }
    }

    /// Takes up to `count` unread items.
    pub fn take(&self, count: usize) -> Vec<(Instant, Item)> {
        let mut items = self.inbox.items.lock().unwrap();
        let count = count.min(items.len());
        items.drain(..count).collect()
    }

    /// Takes the first unread item that `wanted` recognises; the others stay.
    pub fn pick<T>(&self, mut wanted: impl FnMut(&Item) -> Option<T>) -> Option<T> {
        let mut items = self.inbox.items.lock().unwrap();
        let found = items
            .iter()
            .enumerate()
            .find_map(|(at, (_, item))| wanted(item).map(|value| (at, value)));
        let (at, value) = found?;
        items.remove(at);
        Some(value)
    }

    /// What is unread now.
    pub fn unread(&self) -> Vec<Item> {
        let items = self.inbox.items.lock().unwrap();
        items.iter().map(|(_, item)| item.clone()).collect()
    }
}
