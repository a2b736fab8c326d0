//! One joined channel as the hub sees it: where its frames go and how they are laid out.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Attention, Closing, Kind, Outbox};
use crate::postgres::Snapshot;
use crate::protocol::{Outgoing, Version, encode};

/// Bits of [`Member::flags`].
const BROADCAST: u8 = 1;
const PRESENCE: u8 = 2;
const PRESENCE_PUSHED: u8 = 4;
const OVER_LIMIT: u8 = 8;
const ASIDE: u8 = 16;
const ENDED: u8 = 32;

/// Messages that are kept for one member at a time, of no more bytes than its outbox takes; with more its socket is closed
/// as one that does not read.
const MAX_HELD: usize = 16_384;

/// How a member takes part in presence (protocol.md §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differences {
    /// It receives none.
    None,
    /// As everybody else.
    FanOut,
    /// As pushes of its own channel: it tracked without having asked for presence at its join.
    Pushed,
}

/// What keeps messages from a member for a while, or for ever: only those that asked for a replay have it.
#[derive(Default)]
struct Aside {
    /// Messages that came before the member was ready for them, in order.
    held: Option<Vec<(Option<StoredId>, Bytes)>>,
    /// Their bytes.
    bytes: usize,
    /// The suspension that keeps them; see [`Member::suspend`].
    suspension: u64,
    /// What the replay settled.
    seen: Seen,
}

/// Names a stored message and the transaction that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredId {
    /// Of the row.
    pub id: Uuid,
    /// The low 32 bits of the transaction's id.
    pub xid: u32,
}

/// Stored messages that a member must not receive any more (P-168): those of its replay, and what the transactions sent
/// that the replay saw, for that was older than its window.
#[derive(Default)]
pub struct Seen {
    ids: Vec<Uuid>,
    snapshot: Option<Snapshot>,
}

impl Seen {
    /// After a replay of these messages, read in this snapshot.
    pub fn new(ids: Vec<Uuid>, snapshot: Option<Snapshot>) -> Self {
        Self { ids, snapshot }
    }

    fn has(&self, message: StoredId) -> bool {
        self.ids.contains(&message.id)
            || self
                .snapshot
                .as_ref()
                .is_some_and(|snapshot| snapshot.shows(message.xid))
    }
}

/// What is needed to send to one joined channel. Shared by everything that delivers to it.
pub struct Member {
    /// Unique in this process; tells a sender apart from the others.
    pub id: u64,
    /// The wire topic it joined, for example `realtime:room-1`.
    pub topic: Arc<str>,
    /// Serializer of its socket.
    pub version: Version,
    /// JSON text of the `join_ref` that pushes carry.
    pub join_ref: Box<str>,
    /// The queue of its socket.
    pub outbox: Arc<Outbox>,
    /// [`super::Hub::entered`] when it entered its topic.
    pub(super) entered: AtomicU64,
    /// [`super::Hub::suspensions`] when its rights were asked for; the greatest number where nobody has to ask.
    judged: AtomicU64,
    flags: AtomicU8,
    aside: OnceLock<Box<Mutex<Aside>>>,
}

