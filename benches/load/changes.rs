//! Postgres Changes: who is to see a row gets it, at what rate, how soon and at what cost.

use serde_json::json;

use super::Run;
use super::floor::{Floor, Shape};
use super::join::Plan;
use super::outcome::{Outcome, Target};
use super::pace::Took;
use super::server::{Server, anon, user, user_id};
use super::sql::{Write, Writers, batch, table};
use super::stream::Stream;

/// Bytes of the text of a row.
const BODY: usize = 100;
/// Transactions of so many rows, unless said otherwise.
const BATCH: usize = 20;
const WRITERS: usize = 4;

/// A subscriber to inserts of `bench.rows`, on a topic of its own.
fn subscriber(number: usize, token: String, filter: Option<String>) -> Plan {
    let mut entry = json!({ "event": "INSERT", "schema": "bench", "table": "rows" });
    if let Some(filter) = filter {
        entry["filter"] = json!(filter);
    }
    Plan {
        token,
        topic: format!("realtime:changes{number}"),
        join: json!({ "config": { "postgres_changes": [entry] } }).to_string(),
        changes: true,
    }
}

fn rows(classes: usize) -> Writers {
    Writers {
        what: Write::Rows,
        writers: WRITERS.min(classes),
        rate: 0.0,
        batch: BATCH,
        classes,
        size: BODY,
    }
}

pub fn everything(run: &Run, out: &mut Outcome) {
    const SUBSCRIBERS: usize = 500;
    let server = run.server();
    batch(&server.database, &table(None));
    let token = anon();
    let plans: Vec<Plan> = (0..SUBSCRIBERS)
        .map(|number| subscriber(number, token.clone(), None))
        .collect();
    let classes = (0..SUBSCRIBERS).map(|_| (0..WRITERS as u32).collect());
    let mut stream = Stream::open(&server, &plans, classes, rows(WRITERS));
    stream.run(200.0, 1.0);
    let seconds = run.seconds(4.0);
    let (mut best, mut figures, mut most, mut bytes) = (0.0, Took::default(), 0.0f64, 500);
    for rate in [500.0, 1000.0, 2000.0, 5000.0] {
        let (took, messages) = stream.run(rate, seconds);
        let whole = took.deliveries == messages * SUBSCRIBERS as u64;
        most = most.max(took.per_second());
        out.figure(
            &format!("at {rate} rows a second: deliveries a second"),
            took.per_second(),
        );
        out.figure(&format!("at {rate} rows a second: p50, ms"), stream.ms(0.5));
        out.figure(
            &format!("at {rate} rows a second: deliveries per server CPU-s"),
            took.per_cpu(),
        );
        // In time: what was written is delivered at most a fifth of the time later.
        if !whole || took.seconds > seconds * 1.2 || messages < (rate * seconds * 0.95) as u64 {
            break;
        }
        (best, figures) = (rate, took);
        bytes = (stream.bench.check.bytes / took.deliveries) as usize;
    }
    // Its frames are as long as the server's were.
    let mut floor = Floor::start(Shape {
        sockets: SUBSCRIBERS,
        bytes,
        batch: 16,
        rate: None,
    });
    floor.run(seconds / 2.0);
    let (floor, verdict) = floor.end();
    out.judge(&verdict);
    out.row(
        "500 subscribers of everything: highest rate delivered whole and in time",
        Target::AtLeast(5000.0),
        best,
        "rows a second",
    );
    out.row(
        "the same, deliveries a second at most",
        Target::None,
        most,
        "a second",
    );
    out.row_beside(
        "the same, at that rate",
        Target::None,
        figures.per_cpu(),
        "deliveries/CPU-s",
        Some(floor),
    );
    out.figure("bytes of a frame", bytes as f64);
    stream.judge(out);
}

pub fn owner(run: &Run, out: &mut Outcome) {
    let server = run.server();
    batch(
        &server.database,
        &table(Some("owner = (select auth.uid())")),
    );
    let mut stream = owners(&server, 500);
    stream.run(2000.0, 1.0);
    let (took, messages) = stream.run(10_000.0, run.seconds(6.0));
    out.row(
        "500 owners under row level security, 10,000 rows a second, p50",
        Target::None,
        stream.ms(0.5),
        "ms",
    );
    out.row("the same, p99", Target::AtMost(50.0), stream.ms(0.99), "ms");
    out.figure("rows a second written", messages as f64 / run.seconds(6.0));
    out.figure(
        "server CPU a row, µs",
        took.cpu.server * 1e6 / messages as f64,
    );
    out.figure(
        "Postgres CPU a row, writing included, µs",
        took.cpu.database * 1e6 / messages as f64,
    );
    stream.judge(out);
}

