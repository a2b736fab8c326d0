//! A stream of messages that are written to the database and arrive at sockets.

use std::sync::atomic::{AtomicBool, Ordering};

use super::check::Check;
use super::client::Client;
use super::join::{Plan, join};
use super::mark::now;
use super::outcome::Outcome;
use super::pace::{Bench, Took};
use super::server::Server;
use super::sql::{Sent, Writers, write};

/// A bench of subscribers, with what its writers sent so far.
pub struct Stream {
    pub bench: Bench,
    sent: Sent,
    pub writers: Writers,
    url: String,
}

impl Stream {
    pub fn open(
        server: &Server,
        plans: &[Plan],
        classes: impl IntoIterator<Item = Vec<u32>>,
        writers: Writers,
    ) -> Self {
        let mut client = Client::new();
        join(&mut client, server.port, plans);
        client.nap = 200;
        Self {
            bench: Bench {
                client,
                check: Check::new(classes),
                trouble: Vec::new(),
                server: server.pid(),
            },
            sent: vec![0; writers.classes],
            writers,
            url: server.database.clone(),
        }
    }

    /// Writes at a rate for so long and waits for all of it. Beside what it took: seconds from the first write to the last delivery,
    /// and messages.
    pub fn run(&mut self, rate: f64, seconds: f64) -> (Took, u64) {
        let plan = Writers {
            rate,
            ..self.writers
        };
        let before: u64 = self.sent.iter().sum();
        let (sent, url) = (&mut self.sent, &self.url);
        let took = self.bench.measured(|bench| {
            let running = AtomicBool::new(true);
            std::thread::scope(|scope| {
                scope.spawn(|| write(url, plan, seconds, sent, &running));
                while running.load(Ordering::Acquire) {
                    bench.receive_until(now() + 20_000);
                }
            });
            bench.check.expected(|class| sent[class as usize])
        });
        (took, self.sent.iter().sum::<u64>() - before)
    }

    pub fn judge(mut self, out: &mut Outcome) {
        let mut verdict = self.bench.check.verdict(|class| self.sent[class as usize]);
        verdict.trouble.append(&mut self.bench.trouble);
        out.judge(&verdict);
    }

    pub fn ms(&self, quantile: f64) -> f64 {
        self.bench.check.ms(quantile)
    }
}
