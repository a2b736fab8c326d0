//! A worker's own connection to the database: opened when it is needed, opened again when it was lost.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use tokio_postgres::Client;

use crate::postgres::{self, ConnectOptions, connect_heard};

/// A worker's statements are short; one that hangs must not hold up the worker for ever.
const SETTINGS: &[(&str, &str)] = &[("statement_timeout", "30000"), ("lock_timeout", "10000")];
/// Where the triggers of the messaging system say that there is something to do.
const LISTEN: &str = "listen dovetail_chat";

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] postgres::Error),
    /// A statement failed, or the connection was lost.
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
}

impl Failure {
    /// What to do about it, where that is known.
    pub(super) fn hint(&self) -> &'static str {
        let code = match self {
            Self::Connect(error) => error.code(),
            Self::Statement(error) => error.code(),
        };
        match code.map(|code| code.code()) {
            // No such schema, function or table.
            Some("3F000" | "42883" | "42P01") => {
                "the tables of the messaging system are not there, or are of an older version: run `dovetail migrate --chat`"
            }
            Some("42501") => {
                "this login may not do that: log in as the role that ran `dovetail migrate --chat`"
            }
            _ => "it is tried again",
        }
    }
}

/// See the module.
pub(super) struct Link {
    options: ConnectOptions,
    name: &'static str,
    /// Woken by what the triggers tell as this, and by the loss of the connection, after which words may be missing.
    told: Option<(&'static str, Arc<Notify>)>,
    client: Mutex<Option<Arc<Client>>>,
}

impl Link {
    /// Not connected yet. `name` is shown in `pg_stat_activity`.
    pub(super) fn new(options: ConnectOptions, name: &'static str) -> Self {
        Self {
            options,
            name,
            told: None,
            client: Mutex::default(),
        }
    }

    /// The same, which wakes `told` whenever somebody notifies `word`, and when the connection is lost.
    pub(super) fn listening(
        options: ConnectOptions,
        name: &'static str,
        word: &'static str,
        told: Arc<Notify>,
    ) -> Self {
        Self {
            told: Some((word, told)),
            ..Self::new(options, name)
        }
    }

    /// The connection.
    ///
    /// # Errors
    /// There is none and none can be made.
    pub(super) async fn client(&self) -> Result<Arc<Client>, Failure> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let (word, loss) = match &self.told {
            Some((word, told)) => (Some(*word), Some(Loss(Arc::clone(told)))),
            None => (None, None),
        };
        let hear = move |notification: tokio_postgres::Notification| {
            if let Some(loss) = &loss
                && word == Some(notification.payload())
            {
                loss.0.notify_one();
            }
        };
        let (client, _driver) = connect_heard(&self.options, self.name, SETTINGS, hear).await?;
        if self.told.is_some() {
            client.batch_execute(LISTEN).await?;
        }
        Ok(Arc::clone(kept.insert(Arc::new(client))))
    }
}

/// Lives as long as the connection does.
struct Loss(Arc<Notify>);

impl Drop for Loss {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
