//! What the surface is told: what the configuration says, and the database it serves.

use std::time::Duration;

use crate::config::Secret;
pub use crate::config::{AuthSettings, Parts, RestSettings, StorageBackend, StorageSettings};
use crate::postgres::ConnectOptions;

/// See the module.
#[derive(Clone)]
pub struct Settings {
    /// What is served.
    pub parts: Parts,
    /// The database; user and password are replaced by those of the role that a pool logs in as.
    pub connect: ConnectOptions,
    /// Password of `authenticator` and `supabase_auth_admin`.
    pub password: Option<Secret>,
    /// Connections that serve requests at the same time.
    pub connections: usize,
    /// Longest run of one request's statement.
    pub statement_timeout: Duration,
    /// Secret that tokens of users and signed URLs are signed with (HS256).
    pub jwt_secret: Option<Secret>,
    /// The public address of this server without a path, for what has to name it. None: that of the request.
    pub external_url: Option<String>,
    /// Of `/rest/v1`.
    pub rest: RestSettings,
    /// Of `/auth/v1`.
    pub auth: AuthSettings,
    /// Of `/storage/v1`.
    pub storage: StorageSettings,
}

impl Settings {
    /// The database under another login.
    pub(super) fn login(&self, user: &str) -> ConnectOptions {
        ConnectOptions {
            user: user.to_owned(),
            password: self
                .password
                .as_ref()
                .map(|secret| secret.expose().to_owned()),
            ..self.connect.clone()
        }
    }
}
