//! `presence` and `presence_churn`: who is there, seen by everybody.
//!
//! What a member tracks bears a mark; class 0 is its coming, class 1 its going, the number is the member's.

use serde_json::json;

use super::Run;
use super::client::Said;
use super::fanout::bench;
use super::join::Plan;
use super::mark::{Mark, now};
use super::outcome::{Outcome, Target};
use super::pace::{Bench, Took};
use super::server::{Server, anon};
use super::wire;

const TOPIC: &str = "realtime:here";

fn members(server: &Server, count: usize, classes: &[u32]) -> Bench {
    let token = anon();
    let plans: Vec<Plan> = (0..count)
        .map(|number| Plan {
            join: json!({ "config": { "presence": { "enabled": true, "key": format!("m{number}") } } }).to_string(),
            ..Plan::public(&token, TOPIC)
        })
        .collect();
    bench(server, &plans, (0..count).map(|_| classes.to_vec()))
}

fn track(bench: &mut Bench, member: usize, due: u64) {
    let mark = Mark {
        due,
        class: 0,
        number: member as u64,
    }
    .text();
    let payload = format!(r#"{{"type":"presence","event":"track","payload":{{"m":"{mark}"}}}}"#);
    let mut bytes = Vec::new();
    wire::push(&mut bytes, "3", TOPIC, "presence", &payload);
    bench.client.send(member, &bytes);
}

fn untrack(bench: &mut Bench, member: usize) {
    let mut bytes = Vec::new();
    wire::push(
        &mut bytes,
        "4",
        TOPIC,
        "presence",
        r#"{"type":"presence","event":"untrack"}"#,
    );
    bench.client.send(member, &bytes);
}

/// Receives once until a time: every mark in every frame. `left` says when a member's going was due. Frames with marks are counted.
fn receive(bench: &mut Bench, left: &[u64], frames: &mut u64, until: u64) {
    let Bench {
        client,
        check,
        trouble,
        ..
    } = bench;
    client.turn(until, |socket, said| match said {
        Said::Frame(_, frame) => {
            let mut any = false;
            let [joins, leaves] = [&br#""joins":{"#[..], br#""leaves":{"#]
                .map(|key| memchr::memmem::find(frame, key).unwrap_or(0));
            for (place, mut mark) in Mark::all(frame) {
                // Whichever of the two maps began last before it is the one that it is in.
                let gone = place > leaves && (leaves > joins || place < joins);
                if gone {
                    mark.class = 1;
                    mark.due = left.get(mark.number as usize).copied().unwrap_or(mark.due);
                }
                check.mark(socket, mark);
                any = true;
            }
            *frames += u64::from(any);
        }
        Said::Closed(why) => trouble.push(format!("socket {socket}: {why}")),
        Said::Opened => {}
    });
}

/// Receives until so many deliveries are there in all, or none has come for three seconds.
fn drain(bench: &mut Bench, left: &[u64], frames: &mut u64, expected: u64) {
    let began = now();
    while bench.check.whole < expected && now() < began.max(bench.check.last) + 3_000_000 {
        receive(bench, left, frames, now() + 50_000);
    }
}

fn judge(mut bench: Bench, out: &mut Outcome, sent: impl Fn(u32) -> u64) {
    let mut verdict = bench.check.verdict(sent);
    verdict.trouble.append(&mut bench.trouble);
    out.judge(&verdict);
}

pub fn presence(run: &Run, out: &mut Outcome) {
    const MEMBERS: usize = 500;
    let mut best = f64::INFINITY;
    let mut all = Vec::new();
    for _ in 0..if run.quick { 1 } else { 3 } {
        let server = run.server();
        let mut bench = members(&server, MEMBERS, &[0]);
        let mut frames = 0;
        let began = now();
        let took = bench.measured(|bench| {
            for member in 0..MEMBERS {
                track(bench, member, began);
                receive(bench, &[], &mut frames, now());
            }
            drain(bench, &[], &mut frames, (MEMBERS * MEMBERS) as u64);
            (MEMBERS * MEMBERS) as u64
        });
        all.push(took.seconds * 1000.0);
        best = best.min(took.seconds * 1000.0);
        out.figure("diff frames a member", frames as f64 / MEMBERS as f64);
        out.figure("server CPU, s", took.cpu.server);
        judge(bench, out, |_| MEMBERS as u64);
    }
    out.row(
        "500 members track at once, until all have seen all, best run",
        Target::AtMost(300.0),
        best,
        "ms",
    );
    out.figure("each run, ms", all);
}

pub fn churn(run: &Run, out: &mut Outcome) {
    // Half of them comings, half goings, each of which is a second after its coming.
    const RATE: f64 = 100.0;
    const STAY: usize = 50;
    let mut costs = Vec::new();
    for count in [1000, 5000] {
        let server = run.server();
        let mut bench = members(&server, count, &[0, 1]);
        bench.client.nap = 200;
        let comings = (RATE / 2.0 * run.seconds(6.0)) as usize;
        let mut left = vec![0; comings];
        let mut frames = 0;
        let began = now();
        let took: Took = bench.measured(|bench| {
            for step in 0..2 * (comings + STAY) {
                let due = began + (step as f64 * 1e6 / RATE) as u64;
                loop {
                    receive(bench, &left, &mut frames, due);
                    if now() >= due {
                        break;
                    }
                }
                let member = step / 2;
                if step % 2 == 0 {
                    if member < comings {
                        track(bench, member, due);
                    }
                } else if member >= STAY {
                    left[member - STAY] = due;
                    untrack(bench, member - STAY);
                }
            }
            let expected = (2 * comings * count) as u64;
            drain(bench, &left, &mut frames, expected);
            expected
        });
        let cost = took.cpu.server * 1e6 / took.deliveries as f64;
        costs.push(cost);
        let p99 = bench.check.ms(0.99);
        out.figure(
            &format!("{count} members: server CPU a change and member, µs"),
            cost,
        );
        out.figure(
            &format!("{count} members: frames a change and member"),
            frames as f64 / took.deliveries as f64,
        );
        out.figure(&format!("{count} members: p50, ms"), bench.check.ms(0.5));
        match count {
            5000 => out.row(
                "5,000 members, 50 come and 50 go a second, p99 of the diff",
                Target::AtMost(100.0),
                p99,
                "ms",
            ),
            _ => out.figure(&format!("{count} members: p99, ms"), p99),
        }
        judge(bench, out, |_| comings as u64);
    }
    out.row(
        "server CPU a delivery, 5,000 members instead of 1,000",
        Target::AtMost(1.25),
        costs[1] / costs[0],
        "times",
    );
}
