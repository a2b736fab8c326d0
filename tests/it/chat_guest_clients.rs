//! Unmodified supabase-js and tus-js-client as guests and with attachments: `tests/js/chat`.

use tokio::process::Command;

use crate::chat_guest_support::World;
use crate::clients::{ARGUMENTS, folder, node_modules, run};
use crate::support::token::SECRET;

#[tokio::test]
async fn supabase_js_is_a_guest_and_attaches_images() {
    node_modules().await;
    let World { surface, .. } = World::new(&[]).await;
    let mut node = Command::new("node");
    node.args(ARGUMENTS)
        .args(["--test-concurrency=2", "--test-force-exit"])
        .args(["chat/guest.test.mjs", "chat/attachments.test.mjs"])
        .current_dir(folder("js"))
        .env("SURFACE_URL", surface.server.url())
        .env("ANON_KEY", &surface.anon)
        .env("SERVICE_KEY", &surface.service)
        .env("JWT_SECRET", SECRET)
        .env("DATABASE_URL", surface.database.url());
    let said = run("tests/js/chat", &mut node).await;
    assert!(!said.contains("tests 0\n"), "there are no tests:\n{said}");
}
