//! The task of one socket: reads frames, owns the channels, keeps the clock.
//!
//! It waits for nothing but its socket, its mailbox and its next deadline, and an idle one holds no buffer.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Instant;

use super::channel::{Channel, Next};
use super::mailbox::{Mailbox, Notice};
use super::reader::poll_read;
use super::rights::Why;
use super::writer;
use crate::auth::Keys;
use crate::hub::{Attention, Closing, Entry, Outbox, Wire};
use crate::presence::Departure;
use crate::protocol::encode::{self, Status};
use crate::protocol::message::NULL;
use crate::protocol::websocket::{self, Decoder, Incoming};
use crate::protocol::{self, Decoded, Version};
use crate::tenant::{SERVICE_RESTART, Tenant};

/// How long a closed socket may take to close its side.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes of frames that wait behind joins in progress; beyond it the socket is not read.
const MAX_WAITING: usize = 1 << 20;
/// Failing joins that one socket may have at a time; a flood of them is not read faster than it is answered.
const MAX_FAILING: usize = 128;
/// Close code of a socket that joined once and has no channel any more; not 1000, so that clients come back.
const SWEPT: u16 = 1001;

/// What the handshake said about the other side.
pub(super) struct Peer {
    /// The token accepted at connect; joins without one use it.
    pub(super) token: Arc<str>,
    /// JSON object of the `x-` headers, for policies.
    pub(super) headers: Arc<str>,
    /// The keys of the tenant when the socket connected; a change of them ends the socket (protocol.md §9.5).
    pub(super) keys: Arc<Keys>,
}

/// State of one topic of this socket.
pub(super) enum Slot {
    /// A join is on its way; what the client sends meanwhile waits (P-031).
    Joining(Box<Joining>),
    /// Joined.
    Joined(Box<Channel>),
}

/// A join on its way.
pub(super) struct Joining {
    pub(super) ticket: u64,
    pub(super) request: super::joining::Request,
    /// Frames for this topic, in order: whether binary, and the bytes.
    pub(super) waiting: VecDeque<(bool, Bytes)>,
}

/// One socket.
pub(super) struct Connection {
    pub(super) tenant: Arc<Tenant>,
    pub(super) version: Version,
    pub(super) peer: Peer,
    /// Its place among the sockets of the tenant.
    pub(super) entry: Entry,
    pub(super) outbox: Arc<Outbox>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) channels: HashMap<Arc<str>, Slot, ahash::RandomState>,
    /// Next number for an attempt whose outcome comes through the mailbox.
    pub(super) next_ticket: u64,
    /// Bytes waiting behind joins and questions.
    pub(super) waiting_bytes: usize,
    /// Joins whose error waits for its delay.
    pub(super) failing_joins: usize,
    last_heard: Instant,
    /// Since when a socket that attempted a join has no channel.
    pub(super) channelless_since: Option<Instant>,
    /// The earliest moment at which the token of a channel must be looked at again; may be too early.
    recheck_at: Option<Instant>,
    /// How the channels end when the socket does.
    departure: Departure,
}

/// Serves one socket until it ends.
pub(super) async fn run(
    stream: TcpStream,
    received: Bytes,
    tenant: Arc<Tenant>,
    version: Version,
    peer: Peer,
) {
    let (reader, writer) = stream.into_split();
    let outbox = Arc::new(Outbox::new(tenant.settings().limits.outbox));
    let mailbox = Arc::new(Mailbox::default());
    let entry = tenant.sockets.enter(Arc::clone(&outbox));
    // What changed between the check and now has closed the sockets that were there, not this one.
    let settings = tenant.settings_now();
    if settings.suspend || !Arc::ptr_eq(&settings.keys, &peer.keys) {
        outbox.close(Closing::Code(SERVICE_RESTART));
    }
    let wire = Wire::new(writer, Arc::clone(&tenant.meters.output_bytes));
    let wire = Arc::new(wire);
    outbox.connect(Arc::clone(&wire));
    tokio::spawn(writer::run(wire, Arc::clone(&outbox), Arc::clone(&mailbox)));
    let mut connection = Connection {
        tenant,
        version,
        peer,
        entry,
        outbox,
        mailbox,
        channels: HashMap::default(),
        next_ticket: 1,
        waiting_bytes: 0,
        failing_joins: 0,
        last_heard: Instant::now(),
        channelless_since: None,
        recheck_at: None,
        departure: Departure::Abnormal,
    };
    connection.serve(reader, received).await;
}

