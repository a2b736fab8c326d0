//! How to reach a database, and how to open one connection to it.
//!
//! Every connection carries an application name (G-201), TCP keepalives and a bounded time to connect. A failure names
//! the place and the login and says what to do, and never the password.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::AsyncMessage;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;

use super::resolve::{self, IpVersion};
use super::tls;

/// Longest time for one connection: name resolution, TCP, TLS and login together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Idle time before the kernel probes the peer. A database that vanished without a word (failover, dropped NAT entry)
/// is then noticed within a minute, not after the two hours of the system default.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// Session settings that decide how values are written as text; connections whose output reaches clients pin them, so
/// that a setting of the database or the role cannot change a payload (`postgres.md` 2.15 item 5, G-172).
pub const RENDERING: &[(&str, &str)] = &[
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
];

/// Where a tenant's database is and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Host name, address, or the directory of a Unix socket (starts with `/`).
    pub host: String,
    /// TCP port, also part of the Unix socket's name.
    pub port: u16,
    /// Login role.
    pub user: String,
    /// Password; any character is allowed.
    pub password: Option<String>,
    /// Database name.
    pub dbname: String,
    /// Encryption of the connection.
    pub tls: TlsMode,
    /// CA certificates (PEM) for the verifying modes.
    pub tls_ca_file: Option<PathBuf>,
    /// Try only the host's addresses of this family.
    pub ip_version: Option<IpVersion>,
}

/// libpq's `sslmode`, without `allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Encrypted when the server offers it, certificate not verified.
    Prefer,
    /// Encrypted, certificate not verified (verified as in [`TlsMode::VerifyCa`] when a CA file is given, as libpq does).
    Require,
    /// Encrypted, certificate chain verified.
    VerifyCa,
    /// Encrypted, chain and host name verified.
    VerifyFull,
}

impl ConnectOptions {
    /// Place and login in words, for logs and errors; without the password.
    #[must_use]
    pub fn target(&self) -> String {
        let place = if self.is_unix() {
            format!("{}/.s.PGSQL.{}", self.host, self.port)
        } else if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        };
        format!(
            "Postgres at {place} (database \"{}\", user \"{}\")",
            self.dbname, self.user
        )
    }

    /// The same server and login, another database.
    #[must_use]
    pub fn with_dbname(&self, dbname: &str) -> Self {
        Self {
            dbname: dbname.to_owned(),
            ..self.clone()
        }
    }

    /// Whether `host` is the directory of a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("dbname", &self.dbname)
            .field("tls", &self.tls)
            .field("tls_ca_file", &self.tls_ca_file)
            .field("ip_version", &self.ip_version)
            .finish()
    }
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres or the network refused.
    #[error("could not connect to {target}: {reason}; {hint}")]
    Connect {
        /// Place and login, as [`ConnectOptions::target`].
        target: String,
        /// What Postgres or the operating system said.
        reason: String,
        /// What to do about it.
        hint: &'static str,
        /// The cause, with its SQLSTATE when Postgres itself refused.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The host has no usable address.
    #[error("could not connect to {target}: {reason}; check DB_HOST and DB_IP_VERSION")]
    Address {
        /// Place and login, as [`ConnectOptions::target`].
        target: String,
        /// What the resolver said.
        reason: String,
    },
    /// No answer in time.
    #[error(
        "could not connect to {target}: no answer within {} s; check host, port and firewall",
        CONNECT_TIMEOUT.as_secs()
    )]
    Timeout {
        /// Place and login, as [`ConnectOptions::target`].
        target: String,
    },
    /// The settings of the encryption cannot be used.
    #[error("cannot prepare TLS to {target}: {reason}")]
    Tls {
        /// Place and login, as [`ConnectOptions::target`].
        target: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl Error {
    /// SQLSTATE, when Postgres itself refused.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Connect { source, .. } => source.code(),
            Self::Address { .. } | Self::Timeout { .. } | Self::Tls { .. } => None,
        }
    }
}

/// Opens a connection named `application_name` and drives it on a task of its own until it is closed.
///
/// # Errors
/// See [`Error`].
pub async fn connect(
    options: &ConnectOptions,
    application_name: &str,
) -> Result<tokio_postgres::Client, Error> {
    connect_with(options, application_name, &[]).await
}

/// As [`connect`], with `settings` (name, value) fixed for the session at its start; see [`RENDERING`].
///
/// # Errors
/// See [`Error`].
pub async fn connect_with(
    options: &ConnectOptions,
    application_name: &str,
    settings: &[(&str, &str)],
) -> Result<tokio_postgres::Client, Error> {
    let (client, _driver) = connect_driven(options, application_name, settings).await?;
    Ok(client)
}

/// As [`connect_with`], with the task that drives the connection: aborting it closes the socket at once, whatever was
/// sent and not yet answered. Dropping the client alone waits for those answers.
///
/// # Errors
/// See [`Error`].
pub async fn connect_driven(
    options: &ConnectOptions,
    application_name: &str,
    settings: &[(&str, &str)],
) -> Result<(tokio_postgres::Client, JoinHandle<()>), Error> {
    connect_heard(options, application_name, settings, |_| {}).await
}

