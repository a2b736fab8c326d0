//! A private Postgres server, run and owned by this process.

use std::path::{Path, PathBuf};

use super::ConnectOptions;

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
    /// No Postgres programs on this machine.
    #[error("{0}")]
    NoBinaries(String),
}

/// A running private Postgres. Dropping it stops it (and waits); [`Embedded::stop`] does so without blocking the thread.
#[derive(Debug)]
pub struct Embedded {
    connect: ConnectOptions,
}

impl Embedded {
    /// Starts the server over `data_dir`, creating it when the folder is empty.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(data_dir: &Path, options: Options) -> Result<Self, Error> {
        let _ = (data_dir, options);
        Err(Error::NoBinaries("not there yet".into()))
    }

    /// Starts a throw-away server for a test: temporary folder, no fsync, removed on drop.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start_ephemeral() -> Result<Self, Error> {
        Err(Error::NoBinaries("not there yet".into()))
    }

    /// How to connect: TCP on 127.0.0.1, superuser `postgres`, database `postgres`.
    #[must_use]
    pub fn connect_options(&self) -> ConnectOptions {
        self.connect.clone()
    }

    /// Stops the server cleanly and waits for it.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub async fn stop(self) -> Result<(), Error> {
        Ok(())
    }
}
