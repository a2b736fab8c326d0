//! How to reach a database, and how to open one connection to it.

use std::path::PathBuf;

/// Where a tenant's database is and how to log in.
#[derive(Clone)]
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
}

/// libpq's `sslmode`, without `allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Encrypted when the server offers it, certificate not verified.
    Prefer,
    /// Encrypted, certificate not verified.
    Require,
    /// Encrypted, certificate chain verified.
    VerifyCa,
    /// Encrypted, chain and host name verified.
    VerifyFull,
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres or the network refused.
    #[error("could not connect to Postgres")]
    Connect(#[source] tokio_postgres::Error),
}

/// Opens a connection named `application_name` and drives it on a task of its own until it is closed.
pub async fn connect(
    options: &ConnectOptions,
    application_name: &str,
) -> Result<tokio_postgres::Client, Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&options.host)
        .port(options.port)
        .user(&options.user)
        .dbname(&options.dbname)
        .application_name(application_name);
    if let Some(password) = &options.password {
        config.password(password);
    }
    let (client, connection) = config
        .connect(tokio_postgres::NoTls)
        .await
        .map_err(Error::Connect)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "database connection ended");
        }
    });
    Ok(client)
}
