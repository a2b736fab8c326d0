//! What the messaging system is told.

use std::time::Duration;

use crate::auth::ClaimValidators;
use crate::config::{ChatConfig, Secret};
use crate::postgres::ConnectOptions;

/// See the module.
#[derive(Clone)]
pub struct Settings {
    /// The database, under the server's own login: that which ran `dovetail migrate --chat`, or another that may become
    /// `service_role`.
    pub connect: ConnectOptions,
    /// Longest run of one statement.
    pub statement_timeout: Duration,
    /// Secret that tokens are signed with (HS256) where there is no `CHAT_JWT_KEY`.
    pub jwt_secret: Option<Secret>,
    /// Claims that this server demands of tokens, so that ours have them.
    pub claim_validators: ClaimValidators,
    /// Shown to the Storage API instead of a token that is signed here.
    pub service_key: Option<Secret>,
    /// The public address of this server without a path.
    pub external_url: Option<String>,
    /// Address of this server's own Storage API, with its path; none where it serves no storage.
    pub own_storage: Option<String>,
    /// Most pixels of an image that is decoded.
    pub max_pixels: u64,
    /// What the configuration says of the messaging system alone.
    pub config: ChatConfig,
}

impl Settings {
    /// Address of the Storage API; none where no thumbnails are made.
    pub(super) fn thumbnails(&self) -> Option<&str> {
        let url = self.config.storage_url.as_deref();
        let url = url.or(self.own_storage.as_deref())?;
        (self.config.thumbnail_workers > 0).then_some(url)
    }
}
