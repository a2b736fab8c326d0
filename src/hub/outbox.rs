//! The bounded queue of finished frames in front of one socket.
//!
//! Any task pushes; the socket's writer takes everything that is queued and writes it with as few system calls as
//! possible. The writer is woken only when the queue goes from empty to not empty, and not at all for a frame that is
//! to go at once and that the socket takes. A full outbox ends its socket
//! and frees the queue: a reader that is too slow costs bounded memory and nobody else's time.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Buf;
use parking_lot::Mutex;

use super::wire::Wire;
use crate::protocol::Outgoing;

/// So long after a frame that went at once the next is queued: many in quick succession go together.
const APART: Duration = Duration::from_micros(500);

/// How much one outbox may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of queued frames.
    pub bytes: usize,
    /// Number of queued frames.
    pub frames: usize,
}

/// Why an outbox takes no more frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Write what is queued, then a close frame with this code.
    Code(u16),
    /// The client did not read: what was queued is gone; close with 1013 if the socket takes it.
    Overflow,
    /// The socket is gone; nothing can be written.
    Gone,
}

/// What a socket is asked to look at, by whoever knows that something of it changed. Asking is cheap and never waits;
/// asking twice is asking once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention(u8);

impl Attention {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Members of this socket were reached while the tenant's rate was exceeded ([`super::Member::take_over_limit`]).
    pub const OVER_LIMIT: Self = Self(1);
    /// Policies may have changed: rights to private channels must be asked for again.
    pub const RIGHTS: Self = Self(2);
    /// The tenant's database is another one: subscriptions must be made again.
    pub const DATABASE: Self = Self(4);

    /// Whether `other` is part of it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl State {
    /// Writes frames if it is their turn and the socket takes them; what is left of them has to be queued.
    fn write(&mut self, frames: &mut Outgoing) -> bool {
        let (Outgoing::Frames(bytes, _), Some(wire)) = (frames, &self.wire) else {
            return false;
        };
        if !self.idle || !self.waiting.is_empty() {
            return false;
        }
        let now = Instant::now();
        if self.went.is_some_and(|went| now - went < APART) {
            return false;
        }
        self.went = Some(now);
        // An error is for the writer to find.
        let written = wire.try_write(bytes).unwrap_or(0);
        bytes.advance(written);
        bytes.is_empty()
    }

    fn forget(&mut self) {
        self.waiting = Vec::new();
        (self.bytes, self.frames) = (0, 0);
    }
}

/// See the module.
pub struct Outbox {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Outgoing>,
    frames: usize,
    bytes: usize,
    closing: Option<Closing>,
    writer: Option<Waker>,
    /// The writer has nothing in hand.
    idle: bool,
    /// The socket, while it lives.
    wire: Option<Arc<Wire>>,
    /// When something went at once.
    went: Option<Instant>,
    attention: u8,
    /// The task that reads from the socket, to be woken for its attention.
    reader: Option<Waker>,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    /// Bytes that may wait for its socket.
    pub(super) fn max_bytes(&self) -> usize {
        self.limits.bytes
    }

    /// Queues frames. `false` when the socket is closing or just overflowed; never blocks.
    pub fn push(&self, frames: impl Into<Outgoing>) -> bool {
        self.push_while(frames.into(), false, || true)
    }

    /// The socket behind it.
    pub fn connect(&self, wire: Arc<Wire>) {
        self.state.lock().wire = Some(wire);
    }

    /// The same if `wanted` still says so once it is their turn. `at_once` writes to the socket here and now if nothing waits
    /// for it: cheaper and sooner for one frame to few sockets, while many sockets are written to by many tasks.
    pub(super) fn push_while(
        &self,
        mut frames: Outgoing,
        at_once: bool,
        wanted: impl FnOnce() -> bool,
    ) -> bool {
        let (bytes, count) = (frames.size(), frames.count() as usize);
        let mut state = self.state.lock();
        if state.closing.is_some() || !wanted() {
            return false;
        }
        if at_once && state.write(&mut frames) {
            return true;
        }
        // What is larger than the limit by itself still goes out when the queue is empty.
        let full = !state.waiting.is_empty()
            && (state.bytes + bytes > self.limits.bytes
                || state.frames + count > self.limits.frames);
        if full {
            metrics::counter!(crate::metrics_names::SLOW_CONSUMERS).increment(1);
            state.forget();
            return !Self::begin_closing(state, Closing::Overflow);
        }
        state.bytes += bytes;
        state.frames += count;
        state.waiting.push(frames);
        let writer = if state.waiting.len() == 1 {
            state.writer.take()
        } else {
            None
        };
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        true
    }

    /// Does something between two frames: what is pushed before has its place, what comes after sees what was done.
    pub(super) fn between_frames(&self, what: impl FnOnce()) {
        let state = self.state.lock();
        what();
        drop(state);
    }

    /// Ends the socket after what is queued has been written. The first reason wins.
    pub fn close(&self, closing: Closing) {
        Self::begin_closing(self.state.lock(), closing);
    }