/// Why the loop ended.
enum End {
    /// The client or the network is gone.
    Gone,
    /// We close with this code.
    Close(u16),
    /// The writer ended first.
    WriterEnded,
}

impl Connection {
    async fn serve(&mut self, mut reader: OwnedReadHalf, received: Bytes) {
        match self.work(&mut reader, received).await {
            End::Gone | End::WriterEnded => self.outbox.close(Closing::Gone),
            End::Close(code) => {
                self.end_channels();
                self.outbox.close(Closing::Code(code));
                // The writer says when the close frame is out; then the client may close its side. On the heap, so that
                // sockets that live do not hold room for it.
                let _ = tokio::time::timeout(LINGER, Box::pin(self.farewell(&reader))).await;
            }
        }
        self.end_channels();
    }

    async fn farewell(&self, reader: &OwnedReadHalf) {
        'written: loop {
            for notice in poll_fn(|context| self.mailbox.poll_take(context)).await {
                if matches!(notice, Notice::WriterEnded) {
                    break 'written;
                }
            }
        }
        // Unread bytes at close would reset the connection before the client sees the close frame.
        let mut sink = [0; 1024];
        while reader.readable().await.is_ok() {
            match reader.try_read(&mut sink) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    }

    async fn work(&mut self, reader: &mut OwnedReadHalf, received: Bytes) -> End {
        let mut decoder = Decoder::new(self.tenant.settings().limits.frame_bytes);
        let mut buffer = BytesMut::from(received);
        if let Err(end) = self.take_frames(&mut decoder, &mut buffer) {
            return end;
        }
        let clock = tokio::time::sleep_until(self.next_deadline());
        tokio::pin!(clock);
        loop {
            // Deadlines mostly move away; the clock is set again only when one comes nearer, or when it rang.
            let deadline = self.next_deadline();
            if deadline < clock.deadline() {
                clock.as_mut().reset(deadline);
            }
            let paused = self.waiting_bytes > MAX_WAITING || self.failing_joins > MAX_FAILING;
            tokio::select! {
                read = poll_fn(|context| poll_read(reader, context, &mut buffer)), if !paused => {
                    let length = match read {
                        Ok(length) if length > 0 => length,
                        _ => return End::Gone,
                    };
                    if let Err(end) = self.received(length, &mut decoder, &mut buffer) {
                        return end;
                    }
                }
                notices = poll_fn(|context| self.mailbox.poll_take(context)) => {
                    for notice in notices {
                        if matches!(notice, Notice::WriterEnded) {
                            return match self.outbox.closing() {
                                // A code that somebody else set: the writer has sent it.
                                Some(Closing::Code(code)) => End::Close(code),
                                _ => End::WriterEnded,
                            };
                        }
                        self.notice(notice);
                    }
                }
                attention = poll_fn(|context| self.outbox.poll_attention(context)) => {
                    self.attend(attention);
                }
                () = clock.as_mut() => {
                    if let Some(end) = self.tick() {
                        return end;
                    }
                    clock.as_mut().reset(self.next_deadline());
                }
            }
        }
    }

    fn received(
        &mut self,
        length: usize,
        decoder: &mut Decoder,
        buffer: &mut BytesMut,
    ) -> Result<(), End> {
        let input = &self.tenant.meters.input_bytes;
        input.fetch_add(length as u64, Ordering::Relaxed);
        self.last_heard = Instant::now();
        self.take_frames(decoder, buffer)?;
        if buffer.is_empty() {
            // An idle socket holds no buffer.
            *buffer = BytesMut::new();
        }
        Ok(())
    }

    fn take_frames(&mut self, decoder: &mut Decoder, buffer: &mut BytesMut) -> Result<(), End> {
        loop {
            let incoming = match decoder.next(buffer) {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return Ok(()),
                Err(violation) => return Err(End::Close(violation.close_code())),
            };
            match incoming {
                Incoming::Text(frame) => self.frame(false, &frame),
                Incoming::Binary(frame) => self.frame(true, &frame),
                Incoming::Ping(payload) => {
                    self.outbox.push(websocket::pong_frame(&payload));
                }
                Incoming::Pong => {}
                Incoming::Close(code) => {
                    // Going away and normal closure are the client's own will; anything else may be an accident.
                    if matches!(code, 1000 | 1001 | 1005) {
                        self.departure = Departure::Orderly;
                    }
                    return Err(End::Close(if code == 1005 { 1000 } else { code }));
                }
            }
        }
    }

