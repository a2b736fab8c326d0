//! The load generator: the server measured from outside, through its sockets.
//!
//! `cargo bench --bench load [-- [--quick] [--binary PATH] [name …]]` runs the scenarios named, or all. Each starts the release server
//! (`dovetail dev`: with a Postgres of its own) on a free port of this machine, measures, and writes what it found to
//! `bench/load/<name>.json` in cargo's target folder, from which `cargo bench --bench report` makes the tables of `docs/performance.md`.
//! Any message that is lost, doubled or delivered to the wrong socket makes it fail in the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs
)]

#[path = "load/changes.rs"]
mod changes;
#[path = "load/check.rs"]
mod check;
#[path = "load/client.rs"]
mod client;
#[path = "load/dbcast.rs"]
mod dbcast;
#[path = "load/fanout.rs"]
mod fanout;
#[path = "load/floor.rs"]
mod floor;
#[path = "load/join.rs"]
mod join;
#[path = "load/mark.rs"]
mod mark;
#[path = "load/outcome.rs"]
mod outcome;
#[path = "load/pace.rs"]
mod pace;
#[path = "load/presence.rs"]
mod presence;
#[path = "load/process.rs"]
mod process;
#[path = "load/rest.rs"]
mod rest;
#[path = "load/server.rs"]
mod server;
#[path = "load/sockets.rs"]
mod sockets;
#[path = "load/sql.rs"]
mod sql;
#[path = "load/stream.rs"]
mod stream;
#[path = "load/unwanted.rs"]
mod unwanted;
#[path = "load/wire.rs"]
mod wire;

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use outcome::Outcome;
use server::Server;

/// How scenarios are to run.
pub struct Run {
    binary: PathBuf,
    quick: bool,
    /// Is the binary the one that cargo built with this bench?
    built_here: bool,
    /// Version of the database, once a server was started.
    postgres: OnceCell<String>,
}

impl Run {
    /// How long something is measured that otherwise takes so many seconds.
    pub fn seconds(&self, seconds: f64) -> f64 {
        if self.quick { seconds / 2.0 } else { seconds }
    }

    /// How many, or a fifth of them.
    pub fn count(&self, count: u64) -> u64 {
        if self.quick { count / 5 } else { count }
    }

    /// A fresh server.
    pub fn server(&self) -> Server {
        self.server_with(&[])
    }

    /// The same with these in its environment.
    pub fn server_with(&self, settings: &'static [(&'static str, &'static str)]) -> Server {
        let server = Server::start(&self.binary, settings);
        self.postgres.get_or_init(|| sql::version(&server.database));
        server
    }
}

type Scenario = (&'static str, fn(&Run, &mut Outcome));

const SCENARIOS: &[Scenario] = &[
    ("fanout", fanout::fanout),
    ("rooms", fanout::rooms),
    ("latency", sockets::latency),
    ("idle", sockets::idle),
    ("connect", sockets::connect),
    ("rejoin", sockets::rejoin),
    ("changes_everything", changes::everything),
    ("changes_owner", changes::owner),
    ("changes_owner_scale", changes::owner_scale),
    ("changes_member", changes::member),
    ("changes_drop", unwanted::drop_rows),
    ("changes_latency", changes::latency),
    ("dbcast", dbcast::dbcast),
    ("rest", rest::rest),
    ("presence", presence::presence),
    ("presence_churn", presence::churn),
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .first()
        .is_some_and(|first| first == "floor-child")
    {
        floor::child(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    let mut run = Run {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_dovetail")),
        quick: false,
        built_here: true,
        postgres: OnceCell::new(),
    };
    let mut names = Vec::new();
    arguments.reverse();
    while let Some(argument) = arguments.pop() {
        match argument.as_str() {
            "--quick" => run.quick = true,
            "--binary" => {
                run.binary = arguments.pop().expect("--binary PATH").into();
                run.built_here = false;
            }
            // What cargo itself adds.
            "--bench" => {}
            name if SCENARIOS.iter().any(|(known, _)| *known == name) => names.push(argument),
            name => {
                let known: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
                eprintln!("no scenario {name}; there are {}", known.join(", "));
                return ExitCode::from(2);
            }
        }
    }
    check::try_out();
    process::raise_open_files();
    let mut unclean = Vec::new();
    for (name, scenario) in SCENARIOS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("{name}");
        let began = Instant::now();
        let mut outcome = Outcome::new(name);
        // One that fails leaves the others to be measured.
        let done = catch_unwind(AssertUnwindSafe(|| scenario(&run, &mut outcome)));
        if done.is_err() {
            outcome
                .verdict
                .trouble
                .push("the scenario ended early".to_owned());
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("  {seconds:.0} s, load {:.1}", process::load_average());
        if !outcome.finish(seconds, &run) {
            unclean.push(*name);
        }
    }
    if unclean.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "\n!!! MESSAGES LOST, DOUBLED OR DELIVERED WRONGLY, OR THE SCENARIO FAILED: {}",
        unclean.join(", ")
    );
    ExitCode::FAILURE
}
