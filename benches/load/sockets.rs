//! `idle`, `connect`, `rejoin` and `latency`: sockets that wait, come, come back, and hear one another.

use serde_json::json;

use super::check::Verdict;
use super::client::Client;
use super::fanout::{one_topic, send};
use super::floor::{Floor, Shape};
use super::join::{Heart, Joined, Plan, join, join_all};
use super::mark::{Mark, now, sleep_until};
use super::outcome::{Outcome, Target};
use super::process::{Cpu, memory, precise, slab, socket_buffers};
use super::server::{Server, anon, user};
use super::{Run, sql};

fn trouble(trouble: Vec<String>) -> Verdict {
    Verdict {
        trouble,
        ..Verdict::default()
    }
}

pub fn idle(run: &Run, out: &mut Outcome) {
    const SOCKETS: usize = 2000;
    let server = run.server();
    let resident = || memory(server.pid(), "VmRSS");
    sleep_until(now() + 2_000_000);
    let quiet = precise(server.pid());
    sleep_until(now() + 3_000_000);
    let quiet = (precise(server.pid()) - quiet) / 3.0;
    let (base, kernel, buffers) = (resident(), slab(), socket_buffers());
    let own = memory(server.pid(), "RssAnon");
    let mut client = Client::new();
    let token = anon();
    let plans: Vec<Plan> = (0..SOCKETS)
        .map(|number| Plan::public(&token, &format!("realtime:idle{}", number % 100)))
        .collect();
    join(&mut client, server.port, &plans);
    sleep_until(now() + 3_000_000);
    let (full, kernel, buffers) = (resident(), slab() - kernel, socket_buffers() - buffers);
    // The first second is for both sides to get used to it.
    let seconds = run.seconds(20.0);
    let mut heart = Heart::new();
    let (mut closed, mut answers) = (Vec::new(), 0u64);
    let mut used = 0.0;
    for stretch in [1.0, seconds] {
        let (end, before) = (now() + (stretch * 1e6) as u64, precise(server.pid()));
        answers = 0;
        while now() < end {
            heart.beat(&mut client);
            client.turn(end.min(now() + 10_000), |_, said| match said {
                super::client::Said::Closed(why) => closed.push(why),
                _ => answers += 1,
            });
        }
        used = precise(server.pid()) - before;
    }
    closed.truncate(5);
    out.judge(&trouble(closed));
    // What waking up costs on this machine whoever does it: at the pace of the heartbeats, one write and nothing else.
    let mut floor = Floor::start(Shape {
        sockets: 1,
        bytes: 64,
        batch: 1,
        rate: Some(SOCKETS as f64 / 25.0),
    });
    floor.run(seconds / 4.0);
    let (writes, verdict) = floor.end();
    out.judge(&verdict);
    let sockets = SOCKETS as f64;
    out.row(
        "resident memory, ready and idle",
        Target::AtMost(15.0),
        base / 1024.0,
        "MiB",
    );
    out.row(
        "resident memory an idle joined socket",
        Target::AtMost(8.0),
        (full - base) / sockets,
        "KiB",
    );
    out.row(
        "CPU of an idle socket, a heartbeat each 25 s",
        Target::AtMost(2.0),
        used * 1e6 / seconds / sockets,
        "µs a second",
    );
    out.figure("of the base, not of the program's file, MiB", own / 1024.0);
    out.figure("CPU without sockets, µs a second", quiet * 1e6);
    out.figure(
        "kernel, slab of the whole machine, both ends of a connection, KiB",
        kernel / sockets,
    );
    out.figure(
        "kernel, socket buffers of the whole machine, both ends, KiB",
        buffers / sockets,
    );
    out.figure(
        "CPU a heartbeat, its answer included, µs",
        used * 1e6 / answers as f64,
    );
    out.figure("floor: to wake up for one write, CPU, µs", 1e6 / writes);
}

/// Opens, joins and closes many.
fn round(server: &Server, plans: &[Plan], together: usize) -> (Joined, Cpu) {
    let before = Cpu::of(server.pid());
    let joined = join_all(&mut Client::new(), server.port, plans, together, 60.0);
    (joined, Cpu::of(server.pid()).since(before))
}

