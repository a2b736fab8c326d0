//! The pages of the chat in a real Chromium against a real server: `tests/js/chat-ui`, each test named by the row of the
//! specification that it shows; and the reducers below them, without a browser (`clients/core/test`).
//!
//! What is tested is what was built last: `clients/dist` is built anew here, and a debug build of the server reads it there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

use crate::chat_guest_support::World;
use crate::clients::{ARGUMENTS, folder, node_modules, run};
use crate::support::token;

/// Files of the folder, each of which a test below names.
const FILES: [&str; 18] = [
    "access",
    "choices",
    "composer",
    "files",
    "hostile",
    "list",
    "live",
    "messages",
    "offline",
    "places",
    "scroll",
    "widget",
    "widget-access",
    "widget-files",
    "widget-hostile",
    "widget-offline",
    "widget-options",
    "widget-session",
];

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The libraries of the pages, and the pages.
async fn built() {
    static READY: OnceCell<()> = OnceCell::const_new();
    READY
        .get_or_init(|| async {
            let wanted = clients().join("package-lock.json");
            let stamp = clients().join("node_modules/.installed");
            let fresh = matches!((fs::read(&wanted), fs::read(&stamp)), (Ok(a), Ok(b)) if a == b);
            if !fresh {
                npm(&["ci"]).await;
                fs::copy(&wanted, &stamp).expect("the stamp");
            }
            npm(&["run", "build"]).await;
        })
        .await;
}

async fn npm(arguments: &[&str]) -> String {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(clients());
    run("npm", &mut npm).await
}

async fn ground() -> World {
    node_modules().await;
    built().await;
    let settings = [
        ("ANON_KEY", &*token::anon()),
        ("CHANNEL_ERROR_BACKOFF_MS", "50"),
    ];
    World::new(&settings).await
}

fn node(file: &str, world: &World) -> Command {
    let mut node = Command::new("node");
    node.args(ARGUMENTS)
        .arg("--test-force-exit")
        .arg(format!("chat-ui/{file}.test.mjs"))
        .current_dir(folder("js"))
        .env("SURFACE_URL", world.surface.server.url())
        .env("ANON_KEY", &world.surface.anon)
        .env("SERVICE_KEY", &world.surface.service)
        .env("DATABASE_URL", world.surface.database.url())
        .env("CHAT_PAGES", "server");
    node
}

async fn passes(file: &str) {
    let world = ground().await;
    let said = run(file, &mut node(file, &world)).await;
    assert!(!said.contains("tests 0\n"), "{file} has no tests:\n{said}");
}

#[test]
fn no_file_is_left_out() {
    let entries = fs::read_dir(folder("js").join("chat-ui")).expect("the folder");
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(file) = name.strip_suffix(".test.mjs") {
            assert!(FILES.contains(&file), "{name} is run by no test");
        }
    }
}

#[tokio::test]
async fn the_reducers_give_one_result_for_events_in_any_order() {
    built().await;
    let said = npm(&["test"]).await;
    assert!(said.contains("passed"), "there are no tests:\n{said}");
}

#[tokio::test]
async fn what_happens_in_one_browser_shows_in_the_other() {
    passes("live").await;
}

#[tokio::test]
async fn the_list_says_where_something_happened() {
    passes("list").await;
}

#[tokio::test]
async fn what_somebody_chooses_holds() {
    passes("choices").await;
}

#[tokio::test]
async fn a_message_is_written_with_emoji_and_limits() {
    passes("composer").await;
}

#[tokio::test]
async fn a_message_shows_what_became_of_it() {
    passes("messages").await;
}

#[tokio::test]
async fn one_conversation_shows_in_several_places() {
    passes("places").await;
}

#[tokio::test]
async fn what_somebody_reads_does_not_move() {
    passes("scroll").await;
}

#[tokio::test]
async fn what_people_write_stays_text_and_limits_hold() {
    passes("hostile").await;
}

#[tokio::test]
async fn files_are_sent_and_seen() {
    passes("files").await;
}

#[tokio::test]
async fn the_pages_are_for_keyboards_screen_readers_and_other_languages() {
    passes("access").await;
}

#[tokio::test]
async fn who_holds_a_link_and_their_advisor_talk_in_the_widget() {
    passes("widget").await;
}

#[tokio::test]
async fn the_widget_is_for_keyboards_screen_readers_and_phones() {
    passes("widget-access").await;
}

#[tokio::test]
async fn the_widget_sends_and_shows_files() {
    passes("widget-files").await;
}

#[tokio::test]
async fn the_widget_stands_what_pages_do_to_it() {
    passes("widget-hostile").await;
}

#[tokio::test]
async fn the_widget_does_what_a_page_asks_of_it() {
    passes("widget-options").await;
}

#[tokio::test]
async fn a_guest_of_the_widget_ends_the_chat_signs_in_and_comes_back() {
    passes("widget-session").await;
}

#[tokio::test]
async fn nothing_is_lost_offline_or_over_a_restart_of_the_server() {
    passes_over_a_restart("offline").await;
}

#[tokio::test]
async fn the_widget_loses_nothing_offline_or_over_a_restart_of_the_server() {
    passes_over_a_restart("widget-offline").await;
}

/// The tests ask for a stop and a start of the server on a port of their own.
async fn passes_over_a_restart(file: &str) {
    let world = Arc::new(Mutex::new(ground().await));
    let control = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a control port");
    let port = control.local_addr().expect("its address").port();
    let mut node = node(file, &*world.lock().await);
    node.env("CONTROL_PORT", port.to_string());
    let served = Arc::clone(&world);
    let orders = tokio::spawn(async move {
        for expected in ["stop\n", "start\n"] {
            let (mut stream, _) = control.accept().await.expect("an order");
            let mut order = vec![0; expected.len()];
            stream.read_exact(&mut order).await.expect("the order");
            assert_eq!(order, expected.as_bytes());
            let server = &mut served.lock().await.surface.server;
            match expected {
                "stop\n" => {
                    // Without a farewell, as a crash would.
                    server.end(Signal::KILL).await;
                }
                _ => {
                    server.spawn();
                    server.ready().await;
                }
            }
            stream.write_all(b"done\n").await.expect("the answer");
        }
    });
    run(file, &mut node).await;
    orders.await.expect("both orders were given");
}