impl Member {
    /// A member with a fresh id.
    pub fn new(topic: Arc<str>, version: Version, join_ref: &str, outbox: Arc<Outbox>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            entered: AtomicU64::new(0),
            judged: AtomicU64::new(u64::MAX),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            topic,
            version,
            join_ref: join_ref.into(),
            outbox,
            flags: AtomicU8::new(BROADCAST | PRESENCE),
            aside: OnceLock::new(),
        }
    }

    /// Whether it receives broadcasts, and how it takes part in presence. A new member receives everything.
    pub fn set_rights(&self, broadcast: bool, differences: Differences) {
        let presence = match differences {
            Differences::None => 0,
            Differences::FanOut => PRESENCE,
            Differences::Pushed => PRESENCE | PRESENCE_PUSHED,
        };
        let rights = presence | if broadcast { BROADCAST } else { 0 };
        let _ = self
            .flags
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |flags| {
                Some(flags & !(BROADCAST | PRESENCE | PRESENCE_PUSHED) | rights)
            });
    }

    /// Its rights will be those of after this suspension ([`super::Hub::suspensions`]), which may be outdated when it enters
    /// its topic: then it is suspended from the start.
    pub fn judge(&self, suspension: u64) {
        self.judged.store(suspension, Ordering::Release);
    }

    /// The suspension that its rights are those of after.
    pub fn judged(&self) -> u64 {
        self.judged.load(Ordering::Acquire)
    }

    /// It enters a topic after this suspension; what it was judged by must be as new.
    pub(super) fn enter(&self, suspension: u64) {
        if self.judged() < suspension {
            self.suspend(suspension);
        }
    }

    /// Keeps what is published for it until [`Member::release`]. Before it enters a topic.
    pub fn hold(&self) {
        let aside = Aside {
            held: Some(Vec::new()),
            ..Aside::default()
        };
        if self.aside.set(Box::new(Mutex::new(aside))).is_ok() {
            self.flags.fetch_or(ASIDE, Ordering::AcqRel);
        }
    }

    /// Keeps what is published for it until its rights are known anew: until [`Member::resume`] with this number, or a
    /// greater one.
    pub fn suspend(&self, suspension: u64) {
        let mut aside = self.aside.get_or_init(Box::default).lock();
        aside.held.get_or_insert_default();
        aside.suspension = suspension;
        self.flags.fetch_or(ASIDE, Ordering::AcqRel);
    }

    /// What its replay settled was about another database.
    pub(super) fn forget_replay(&self) {
        if let Some(aside) = self.aside.get() {
            aside.lock().seen = Seen::default();
        }
    }

    /// Whether something keeps what is published for it.
    pub fn is_suspended(&self) -> bool {
        self.aside
            .get()
            .is_some_and(|aside| aside.lock().held.is_some())
    }

    /// Sends what was kept since [`Member::suspend`]. `suspension` is that of the moment at which rights were asked for.
    pub fn resume(&self, suspension: u64) {
        let Some(aside) = self.aside.get() else {
            return;
        };
        let mut aside = aside.lock();
        if aside.suspension > suspension {
            return;
        }
        self.let_go(&mut aside);
    }

    /// Sends `first`, then what was kept except the stored messages that are `seen`, which it never receives again. What a
    /// suspension keeps that is newer than its rights stays until [`Member::resume`].
    pub fn release(&self, first: Vec<Bytes>, seen: Seen) {
        let Some(aside) = self.aside.get() else {
            for frame in first {
                self.send(frame);
            }
            return;
        };
        let mut aside = aside.lock();
        for frame in first {
            self.send(frame);
        }
        aside.seen = seen;
        if aside.suspension <= self.judged() {
            self.let_go(&mut aside);
        }
    }

    fn let_go(&self, aside: &mut Aside) {
        aside.bytes = 0;
        for (id, frame) in aside.held.take().unwrap_or_default() {
            if id.is_none_or(|id| !aside.seen.has(id)) {
                self.send(frame);
            }
        }
    }

    /// Whether the tenant's rate was exceeded when something reached this member; asked once.
    pub fn take_over_limit(&self) -> bool {
        self.flags.fetch_and(!OVER_LIMIT, Ordering::AcqRel) & OVER_LIMIT != 0
    }

    /// Marks it as reached while the tenant's rate was exceeded, and wakes its socket.
    pub(super) fn over_limit(&self) {
        if self.flags.fetch_or(OVER_LIMIT, Ordering::AcqRel) & OVER_LIMIT == 0 {
            self.outbox.attend(Attention::OVER_LIMIT);
        }
    }

    /// Delivers a published message, if it may receive it. `id` names a stored message; `payload` is that of a text
    /// message, for members that receive differences as pushes; `at_once` as for [`Member::send_when`].
    pub(super) fn deliver(
        &self,
        kind: Kind,
        id: Option<StoredId>,
        payload: &[u8],
        at_once: bool,
        frame: impl FnOnce() -> Option<Bytes>,
    ) -> bool {
        let flags = self.flags.load(Ordering::Acquire);
        let frame = match kind {
            Kind::Broadcast if flags & BROADCAST == 0 => return false,
            Kind::PresenceDiff if flags & PRESENCE == 0 => return false,
            Kind::PresenceDiff if flags & PRESENCE_PUSHED != 0 => Some(encode::push(
                self.version,
                &self.join_ref,
                &self.topic,
                "presence_diff",
                payload,
            )),
            _ => frame(),
        };
        let Some(frame) = frame else { return false };
        if flags & ASIDE == 0 {
            return self.send_when(at_once, frame);
        }
        self.deliver_aside(id, frame)
    }

    #[cold]
    fn deliver_aside(&self, id: Option<StoredId>, frame: Bytes) -> bool {
        let Some(aside) = self.aside.get() else {
            return self.send(frame);
        };
        let mut guard = aside.lock();
        let aside = &mut *guard;
        if let Some(held) = &mut aside.held {
            aside.bytes += frame.len();
            if held.len() >= MAX_HELD || aside.bytes > self.outbox.max_bytes() {
                // Rights that stay unknown for so long must not cost memory without bound.
                *held = Vec::new();
                aside.bytes = 0;
                self.outbox.close(Closing::Overflow);
                return false;
            }
            held.push((id, frame));
            return true;
        }
        if id.is_some_and(|id| aside.seen.has(id)) {
            return false;
        }
        // Under the lock: what was kept must not be overtaken.
        self.send(frame)
    }

    /// The topic without its leading `realtime:`.
    pub fn sub_topic(&self) -> &str {
        self.topic.strip_prefix("realtime:").unwrap_or(&self.topic)
    }

    /// Queues frames; `false` when the socket is closing or the channel has ended. Never blocks.
    pub fn send(&self, frames: impl Into<Outgoing>) -> bool {
        self.send_when(false, frames)
    }

    /// The same; `at_once` for frames to few ([`super::FEW`]), which go to the socket here and now if nothing waits for it.
    pub fn send_when(&self, at_once: bool, frames: impl Into<Outgoing>) -> bool {
        let lives = || self.flags.load(Ordering::Acquire) & ENDED == 0;
        self.outbox.push_while(frames.into(), at_once, lives)
    }

    /// From here on nothing is sent to this channel any more, whoever is about to.
    pub fn end(&self) {
        self.outbox.between_frames(|| {
            self.flags.fetch_or(ENDED, Ordering::AcqRel);
        });
    }

    /// Ends it and says why: the last that comes for this channel but its close.
    pub fn dismiss(&self, reason: &str) {
        self.end();
        let frame = self.system_frame("system", encode::Status::Error, reason);
        self.outbox.push(frame);
    }

    /// Queues the state of presence, which is kept as the differences are.
    pub fn presence_state(&self, payload: &[u8]) {
        let frame = encode::push(
            self.version,
            &self.join_ref,
            &self.topic,
            "presence_state",
            payload,
        );
        self.deliver_aside(None, frame);
    }

    /// Queues a `system` message (protocol.md §3.15).
    pub fn system(&self, extension: &str, status: encode::Status, message: &str) -> bool {
        self.send(self.system_frame(extension, status, message))
    }

    fn system_frame(&self, extension: &str, status: encode::Status, message: &str) -> Bytes {
        let payload = serde_json::json!({
            "extension": extension,
            "status": status.as_str(),
            "message": message,
            "channel": self.sub_topic(),
        });
        encode::push(
            self.version,
            &self.join_ref,
            &self.topic,
            "system",
            payload.to_string().as_bytes(),
        )
    }
}
