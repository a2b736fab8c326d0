//! A private Postgres cluster on a free loopback port, with logical replication on.
//!
//! [`Cluster::shared`] is started once per test process and gives every test its own database. Tests
//! that stop or restart Postgres start their own with [`Cluster::start`].

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dovetail::postgres::migrate::{Set, migrate};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

use super::{eventually, free_port, reaper};

/// The superuser's password.
pub const PASSWORD: &str = "it is only a test";

/// A running Postgres.
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    owner: Option<(u32, u32)>,
    child: Option<Child>,
}

/// One database of a cluster.
#[derive(Clone, Debug)]
pub struct Database {
    pub port: u16,
    pub name: String,
}

/// How Postgres is stopped.
#[derive(Clone, Copy)]
pub enum Stop {
    /// Sessions are ended, a checkpoint is written.
    Fast,
    /// As a crash: no checkpoint, recovery at the next start.
    Immediate,
}

impl Cluster {
    /// The cluster of this test process.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Makes a new cluster and starts it.
    pub async fn start() -> Self {
        let bin = binaries();
        let folder = tempfile::Builder::new()
            .prefix("dovetail-it-")
            .tempdir_in("/tmp")
            .expect("a folder for the cluster")
            .keep();
        reaper::owns_folder(&folder);
        let owner = unprivileged_owner(&folder);
        let mut cluster = Self {
            bin,
            folder,
            port: free_port(),
            owner,
            child: None,
        };
        cluster.init();
        cluster.launch().await;
        cluster
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn init(&self) {
        let password = self.folder.join("password");
        fs::write(&password, PASSWORD).expect("the password file");
        if let Some((uid, gid)) = self.owner {
            chown(&password, Some(uid), Some(gid)).expect("its owner");
        }
        let made = self
            .command("initdb")
            .args(["-D", "data", "-U", "postgres", "-A", "scram-sha-256"])
            .args(["--pwfile", "password", "--no-sync", "-E", "UTF8"])
            .args(["--locale=C.UTF-8"])
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    async fn launch(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("postgres.log"))
            .expect("a log file");
        let mut command = self.command("postgres");
        command.args(["-D", "data", "-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.folder.display()),
            "wal_level=logical".into(),
            "max_wal_senders=60".into(),
            "max_replication_slots=60".into(),
            "max_connections=400".into(),
            "fsync=off".into(),
            "shared_buffers=64MB".into(),
        ] {
            command.args(["-c", &setting]);
        }
        let child = command
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        reaper::owns(&child);
        self.child = Some(child);
        let database = self.database_named("postgres");
        let config = database.config();
        eventually("Postgres accepts connections", || {
            let config = config.clone();
            async move { config.connect(NoTls).await.ok().map(drop) }
        })
        .await;
    }

    /// Stops Postgres and waits until it has ended. Its data stays.
    pub async fn stop(&mut self, how: Stop) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let signal = match how {
            Stop::Fast => rustix::process::Signal::INT,
            Stop::Immediate => rustix::process::Signal::QUIT,
        };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).expect("Postgres takes a signal");
        tokio::task::spawn_blocking(move || {
            child.wait().expect("Postgres ends");
            reaper::forget(&child);
        })
        .await
        .expect("waiting");
    }

    /// Starts a stopped cluster again, on the same port with the same data.
    pub async fn resume(&mut self) {
        assert!(self.child.is_none(), "the cluster runs already");
        self.launch().await;
    }

    /// A new empty database.
    pub async fn database(&self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("it_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = self.database_named("postgres").connect().await;
        admin
            .batch_execute(&format!("create database {name}"))
            .await
            .expect("a new database");
        self.database_named(&name)
    }

    /// A new database with the schema and the roles of a Supabase database.
    pub async fn prepared(&self) -> Database {
        let database = self.database().await;
        let client = database.connect().await;
        for set in [Set::Supabase, Set::Realtime] {
            migrate(&client, set).await.expect("the schema");
        }
        database
    }

    /// A database that exists already.
    pub fn database_named(&self, name: &str) -> Database {
        Database {
            port: self.port,
            name: name.to_owned(),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = rustix::process::Pid::from_child(&child);
            // A cluster that died by itself has told so in its log; there is nothing left to do here.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            let _ = child.wait();
            reaper::forget(&child);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Database {
    /// Connection settings of the superuser.
    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .dbname(&self.name)
            .user("postgres")
            .password(PASSWORD)
            .connect_timeout(Duration::from_secs(10));
        config
    }

    /// The same as a URL, for other programs.
    pub fn url(&self) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!(
            "postgresql://postgres:{password}@127.0.0.1:{}/{}",
            self.port, self.name
        )
    }

    /// A superuser session. It ends when the client is dropped.
    pub async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) = self
            .config()
            .connect(NoTls)
            .await
            .expect("a connection to Postgres");
        tokio::spawn(connection);
        client
    }
}

/// The folder with `initdb` and `postgres`: the newest installed version, or `PG_BIN_DIR`.
fn binaries() -> PathBuf {
    let given = std::env::var_os("PG_BIN_DIR").map(PathBuf::from);
    let on_path = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default();
    let mut packaged: Vec<(u32, PathBuf)> = [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ]
    .iter()
    .flat_map(|(parent, prefix)| {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        entries.filter_map(move |entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
    })
    .collect();
    packaged.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let candidates = given
        .into_iter()
        .chain(packaged.into_iter().map(|(_, bin)| bin))
        .chain(on_path);
    for bin in candidates {
        if bin.join("initdb").is_file() && bin.join("postgres").is_file() {
            return bin;
        }
    }
    panic!("no Postgres server binaries found: `make test` installs them, or set PG_BIN_DIR");
}

/// `initdb` refuses to run as root: the folder is then given to `postgres` or `nobody`.
fn unprivileged_owner(folder: &Path) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the list of users");
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != wanted {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, fields.next()?.parse().ok()?))
        })
    };
    let owner = find("postgres")
        .or_else(|| find("nobody"))
        .expect("a user to run Postgres as");
    chown(folder, Some(owner.0), Some(owner.1)).expect("giving the folder away");
    Some(owner)
}
