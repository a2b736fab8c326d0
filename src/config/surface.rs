//! The embedded Supabase surface: which parts are served, and what each is told. Names are those of PostgREST, Auth and
//! Storage where the concept is the same.

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;
use super::reader::Reader;

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
    /// All of them.
    pub const EMBEDDED: Self = Self {
        rest: true,
        auth: true,
        storage: true,
    };

    /// Whether there is anything to serve.
    pub fn any(self) -> bool {
        self.rest || self.auth || self.storage
    }

    /// `realtime`, `embedded`, or a list of parts.
    fn read(text: &str) -> Option<Self> {
        match text {
            "realtime" => return Some(Self::default()),
            "embedded" => return Some(Self::EMBEDDED),
            _ => {}
        }
        let mut parts = Self::default();
        for word in text.split(',').map(str::trim) {
            match word {
                "rest" => parts.rest = true,
                "auth" => parts.auth = true,
                "storage" => parts.storage = true,
                "realtime" => {}
                _ => return None,
            }
        }
        Some(parts)
    }
}

/// Everything the surface is told.
#[derive(Clone)]
pub struct Surface {
    /// What is served. None: not said, which is nothing for `serve` and everything for `dev`.
    pub parts: Option<Parts>,
    /// Password of `authenticator` and `supabase_auth_admin` (`AUTHENTICATOR_PASSWORD`). None: that of the database
    /// login, as in the stack.
    pub password: Option<Secret>,
    /// Connections that serve requests at the same time (`SURFACE_CONNECTIONS`).
    pub connections: usize,
    /// Largest JSON body in bytes (`SURFACE_MAX_BODY_BYTES`).
    pub max_body: usize,
    /// The public address of this server without a path (`API_EXTERNAL_URL`). None: that of the request.
    pub external_url: Option<String>,
    /// See [`RestSettings`].
    pub rest: RestSettings,
    /// See [`AuthSettings`].
    pub auth: AuthSettings,
    /// See [`StorageSettings`].
    pub storage: StorageSettings,
}

