//! The folder of the server: where it lies, its password, its creation by `initdb`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::FlockOperation;

use super::Error;
use super::binaries::Binaries;
use super::owner::Owner;

/// Where clusters lie whose own folder the user `postgres` cannot reach, for example below `/root`.
const ELSEWHERE: &str = "/var/lib/dovetail";

/// The folder of one server. Holds the lock on it as long as it lives.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Holds everything below.
    pub(super) root: PathBuf,
    /// Whom the server runs as.
    pub(super) owner: Owner,
    /// Released by the kernel when this process ends in whatever way, so a crash leaves no lock behind.
    _lock: Lock,
}

/// A file that is locked as long as this lives. Unlocked by word, since closing is not enough while a child that is just
/// being started has the file too.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // What fails here is released at the end of the process.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Cluster {
    /// Takes the folder for this process.
    pub(super) fn open(home: &Path) -> Result<Self, Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| Error::Folder {
                path,
                reason: error.to_string(),
            }
        };
        // Others may pass: what must be private has its own mode, and the server may run as another user.
        create(home, 0o711).map_err(fail(home))?;
        let home = home.canonicalize().map_err(fail(home))?;
        let mut root = home.clone();
        let owner = Owner::choose(&home, &home.join("postgres"))?;
        if !owner.can_reach(&home) {
            let id = uuid::Uuid::new_v5(
                &uuid::Uuid::NAMESPACE_URL,
                home.as_os_str().as_encoded_bytes(),
            );
            root = Path::new(ELSEWHERE).join(id.to_string());
            create(&root, 0o711).map_err(fail(&root))?;
            tracing::info!(
                wanted = %home.display(), used = %root.display(),
                "the user that runs postgres cannot reach the data folder, keeping the database elsewhere"
            );
        }
        let lock_path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(fail(&lock_path))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::InUse { path: root.clone() })?;
        Ok(Self {
            root,
            owner,
            _lock: Lock(lock),
        })
    }

    /// Postgres' own data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// Everything the server writes to its standard output and error.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// Major version of the data, `None` when there is none yet.
    pub(super) fn major(&self) -> Option<u32> {
        std::fs::read_to_string(self.data().join("PG_VERSION"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// The port of the last run.
    pub(super) fn last_port(&self) -> Option<u16> {
        std::fs::read_to_string(self.root.join("port"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    pub(super) fn remember_port(&self, port: u16) {
        // A convenience only: without it the next run takes another port.
        let _ = std::fs::write(self.root.join("port"), port.to_string());
    }

    /// The superuser's password, made at the first call.
    pub(super) fn password(&self) -> Result<String, Error> {
        let path = self.root.join("password");
        let fail = |reason: String| Error::Folder {
            path: path.clone(),
            reason,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            _ if self.major().is_some() => {
                return Err(fail("the password of the database is gone: put the file back, or move the folder away to start anew".to_owned()));
            }
            _ => {}
        }
        let mut bytes = [0_u8; 24];
        aws_lc_rs::rand::fill(&mut bytes)
            .map_err(|_| fail("the system gave no random bytes".to_owned()))?;
        let password = URL_SAFE_NO_PAD.encode(bytes);
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(password.as_bytes())?;
            self.owner.give(&path)
        };
        write().map_err(|error| fail(error.to_string()))?;
        Ok(password)
    }

    /// Creates the data folder with `initdb`. An interrupted creation leaves nothing that looks complete: it happens
    /// beside, and the rename comes last.
    pub(super) fn create(&self, binaries: &Binaries) -> Result<(), Error> {
        self.password()?;
        let fresh = self.root.join("postgres.new");
        let fail = |error: std::io::Error| Error::Folder {
            path: fresh.clone(),
            reason: error.to_string(),
        };
        let mut last = String::new();
        // Not every system has C.UTF-8; with it upper and lower case work beyond ASCII, and the order is the same everywhere.
        for locale in ["C.UTF-8", "C"] {
            if fresh.exists() {
                std::fs::remove_dir_all(&fresh).map_err(fail)?;
            }
            create(&fresh, 0o700).map_err(fail)?;
            self.owner.give(&fresh).map_err(fail)?;
            let mut command = self.command(binaries, "initdb");
            command
                .arg("--pgdata")
                .arg(&fresh)
                .args([
                    "--username=postgres",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                ])
                .arg(format!("--locale={locale}"))
                .arg("--pwfile")
                .arg(self.root.join("password"));
            // What takes longest, and is done when the server runs: see `sync`.
            command.arg("--no-sync");
            let output = command.output().map_err(|error| Error::Command {
                program: "initdb".to_owned(),
                output: error.to_string(),
            })?;
            if output.status.success() {
                return std::fs::rename(&fresh, self.data()).map_err(fail);
            }
            last = String::from_utf8_lossy(&output.stderr).into_owned();
            if !last.contains("locale") {
                break;
            }
        }
        Err(Error::Command {
            program: "initdb".to_owned(),
            output: last,
        })
    }

    /// Has the files of a fresh cluster written to the disk, in the background: only then would they survive a crash of
    /// the machine, but nobody has put anything in yet that is worth waiting for.
    pub(super) fn sync(&self, binaries: &Binaries) {
        let mut command = self.command(binaries, "initdb");
        command.arg("--sync-only").arg("--pgdata").arg(self.data());
        std::thread::spawn(move || {
            if let Err(error) = command.output() {
                tracing::debug!(%error, "the fresh database could not be synced");
            }
        });
    }

    /// A program of Postgres, run as the owner and free of settings for other servers.
    pub(super) fn command(&self, binaries: &Binaries, program: &str) -> Command {
        let mut command = Command::new(binaries.program(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        // Our own folder may be closed to the owner; and the log must be in the language that we read.
        command.current_dir("/").env("LC_ALL", "C");
        self.owner.apply(&mut command);
        command
    }
}

fn create(path: &Path, mode: u32) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::DirBuilder::new().mode(mode).create(path)?;
    // The mode given at creation is cut by the umask.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}
