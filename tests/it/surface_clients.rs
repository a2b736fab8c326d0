//! Unmodified client libraries against the embedded Supabase surface: supabase-js and tus-js-client in `tests/js/surface`,
//! supabase-py in `tests/py/test_surface.py`.
//!
//! Each file of the folder is run by one of these tests, by the beginning of its name.

use std::fs;

use tokio::process::Command;

use crate::clients::{ARGUMENTS, folder, node_modules, python, run};
use crate::support::surface::Surface;
use crate::support::token::SECRET;

/// Beginnings of the names of the files, each of which a test below names.
const KINDS: [&str; 5] = ["rest", "auth", "storage", "realtime", "together"];

fn tell_where(command: &mut Command, surface: &Surface) {
    command
        .env("SURFACE_URL", surface.server.url())
        .env("ANON_KEY", &surface.anon)
        .env("SERVICE_KEY", &surface.service)
        .env("JWT_SECRET", SECRET)
        .env("DATABASE_URL", surface.database.url());
}

fn files() -> Vec<String> {
    let entries = fs::read_dir(folder("js").join("surface")).expect("the folder");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".test.mjs")).collect();
    names.sort();
    names
}

async fn node(kind: &str) {
    node_modules().await;
    let surface = Surface::start().await;
    let files = files().into_iter().filter(|name| name.starts_with(kind));
    let files: Vec<String> = files.map(|name| format!("surface/{name}")).collect();
    assert!(!files.is_empty(), "no file begins with {kind}");
    let mut node = Command::new("node");
    node.args(ARGUMENTS)
        // Two at a time: each is a process, and other tests run beside.
        .arg("--test-concurrency=2")
        .args(&files)
        .current_dir(folder("js"));
    tell_where(&mut node, &surface);
    let said = run(kind, &mut node).await;
    assert!(!said.contains("tests 0\n"), "{kind} has no tests:\n{said}");
}

#[test]
fn no_file_is_left_out() {
    for name in files() {
        assert!(
            KINDS.iter().any(|kind| name.starts_with(kind)),
            "{name} is run by no test"
        );
    }
}

#[tokio::test]
async fn supabase_js_selects_writes_and_calls_functions() {
    node("rest").await;
}

#[tokio::test]
async fn supabase_js_signs_up_in_and_out() {
    node("auth").await;
}

#[tokio::test]
async fn supabase_js_and_tus_js_client_keep_files() {
    node("storage").await;
}

#[tokio::test]
async fn supabase_js_hears_what_it_writes() {
    node("realtime").await;
}

#[tokio::test]
async fn one_supabase_js_client_uses_everything_together() {
    node("together").await;
}

#[tokio::test]
async fn supabase_py_uses_everything() {
    let python = python().await;
    let surface = Surface::start().await;
    let mut command = Command::new(python);
    command
        .args(["-W", "ignore", "-m", "unittest", "-v", "test_surface"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder("py"));
    tell_where(&mut command, &surface);
    let said = run("test_surface.py", &mut command).await;
    assert!(!said.contains("Ran 0 tests"), "no tests:\n{said}");
}
