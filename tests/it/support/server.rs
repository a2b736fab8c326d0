//! The real server binary, with a database, an environment and a log file of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::cluster::{Database, PASSWORD};
use super::http::{self, Request};
use super::socket::{Failure, Socket, Target};
use super::token::SECRET;
use super::{PATIENCE, free_port, reaper};

/// Numbers the servers of this process.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A running server.
pub struct Server {
    child: Option<Child>,
    environment: BTreeMap<String, String>,
    arguments: &'static [&'static str],
    port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts `serve` on a database with default settings and waits until it is ready.
    pub async fn start(database: &Database) -> Self {
        Self::with(database, &[]).await
    }

    /// The same with additions to the environment.
    pub async fn with(database: &Database, settings: &[(&str, &str)]) -> Self {
        let mut server = Self::unready(database, settings);
        server.ready().await;
        server
    }

    /// The same without waiting for anything.
    pub fn unready(database: &Database, settings: &[(&str, &str)]) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let port = free_port();
        let mut environment = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            environment.insert(name.to_owned(), value.to_owned());
        };
        set("PORT", &port.to_string());
        set("HOST", "127.0.0.1");
        set("DB_HOST", "127.0.0.1");
        set("DB_PORT", &database.port.to_string());
        set("DB_NAME", &database.name);
        set("DB_USER", "postgres");
        set("DB_PASSWORD", PASSWORD);
        set("API_JWT_SECRET", SECRET);
        // Slots belong to the whole cluster, and tests share one.
        set(
            "SLOT_NAME_SUFFIX",
            &format!("it{}_{number}", std::process::id()),
        );
        set("RUST_LOG", "info");
        for (name, value) in settings {
            set(name, value);
        }
        Self::over(environment, &["serve"], port, number)
    }

    /// With exactly this environment and no arguments, as a container's entry point runs; not ready yet. `PORT` must be
    /// in it.
    pub fn exact(environment: &[(&str, &str)]) -> Self {
        let environment: BTreeMap<String, String> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let port = environment["PORT"].parse().expect("a port");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self::over(environment, &[], port, number)
    }

    fn over(
        environment: BTreeMap<String, String>,
        arguments: &'static [&'static str],
        port: u16,
        number: u32,
    ) -> Self {
        let log =
            std::env::temp_dir().join(format!("dovetail-it-{}-{number}.log", std::process::id()));
        reaper::owns_folder(&log);
        let mut server = Self {
            child: None,
            environment,
            arguments,
            port,
            log,
        };
        server.spawn();
        server
    }

    /// Starts the process and does not wait for it.
    pub fn spawn(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_dovetail"));
        command
            .args(self.arguments)
            .env_clear()
            .envs(&self.environment);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the server binary starts");
        reaper::owns(&child);
        self.child = Some(child);
    }

    /// Waits until `/readyz` answers 200: the stream of changes is live. Panics with the log if the process ends instead.
    pub async fn ready(&mut self) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child_mut().try_wait().expect("asking for the process") {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            let request = Request::get("localhost", "/readyz");
            if let Ok(answer) = http::exchange(("127.0.0.1", self.port), &request).await
                && answer.status == 200
            {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the server was not ready within {PATIENCE:?}:\n{}",
                self.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }

    fn child_mut(&mut self) -> &mut Child {
        self.child.as_mut().expect("the server runs")
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Is the process there, and not ended?
    pub fn alive(&mut self) -> bool {
        matches!(self.child_mut().try_wait(), Ok(None))
    }

    /// Resident memory in bytes, where `/proc` tells it.
    pub fn resident(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory in bytes that the process ever had, where `/proc` tells it.
    pub fn peak_resident(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, field: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find(|line| line.starts_with(field))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    }

    /// Sends a signal and waits until the process has ended.
    pub async fn end(&mut self, signal: rustix::process::Signal) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).expect("it takes a signal");
        let waited = tokio::time::timeout(
            PATIENCE,
            tokio::task::spawn_blocking(move || {
                let status = child.wait().expect("its end");
                reaper::forget(&child);
                status
            }),
        );
        match waited.await {
            Ok(status) => status.expect("waiting"),
            Err(_) => panic!("the server did not end:\n{}", self.log()),
        }
    }

    /// Ends the process by SIGTERM and starts it again on the same port.
    pub async fn restart(&mut self) {
        self.end(rustix::process::Signal::TERM).await;
        self.spawn();
        self.ready().await;
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The suffix of its replication slots.
    pub fn slot_suffix(&self) -> &str {
        &self.environment["SLOT_NAME_SUFFIX"]
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A GET.
    pub async fn get(&self, path: &str) -> http::Response {
        let request = Request::get("localhost", path);
        http::exchange(("127.0.0.1", self.port), &request)
            .await
            .expect("an answer")
    }

    /// Where a client with this token connects, with serializer 2.0.0.
    pub fn target(&self, token: &str) -> Target {
        Target {
            address: "127.0.0.1".into(),
            port: self.port,
            host: format!("127.0.0.1:{}", self.port),
            path: format!("/socket/websocket?apikey={token}&vsn=2.0.0"),
            headers: Vec::new(),
        }
    }

    /// An open socket with serializer 2.0.0.
    pub async fn socket(&self, token: &str) -> Socket {
        match Socket::connect(&self.target(token)).await {
            Ok(socket) => socket,
            Err(Failure::Refused(answer)) => {
                panic!("refused: {} {}", answer.status, answer.text())
            }
            Err(Failure::Io(err)) => panic!("no connection: {err}\n{}", self.log()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            reaper::forget(&child);
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.len().saturating_sub(4000);
            let tail = (tail..log.len()).find(|at| log.is_char_boundary(*at));
            eprintln!("--- end of the server's log\n{}", &log[tail.unwrap_or(0)..]);
        }
        let _ = fs::remove_file(&self.log);
    }
}
