//! What every integration test stands on: a private Postgres, the real server binary, a raw client.
//!
//! Nothing here knows what the server should answer. It starts processes, moves bytes and waits for
//! events with a deadline; the tests say what is right. Every process and folder that is made here is
//! gone when the test process is gone, however it ends (see [`reaper`]).
#![allow(dead_code)] // two test binaries share this module and neither uses all of it
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod catalog;
pub mod cluster;
pub mod gateway;
pub mod http;
pub mod phoenix;
pub mod reaper;
pub mod server;
pub mod socket;
pub mod surface;
pub mod token;

use std::future::Future;
use std::time::{Duration, Instant};

/// How long an event that must come may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is `Some`; panics with `what` when [`PATIENCE`] is over.
///
/// For states of the outside world that announce themselves by nothing (a port that opens, a view of
/// Postgres that changes). What arrives on a socket is awaited, not asked for.
pub async fn eventually<T, F, Fut>(what: &str, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// A loopback port that nobody listens on right now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.local_addr().expect("its address").port()
}
