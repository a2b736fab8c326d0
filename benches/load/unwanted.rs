//! `changes_drop`: rows that nobody wants, decoded and dropped, and what one very large transaction does to memory.

use serde_json::json;

use super::Run;
use super::client::Client;
use super::join::{Plan, join};
use super::mark::now;
use super::outcome::{Outcome, Target};
use super::process::{Cpu, memory};
use super::server::anon;
use super::sql;

/// Rows of each of the transactions whose rate is measured.
const ROWS: u64 = 1_000_000;

fn insert(url: &str, rows: u64) {
    sql::batch(
        url,
        &format!(
            "insert into bench.rows (room, body) select n, 'a row that nobody wants' from generate_series(1, {rows}) n"
        ),
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
    let resident = |what| memory(server.pid(), what) / 1024.0;
    let fresh = resident("VmRSS");
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
    let (cpu, wall) = (
        Cpu::of(server.pid()).since(before),
        (now() - began) as f64 / 1e6,
    );
    let rows = (ROWS * transactions) as f64;
    let before_large = resident("VmRSS");
    out.row(
        "rows nobody wants, decoded and dropped, per server CPU-s",
        Target::AtLeast(150_000.0),
        rows / cpu.server,
        "rows/CPU-s",
    );
    out.figure(
        "rows a second from commit until the slot has confirmed",
        rows * 1e6 / behind as f64,
    );
    out.figure("rows a second, inserting included", rows / wall);
    out.figure(
        "Postgres CPU a row, inserting included, µs",
        cpu.database * 1e6 / rows,
    );
    // One transaction: it reaches the server as a whole, and may not be held as a whole.
    let large = run.count(10_000_000);
    insert(url, large);
    sql::confirmed(url);
    let (after, most) = (resident("VmRSS"), resident("VmHWM"));
    let what = format!(
        "one transaction of {large} unwanted rows and all before it: resident memory grows at most by"
    );
    out.row(&what, Target::AtMost(16.0), most - fresh, "MiB");
    out.figure("resident before any row, MiB", fresh);
    out.figure("resident before the large transaction, MiB", before_large);
    out.figure("resident at most ever, MiB", most);
    out.figure("resident after it, MiB", after);
}
