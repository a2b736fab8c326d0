//! The server under test: `dovetail dev` with a Postgres, a folder, a port and a secret of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Signs the tokens of all scenarios.
const SECRET: &str = "a-secret-of-the-load-generator-for-one-run";
/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    child: Option<Child>,
    binary: PathBuf,
    /// Of its environment, beside those that all have.
    settings: &'static [(&'static str, &'static str)],
    folder: TempDir,
    pub port: u16,
    /// The database's address, as a URL.
    pub database: String,
}

impl Server {
    /// Starts one on an empty folder and waits until it is ready.
    pub fn start(binary: &Path, settings: &'static [(&'static str, &'static str)]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("dovetail-load-")
            .tempdir()
            .expect("a folder");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let mut server = Self {
            child: None,
            binary: binary.to_owned(),
            settings,
            folder,
            port,
            database: String::new(),
        };
        server.spawn();
        server.ready();
        server
    }

    /// Starts the process on the same folder and port, and waits for nothing but the line with the database's address.
    pub fn spawn(&mut self) {
        let log = fs::File::create(self.log_path()).expect("a log file");
        let mut command = Command::new(&self.binary);
        command.arg("dev").env_clear();
        for name in ["PATH", "HOME", "TMPDIR", "PG_BIN_DIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("PORT", self.port.to_string())
            .env("DOVETAIL_DATA", self.folder.path().join("data"))
            .env("API_JWT_SECRET", SECRET)
            // How long a stop takes is not measured.
            .env("DRAIN_SECONDS", "1")
            // Those who only receive send no heartbeats, except where idle sockets are measured.
            .env("IDLE_TIMEOUT_MS", "600000")
            .envs(self.settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().expect("the server's binary starts");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        self.child = Some(child);
        let mut lines = said.lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.trim().strip_prefix("database")?.trim().to_owned()));
        let Some(address) = address else {
            panic!("the server did not start:\n{}", self.log());
        };
        self.database = address;
        // Whoever stops reading a pipe may end its writer.
        std::thread::spawn(move || lines.for_each(drop));
    }

    /// Waits until it says that everything is live.
    pub fn ready(&self) {
        let began = Instant::now();
        while self
            .get("/readyz")
            .is_none_or(|answer| !answer.starts_with("HTTP/1.1 200"))
        {
            assert!(
                began.elapsed() < PATIENCE,
                "the server is not ready:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Ends the process, with its Postgres, and waits for that.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&child),
            rustix::process::Signal::TERM,
        );
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let log = self.log();
        if std::thread::panicking() && !log.is_empty() {
            eprintln!("what the server logged:\n{log}");
        }
    }
}

/// A token with these claims, valid for an hour.
pub fn token(mut claims: Value) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    claims["exp"] = json!(since.expect("a clock after 1970").as_secs() + 3600);
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// A token of somebody who is not signed in.
pub fn anon() -> String {
    token(json!({ "role": "anon" }))
}

/// The id of a user.
pub fn user_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A token of that user.
pub fn user(number: usize) -> String {
    token(json!({ "role": "authenticated", "sub": user_id(number) }))
}
