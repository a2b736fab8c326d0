//! `changes_drop`: rows that nobody wants, decoded and dropped, and what one very large transaction does to memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::Run;
use super::client::Client;
use super::join::{Plan, join};
use super::mark::{now, sleep_until};
use super::outcome::{Outcome, Target};
use super::process::{Cpu, memory};
use super::server::anon;
use super::sql;

/// Rows of each of the transactions whose rate is measured.
const ROWS: u64 = 1_000_000;

fn insert(url: &str, rows: u64) {
    sql::batch(
        url,
        &format!("insert into bench.rows (room, body) select n, 'a row that nobody wants' from generate_series(1, {rows}) n"),
    );
}

pub fn drop_rows(run: &Run, out: &mut Outcome) {
    let server = run.server();
    let url = &server.database;
    sql::batch(
        url,
        &format!(
            "{} create table bench.other (id int primary key); grant select on bench.other to anon;
             alter publication supabase_realtime add table bench.other;",
            sql::table(None)
        ),
    );
    let plan = Plan {
        join: json!({ "config": { "postgres_changes": [{ "event": "*", "schema": "bench", "table": "other" }] } }).to_string(),
        changes: true,
        ..Plan::public(&anon(), "realtime:other")
    };
    let mut client = Client::new();
    join(&mut client, server.port, &[plan]);
    insert(url, ROWS / 10);
    sql::confirmed(url);
    let transactions = run.count(5).max(2);
    let (before, began) = (Cpu::of(server.pid()), now());
    let mut behind = 0;
    for _ in 0..transactions {
        insert(url, ROWS);
        let committed = now();
        sql::confirmed(url);
        behind += now() - committed;
    }
    let (cpu, wall) = (Cpu::of(server.pid()).since(before), (now() - began) as f64 / 1e6);
    let rows = (ROWS * transactions) as f64;
    out.row("rows nobody wants, decoded and dropped, per server CPU-s", Target::AtLeast(150_000.0), rows / cpu.server, "rows/CPU-s");
    out.figure("rows a second from commit until the slot has confirmed", rows * 1e6 / behind as f64);
    out.figure("rows a second, inserting included", rows / wall);
    out.figure("Postgres CPU a row, inserting included, µs", cpu.database * 1e6 / rows);
    // One transaction: it reaches the server as a whole, and may not be held as a whole.
    let large = run.count(10_000_000);
    sleep_until(now() + 1_000_000);
    let resident = || memory(server.pid(), "VmRSS");
    let (rest, running, most) = (resident(), AtomicBool::new(true), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::Acquire) {
                most.fetch_max(resident() as u64, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        insert(url, large);
        sql::confirmed(url);
        running.store(false, Ordering::Release);
    });
    let most = most.into_inner() as f64;
    let what = format!("one transaction of {large} unwanted rows: resident memory grows at most by");
    out.row(&what, Target::AtMost(16.0), (most - rest) / 1024.0, "MiB");
    out.figure("resident before, MiB", rest / 1024.0);
    out.figure("resident at most during it, MiB", most / 1024.0);
    out.figure("resident after it, MiB", resident() / 1024.0);
    out.figure("VmHWM of the whole run, MiB", memory(server.pid(), "VmHWM") / 1024.0);
}
