//! Why a request got nothing from the database.

use deadpool::managed::PoolError;
use tokio_postgres::error::DbError;

/// See the module. What clients are told is decided by each service.
#[derive(Debug, thiserror::Error)]
pub(in crate::gateway) enum Error {
    /// The database cannot be reached, or the login is refused.
    #[error("the database cannot be reached")]
    Unavailable(#[source] crate::postgres::Error),
    /// Every connection was busy for too long.
    #[error("no connection was free in time")]
    Busy,
    /// The role of the token cannot be assumed: it does not exist, or `authenticator` is no member.
    #[error("the role cannot be assumed")]
    Role(#[source] tokio_postgres::Error),
    /// Postgres refused the statement, or the connection was lost.
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
}

impl Error {
    /// What Postgres itself said.
    pub(in crate::gateway) fn db(&self) -> Option<&DbError> {
        match self {
            Self::Role(error) | Self::Postgres(error) => error.as_db_error(),
            Self::Unavailable(_) | Self::Busy => None,
        }
    }

    /// The SQLSTATE of that.
    pub(in crate::gateway) fn code(&self) -> Option<&str> {
        self.db().map(|error| error.code().code())
    }
}

impl From<PoolError<crate::postgres::Error>> for Error {
    fn from(error: PoolError<crate::postgres::Error>) -> Self {
        match error {
            PoolError::Backend(error) => Self::Unavailable(error),
            _ => Self::Busy,
        }
    }
}

impl From<crate::postgres::Error> for Error {
    fn from(error: crate::postgres::Error) -> Self {
        Self::Unavailable(error)
    }
}