pub fn connect(run: &Run, out: &mut Outcome) {
    let count = if run.quick { 2000 } else { 5000 };
    // The messaging system has policies of its own on realtime.messages, which would be asked as well.
    let server = run.server_with(&[("CHAT", "false")]);
    sql::batch(
        &server.database,
        "create policy load on realtime.messages for select to authenticated using (realtime.topic() = 'all');",
    );
    let token = anon();
    let public: Vec<Plan> = (0..count)
        .map(|_| Plan::public(&token, "realtime:all"))
        .collect();
    let mut private = Vec::new();
    for number in 0..count {
        private.push(Plan {
            join: json!({ "config": { "private": true } }).to_string(),
            ..Plan::public(&user(number), "realtime:all")
        });
    }
    for (name, plans, target) in [
        ("public", &public, 5000.0),
        ("private, a claim each", &private, 3000.0),
    ] {
        // The first time opens connections to the database, reads policies, and has memory given.
        let (warm, _) = round(&server, &plans[..count / 4], 64);
        sleep_until(now() + 500_000);
        let (joined, cpu) = round(&server, plans, 64);
        sleep_until(now() + 500_000);
        let done = joined.each.len() as f64;
        out.row(
            &format!("connect and join, {name}, warm"),
            Target::AtLeast(target),
            done / joined.seconds,
            "a second",
        );
        out.figure(
            &format!("{name}: server CPU a join, ms"),
            cpu.server * 1000.0 / done,
        );
        out.figure(
            &format!("{name}: Postgres CPU a join, ms"),
            cpu.database * 1000.0 / done,
        );
        out.figure(
            &format!("{name}: p50 from connect to reply, 64 at once, ms"),
            joined.each[joined.each.len() / 2] as f64 / 1000.0,
        );
        out.judge(&trouble(warm.trouble));
        out.judge(&trouble(joined.trouble));
    }
}

pub fn rejoin(run: &Run, out: &mut Outcome) {
    let count = if run.quick { 4000 } else { 10_000 };
    let mut server = run.server();
    let token = anon();
    let plans: Vec<Plan> = (0..count)
        .map(|number| Plan::public(&token, &format!("realtime:room{}", number % 100)))
        .collect();
    let mut client = Client::new();
    join(&mut client, server.port, &plans);
    server.stop();
    drop(client);
    let away = now();
    // The lines of a starting server are read meanwhile: clients do not wait for its word.
    let port = server.port;
    let starting = std::thread::spawn(move || {
        server.spawn();
        server
    });
    while std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_err() {
        sleep_until(now() + 1000);
    }
    let away = now() - away;
    let mut client = Client::new();
    let joined = join_all(&mut client, port, &plans, count, 60.0);
    let server = starting.join().expect("it started");
    let all = joined.each.len() == count;
    let what = format!("{count} reconnect at once after a restart, until the last is joined");
    out.row(
        &what,
        Target::AtMost(5.0),
        if all { joined.seconds } else { f64::INFINITY },
        "s",
    );
    out.figure("joined", joined.each.len() as f64);
    out.figure(
        "median from its connect to its reply, s",
        joined
            .each
            .get(count / 2)
            .map_or(0.0, |micros| *micros as f64 / 1e6),
    );
    out.figure(
        "from the start until the port is open, s",
        away as f64 / 1e6,
    );
    out.judge(&trouble(joined.trouble));
    drop((client, server));
}

pub fn latency(run: &Run, out: &mut Outcome) {
    const RECEIVERS: usize = 100;
    let server = run.server();
    let mut bench = one_topic(&server, RECEIVERS);
    let (mut messages, to) = (0, RECEIVERS as u64);
    let mut at_rate = |bench: &mut super::pace::Bench, rate: f64, seconds: f64| {
        let first = messages;
        let mut number = first;
        let began = now();
        let took = bench.measured(|bench| {
            messages += bench.paced(rate, seconds, |bench, due| {
                send(
                    bench,
                    RECEIVERS,
                    "realtime:all",
                    Mark {
                        due,
                        class: 0,
                        number,
                    },
                );
                number += 1;
            });
            messages * to
        });
        // Sustained: sent in time, delivered in time, nothing grows.
        let late = (now() - began) as f64 / 1e6 > seconds * 1.05 + 0.05;
        (took, !late && bench.check.ms(0.99) < 50.0)
    };
    let (mut good, mut bad, mut rate) = (0.0, f64::INFINITY, 4000.0);
    for _ in 0..11 {
        // Twice, because a moment in which somebody else had the machine is not the server's limit.
        let sustained = at_rate(&mut bench, rate, 0.7).1 || at_rate(&mut bench, rate, 0.7).1;
        if sustained {
            good = rate;
        } else {
            bad = rate;
        }
        rate = if bad.is_finite() {
            (good + bad) / 2.0
        } else {
            rate * 1.5
        };
    }
    let half = (good / 2.0).max(50.0);
    let (took, _) = at_rate(&mut bench, half, run.seconds(5.0));
    out.row(
        "broadcast at half of the highest sustained rate, p50",
        Target::AtMost(1.0),
        bench.check.ms(0.5),
        "ms",
    );
    out.row(
        "the same, p99",
        Target::AtMost(10.0),
        bench.check.ms(0.99),
        "ms",
    );
    out.figure(
        "highest sustained rate, 1 topic of 100, messages a second",
        good,
    );
    out.figure("half of it, deliveries per server CPU-s", took.per_cpu());
    out.figure("client, part of a core meanwhile", took.own);
    out.figure("p99.9, ms", bench.check.ms(0.999));
    at_rate(&mut bench, good / 10.0, run.seconds(3.0));
    out.figure(
        "at a tenth of the highest rate: p50, ms",
        bench.check.ms(0.5),
    );
    out.figure(
        "at a tenth of the highest rate: p99, ms",
        bench.check.ms(0.99),
    );
    let mut verdict = bench.check.verdict(|_| messages);
    verdict.trouble.append(&mut bench.trouble);
    out.judge(&verdict);
}