/// As [`connect_driven`]; what is told by `NOTIFY` on the channels that the session listens to is given to `hear`, which
/// must not wait.
///
/// # Errors
/// See [`Error`].
pub async fn connect_heard(
    options: &ConnectOptions,
    application_name: &str,
    settings: &[(&str, &str)],
    hear: impl Fn(tokio_postgres::Notification) + Send + 'static,
) -> Result<(tokio_postgres::Client, JoinHandle<()>), Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .port(options.port)
        .user(&options.user)
        .dbname(&options.dbname)
        .application_name(application_name)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(60))
        .ssl_mode(ssl_mode(options));
    if let Some(password) = &options.password {
        config.password(password);
    }
    if !settings.is_empty() {
        config.options(startup_options(settings));
    }
    let work = async {
        place(&mut config, options).await?;
        if options.tls == TlsMode::Disable || options.is_unix() {
            open(&config, tokio_postgres::NoTls, hear).await
        } else {
            let tls =
                tls::connector(options.tls, options.tls_ca_file.as_deref()).map_err(|reason| {
                    Error::Tls {
                        target: options.target(),
                        reason,
                    }
                })?;
            open(&config, tls, hear).await
        }
        .map_err(|source| refused(options, source))
    };
    tokio::time::timeout(CONNECT_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| {
            Err(Error::Timeout {
                target: options.target(),
            })
        })
}

/// Where to connect. Names are left to the driver, which tries every address, unless one family is wanted.
async fn place(config: &mut tokio_postgres::Config, options: &ConnectOptions) -> Result<(), Error> {
    if options.ip_version.is_none() || options.is_unix() {
        config.host(&options.host);
        return Ok(());
    }
    let addresses = resolve::addresses(options)
        .await
        .map_err(|error| Error::Address {
            target: options.target(),
            reason: error.to_string(),
        })?;
    for address in addresses {
        // The name goes along: certificates are verified against it.
        config.host(&options.host).hostaddr(address.ip());
    }
    Ok(())
}

async fn open<T>(
    config: &tokio_postgres::Config,
    tls: T,
    hear: impl Fn(tokio_postgres::Notification) + Send + 'static,
) -> Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>
where
    T: tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket>,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = config.connect(tls).await?;
    let driver = tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => hear(notification),
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    tracing::info!("{}: {}", notice.severity(), notice.message());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "database connection ended");
                    return;
                }
                None => return,
            }
        }
    });
    Ok((client, driver))
}

fn ssl_mode(options: &ConnectOptions) -> SslMode {
    // A Unix socket does not leave the machine, and Postgres offers no TLS on it.
    if options.is_unix() {
        return SslMode::Disable;
    }
    match options.tls {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
    }
}

/// The start-up parameter `options`: Postgres splits it at blanks, a backslash protects the next character.
fn startup_options(settings: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in settings {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str("-c ");
        text.push_str(name);
        text.push('=');
        for character in value.chars() {
            if character.is_whitespace() || character == '\\' {
                text.push('\\');
            }
            text.push(character);
        }
    }
    text
}

fn refused(options: &ConnectOptions, source: tokio_postgres::Error) -> Error {
    let hint = hint(options, &source);
    let reason = match source.as_db_error() {
        Some(db) => db.message().to_owned(),
        None => {
            use std::error::Error as _;
            match source.source() {
                Some(cause) => cause.to_string(),
                None => source.to_string(),
            }
        }
    };
    Error::Connect {
        target: options.target(),
        reason,
        hint,
        source,
    }
}

fn hint(options: &ConnectOptions, error: &tokio_postgres::Error) -> &'static str {
    use std::error::Error as _;
    if let Some(code) = error.code() {
        return match *code {
            SqlState::INVALID_PASSWORD => {
                "the password is wrong for this role: check DB_PASSWORD or DATABASE_URL"
            }
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "the role does not exist or pg_hba.conf has no line for this host, user and database: check DB_USER and pg_hba.conf"
            }
            SqlState::INVALID_CATALOG_NAME => "the database does not exist: check DB_NAME",
            SqlState::CANNOT_CONNECT_NOW => "Postgres is starting or stopping: wait and try again",
            SqlState::TOO_MANY_CONNECTIONS => {
                "close connections or raise max_connections, then try again"
            }
            _ => "see the log of Postgres",
        };
    }
    if let Some(hint) = tls::hint(error) {
        return hint;
    }
    if let Some(io) = error
        .source()
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
    {
        return match io.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                "nothing listens there: start Postgres or check host and port"
            }
            std::io::ErrorKind::NotFound if options.is_unix() => {
                "there is no such socket: check the directory and the port"
            }
            _ => {
                "check the host name, the network and, with TLS, the certificate (sslmode, CA file)"
            }
        };
    }
    if options.password.is_none() {
        "if the server asks for a password, set DB_PASSWORD"
    } else {
        "check that the server speaks the Postgres protocol and, with TLS, that it offers it (sslmode)"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn options() -> ConnectOptions {
        ConnectOptions {
            host: "db".into(),
            port: 5432,
            user: "u".into(),
            password: Some("top secret".into()),
            dbname: "d".into(),
            tls: TlsMode::Prefer,
            tls_ca_file: None,
            ip_version: None,
        }
    }

    #[test]
    fn debug_and_target_do_not_show_the_password() {
        let text = format!("{:?} {}", options(), options().target());
        assert!(!text.contains("top secret"), "{text}");
        assert!(text.contains("db:5432"), "{text}");
    }

    #[test]
    fn startup_options_protect_blanks_and_backslashes() {
        assert_eq!(
            startup_options(&[("DateStyle", "ISO, DMY"), ("x", "a\\b")]),
            "-c DateStyle=ISO,\\ DMY -c x=a\\\\b"
        );
    }

    #[tokio::test]
    async fn a_refused_connection_names_place_and_login_and_says_what_to_do() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = connect(
            &ConnectOptions {
                host: "127.0.0.1".into(),
                port,
                ..options()
            },
            "realtime_test",
        )
        .await
        .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
        assert!(text.contains("user \"u\""), "{text}");
        assert!(text.contains("start Postgres"), "{text}");
        assert!(!text.contains("top secret"), "{text}");
    }
}
