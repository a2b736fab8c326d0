//! The one list of settings. Flags, `--help` and `.env.example` are made from it.

/// One setting: an environment variable and the flag of the same name.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The variable; the flag is the same in lower case with dashes, see [`Setting::flag`].
    pub name: &'static str,
    /// The heading it stands under.
    pub group: Group,
    /// What a value looks like, for `--help`.
    pub shape: Shape,
    /// The value when it is not set; empty when there is none.
    pub default: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// What it does, one or two sentences without a full stop at the end.
    pub help: &'static str,
}

/// Headings of `--help` and `.env.example`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Group {
    Listening,
    Database,
    Tenant,
    Tenants,
    Keys,
    Sockets,
    Presence,
    Changes,
    Housekeeping,
    Surface,
    Chat,
    Logging,
    Development,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shape {
    Text,
    Number,
    Millis,
    Seconds,
    Bool,
    Json,
    Path,
}

impl Group {
    /// The heading's text.
    pub fn title(self) -> &'static str {
        match self {
            Self::Listening => "Listening",
            Self::Database => "Database",
            Self::Tenant => "Tenant and limits",
            Self::Tenants => "Many tenants",
            Self::Keys => "Keys",
            Self::Sockets => "Sockets",
            Self::Presence => "Presence",
            Self::Changes => "Postgres Changes",
            Self::Housekeeping => "Housekeeping",
            Self::Surface => "Embedded Supabase surface",
            Self::Chat => "Messaging system",
            Self::Logging => "Logging",
            Self::Development => "Development",
        }
    }
}

impl Shape {
    /// The placeholder in `--help`.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Number => "NUMBER",
            Self::Millis => "MS",
            Self::Seconds => "SECONDS",
            Self::Bool => "BOOL",
            Self::Json => "JSON",
            Self::Path => "PATH",
        }
    }
}

impl Setting {
    /// Name of the flag without its dashes: the variable's without our own prefix.
    pub fn flag(&self) -> String {
        let name = self.name.strip_prefix("DOVETAIL_").unwrap_or(self.name);
        name.to_ascii_lowercase().replace('_', "-")
    }
}

/// The setting of this name.
pub(super) fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const fn plain(
    group: Group,
    name: &'static str,
    shape: Shape,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        group,
        shape,
        default,
        secret: false,
        help,
    }
}

const fn hidden(group: Group, name: &'static str, shape: Shape, help: &'static str) -> Setting {
    Setting {
        name,
        group,
        shape,
        default: "",
        secret: true,
        help,
    }
}

use Group::{
    Changes, Chat, Database, Development, Housekeeping, Keys, Listening, Logging, Presence,
    Sockets, Surface, Tenant, Tenants,
};
use Shape::{Bool, Json, Millis, Number, Path, Seconds, Text};

