//! Unmodified supabase-js against the messaging system: `tests/js/chat`, each test named by the row of the specification that it shows.

use std::fs;

use tokio::process::Command;

use crate::clients::{ARGUMENTS, folder, node_modules, run};
use crate::support::surface::Surface;
use crate::support::token::SECRET;

/// A refused join is answered after five seconds by default, and rights to channels are asked for again after a minute.
const SETTINGS: [(&str, &str); 2] = [
    ("CHANNEL_ERROR_BACKOFF_MS", "50"),
    ("RIGHTS_INTERVAL_MS", "1000"),
];

/// What `chat_guest_clients` runs.
const ELSEWHERE: [&str; 2] = ["attachments.test.mjs", "guest.test.mjs"];

#[tokio::test]
async fn supabase_js_uses_the_messaging_system() {
    node_modules().await;
    let surface = Surface::with_chat(&SETTINGS).await;
    let entries = fs::read_dir(folder("js").join("chat")).expect("the folder");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names
        .filter(|name| name.ends_with(".test.mjs") && !ELSEWHERE.contains(&name.as_str()))
        .map(|name| format!("chat/{name}"))
        .collect();
    files.sort();
    let mut node = Command::new("node");
    node.args(ARGUMENTS)
        // A client that has closed its socket keeps the process for ten seconds more.
        .args(["--test-concurrency=2", "--test-force-exit"])
        .args(&files)
        .current_dir(folder("js"))
        .env("SURFACE_URL", surface.server.url())
        .env("ANON_KEY", &surface.anon)
        .env("SERVICE_KEY", &surface.service)
        .env("JWT_SECRET", SECRET)
        .env("DATABASE_URL", surface.database.url());
    let said = run("tests/js/chat", &mut node).await;
    assert!(!said.contains("tests 0\n"), "there are no tests:\n{said}");
}