    /// Looks at what somebody said has changed.
    fn attend(&mut self, attention: Attention) {
        if attention.has(Attention::OVER_LIMIT) {
            let over: Vec<Arc<str>> = self
                .channels
                .iter()
                .filter(|(_, slot)| {
                    matches!(slot, Slot::Joined(channel) if channel.member.take_over_limit())
                })
                .map(|(topic, _)| Arc::clone(topic))
                .collect();
            for topic in over {
                self.dismiss(&topic, "Too many messages per second");
            }
        }
        if attention.has(Attention::DATABASE) {
            self.resubscribe_all();
        }
        if attention.has(Attention::RIGHTS) || attention.has(Attention::DATABASE) {
            self.ask_again_for_all();
        }
    }

    pub(super) fn decode<'a>(
        &self,
        binary: bool,
        frame: &'a [u8],
    ) -> Result<Decoded<'a>, protocol::Malformed> {
        if binary {
            protocol::decode_binary(self.version, frame)
        } else {
            protocol::decode_text(self.version, frame)
        }
    }

    /// Handles one frame of the client.
    pub(super) fn frame(&mut self, binary: bool, frame: &[u8]) {
        let message = match self.decode(binary, frame) {
            Ok(message) => message,
            Err(malformed) => {
                tracing::debug!(code = %malformed, "frame dropped");
                return;
            }
        };
        if message.topic == "phoenix" && message.event == "heartbeat" {
            self.reply(NULL, &message.reference, &message.topic, Status::Ok, "{}");
            return;
        }
        // Behind a join on its way, or a question about rights, everything of its topic waits, in order.
        let waiting = match self.channels.get_mut(message.topic.as_ref()) {
            Some(Slot::Joining(joining)) => Some(&mut joining.waiting),
            Some(Slot::Joined(channel)) => {
                channel.pending.as_mut().map(|pending| &mut pending.waiting)
            }
            None => None,
        };
        if let Some(waiting) = waiting {
            self.waiting_bytes += frame.len();
            waiting.push_back((binary, Bytes::copy_from_slice(frame)));
            return;
        }
        match message.event.as_ref() {
            "phx_join" if message.topic.starts_with("realtime:") => self.join(&message),
            "phx_leave" => self.leave(&message),
            _ => self.channel_event(&message, binary, frame),
        }
    }

    fn leave(&mut self, message: &Decoded<'_>) {
        let topic = message.topic.as_ref();
        if let Some(Slot::Joined(channel)) = self.channels.get(topic) {
            // A late leave of a predecessor must not end the present channel (P-083).
            if message.join_ref != NULL && message.join_ref != channel.join_ref() {
                return;
            }
            let reply_ref = channel.reply_ref().to_owned();
            self.reply(&reply_ref, &message.reference, topic, Status::Ok, "{}");
            self.close_channel(topic);
            return;
        }
        self.reply(
            &message.join_ref,
            &message.reference,
            topic,
            Status::Ok,
            "{}",
        );
    }

    fn channel_event(&mut self, message: &Decoded<'_>, binary: bool, frame: &[u8]) {
        let topic = message.topic.as_ref();
        let Some(Slot::Joined(channel)) = self.channels.get_mut(topic) else {
            let reason = r#"{"reason":"unmatched topic"}"#;
            self.reply(NULL, &message.reference, topic, Status::Error, reason);
            return;
        };
        let next = match message.event.as_ref() {
            "broadcast" => channel.broadcast(&self.tenant, message),
            "presence" => channel.presence(&self.tenant, message),
            "access_token" => channel.access_token(&self.tenant, &self.peer.keys, message),
            // Unknown events are not answered (P-103), but counted.
            _ => {
                self.tenant.meters.events.add(1);
                Next::Stay
            }
        };
        let due = channel.due_at();
        self.note_recheck(due);
        match next {
            Next::Stay => {}
            Next::Close => self.close_channel(topic),
            Next::Resubscribe => self.resubscribe(topic),
            Next::AskFirst { read } => self.ask_for_frame(topic, binary, frame, read),
            Next::AskForToken { token, claims } => self.ask_for_token(topic, token, claims),
        }
    }

    /// Ends a joined channel and says why.
    pub(super) fn dismiss(&mut self, topic: &str, reason: &str) {
        if let Some(Slot::Joined(channel)) = self.channels.get(topic) {
            channel.member.dismiss(reason);
        }
        self.close_channel(topic);
    }

    /// Ends a joined channel in an orderly way and says so.
    pub(super) fn close_channel(&mut self, topic: &str) {
        if let Some(Slot::Joined(mut channel)) = self.channels.remove(topic) {
            let close = encode::close(self.version, channel.join_ref(), topic);
            let pending = channel.pending.take();
            channel.member.end();
            channel.end(Departure::Orderly);
            self.outbox.push(close);
            self.note_channels();
            // What waited finds the channel gone, and is answered so.
            if let Some(pending) = pending {
                self.resume(pending.waiting);
            }
        }
    }

    fn end_channels(&mut self) {
        for (_, slot) in std::mem::take(&mut self.channels) {
            if let Slot::Joined(channel) = slot {
                channel.end(self.departure);
            }
        }
    }

    pub(super) fn note_channels(&mut self) {
        self.channelless_since = self.channels.is_empty().then(Instant::now);
    }

    /// Frames that waited behind a join are handled as if they had just arrived.
    pub(super) fn resume(&mut self, waiting: VecDeque<(bool, Bytes)>) {
        for (binary, frame) in waiting {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(frame.len());
            self.frame(binary, &frame);
        }
    }

    pub(super) fn reply(
        &self,
        join_ref: &str,
        reference: &str,
        topic: &str,
        status: Status,
        response: &str,
    ) {
        let frame = encode::reply(self.version, join_ref, reference, topic, status, response);
        self.outbox.push(frame);
    }

    fn next_deadline(&self) -> Instant {
        let settings = self.tenant.settings();
        let mut deadline = self.last_heard + settings.limits.idle_timeout;
        if let Some(since) = self.channelless_since {
            deadline = deadline.min(since + settings.limits.no_channel_timeout);
        }
        if let Some(recheck) = self.recheck_at {
            deadline = deadline.min(recheck);
        }
        deadline
    }

    /// A channel wants its token looked at again at this moment.
    pub(super) fn note_recheck(&mut self, at: Instant) {
        self.recheck_at = Some(self.recheck_at.map_or(at, |earliest| earliest.min(at)));
    }

    /// The next deadline has come.
    fn tick(&mut self) -> Option<End> {
        let now = Instant::now();
        let limits = self.tenant.settings_now();
        let limits = &limits.limits;
        if now >= self.last_heard + limits.idle_timeout {
            return Some(End::Close(1000));
        }
        if let Some(since) = self.channelless_since
            && now >= since + limits.no_channel_timeout
        {
            return Some(End::Close(SWEPT));
        }
        let due: Vec<Arc<str>> = self
            .channels
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Joined(channel) if channel.due_at() <= now))
            .map(|(topic, _)| Arc::clone(topic))
            .collect();
        for topic in due {
            let Some(Slot::Joined(channel)) = self.channels.get_mut(&topic) else {
                continue;
            };
            if matches!(channel.recheck(&self.peer.keys, now), Next::Close)
                || matches!(channel.presence_due(&self.tenant, now), Next::Close)
            {
                self.close_channel(&topic);
            } else if channel.rights_at.is_some_and(|at| at <= now) {
                self.ask_again(&topic, Why::Time);
            }
        }
        self.recheck_at = self
            .channels
            .values()
            .filter_map(|slot| match slot {
                Slot::Joined(channel) => Some(channel.due_at()),
                Slot::Joining(_) => None,
            })
            .min();
        None
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Reached without `serve` ending only when this task panicked: the client learns that the socket crashed.
        if std::thread::panicking() {
            tracing::error!("a socket's task panicked; the socket is closed");
            self.outbox.close(Closing::Code(1011));
        } else {
            self.outbox.close(Closing::Gone);
        }
        self.end_channels();
    }
}
