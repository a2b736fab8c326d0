//! A private Postgres for the tests of the stream: they stop, kill and restart it, which a shared one would not survive.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dovetail::postgres::{ConnectOptions, TlsMode, connect};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A cluster on a free port of 127.0.0.1 with `wal_level = logical`; removed on drop.
pub struct Cluster {
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
    server: Option<Child>,
}

impl Cluster {
    /// A cluster that is not started yet.
    pub fn create(settings: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("dovetail-pg-")
            .tempdir()
            .unwrap();
        if let Some((uid, gid)) = unprivileged() {
            std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let data = dir.path().join("data");
        let made = program("initdb")
            .args(["--no-sync", "--auth=trust", "-U", "postgres", "-E", "UTF8"])
            .args(["--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        Self {
            dir,
            port,
            settings: settings.iter().map(ToString::to_string).collect(),
            server: None,
        }
    }

    /// A cluster that runs.
    pub async fn started(settings: &[&str]) -> Self {
        let mut cluster = Self::create(settings);
        cluster.start().await;
        cluster
    }

    /// Another setting for the next start; the last one of a name wins.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn socket_dir(&self) -> &Path {
        self.dir.path()
    }

    pub async fn start(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = program("postgres");
        command.arg("-D").arg(self.data());
        let own = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            format!("unix_socket_directories={}", self.dir.path().display()),
            "wal_level=logical".into(),
            "fsync=off".into(),
            "shared_buffers=16MB".into(),
        ];
        for setting in own.iter().chain(&self.settings) {
            command.arg("-c").arg(setting);
        }
        let server = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = connect(&self.options(), "realtime_test").await {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{error}: {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fast shutdown; waits until the server is gone and says how long that took.
    pub fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        self.end(Signal::INT);
        begun.elapsed()
    }

    /// Crash.
    pub fn crash(&mut self) {
        self.end(Signal::QUIT);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut server) = self.server.take() {
            kill_process(Pid::from_child(&server), signal).unwrap();
            server.wait().unwrap();
        }
    }

    pub fn options(&self) -> ConnectOptions {
        ConnectOptions {
            host: "127.0.0.1".into(),
            port: self.port,
            user: "postgres".into(),
            password: None,
            dbname: "postgres".into(),
            tls: TlsMode::Disable,
            tls_ca_file: None,
            ip_version: None,
        }
    }

    /// Copies a file into the data folder, readable for Postgres alone.
    pub fn install(&self, file: &Path, name: &str) {
        let place = self.data().join(name);
        std::fs::copy(file, &place).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&place, mode).unwrap();
        if let Some((uid, gid)) = unprivileged() {
            std::os::unix::fs::chown(&place, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Waits until no stream is left.
    pub async fn walsenders_gone(&self) {
        let sql = self.sql().await;
        let left = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'";
        let deadline = Instant::now() + Duration::from_secs(30);
        while sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            assert!(Instant::now() < deadline, "a walsender stays");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn sql(&self) -> tokio_postgres::Client {
        connect(&self.options(), "realtime_test").await.unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("log of Postgres:\n{log}");
        }
    }
}

/// Postgres refuses to run as root: the user and group to run it as then.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields[0] == "postgres")
        .map(|fields| (fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn program(name: &str) -> Command {
    let path = bin_dir().join(name);
    let mut command = Command::new(path);
    if let Some((uid, gid)) = unprivileged() {
        command.uid(uid).gid(gid);
    }
    // The working directory may be one that user cannot enter.
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn bin_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("PG_BIN_DIR") {
        return dir.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|dir| dir.join("initdb").exists())
        .max()
        .unwrap_or_else(|| "/usr/bin".into())
}