/// Subscribers each of whom sees the rows that are his.
fn owners(server: &Server, count: usize) -> Stream {
    let plans: Vec<Plan> = (0..count)
        .map(|number| subscriber(number, user(number), None))
        .collect();
    Stream::open(
        server,
        &plans,
        (0..count).map(|number| vec![number as u32]),
        rows(count),
    )
}

pub fn owner_scale(run: &Run, out: &mut Outcome) {
    const RATE: f64 = 5000.0;
    let mut costs = Vec::new();
    for count in [50, 5000] {
        let server = run.server();
        batch(
            &server.database,
            &table(Some("owner = (select auth.uid())")),
        );
        let mut stream = owners(&server, count);
        stream.run(RATE, 1.0);
        let (took, messages) = stream.run(RATE, run.seconds(6.0));
        let cost = took.cpu.whole() * 1e6 / messages as f64;
        out.figure(
            &format!("{count} owners: CPU a row, server and Postgres, µs"),
            cost,
        );
        out.figure(
            &format!("{count} owners: CPU a row, server alone, µs"),
            took.cpu.server * 1e6 / messages as f64,
        );
        out.figure(&format!("{count} owners: p99, ms"), stream.ms(0.99));
        costs.push(cost);
        stream.judge(out);
    }
    out.row(
        "5,000 owners instead of 50, 5,000 rows a second: CPU of server and Postgres",
        Target::AtMost(1.3),
        costs[1] / costs[0],
        "times",
    );
}

pub fn member(run: &Run, out: &mut Outcome) {
    const SUBSCRIBERS: usize = 500;
    const ROOMS: usize = 125;
    const RATE: f64 = 4000.0;
    let server = run.server();
    let policy = "exists (select 1 from bench.members m where m.room = rows.room and m.user_id = (select auth.uid()))";
    batch(&server.database, &table(Some(policy)));
    let members: Vec<String> = (0..SUBSCRIBERS)
        .map(|number| format!("({}, '{}')", number % ROOMS, user_id(number)))
        .collect();
    batch(
        &server.database,
        &format!(
            "insert into bench.members values {}; analyze bench.members;",
            members.join(", ")
        ),
    );
    let plans: Vec<Plan> = (0..SUBSCRIBERS)
        .map(|number| {
            subscriber(
                number,
                user(number),
                Some(format!("room=eq.{}", number % ROOMS)),
            )
        })
        .collect();
    let classes = (0..SUBSCRIBERS).map(|number| vec![(number % ROOMS) as u32]);
    let mut stream = Stream::open(&server, &plans, classes, rows(ROOMS));
    stream.run(1000.0, 1.0);
    let (took, messages) = stream.run(RATE, run.seconds(6.0));
    out.row(
        "500 members of 125 rooms, a membership table, 4,000 rows a second, p50",
        Target::None,
        stream.ms(0.5),
        "ms",
    );
    out.row("the same, p99", Target::None, stream.ms(0.99), "ms");
    out.figure("rows a second written", messages as f64 / run.seconds(6.0));
    out.figure(
        "server CPU a row, µs",
        took.cpu.server * 1e6 / messages as f64,
    );
    out.figure(
        "Postgres CPU a row, µs",
        took.cpu.database * 1e6 / messages as f64,
    );
    stream.judge(out);
}

pub fn latency(run: &Run, out: &mut Outcome) {
    let server = run.server();
    batch(&server.database, &table(None));
    let plans = [subscriber(0, anon(), None)];
    let mut stream = Stream::open(
        &server,
        &plans,
        [vec![0]],
        Writers {
            batch: 1,
            ..rows(1)
        },
    );
    stream.bench.client.nap = 0;
    stream.run(100.0, 1.0);
    stream.run(100.0, run.seconds(8.0));
    out.row(
        "1 subscriber, 100 changes a second, insert to receipt, p50",
        Target::AtMost(1.5),
        stream.ms(0.5),
        "ms",
    );
    out.row("the same, p99", Target::AtMost(6.0), stream.ms(0.99), "ms");
    stream.judge(out);
}