/// Every setting there is, in the order they are read and shown.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    plain(Listening, "PORT", Number, "4000", "TCP port for HTTP and WebSocket; 0 picks a free one"),
    plain(Listening, "HOST", Text, "", "IP address to listen on; all interfaces, IPv6 and IPv4, when not set"),
    plain(Listening, "REALTIME_IP_VERSION", Text, "", "ipv4: listen on all interfaces for IPv4 only; ipv6: for both, and fail where there is no IPv6"),
    plain(Listening, "MAX_HEADER_LENGTH", Number, "4096", "Largest value of a request header in bytes"),
    plain(Listening, "MAX_CONNECTIONS", Number, "16384", "Connections accepted at the same time; more wait"),
    plain(Listening, "DRAIN_SECONDS", Seconds, "7", "Time over which a stop closes many sockets; docker stop kills after 10"),
    plain(Listening, "RLIMIT_NOFILE", Number, "", "Soft limit of open files; the hard limit when not set"),
    plain(Listening, "INSPECTOR", Bool, "true", "Serve the inspector page at /inspector, which shows nothing without a token"),

    hidden(Database, "DATABASE_URL", Text, "The database, postgres://user:password@host:5432/database?sslmode=...; replaces the five variables below"),
    plain(Database, "DB_HOST", Text, "127.0.0.1", "Host of the database"),
    plain(Database, "DB_PORT", Number, "5432", "Port of the database"),
    plain(Database, "DB_NAME", Text, "postgres", "Name of the database"),
    plain(Database, "DB_USER", Text, "supabase_admin", "Role to log in as; it needs REPLICATION"),
    hidden(Database, "DB_PASSWORD", Text, "Password, as it is: nothing in it is decoded"),
    plain(Database, "DB_SSL", Text, "", "true, false or a word of libpq's sslmode; encrypted where the database offers it when not set"),
    plain(Database, "DB_SSL_CA_CERT", Path, "", "File with the CA certificate (PEM) to verify the database with"),
    plain(Database, "DB_IP_VERSION", Text, "", "ipv4 or ipv6: try only the addresses of this family; every address of the host when not set"),

    plain(Tenant, "SELF_HOST_TENANT_NAME", Text, "realtime-dev", "External id of the tenant"),
    plain(Tenant, "TENANT_FROM_HOST", Bool, "false", "true: answer only requests whose host begins with the tenant's name, as the original does"),
    plain(Tenant, "TENANT_MAX_CONCURRENT_USERS", Number, "0", "Sockets with a channel at the same time; 0 is no limit"),
    plain(Tenant, "TENANT_MAX_CHANNELS_PER_CLIENT", Number, "1000", "Channels of one socket at the same time"),
    plain(Tenant, "TENANT_MAX_JOINS_PER_SECOND", Number, "0", "Joins a second, averaged over a minute; 0 is no limit"),
    plain(Tenant, "TENANT_MAX_EVENTS_PER_SECOND", Number, "0", "Messages a second, sent and delivered, averaged over a minute; 0 is no limit"),
    plain(Tenant, "TENANT_MAX_BYTES_PER_SECOND", Number, "100000", "Shown by the tenant API, not enforced"),
    plain(Tenant, "TENANT_MAX_PRESENCE_EVENTS_PER_SECOND", Number, "0", "Presence events a second, averaged over a minute; 0 is no limit"),
    plain(Tenant, "MAX_PAYLOAD_SIZE_IN_KB", Number, "3000", "Largest payload of a broadcast or presence in units of 1000 bytes"),
    plain(Tenant, "CLIENT_PRESENCE_MAX_CALLS", Number, "5", "Presence calls of one channel within the window below"),
    plain(Tenant, "CLIENT_PRESENCE_WINDOW_MS", Millis, "30000", "Length of that window"),
    plain(Tenant, "PRESENCE_EXCESS", Text, "coalesce", "What becomes of more calls. coalesce: the last state goes out as soon as the rate allows; close: the channel is closed, as in the original"),
    plain(Tenant, "TENANT_PRIVATE_ONLY", Bool, "false", "true: public channels cannot be joined"),
    plain(Tenant, "TENANT_PRESENCE_ENABLED", Bool, "false", "true: every channel takes part in presence, whether its join asks for it or not"),
    plain(Tenant, "RIGHTS_INTERVAL_MS", Millis, "60000", "How often rights to joined private channels are asked for again; 0 is never, as in the original"),
    plain(Tenant, "ACCESS_CONNECTIONS", Number, "2", "Connections that ask the policies of private channels"),

    plain(Tenants, "TENANTS", Text, "", "single: one tenant, from these settings; database: those in the metadata of the original server, of which DB_* is then the database. When not set: database if DB_ENC_KEY is set and SEED_SELF_HOST is not true"),
    plain(Tenants, "SEED_SELF_HOST", Bool, "false", "With TENANTS=database: make the tenant SELF_HOST_TENANT_NAME anew from these settings at each start"),
    hidden(Tenants, "DB_ENC_KEY", Text, "16 bytes: the key of what the original server has encrypted in the metadata"),
    hidden(Tenants, "DB_ENC_KEY_GCM", Text, "32 bytes: the key of what is encrypted with AES-256-GCM in the metadata"),
    plain(Tenants, "DB_ENC_WRITE_GCM", Bool, "false", "true: encrypt with AES-256-GCM from now on; the original server then needs the key as well"),
    plain(Tenants, "DB_AFTER_CONNECT_QUERY", Text, "SET search_path TO _realtime", "SQL for each connection to the metadata; its search path says where the tables are"),
    plain(Tenants, "DB_POOL_SIZE", Number, "5", "Connections to the metadata"),
    plain(Tenants, "TENANT_CACHE_EXPIRATION_IN_MS", Millis, "30000", "How long a tenant is served as it was read; changes through the tenant API count at once"),
    plain(Tenants, "TENANT_IDLE_RELEASE_MS", Millis, "660000", "A tenant without a socket for this long gives its database connections back until somebody comes"),

    hidden(Keys, "API_JWT_SECRET", Text, "Secret of client tokens and of the tenant API (JWT_SECRET of a Supabase stack)"),
    hidden(Keys, "API_JWT_SECRET_NEXT", Text, "A second secret for the tenant API while the first is being replaced"),
    hidden(Keys, "API_JWT_JWKS", Json, "Public keys of client tokens: {\"keys\":[...]}, an array of keys, or one key"),
    hidden(Keys, "METRICS_JWT_SECRET", Text, "Secret of tokens for /metrics, which is closed when not set"),
    hidden(Keys, "API_TOKEN_BLOCKLIST", Text, "Tokens the tenant API refuses, separated by commas"),
    hidden(Keys, "METRICS_TOKEN_BLOCKLIST", Text, "Tokens /metrics refuses, separated by commas"),
    plain(Keys, "JWT_CLAIM_VALIDATORS", Json, "", "Claims that must have a certain value where present, for example {\"iss\":\"https://auth.example.com\"}"),
    hidden(Keys, "ANON_KEY", Text, "The key browsers use; only checked against the secret at start"),
    hidden(Keys, "SERVICE_KEY", Text, "The key of servers; only checked against the secret at start"),

    plain(Sockets, "CONNECT_ERROR_BACKOFF_MS", Millis, "2000", "Delay of the answer to a refused connection"),
    plain(Sockets, "CHANNEL_ERROR_BACKOFF_MS", Millis, "5000", "Delay of the answer to a refused join; clients give up after 10 s"),
    plain(Sockets, "NO_CHANNEL_TIMEOUT_IN_MS", Millis, "600000", "How often sockets that left all channels are closed"),
    plain(Sockets, "IDLE_TIMEOUT_MS", Millis, "60000", "A socket that sends nothing for so long is closed"),
    plain(Sockets, "OUTBOX_MAX_BYTES", Number, "8388608", "Bytes that may wait for one slow socket before it is closed"),
    plain(Sockets, "OUTBOX_MAX_FRAMES", Number, "16384", "Frames that may wait for one slow socket before it is closed"),

    plain(Presence, "PRESENCE_LEAVE_GRACE_MS", Millis, "5000", "How long a leave is held back after a connection broke; 0 is the original"),

    plain(Changes, "DELETES", Text, "keys", "keys: deletes go to every matching subscriber, the key only under RLS; authorised: only to whom the row was visible"),
    plain(Changes, "OLD_RECORD", Text, "proven", "proven: old values under RLS only to whom the old row was visible; original: to whoever sees the new one"),
    plain(Changes, "POLL_MAX_RECORD_BYTES", Number, "1048576", "Rows larger than this lose their large values"),
    plain(Changes, "PUBLICATION", Text, "supabase_realtime", "Publication whose tables can be subscribed"),
    plain(Changes, "SLOT_NAME", Text, "supabase_realtime_replication_slot", "Base name of the replication slot"),
    plain(Changes, "SLOT_NAME_SUFFIX", Text, "", "Appended to the slot's name after an underscore; set but empty leaves the underscore"),
    plain(Changes, "SLOT_DURABLE", Bool, "false", "true: keep the slot across restarts, so that nothing is lost; write-ahead log is retained meanwhile"),
    plain(Changes, "VISIBILITY_CONNECTIONS", Number, "2", "Connections that ask the database who may see a row"),
    plain(Changes, "COMPILE_POLICIES", Bool, "true", "Evaluate simple policies in the server instead of asking the database; dovetail doctor says which are"),
    plain(Changes, "COMPARE_POLICIES_EVERY", Number, "10000", "One decision of a compiled policy in so many is also asked of the database and compared; 0: none"),
    plain(Changes, "STATEMENT_TIMEOUT_MS", Millis, "5000", "Longest run of one statement on the database"),

    plain(Housekeeping, "RUN_JANITOR", Bool, "true", "Drop old partitions of realtime.messages"),
    plain(Housekeeping, "JANITOR_SCHEDULE_TIMER_IN_MS", Millis, "14400000", "Time between runs"),
    plain(Housekeeping, "JANITOR_SCHEDULE_RANDOMIZE", Bool, "true", "Vary that time at random"),
    plain(Housekeeping, "JANITOR_RUN_AFTER_IN_MS", Millis, "600000", "Time from the start to the first run"),

    plain(Surface, "SURFACE", Text, "", "realtime: nothing else is served, the default of serve; embedded: also /rest/v1, /auth/v1 and /storage/v1, the default of dev; or a list of rest, auth and storage"),
    hidden(Surface, "AUTHENTICATOR_PASSWORD", Text, "Password of the roles authenticator and supabase_auth_admin; that of the database login when not set. Given to them where they have none and the login is a superuser"),
    plain(Surface, "SURFACE_CONNECTIONS", Number, "10", "Connections that serve requests at the same time"),
    plain(Surface, "SURFACE_MAX_BODY_BYTES", Number, "10485760", "Largest JSON body of a request"),
    plain(Surface, "API_EXTERNAL_URL", Text, "", "Public address of this server without a path, for what has to name it; that of the request when not set"),
    plain(Surface, "PGRST_DB_SCHEMAS", Text, "public", "Schemas that can be asked for, separated by commas; the first is the default"),
    plain(Surface, "PGRST_DB_EXTRA_SEARCH_PATH", Text, "public, extensions", "Schemas that follow in the search path of a request"),
    plain(Surface, "PGRST_DB_MAX_ROWS", Number, "", "Most rows of one answer; no limit when not set"),
    plain(Surface, "GOTRUE_JWT_EXP", Seconds, "3600", "Lifetime of the access token of a user"),
    plain(Surface, "GOTRUE_DISABLE_SIGNUP", Bool, "false", "true: nobody can sign up"),
    plain(Surface, "GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED", Bool, "false", "true: users may sign in without an email address; always in dev"),
    plain(Surface, "GOTRUE_MAILER_AUTOCONFIRM", Bool, "false", "true: addresses count as confirmed; always in dev. No mail is sent, so that otherwise only service_role confirms them"),
    plain(Surface, "GOTRUE_PASSWORD_MIN_LENGTH", Number, "6", "Shortest password in characters"),
    plain(Surface, "GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL", Seconds, "10", "How long a refresh token may be used again"),
    plain(Surface, "AUTH_RATE_LIMIT", Number, "150", "Sign-ups, sign-ins and refreshes of one address in five minutes"),
    plain(Surface, "STORAGE_BACKEND", Text, "file", "file: content of objects is kept in a folder; s3: in a bucket"),
    plain(Surface, "FILE_STORAGE_BACKEND_PATH", Path, "", "That folder; storage below DOVETAIL_DATA in dev"),
    plain(Surface, "GLOBAL_S3_BUCKET", Text, "", "That bucket, which is in REGION"),
    plain(Surface, "GLOBAL_S3_ENDPOINT", Text, "", "Address of the S3 service where it is not Amazon's"),
    plain(Surface, "GLOBAL_S3_FORCE_PATH_STYLE", Bool, "false", "true: the bucket is part of the path, not of the host"),
    plain(Surface, "AWS_ACCESS_KEY_ID", Text, "", "Key of the S3 service"),
    hidden(Surface, "AWS_SECRET_ACCESS_KEY", Text, "Its secret"),
    plain(Surface, "FILE_SIZE_LIMIT", Number, "52428800", "Largest object in bytes where its bucket says nothing"),
    plain(Surface, "TUS_URL_EXPIRY_MS", Millis, "3600000", "How long an unfinished resumable upload is kept"),
    plain(Surface, "IMAGE_MAX_PIXELS", Number, "50000000", "Most pixels of an image that is rendered"),

    plain(Chat, "CHAT", Bool, "", "true: /chat/v1 is served and its workers run, the default of dev; false, the default of serve. dovetail migrate --chat brings the tables: conversations, messages, presence and what belongs to them, in schema public"),
    hidden(Chat, "CHAT_JWT_KEY", Json, "Private JWK (EC P-256 or Ed25519) that signs tokens of guests where there is no API_JWT_SECRET; its public half must be in API_JWT_JWKS"),
    plain(Chat, "CHAT_GUEST_RATE_LIMIT", Number, "300", "Requests for tokens of guests of one address in five minutes; behind a proxy all guests have its address"),
    plain(Chat, "STORAGE_URL", Text, "", "Address of the Storage API with its path, for thumbnails of attachments; this server when not set and it serves storage. SERVICE_KEY is used there, or a token signed here"),
    plain(Chat, "CHAT_THUMBNAIL_WORKERS", Number, "2", "Images that are made smaller at the same time, each of which may need several hundred megabytes (IMAGE_MAX_PIXELS); 0: none ever"),
    hidden(Chat, "VAPID_PRIVATE_KEY", Text, "Private key that signs push notifications, 32 bytes as base64url; without one nothing is pushed. dev makes one"),
    plain(Chat, "VAPID_SUBJECT", Text, "", "Whom push services may ask about them: mailto: and an address, or the https address of a site"),
    plain(Chat, "PUSH_PRIVATE_ENDPOINTS", Bool, "false", "true: push endpoints may be http and at private addresses; for tests on one machine only"),

    plain(Logging, "LOG_LEVEL", Text, "info", "debug, info, warning, error or off"),
    plain(Logging, "LOG_FORMAT", Text, "pretty", "pretty: HH:MM:SS.mmm [level] message; json: one object a line"),
    plain(Logging, "DISABLE_HEALTHCHECK_LOGGING", Bool, "false", "true: no lines about requests to /healthcheck and /api/tenants/{id}/health, which are logged at debug like all others"),
    plain(Logging, "REGION", Text, "us-east-1", "Where this server is, for the health answer"),

    plain(Development, "DOVETAIL_DATA", Path, ".dovetail", "Folder of dovetail dev: its database and keys"),
    plain(Development, "PG_BIN_DIR", Path, "", "Folder of the Postgres programs for dovetail dev; searched for when not set"),
];

/// The text of `.env.example`.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Every setting of dovetail, with its default. All are optional except a database and a key:\n\
         # DATABASE_URL (or DB_HOST and its kin) and API_JWT_SECRET (or API_JWT_JWKS).\n\
         # The flag of a setting has the same name: PORT is --port. An empty value counts as not set.\n\
         # Settings are read at start; to change one, restart the server.\n",
    );
    let mut group = None;
    for setting in SETTINGS {
        if group != Some(setting.group) {
            group = Some(setting.group);
            text.push_str(&format!("\n# --- {} ---\n", setting.group.title()));
        }
        let Setting {
            name,
            default,
            help,
            ..
        } = setting;
        text.push_str(&format!("\n# {help}.\n# {name}={default}\n"));
    }
    text
}
