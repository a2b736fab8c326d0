//! What can be chosen.

use std::time::Duration;

/// Settings of Postgres Changes of one tenant.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Publication whose tables can be subscribed to.
    pub publication: String,
    /// Who is told of a DELETE on a table with row level security.
    pub deletes: Deletes,
    /// What `old_record` of an UPDATE holds on a table with row level security and replica identity FULL.
    pub old_record: OldRecord,
    /// Above this size (bytes) a change is cut as `Error 413` says (§2.14.4).
    pub max_record_bytes: usize,
    /// Connections for visibility questions.
    pub connections: usize,
    /// Limit of one visibility question; what is not answered then is hidden.
    pub question_timeout: Duration,
    /// Limit of validating the entries of one channel (§2.5).
    pub prepare_timeout: Duration,
    /// Tell a channel when it subscribed to something that can never be delivered to it, and why.
    pub warn: bool,
    /// Fetch large values that an UPDATE did not touch by key (U-20), instead of leaving them out.
    pub fill_unchanged: bool,
}

/// Who is told of a DELETE on a table with row level security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    /// Every matching subscriber, with the key only: the original's rule (§2.13).
    Keys,
    /// Only audiences to whom the deleted row is proven visible, with the key only. What the replica identity does not
    /// tell about the row cannot be proven: with a policy over other columns than the key this needs FULL.
    Authorised,
}

/// What `old_record` of an UPDATE holds on a table with row level security and replica identity FULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldRecord {
    /// The old row for audiences to whom it is proven visible, otherwise its key.
    Proven,
    /// The old row for whoever sees the new one: the original's rule (§2.14.1 item 4).
    Original,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            publication: "supabase_realtime".to_owned(),
            deletes: Deletes::Keys,
            old_record: OldRecord::Proven,
            max_record_bytes: 1 << 20,
            connections: 2,
            question_timeout: Duration::from_secs(5),
            prepare_timeout: Duration::from_secs(10),
            warn: true,
            fill_unchanged: true,
        }
    }
}
