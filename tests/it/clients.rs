//! Unmodified client libraries against the real server: supabase-js (the latest and 2.39), phoenix.js, realtime-py;
//! and the inspector page in a browser.
//!
//! The tests themselves are in `tests/js` and `tests/py`; they learn from the environment where server
//! and database are. Missing node or Python is a failure: `make test` installs them or says how. The
//! libraries, at the versions of `package-lock.json` and `requirements.txt`, are fetched when needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

use crate::support::cluster::{Cluster, Database};
use crate::support::server::Server;
use crate::support::token::SECRET;

/// The longest that a suite of a client library may take.
const LIMIT: Duration = Duration::from_secs(240);

/// No file may take longer than two minutes.
pub const ARGUMENTS: [&str; 3] = ["--test", "--test-reporter=spec", "--test-timeout=120000"];

pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// Runs a program to its end; panics with all it said when it fails.
pub async fn run(what: &str, command: &mut Command) -> String {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|err| panic!("{what} cannot be started ({err}): `make test` installs it"));
    let output = tokio::time::timeout(LIMIT, child.wait_with_output());
    let output = output
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {LIMIT:?}"))
        .expect("its output");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{what} failed:\n{said}");
    said
}

/// Is the stamp a copy of the list of libraries that the suite wants now?
fn up_to_date(wanted: &Path, stamp: &Path) -> bool {
    match (fs::read(wanted), fs::read(stamp)) {
        (Ok(wanted), Ok(have)) => wanted == have,
        _ => false,
    }
}

pub async fn node_modules() {
    static READY: OnceCell<()> = OnceCell::const_new();
    READY
        .get_or_init(|| async {
            let js = folder("js");
            let (wanted, stamp) = (
                js.join("package-lock.json"),
                js.join("node_modules/.installed"),
            );
            if !up_to_date(&wanted, &stamp) {
                let mut npm = Command::new("npm");
                run(
                    "npm ci",
                    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&js),
                )
                .await;
                fs::copy(&wanted, &stamp).expect("the stamp");
            }
        })
        .await;
}

/// The Python interpreter of an environment with all libraries that the tests want.
pub async fn python() -> PathBuf {
    static READY: OnceCell<PathBuf> = OnceCell::const_new();
    READY.get_or_init(prepare_python).await.clone()
}

async fn prepare_python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let program = target.join("bin/python");
    let wanted = folder("py").join("requirements.txt");
    let stamp = target.join("installed.txt");
    if !up_to_date(&wanted, &stamp) {
        let mut venv = Command::new("python3");
        run(
            "python3 -m venv",
            venv.args(["-m", "venv", "--clear"]).arg(&target),
        )
        .await;
        let mut pip = Command::new(&program);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ]);
        run("pip install", pip.arg(&wanted)).await;
        fs::copy(&wanted, &stamp).expect("the stamp");
    }
    program
}

async fn ground() -> (Server, Database) {
    ground_with(&[]).await
}

async fn ground_with(settings: &[(&str, &str)]) -> (Server, Database) {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::with(&database, settings).await;
    (server, database)
}

fn tell_where(command: &mut Command, server: &Server, database: &Database) {
    command
        .env("DOVETAIL_URL", server.url())
        .env("JWT_SECRET", SECRET)
        .env("DATABASE_URL", database.url());
}

async fn node(file: &str) {
    node_with(file, &[]).await;
}

async fn node_with(file: &str, settings: &[(&str, &str)]) {
    node_modules().await;
    let (server, database) = ground_with(settings).await;
    let mut node = Command::new("node");
    node.args(ARGUMENTS).arg(file).current_dir(folder("js"));
    tell_where(&mut node, &server, &database);
    let said = run(file, &mut node).await;
    assert!(!said.contains("tests 0\n"), "{file} has no tests:\n{said}");
}

#[tokio::test]
async fn supabase_js_latest_and_2_39_receive_postgres_changes() {
    node("changes.test.mjs").await;
}

#[tokio::test]
async fn supabase_js_latest_and_2_39_exchange_broadcasts_and_presence() {
    node("messages.test.mjs").await;
}

/// Frames, tokens, presence and explanations: without a browser.
#[tokio::test]
async fn the_parts_of_the_inspector_hold() {
    node("inspector.test.mjs").await;
}

/// In a real Chromium, which `scripts/ensure chromium` installs.
#[tokio::test]
async fn the_inspector_connects_shows_and_explains_in_a_browser() {
    // Refusals are what it is about: they need not be slow.
    let settings = [
        ("CONNECT_ERROR_BACKOFF_MS", "50"),
        ("CHANNEL_ERROR_BACKOFF_MS", "50"),
    ];
    node_with("inspector-page.test.mjs", &settings).await;
}

#[tokio::test]
async fn supabase_js_uses_private_channels_messages_of_the_database_and_replay() {
    node("private.test.mjs").await;
}

#[tokio::test]
async fn supabase_js_sends_over_rest() {
    node("rest.test.mjs").await;
}

#[tokio::test]
async fn phoenix_js_joins_and_talks() {
    node("phoenix.test.mjs").await;
}

/// A suite that restarts the server: it asks for that on a port of its own.
#[tokio::test]
async fn supabase_js_finds_its_way_back_after_a_restart_of_the_server() {
    node_modules().await;
    let (server, database) = ground().await;
    let mut node = Command::new("node");
    node.args(ARGUMENTS)
        .arg("restart.test.mjs")
        .current_dir(folder("js"));
    tell_where(&mut node, &server, &database);
    let server = Arc::new(Mutex::new(server));
    let control = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a control port");
    node.env(
        "CONTROL_PORT",
        control
            .local_addr()
            .expect("its address")
            .port()
            .to_string(),
    );
    let served = Arc::clone(&server);
    let orders = tokio::spawn(async move {
        let (mut stream, _) = control.accept().await.expect("an order");
        let mut order = [0; 8];
        stream.read_exact(&mut order).await.expect("the order");
        assert_eq!(&order, b"restart\n");
        served.lock().await.restart().await;
        stream.write_all(b"done\n").await.expect("the answer");
    });
    run("restart.test.mjs", &mut node).await;
    orders.await.expect("the restart was asked for and done");
}

#[tokio::test]
async fn the_python_client_receives_changes_broadcasts_and_presence() {
    let python = python().await;
    let (server, database) = ground().await;
    let mut command = Command::new(python);
    command
        .args(["-W", "ignore", "-m", "unittest", "-v", "test_realtime"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder("py"));
    tell_where(&mut command, &server, &database);
    let said = run("test_realtime.py", &mut command).await;
    assert!(!said.contains("Ran 0 tests"), "no tests:\n{said}");
}

#[tokio::test]
async fn the_compose_file_is_valid_and_fits_the_server() {
    node_modules().await;
    let mut node = Command::new("node");
    node.args(ARGUMENTS)
        .arg("compose.test.mjs")
        .current_dir(folder("js"));
    let said = run("compose.test.mjs", &mut node).await;
    assert!(!said.contains("tests 0\n"), "no tests:\n{said}");
}
