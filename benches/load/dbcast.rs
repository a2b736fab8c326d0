//! `dbcast`: messages that the database sends by `realtime.send`.

use super::Run;
use super::join::Plan;
use super::outcome::{Outcome, Target};
use super::server::anon;
use super::sql::{Write, Writers};
use super::stream::Stream;

pub fn dbcast(run: &Run, out: &mut Outcome) {
    const RATE: f64 = 20_000.0;
    let server = run.server();
    let plans = [Plan::public(&anon(), "realtime:db")];
    let writers = Writers {
        what: Write::Send,
        writers: 2,
        rate: 0.0,
        batch: 100,
        classes: 2,
        size: 100,
    };
    let mut stream = Stream::open(&server, &plans, [vec![0, 1]], writers);
    let seconds = run.seconds(5.0);
    stream.run(RATE / 10.0, 1.0);
    let (took, messages) = stream.run(RATE, seconds);
    out.row(
        "realtime.send, batches of 100 to 1 subscriber, 20,000 a second asked for",
        Target::AtLeast(RATE * 0.95),
        took.per_second(),
        "a second",
    );
    out.figure("written a second", messages as f64 / seconds);
    out.figure("p50 of those, ms", stream.ms(0.5));
    out.figure(
        "server CPU a message, µs",
        took.cpu.server * 1e6 / messages as f64,
    );
    out.figure(
        "Postgres CPU a message, µs",
        took.cpu.database * 1e6 / messages as f64,
    );
    stream.writers.batch = 1;
    stream.bench.client.nap = 0;
    stream.run(100.0, 1.0);
    stream.run(100.0, run.seconds(6.0));
    out.row(
        "realtime.send at 100 a second, to receipt, p50",
        Target::AtMost(1.2),
        stream.ms(0.5),
        "ms",
    );
    out.figure("the same, p99, ms", stream.ms(0.99));
    stream.judge(out);
}
