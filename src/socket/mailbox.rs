//! What other tasks tell a connection.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::rights::Answers;
use super::settle::Settlement;
use crate::access::{Failure, Rights};
use crate::auth::Claims;
use crate::changes::{Changes, Prepared, Refused};

/// A message to a connection's task.
pub(super) enum Notice {
    /// A subscription to Postgres Changes was validated, or refused.
    Prepared {
        /// Which attempt; an outdated one is ignored.
        ticket: u64,
        /// The wire topic.
        topic: Arc<str>,
        /// Where it must be attached.
        changes: Arc<Changes>,
        /// The outcome.
        result: Result<Prepared, Refused>,
    },
    /// What a join waited for was found out.
    Settled {
        /// Which join.
        ticket: u64,
        /// The wire topic.
        topic: Arc<str>,
        /// What was found out, or the reason for the refusal.
        outcome: Result<Box<Settlement>, String>,
    },
    /// Rights that frames of a channel wait for.
    Rights {
        /// Which question.
        ticket: u64,
        /// The wire topic.
        topic: Arc<str>,
        /// What was found out.
        answers: Answers,
    },
    /// The rights of a joined channel, asked for again.
    AskedAgain {
        /// The wire topic.
        topic: Arc<str>,
        /// Which channel.
        member: u64,
        /// For which token.
        claims: Arc<Claims>,
        /// [`crate::hub::Hub::suspensions`] when it was asked.
        suspension: u64,
        /// It was asked for presence too.
        presence: bool,
        /// The answer.
        read: Result<Rights, Failure>,
    },
    /// The replication stream is live, or did not come up in time.
    Replication {
        /// The wire topic.
        topic: Arc<str>,
        /// Which channel.
        member: u64,
        /// It is live.
        live: bool,
    },
    /// The delay before a failed join is over.
    JoinFailed {
        /// Which join.
        ticket: u64,
        /// The wire topic.
        topic: Arc<str>,
        /// The reason for the reply.
        reason: String,
        /// The socket is closed with this code after the reply.
        close: Option<u16>,
    },
    /// Time to try a subscription again.
    Retry {
        /// Which attempt failed.
        ticket: u64,
        /// The wire topic.
        topic: Arc<str>,
    },
    /// The writer ended: the socket is finished.
    WriterEnded,
}

/// An unbounded queue that only this connection's own work fills; an empty one holds no memory.
#[derive(Default)]
pub(super) struct Mailbox(Mutex<(Vec<Notice>, Option<Waker>)>);

impl Mailbox {
    pub(super) fn send(&self, notice: Notice) {
        let mut state = self.0.lock();
        state.0.push(notice);
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Everything that was sent, in order; pending while there is nothing. For the one task that owns it.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Vec<Notice>> {
        let mut state = self.0.lock();
        if state.0.is_empty() {
            state.1 = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut state.0))
    }
}
