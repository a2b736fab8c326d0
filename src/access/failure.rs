//! Why a question has no answer, and the words for it in logs, on sockets and in HTTP answers.

/// Why access could not be decided. Nothing is allowed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection, or it was lost twice while the question was asked.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// Connecting failed three times within five seconds; the next attempt waits until that is over.
    #[error(
        "the database could not be connected to several times in a row; it is left alone for some seconds"
    )]
    RateLimited,
    /// Postgres has no connection left (SQLSTATE 53300).
    #[error("the database has no free connection: close some, or raise max_connections")]
    LackOfConnections,
    /// A policy raised an error, or the role cannot be assumed. Counts as a denial.
    #[error("a policy or the role's rights raised {code}: {message}")]
    Policy {
        /// SQLSTATE.
        code: String,
        /// What Postgres said. May quote values of rows and claims.
        message: String,
    },
    /// The time limit (SQLSTATE 57014), or somebody cancelled the statement.
    #[error("the check was cancelled: {0}")]
    Canceled(String),
    /// `realtime.messages` has no partition for today.
    #[error("realtime.messages has no partition for today (UTC): run `dovetail migrate`")]
    MissingPartition,
    /// No connection was free in time, or too many checks ran into the time limit lately and this one did before.
    #[error(
        "no connection was free for the check: make policies faster or raise the number of connections"
    )]
    PoolExhausted,
    /// Anything else.
    #[error("the check failed: {0}")]
    Other(String),
}

const NO_CONNECTION: &str = "Realtime was unable to connect to the project database";

impl Failure {
    /// The code under which it is logged (protocol.md §4).
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "UnableToConnectToProject",
            Self::RateLimited => "DatabaseConnectionRateLimitReached",
            Self::LackOfConnections => "DatabaseLackOfConnections",
            Self::Policy { .. } => "RlsPolicyError",
            Self::Canceled(_) => "QueryCanceled",
            Self::MissingPartition => "MissingPartition",
            Self::PoolExhausted => "IncreaseConnectionPool",
            Self::Other(_) => "UnableToSetPolicies",
        }
    }

    /// The SQLSTATE of the error that a policy raised.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Policy { code, .. } => Some(code.as_str()).filter(|code| !code.is_empty()),
            _ => None,
        }
    }

    /// Whether it says that this subject has no access, rather than that nobody can tell.
    #[must_use]
    pub fn denies(&self) -> bool {
        matches!(self, Self::Policy { .. })
    }

    /// `reason` of the refused join (protocol.md §4 rows 17 to 27).
    #[must_use]
    pub fn join_reason(&self, sub_topic: &str) -> String {
        let code = self.code();
        match self {
            Self::Unreachable(_) => format!("{code}: {NO_CONNECTION}"),
            Self::RateLimited => {
                format!("{code}: Too many database connections attempts per second")
            }
            Self::LackOfConnections => {
                format!("{code}: Database can't accept more connections, Realtime won't connect")
            }
            Self::Policy { .. } => unauthorized(sub_topic),
            Self::Canceled(message) => format!("{code}: {message}"),
            Self::MissingPartition => {
                format!("{code}: Realtime was unable to find the expected messages partition")
            }
            Self::PoolExhausted => {
                format!("{code}: Please increase your connection pool size")
            }
            Self::Other(_) => NO_CONNECTION.to_owned(),
        }
    }

    /// Text of the `system` message that ends the channel when a new token cannot be checked (protocol.md §3.11).
    #[must_use]
    pub fn refresh_message(&self, sub_topic: &str) -> String {
        match self {
            Self::Policy { .. } => denied(sub_topic),
            Self::Canceled(_) => "Query was cancelled, please try again".to_owned(),
            Self::PoolExhausted => ":increase_connection_pool".to_owned(),
            Self::LackOfConnections => ":tenant_db_too_many_connections".to_owned(),
            Self::RateLimited => ":connect_rate_limit_reached".to_owned(),
            Self::Unreachable(_) | Self::MissingPartition | Self::Other(_) => {
                NO_CONNECTION.to_owned()
            }
        }
    }

    /// Status and message of `POST /api/broadcast/…/events/…` (protocol.md §5.6).
    #[must_use]
    pub fn rest(&self) -> (u16, &'static str) {
        match self {
            Self::Unreachable(_) => (422, "Tenant database unavailable"),
            Self::RateLimited => (422, "Connect rate limit reached"),
            Self::LackOfConnections => (422, "Tenant database has too many connections"),
            Self::Policy { .. } => (422, "RLS policy error"),
            Self::Canceled(_) => (422, "Query canceled"),
            Self::MissingPartition => (422, "Missing messages partition"),
            Self::PoolExhausted => (429, "Connection pool exhausted"),
            Self::Other(_) => (500, "Unable to authorize broadcast"),
        }
    }
}

/// What a channel is told that has no right to read (protocol.md §3.11).
#[must_use]
pub fn denied(sub_topic: &str) -> String {
    format!("You do not have permissions to read from this Channel topic: {sub_topic}")
}

/// The same as the reason of a refused join (protocol.md §4 rows 23 and 28).
#[must_use]
pub fn unauthorized(sub_topic: &str) -> String {
    format!("Unauthorized: {}", denied(sub_topic))
}

/// What a channel is told that had a right to read and lost it (protocol.md §3.11).
#[must_use]
pub fn lost(sub_topic: &str) -> String {
    format!("You no longer have permission to read from this Channel topic: {sub_topic}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_the_words_of_the_specification() {
        let policy = Failure::Policy {
            code: "22012".into(),
            message: "division by zero".into(),
        };
        let no_database = "Realtime was unable to connect to the project database";
        let denied = "You do not have permissions to read from this Channel topic: a:b";
        let table = [
            (
                Failure::Unreachable("x".into()),
                format!("UnableToConnectToProject: {no_database}"),
                no_database,
                (422, "Tenant database unavailable"),
            ),
            (
                Failure::RateLimited,
                "DatabaseConnectionRateLimitReached: Too many database connections attempts per second".into(),
                ":connect_rate_limit_reached",
                (422, "Connect rate limit reached"),
            ),
            (
                Failure::LackOfConnections,
                "DatabaseLackOfConnections: Database can't accept more connections, Realtime won't connect".into(),
                ":tenant_db_too_many_connections",
                (422, "Tenant database has too many connections"),
            ),
            (
                policy.clone(),
                format!("Unauthorized: {denied}"),
                denied,
                (422, "RLS policy error"),
            ),
            (
                Failure::Canceled("canceling statement due to statement timeout".into()),
                "QueryCanceled: canceling statement due to statement timeout".into(),
                "Query was cancelled, please try again",
                (422, "Query canceled"),
            ),
            (
                Failure::MissingPartition,
                "MissingPartition: Realtime was unable to find the expected messages partition".into(),
                no_database,
                (422, "Missing messages partition"),
            ),
            (
                Failure::PoolExhausted,
                "IncreaseConnectionPool: Please increase your connection pool size".into(),
                ":increase_connection_pool",
                (429, "Connection pool exhausted"),
            ),
            (
                Failure::Other("x".into()),
                no_database.into(),
                no_database,
                (500, "Unable to authorize broadcast"),
            ),
        ];
        for (failure, join, refresh, rest) in table {
            assert_eq!(failure.join_reason("a:b"), join);
            assert_eq!(failure.refresh_message("a:b"), refresh);
            assert_eq!(failure.rest(), rest);
            assert_eq!(failure.denies(), failure == policy);
        }
        assert_eq!(
            lost("a:b"),
            "You no longer have permission to read from this Channel topic: a:b"
        );
    }
}
