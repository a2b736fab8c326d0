//! `fanout` and `rooms`: broadcasts to many, beside the floor.

use super::check::Check;
use super::client::Client;
use super::floor::{Floor, Shape};
use super::join::{Plan, join};
use super::mark::Mark;
use super::outcome::{Outcome, Target};
use super::pace::{Bench, Took};
use super::server::{Server, anon};
use super::{Run, wire};

/// Bytes of the JSON payload.
const PAYLOAD: usize = 200;
/// Bytes of the frame's payload that the server makes of it: kind, lengths, topic `realtime:all` and event `bench` before it.
pub const FRAME: usize = PAYLOAD + 22;

/// Joined sockets that receive classes, and senders behind them that receive nothing.
pub fn bench(
    server: &Server,
    plans: &[Plan],
    classes: impl IntoIterator<Item = Vec<u32>>,
) -> Bench {
    let mut client = Client::new();
    join(&mut client, server.port, plans);
    Bench {
        client,
        check: Check::new(classes),
        trouble: Vec::new(),
        server: server.pid(),
    }
}

/// Sends a broadcast from a socket.
pub fn send(bench: &mut Bench, socket: usize, topic: &str, mark: Mark) {
    let mut bytes = Vec::with_capacity(FRAME + 32);
    wire::broadcast(&mut bytes, topic, &mark.json(PAYLOAD));
    bench.client.send(socket, &bytes);
}

/// One topic, all but the last socket receive.
pub fn one_topic(server: &Server, receivers: usize) -> Bench {
    let token = anon();
    let plans: Vec<Plan> = (0..=receivers)
        .map(|_| Plan::public(&token, "realtime:all"))
        .collect();
    bench(
        server,
        &plans,
        (0..=receivers).map(|socket| if socket < receivers { vec![0] } else { vec![] }),
    )
}

pub fn fanout(run: &Run, out: &mut Outcome) {
    const RECEIVERS: usize = 2000;
    const RATE: f64 = 40.0;
    let seconds = run.seconds(3.0);
    let server = run.server();
    let mut bench = one_topic(&server, RECEIVERS);
    bench.client.nap = 200;
    let mut sent = 0;
    let to = RECEIVERS as u64;
    let shape = |batch, rate| Shape {
        sockets: RECEIVERS,
        bytes: FRAME,
        batch,
        rate,
    };
    let mut one = |bench: &mut Bench, due| {
        send(
            bench,
            RECEIVERS,
            "realtime:all",
            Mark {
                due,
                class: 0,
                number: sent,
            },
        );
        sent += 1;
    };
    bench.paced(RATE, 0.5, &mut one);
    // In turn, so that a slow moment of the machine is nobody's alone.
    let (mut modest, mut queued) = (Took::default(), Took::default());
    let mut slow = Floor::start(shape(1, Some(RATE)));
    let mut flat = Floor::start(shape(1, None));
    let mut batched = Floor::start(shape(16, None));
    let mut messages = (0.5 * RATE) as u64;
    for _ in 0..2 {
        modest += bench.measured(|bench| {
            messages += bench.paced(RATE, seconds, &mut one);
            messages * to
        });
        slow.run(seconds);
        queued += bench.measured(|bench| {
            messages += bench.windowed(4, to, seconds, &mut one);
            messages * to
        });
        flat.run(seconds * 0.7);
        batched.run(seconds * 0.5);
    }
    let mut verdict = bench.check.verdict(|_| messages);
    verdict.trouble.append(&mut bench.trouble);
    out.judge(&verdict);
    let mut ended = |floor: Floor| {
        let (per_cpu, verdict) = floor.end();
        out.judge(&verdict);
        per_cpu
    };
    let (slow, flat, batched) = (ended(slow), ended(flat), ended(batched));
    let unit = "deliveries/CPU-s";
    out.row_beside(
        "fan-out to 2,000, one message a wake-up",
        Target::None,
        modest.per_cpu(),
        unit,
        Some(slow),
    );
    out.row(
        "the same through floor",
        Target::AtLeast(0.75),
        modest.per_cpu() / slow,
        "of floor",
    );
    out.row_beside(
        "fan-out to 2,000, window 4, messages queue",
        Target::None,
        queued.per_cpu(),
        unit,
        Some(flat),
    );
    out.row(
        "the same through floor of one write a message",
        Target::AtLeast(1.0),
        queued.per_cpu() / flat,
        "of floor",
    );
    out.figure("floor of 16 frames a writev, deliveries/CPU-s", batched);
    out.figure("window 4, deliveries a second", queued.per_second());
    out.figure(
        "client, part of a core at the modest rate",
        modest.own / 2.0,
    );
}

pub fn rooms(run: &Run, out: &mut Outcome) {
    const SOCKETS: usize = 5000;
    const ROOM: usize = 4;
    const ROOMS: usize = SOCKETS / ROOM;
    const RATE: f64 = 10_000.0;
    let seconds = run.seconds(3.0);
    let server = run.server();
    let token = anon();
    let topic = |socket: usize| format!("realtime:room{}", socket / ROOM);
    let plans: Vec<Plan> = (0..SOCKETS)
        .map(|socket| Plan::public(&token, &topic(socket)))
        .collect();
    // The first of each room speaks, the others hear it.
    let classes = (0..SOCKETS).map(|socket| match socket % ROOM {
        0 => vec![],
        _ => vec![(socket / ROOM) as u32],
    });
    let mut bench = bench(&server, &plans, classes);
    bench.client.nap = 200;
    let mut floor = Floor::start(Shape {
        sockets: SOCKETS,
        bytes: FRAME,
        batch: 1,
        rate: Some(RATE * (ROOM - 1) as f64 / SOCKETS as f64),
    });
    let mut sent = 0;
    let mut one = |bench: &mut Bench, due| {
        let room = sent % ROOMS;
        let mark = Mark {
            due,
            class: room as u32,
            number: (sent / ROOMS) as u64,
        };
        send(bench, room * ROOM, &topic(room * ROOM), mark);
        sent += 1;
    };
    let mut messages = bench.paced(RATE, 0.5, &mut one);
    let mut took = Took::default();
    for _ in 0..2 {
        took += bench.measured(|bench| {
            messages += bench.paced(RATE, seconds, &mut one);
            messages * (ROOM - 1) as u64
        });
        floor.run(seconds);
    }
    let (messages, rooms) = (messages, ROOMS as u64);
    let mut verdict = bench
        .check
        .verdict(|room| messages / rooms + u64::from(u64::from(room) < messages % rooms));
    verdict.trouble.append(&mut bench.trouble);
    out.judge(&verdict);
    let (floor, verdict) = floor.end();
    out.judge(&verdict);
    let unit = "deliveries/CPU-s";
    out.row_beside(
        "5,000 sockets in rooms of 4",
        Target::None,
        took.per_cpu(),
        unit,
        Some(floor),
    );
    out.row(
        "the same through floor",
        Target::AtLeast(0.60),
        took.per_cpu() / floor,
        "of floor",
    );
    out.figure("messages a second", RATE);
    out.figure("p50, ms", bench.check.ms(0.5));
    out.figure("p99, ms", bench.check.ms(0.99));
}
