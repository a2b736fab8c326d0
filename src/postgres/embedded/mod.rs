//! A private Postgres server, run and owned by this process.
//!
//! Owns the folder it is given: the data, a random password of the superuser (mode 0600), the port, the log, and a lock
//! that keeps a second process out. The bootstrap superuser is `postgres`; the roles of a Supabase database come from
//! `sql/supabase`. The server listens on 127.0.0.1 and a socket in its own folder, nowhere else. When this process is
//! killed the server stays behind; the next start finds it by its pid file, stops it, and lets Postgres recover.
//! Starting and stopping block a thread of the blocking pool, never a worker.

mod binaries;
mod cluster;
mod ephemeral;
mod owner;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ConnectOptions, TlsMode};
use cluster::Cluster;
use ephemeral::Remains;
use server::Server;

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the Postgres programs; `None` searches `PG_BIN_DIR`, `PATH` and the usual places.
    pub bin_dir: Option<PathBuf>,
    /// TCP port on 127.0.0.1; `None` takes the port of the last run, or a free one.
    pub port: Option<u16>,
    /// Whether committed data must survive a crash of the machine (fsync). Only tests say no.
    pub durable: bool,
    /// Further server settings (name, value), which win over ours.
    pub settings: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bin_dir: None,
            port: None,
            durable: true,
            settings: Vec::new(),
        }
    }
}

/// Why the server could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable Postgres programs on this machine; the text says how to install them.
    #[error("{0}")]
    NoBinaries(String),
    /// The data was made by another major version than those installed.
    #[error(
        "the data folder was made by Postgres {data}, but this machine has only {found}. Install Postgres {data}, or dump and restore the data, or choose another data folder"
    )]
    Version {
        /// Major version of the data.
        data: u32,
        /// Versions and folders found.
        found: String,
    },
    /// Another process runs a server over the same folder.
    #[error(
        "the data folder {} is in use by another dovetail process; stop it or choose another folder", path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder or a file in it cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The wanted port is taken.
    #[error("port {port} on 127.0.0.1 cannot be used for the database: {reason}")]
    Port {
        /// The port; 0 when any would have done.
        port: u16,
        /// What the system said.
        reason: String,
    },
    /// A program of Postgres failed.
    #[error("{program} failed: {output}")]
    Command {
        /// Name of the program.
        program: String,
        /// What it printed.
        output: String,
    },
    /// The server did not start.
    #[error("Postgres did not start (log: {}): {log}", log_path.display())]
    Start {
        /// Where the whole log is.
        log_path: PathBuf,
        /// Its last lines.
        log: String,
    },
    /// The server did not stop.
    #[error(
        "Postgres (pid {pid}) does not stop; see what holds it, then stop it with: kill -QUIT {pid}"
    )]
    Stop {
        /// Process id of the postmaster.
        pid: u32,
    },
    /// The work was cut off by the end of the runtime.
    #[error("the start of Postgres was interrupted")]
    Interrupted,
}

/// A running private Postgres. Dropping it stops it and waits; [`Embedded::stop`] does so without blocking the caller.
#[derive(Debug)]
pub struct Embedded {
    // Declared before the folder: the lock on it and the folder itself must outlive the server.
    server: Server,
    cluster: Cluster,
    password: String,
    options: Options,
    remains: Option<Remains>,
}

impl Embedded {
    /// Starts the server over `data_dir`, creating folder and database when there are none (below 5 s).
    ///
    /// When run as root, the server runs as the owner of the folder, `postgres` or `nobody`, and lives in
    /// `/var/lib/dovetail` if that user cannot reach `data_dir`.
    ///
    /// # Errors
    /// See [`Error`]; every text says what to do.
    pub async fn start(data_dir: &Path, options: Options) -> Result<Self, Error> {
        let data_dir = data_dir.to_owned();
        tokio::task::spawn_blocking(move || Self::start_blocking(&data_dir, options, None))
            .await
            .unwrap_or(Err(Error::Interrupted))
    }

    /// Starts a throw-away server for a test: temporary folder, no fsync, removed on drop, and by a watchdog when the
    /// test is killed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start_ephemeral() -> Result<Self, Error> {
        Self::start_ephemeral_with(Vec::new()).await
    }

    /// As [`Embedded::start_ephemeral`], with server settings (name, value) of the test.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start_ephemeral_with(settings: Vec<(String, String)>) -> Result<Self, Error> {
        let options = Options {
            durable: false,
            settings,
            ..Options::default()
        };
        tokio::task::spawn_blocking(move || {
            let remains = Remains::new()?;
            let folder = remains.folder().to_owned();
            Self::start_blocking(&folder, options, Some(remains))
        })
        .await
        .unwrap_or(Err(Error::Interrupted))
    }

    fn start_blocking(
        data_dir: &Path,
        options: Options,
        mut remains: Option<Remains>,
    ) -> Result<Self, Error> {
        let cluster = Cluster::open(data_dir)?;
        let binaries = binaries::find(options.bin_dir.as_deref(), cluster.major())?;
        let is_new = cluster.major().is_none();
        if is_new {
            if cluster.data().exists() {
                return Err(Error::Folder {
                    path: cluster.data(),
                    reason: "it exists but holds no Postgres data; move it away".to_owned(),
                });
            }
            cluster.create(&binaries)?;
        }
        let password = cluster.password()?;
        let server = Server::start(&cluster, &binaries, &options)?;
        if is_new && options.durable {
            cluster.sync(&binaries);
        }
        if let Some(remains) = &mut remains {
            remains.watch(server.pid());
        }
        tracing::debug!(
            port = server.port, pid = server.pid(), version = binaries.major,
            data = %cluster.data().display(), "private postgres runs"
        );
        Ok(Self {
            server,
            cluster,
            password,
            options,
            remains,
        })
    }

    /// How to connect: TCP on 127.0.0.1, superuser `postgres`, database `postgres`.
    #[must_use]
    pub fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            host: "127.0.0.1".to_owned(),
            port: self.server.port,
            user: "postgres".to_owned(),
            password: Some(self.password.clone()),
            dbname: "postgres".to_owned(),
            tls: TlsMode::Disable,
            tls_ca_file: None,
            ip_version: None,
        }
    }

    /// Postgres' data folder, for messages.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        self.cluster.data()
    }

    /// The server's log file.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.cluster.log()
    }

    /// Process id of the postmaster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Stops the server cleanly (fast shutdown with a checkpoint) and waits for it.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn stop(mut self) -> Result<(), Error> {
        tokio::task::spawn_blocking(move || self.server.stop_clean())
            .await
            .unwrap_or(Err(Error::Interrupted))
    }

    /// Stops the server, which breaks every connection, and starts it again over the same data, port and settings.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn restart(mut self) -> Result<Self, Error> {
        tokio::task::spawn_blocking(move || {
            self.server.stop_clean()?;
            let options = Options {
                port: Some(self.server.port),
                ..self.options.clone()
            };
            let binaries = binaries::find(options.bin_dir.as_deref(), self.cluster.major())?;
            self.server = Server::start(&self.cluster, &binaries, &options)?;
            if let Some(remains) = &mut self.remains {
                remains.watch(self.server.pid());
            }
            Ok(self)
        })
        .await
        .unwrap_or(Err(Error::Interrupted))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Data that is about to be removed needs no checkpoint.
        let patience = if self.remains.is_some() {
            Duration::ZERO
        } else {
            Duration::from_secs(10)
        };
        if let Err(error) = self.server.stop(patience) {
            tracing::warn!(%error, "private postgres was left running");
        }
    }
}
