//! What the surface is told.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;
use crate::postgres::ConnectOptions;

/// Which of the services are served here (`SURFACE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// `/rest/v1`.
    pub rest: bool,
    /// `/auth/v1`.
    pub auth: bool,
    /// `/storage/v1`.
    pub storage: bool,
}

impl Parts {
    /// Whether there is anything to serve.
    pub fn any(self) -> bool {
        self.rest || self.auth || self.storage
    }
}

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
    /// See [`Rest`].
    pub rest: Rest,
    /// See [`Auth`].
    pub auth: Auth,
    /// See [`Storage`].
    pub storage: Storage,
}

/// Of `/rest/v1`.
#[derive(Clone)]
pub struct Rest {
    /// Schemas that may be asked for, the first one being the default (`PGRST_DB_SCHEMAS`).
    pub schemas: Vec<String>,
    /// Schemas that follow in the search path (`PGRST_DB_EXTRA_SEARCH_PATH`).
    pub extra_search_path: Vec<String>,
    /// Most rows of one answer (`PGRST_DB_MAX_ROWS`).
    pub max_rows: Option<u64>,
    /// Largest body of a request in bytes.
    pub max_body: usize,
}

/// Of `/auth/v1`.
#[derive(Clone)]
pub struct Auth {
    /// Lifetime of an access token (`GOTRUE_JWT_EXP`).
    pub token_lifetime: Duration,
    /// Nobody can sign up (`GOTRUE_DISABLE_SIGNUP`).
    pub signup_disabled: bool,
    /// Users without email (`GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED`).
    pub anonymous: bool,
    /// New addresses count as confirmed (`GOTRUE_MAILER_AUTOCONFIRM`). No mail is ever sent.
    pub autoconfirm: bool,
    /// Shortest password in characters (`GOTRUE_PASSWORD_MIN_LENGTH`).
    pub password_min: usize,
    /// How long a rotated refresh token is forgiven (`GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL`).
    pub reuse_interval: Duration,
    /// Requests for tokens, sign-ups and the like of one address in five minutes.
    pub rate_limit: u32,
}

/// Of `/storage/v1`.
#[derive(Clone)]
pub struct Storage {
    /// Where content is kept.
    pub backend: StorageBackend,
    /// Largest object in bytes where the bucket says nothing (`FILE_SIZE_LIMIT`).
    pub file_size_limit: u64,
    /// How long an unfinished resumable upload is kept (`TUS_URL_EXPIRY_MS`).
    pub upload_expiry: Duration,
    /// Most pixels of an image that is rendered.
    pub max_pixels: u64,
}

/// Where content of objects is kept.
#[derive(Clone)]
pub enum StorageBackend {
    /// A folder of this machine.
    File(PathBuf),
    /// A bucket of an S3 service.
    S3 {
        /// Name of the bucket (`GLOBAL_S3_BUCKET`).
        bucket: String,
        /// `REGION` of the stack's storage.
        region: String,
        /// Address of the service where it is not Amazon's (`GLOBAL_S3_ENDPOINT`).
        endpoint: Option<String>,
        /// `GLOBAL_S3_FORCE_PATH_STYLE`.
        path_style: bool,
        /// `AWS_ACCESS_KEY_ID`.
        access_key: Option<String>,
        /// `AWS_SECRET_ACCESS_KEY`.
        secret_key: Option<Secret>,
    },
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
