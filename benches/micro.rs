//! What the single steps of a message and of a row cost, each alone and in memory.
//!
//! `cargo bench --bench micro` takes about a minute; `cargo bench --bench micro -- filter` runs one group. Criterion compares
//! each case with its last run and keeps what it measured in `target/criterion/<group>/<case>`. Every case asserts once, before
//! it is measured, that the step does what its name says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "micro/filter.rs"]
mod filter;
#[path = "micro/frame.rs"]
mod frame;
#[path = "micro/pgoutput.rs"]
mod pgoutput;
#[path = "micro/policy.rs"]
mod policy;
#[path = "micro/presence.rs"]
mod presence;
#[path = "micro/record.rs"]
mod record;
#[path = "micro/tasks.rs"]
mod tasks;

/// Two seconds a case: the steps are short and alike, longer runs say nothing else.
fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(50)
}

criterion_group! {
    name = micro;
    config = settings();
    targets = frame::all, pgoutput::all, filter::all, record::all, presence::all, policy::all
}
criterion_main!(micro);
