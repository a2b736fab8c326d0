//! What can be chosen.

use std::time::Duration;

/// Settings of Postgres Changes of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Publication whose tables can be subscribed to.
    pub publication: String,
    /// A DELETE on a table with row level security is told only to audiences to whom the deleted row is proven visible
    /// (with the key only, as always). What the replica identity does not tell about the row cannot be proven: with a
    /// policy over other columns than the key this needs FULL. Otherwise every matching subscriber gets the key: the
    /// original's rule (§2.13).
    pub deletes_authorised: bool,
    /// `old_record` of an UPDATE under row level security and replica identity FULL goes to whoever sees the new row:
    /// the original's rule (§2.14.1 item 4). Otherwise only audiences to whom the old row is proven visible get it,
    /// and the others its key.
    pub old_record_original: bool,
    /// Above this size (bytes) a change is cut as `Error 413` says (§2.14.4).
    pub max_record_bytes: usize,
    /// Connections for visibility questions.
    pub visibility_connections: usize,
    /// Evaluate policies here where their meaning is known, instead of asking the database.
    pub compile_policies: bool,
    /// One decision of a compiled policy in so many is compared with the database's own; 0: none.
    pub compare_every: u64,
    /// Limit of one question to the database; what is not answered then is hidden.
    pub statement_timeout: Duration,
    /// Tell a channel when it subscribed to something that can never be delivered to it, and why.
    pub warnings: bool,
    /// Fetch large values that an UPDATE did not touch by key (U-20), instead of leaving them out.
    pub fill_unchanged: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            publication: "supabase_realtime".to_owned(),
            deletes_authorised: false,
            old_record_original: false,
            max_record_bytes: 1 << 20,
            visibility_connections: 2,
            compile_policies: true,
            compare_every: 10_000,
            statement_timeout: Duration::from_secs(5),
            warnings: true,
            fill_unchanged: true,
        }
    }
}