    fn begin_closing(mut state: parking_lot::MutexGuard<'_, State>, closing: Closing) -> bool {
        if closing == Closing::Gone {
            state.wire = None;
            // Nobody will take these any more.
            state.forget();
        }
        if state.closing.is_none() || closing == Closing::Gone {
            state.closing = Some(closing);
        }
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        true
    }

    /// Makes the socket look at something.
    pub fn attend(&self, attention: Attention) {
        let mut state = self.state.lock();
        state.attention |= attention.0;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// What the socket was asked to look at since the last time; pending while that is nothing. For its one reader.
    pub fn poll_attention(&self, context: &mut Context<'_>) -> Poll<Attention> {
        let mut state = self.state.lock();
        if state.attention == 0 {
            let waker = context.waker();
            if !state
                .reader
                .as_ref()
                .is_some_and(|old| old.will_wake(waker))
            {
                state.reader = Some(waker.clone());
            }
            return Poll::Pending;
        }
        Poll::Ready(Attention(std::mem::take(&mut state.attention)))
    }

    /// Why the outbox is closing, if it is.
    pub fn closing(&self) -> Option<Closing> {
        self.state.lock().closing
    }

    /// Bytes queued and not yet taken by the writer.
    pub fn queued_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Swaps what is queued into `waiting` (which must be empty). Ready with `None` while the socket lives, and with
    /// the reason once it is closing; pending while there is nothing to do. For the one writer of the socket.
    pub fn poll_take(
        &self,
        context: &mut Context<'_>,
        waiting: &mut Vec<Outgoing>,
    ) -> Poll<Option<Closing>> {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && state.closing.is_none() {
            let waker = context.waker();
            if !state
                .writer
                .as_ref()
                .is_some_and(|old| old.will_wake(waker))
            {
                state.writer = Some(waker.clone());
            }
            state.idle = true;
            return Poll::Pending;
        }
        state.idle = false;
        mem::swap(&mut state.waiting, waiting);
        (state.bytes, state.frames) = (0, 0);
        Poll::Ready(state.closing)
    }

    /// Ready once what is queued is no longer worth writing: the client did not read, or the socket is gone. For
    /// the writer, while the socket takes no more bytes.
    pub fn poll_gave_up(&self, context: &mut Context<'_>) -> Poll<Closing> {
        let mut state = self.state.lock();
        match state.closing {
            Some(closing @ (Closing::Overflow | Closing::Gone)) => Poll::Ready(closing),
            _ => {
                state.writer = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const LIMITS: Limits = Limits {
        bytes: 10,
        frames: 3,
    };

    fn take(outbox: &Outbox, waker: &Waker) -> Poll<(Vec<Bytes>, Option<Closing>)> {
        let mut waiting = Vec::new();
        let mut context = Context::from_waker(waker);
        outbox.poll_take(&mut context, &mut waiting).map(|closing| {
            let frames = waiting.into_iter().map(Outgoing::into_bytes).collect();
            (frames, closing)
        })
    }

    #[test]
    fn the_writer_is_woken_once_for_many_frames() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let outbox = Outbox::new(LIMITS);
        assert!(take(&outbox, &waker).is_pending());
        for _ in 0..3 {
            assert!(outbox.push(Bytes::from_static(b"x")));
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        let Poll::Ready((frames, None)) = take(&outbox, &waker) else {
            panic!("frames were queued");
        };
        assert_eq!(frames.len(), 3);
    }

    #[test]
    fn a_full_outbox_closes_and_lets_go_of_its_frames() {
        let waker = Waker::noop();
        for frames in [vec![6, 6], vec![1, 1, 1, 1]] {
            let outbox = Outbox::new(LIMITS);
            let results: Vec<bool> = frames
                .iter()
                .map(|length| outbox.push(Bytes::from(vec![0; *length])))
                .collect();
            assert_eq!(results.last(), Some(&false));
            assert_eq!(outbox.queued_bytes(), 0);
            let taken = take(&outbox, waker);
            assert_eq!(taken, Poll::Ready((Vec::new(), Some(Closing::Overflow))));
            assert!(!outbox.push(Bytes::from_static(b"x")));
        }
    }

    #[test]
    fn a_close_comes_after_what_is_queued_and_the_first_reason_stays() {
        let outbox = Outbox::new(LIMITS);
        outbox.push(Bytes::from_static(b"last"));
        outbox.close(Closing::Code(1012));
        outbox.close(Closing::Code(1000));
        let Poll::Ready((frames, closing)) = take(&outbox, Waker::noop()) else {
            panic!("closing is ready");
        };
        assert_eq!(frames, [Bytes::from_static(b"last")]);
        assert_eq!(closing, Some(Closing::Code(1012)));
    }

    #[test]
    fn one_frame_larger_than_the_limit_passes_when_nothing_waits() {
        let outbox = Outbox::new(LIMITS);
        assert!(outbox.push(Bytes::from(vec![0; 100])));
    }
}