/// Of `/rest/v1`.
#[derive(Clone)]
pub struct RestSettings {
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
pub struct AuthSettings {
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
    /// Requests for tokens, sign-ups and the like of one address in five minutes (`AUTH_RATE_LIMIT`).
    pub rate_limit: u32,
}

/// Of `/storage/v1`.
#[derive(Clone)]
pub struct StorageSettings {
    /// Where content is kept (`STORAGE_BACKEND`).
    pub backend: StorageBackend,
    /// Largest object in bytes where the bucket says nothing (`FILE_SIZE_LIMIT`).
    pub file_size_limit: u64,
    /// How long an unfinished resumable upload is kept (`TUS_URL_EXPIRY_MS`).
    pub upload_expiry: Duration,
    /// Most pixels of an image that is rendered (`IMAGE_MAX_PIXELS`).
    pub max_pixels: u64,
}

/// Where content of objects is kept.
#[derive(Clone)]
pub enum StorageBackend {
    /// A folder of this machine (`FILE_STORAGE_BACKEND_PATH`).
    File(PathBuf),
    /// A bucket of an S3 service.
    S3 {
        /// Name of the bucket (`GLOBAL_S3_BUCKET`).
        bucket: String,
        /// Where it is (`REGION`).
        region: String,
        /// Address of the service where it is not Amazon's (`GLOBAL_S3_ENDPOINT`).
        endpoint: Option<String>,
        /// The bucket is part of the path, not of the host (`GLOBAL_S3_FORCE_PATH_STYLE`).
        path_style: bool,
        /// `AWS_ACCESS_KEY_ID`.
        access_key: Option<String>,
        /// `AWS_SECRET_ACCESS_KEY`.
        secret_key: Option<Secret>,
    },
}

#[derive(Clone, Copy)]
enum Kind {
    File,
    S3,
}

/// Read in the order of the table.
pub(super) fn read(reader: &mut Reader<'_>) -> Surface {
    let parts = parts(reader);
    let password = reader.secret("AUTHENTICATOR_PASSWORD");
    let connections = reader.size("SURFACE_CONNECTIONS", 1..=1000);
    let max_body = reader.size("SURFACE_MAX_BODY_BYTES", 1024..=1 << 30);
    let external_url = reader.optional("API_EXTERNAL_URL");
    let external_url = external_url.map(|url| url.trim_end_matches('/').to_owned());
    let schemas = list(&reader.text("PGRST_DB_SCHEMAS"));
    if schemas.is_empty() {
        reader.problem(
            "PGRST_DB_SCHEMAS",
            "names no schema",
            "write public, or leave it out",
        );
    }
    let rest = RestSettings {
        schemas,
        extra_search_path: list(&reader.text("PGRST_DB_EXTRA_SEARCH_PATH")),
        max_rows: reader.maybe_number("PGRST_DB_MAX_ROWS", 1..=u64::from(u32::MAX)),
        max_body,
    };
    let seconds = |number| Duration::from_secs(number);
    let auth = AuthSettings {
        token_lifetime: seconds(reader.number("GOTRUE_JWT_EXP", 1..=604_800)),
        signup_disabled: reader.flag("GOTRUE_DISABLE_SIGNUP"),
        anonymous: reader.flag("GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED"),
        autoconfirm: reader.flag("GOTRUE_MAILER_AUTOCONFIRM"),
        password_min: reader.size("GOTRUE_PASSWORD_MIN_LENGTH", 6..=72),
        reuse_interval: seconds(
            reader.number("GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL", 0..=3600),
        ),
        rate_limit: u32::try_from(reader.number("AUTH_RATE_LIMIT", 1..=u64::from(u32::MAX)))
            .unwrap_or(u32::MAX),
    };
    let backend = backend(reader, parts);
    let storage = StorageSettings {
        backend,
        file_size_limit: reader.number("FILE_SIZE_LIMIT", 1..=1 << 50),
        upload_expiry: reader.millis("TUS_URL_EXPIRY_MS", 1000),
        max_pixels: reader.number("IMAGE_MAX_PIXELS", 1..=1 << 32),
    };
    Surface {
        parts,
        password,
        connections,
        max_body,
        external_url,
        rest,
        auth,
        storage,
    }
}

fn parts(reader: &mut Reader<'_>) -> Option<Parts> {
    let text = reader.optional("SURFACE")?;
    let parts = Parts::read(&text);
    if parts.is_none() {
        reader.problem(
            "SURFACE",
            format!("is \"{text}\""),
            "write realtime, embedded, or a list of rest, auth and storage",
        );
    }
    parts
}

fn backend(reader: &mut Reader<'_>, parts: Option<Parts>) -> StorageBackend {
    let kind = reader.choice(
        "STORAGE_BACKEND",
        &[("file", Kind::File), ("s3", Kind::S3)],
        Kind::File,
    );
    let path = reader
        .optional("FILE_STORAGE_BACKEND_PATH")
        .map(PathBuf::from);
    let bucket = reader.optional("GLOBAL_S3_BUCKET");
    let endpoint = reader.optional("GLOBAL_S3_ENDPOINT");
    let path_style = reader.flag("GLOBAL_S3_FORCE_PATH_STYLE");
    let access_key = reader.optional("AWS_ACCESS_KEY_ID");
    let secret_key = reader.secret("AWS_SECRET_ACCESS_KEY");
    match kind {
        Kind::File => {
            if path.is_none() && parts.is_some_and(|parts| parts.storage) {
                reader.problem(
                    "FILE_STORAGE_BACKEND_PATH",
                    "is not set: there is no folder for the content of objects",
                    "write the folder, set STORAGE_BACKEND=s3, or leave storage out of SURFACE",
                );
            }
            StorageBackend::File(path.unwrap_or_default())
        }
        Kind::S3 => {
            if bucket.is_none() {
                reader.problem(
                    "GLOBAL_S3_BUCKET",
                    "is not set, but STORAGE_BACKEND is s3",
                    "write the name of the bucket",
                );
            }
            StorageBackend::S3 {
                bucket: bucket.unwrap_or_default(),
                region: reader.text("REGION"),
                endpoint,
                path_style,
                access_key,
                secret_key,
            }
        }
    }
}

fn list(text: &str) -> Vec<String> {
    let words = text.split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_none_or_those_that_are_named() {
        let only = |rest, auth, storage| Parts {
            rest,
            auth,
            storage,
        };
        for (text, parts) in [
            ("realtime", Some(Parts::default())),
            ("embedded", Some(Parts::EMBEDDED)),
            ("rest", Some(only(true, false, false))),
            ("realtime, auth,storage", Some(only(false, true, true))),
            ("rest,graphql", None),
            ("", None),
        ] {
            assert_eq!(Parts::read(text), parts, "{text}");
        }
    }
}
