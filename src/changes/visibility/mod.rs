//! Who sees which row under row level security: one question, one answer.
//!
//! [`Visibility`] is the seam. [`Postgres`] answers by evaluating the policies over images of rows as the audience, in
//! a transaction that cannot write. [`Shortcut`] evaluates here what is compiled, and hands on the rest. Whatever goes wrong
//! on the way to an answer hides the row from that audience and from nobody else.

mod connection;
mod judge;
mod shortcut;
mod statement;

use std::collections::VecDeque;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use connection::{Answer, Connections, Question};
pub(crate) use judge::Postgres;
pub(crate) use shortcut::Shortcut;
pub(crate) use statement::{array, same_value, unnest_of};

use parking_lot::Mutex;

use super::catalog::View;
use super::compiled::{Bound, Compiled};
use super::image::Image;
use crate::auth::Claims;

/// A role with claims: whoever has the same sees the same. Made once per distinct pair and shared.
#[derive(Debug)]
pub struct Audience {
    /// Unique in this process.
    pub(crate) id: u64,
    /// What is set for `request.jwt.claims`, and the role.
    pub(crate) claims: Arc<Claims>,
    /// What compiled policies know of it, by their ids.
    bound: Mutex<VecDeque<(u64, Arc<Bound>)>>,
}

/// Compiled policies that an audience is remembered for. There is one for each table that it subscribed to.
const BOUND: usize = 32;

impl Audience {
    /// A role with claims that no other audience has.
    pub fn new(claims: Arc<Claims>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            claims,
            bound: Mutex::default(),
        }
    }

    /// What a compiled policy (called `policy`) knows of this audience.
    pub(crate) fn bound(&self, policy: u64, compiled: &Compiled) -> Arc<Bound> {
        let mut bound = self.bound.lock();
        if let Some((_, known)) = bound.iter().rev().find(|(id, _)| *id == policy) {
            return known.clone();
        }
        let new = Arc::new(compiled.bind(&self.claims));
        if bound.len() >= BOUND {
            bound.pop_front();
        }
        bound.push_back((policy, new.clone()));
        new
    }

    /// The database role.
    pub(crate) fn role(&self) -> &Arc<str> {
        &self.claims.role
    }
}

impl PartialEq for Audience {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Audience {}

impl Hash for Audience {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// Who of these audiences (all of the view's role) sees this row?
pub(crate) struct Ask {
    /// The role's rights; its access is [`super::catalog::Access::Judged`].
    pub(crate) view: Arc<View>,
    /// The row.
    pub(crate) image: Arc<Image>,
    /// Who.
    pub(crate) audiences: Vec<Arc<Audience>>,
}

/// The answers, per [`Ask`] and audience; `true` only where it is proven.
pub(crate) type Answers = Vec<Vec<bool>>;

/// The same, where it matters whether there was an answer at all.
pub(crate) type Opinions = Vec<Vec<Option<bool>>>;

/// See the module.
pub(crate) trait Visibility: Send + Sync {
    /// Answers all questions, in order.
    fn judge(&self, asks: Vec<Ask>) -> Pin<Box<dyn Future<Output = Answers> + Send + '_>>;
}
