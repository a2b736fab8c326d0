//! Replays the recorded conversations of `tests/golden` against the real server: one test per scenario.
//!
//! All of them talk to one server on one private Postgres, several at a time, as the original was
//! recorded. `tests/golden/selected.txt` says which scenarios are played; `docs/compatibility.md` lists
//! every expectation that is changed on purpose. `cargo test --test golden 5` plays those with a 5 in
//! the name; `SLOW=3` gives everything three times as long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod compare;
mod fill;
mod frames;
mod json;
mod scenario;
#[path = "../it/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell};

use json::Json;
use scenario::Scenario;
use support::cluster::{Cluster, Database};
use support::http::{self, Request};
use support::server::Server;

/// The tenant of the scenarios that make none of their own.
const TENANT: &str = "realtime-dev";
/// The domain behind the names of tenants.
const DOMAIN: &str = "localhost";

/// The host that names it.
fn host() -> String {
    format!("{TENANT}.{DOMAIN}")
}

/// How many scenarios run at a time unless told otherwise: they mostly wait.
const AT_A_TIME: usize = 16;

/// The server and the database that all scenarios share.
pub struct Ground {
    server: Server,
    database: Database,
}

impl Ground {
    async fn prepare() -> Self {
        let database = Cluster::shared().await.prepared().await;
        let client = database.connect().await;
        let fixtures = fs::read_to_string(folder().join("fixtures.sql")).expect("fixtures.sql");
        client.batch_execute(&fixtures).await.expect("the fixtures");
        let server = Server::with(
            &database,
            &[
                ("TENANTS", "database"),
                ("SEED_SELF_HOST", "true"),
                ("DB_ENC_KEY", "supabaserealtime"),
                // The limits of the recorded server, and what it did with those who exceeded them.
                ("METRICS_JWT_SECRET", support::token::SECRET),
                ("TENANT_MAX_CONCURRENT_USERS", "200"),
                ("TENANT_MAX_CHANNELS_PER_CLIENT", "100"),
                ("TENANT_MAX_JOINS_PER_SECOND", "100"),
                ("TENANT_MAX_EVENTS_PER_SECOND", "100"),
                ("PRESENCE_EXCESS", "close"),
                // The recorded server announces a leave at once.
                ("PRESENCE_LEAVE_GRACE_MS", "0"),
            ],
        )
        .await;
        let ground = Self { server, database };
        ground.live().await;
        ground
    }

    /// Waits until the stream of the tenant is live: the server is ready without, since others may be served.
    async fn live(&self) {
        support::eventually("the tenant's stream", || async {
            let mut request = Request::get("localhost", &format!("/api/tenants/{TENANT}/health"));
            let bearer = format!("Bearer {}", support::token::service());
            request.headers.push(("Authorization".into(), bearer));
            let address = ("127.0.0.1", self.server.port());
            let answer = http::exchange(address, &request).await.ok()?;
            let live = answer.text().contains("\"replication_connected\":true");
            live.then_some(())
        })
        .await;
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The scenarios that `selected.txt` names, the longest first.
fn selected() -> Vec<Scenario> {
    let list = fs::read_to_string(folder().join("selected.txt")).expect("selected.txt");
    let names = list
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim());
    let mut scenarios: Vec<Scenario> = names
        .filter(|name| !name.is_empty())
        .map(|name| {
            let text = fs::read_to_string(folder().join(format!("{name}.json")));
            let text = text.unwrap_or_else(|err| panic!("{name}: {err}"));
            let json = Json::parse(&text).unwrap_or_else(|err| panic!("{name}: {err}"));
            Scenario {
                name: name.to_owned(),
                json,
            }
        })
        .collect();
    scenarios.sort_by_key(|scenario| std::cmp::Reverse(scenario.length()));
    scenarios
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    let ground: Arc<OnceCell<Result<Ground, String>>> = Arc::default();
    let mut locks: HashMap<String, Arc<Mutex<()>>> = HashMap::new();
    let mut trials = vec![
        Trial::test("comparison_holds_its_own_rules", || {
            compare::holds_its_own_rules().map_err(Failed::from)
        }),
        Trial::test("filling_in_holds_its_own_rules", || {
            fill::holds_its_own_rules().map_err(Failed::from)
        }),
    ];
    for scenario in selected() {
        let runtime = Arc::clone(&runtime);
        let ground = Arc::clone(&ground);
        let lock = Arc::clone(locks.entry(scenario.lock()).or_default());
        trials.push(Trial::test(scenario.name.clone(), move || {
            runtime.block_on(async {
                // Prepared once, also when that fails: the other scenarios then say so at once.
                let prepared = || async { tokio::spawn(Ground::prepare()).await };
                let ground = ground
                    .get_or_init(|| async { prepared().await.map_err(|err| err.to_string()) })
                    .await;
                let ground = ground.as_ref().map_err(Failed::from)?;
                let _alone = lock.lock().await;
                scenario.play(ground).await.map_err(Failed::from)
            })
        }));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if conclusion.has_failed()
        && let Some(Ok(ground)) = ground.get()
    {
        eprintln!("the server's log:\n{}", ground.server.log());
    }
    drop(ground);
    conclusion.exit();
}
