//! How messages are sent: in an open loop at a rate, or in a closed one with a window.

use super::check::Check;
use super::client::Client;
use super::join::{drain, receive};
use super::mark::now;
use super::process::Cpu;

/// A client with what it should receive.
pub struct Bench {
    pub client: Client,
    pub check: Check,
    pub trouble: Vec<String>,
    /// Process id of the server.
    pub server: u32,
}

/// What a measured stretch took.
#[derive(Clone, Copy, Default)]
pub struct Took {
    pub deliveries: u64,
    pub cpu: Cpu,
    /// Until the last delivery.
    pub seconds: f64,
    /// Part of a core that this process used.
    pub own: f64,
}

impl Took {
    /// Deliveries per CPU second of the server.
    pub fn per_cpu(self) -> f64 {
        self.deliveries as f64 / self.cpu.server
    }

    /// Deliveries a second.
    pub fn per_second(self) -> f64 {
        self.deliveries as f64 / self.seconds
    }
}

impl std::ops::AddAssign for Took {
    fn add_assign(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.cpu += other.cpu;
        self.seconds += other.seconds;
        self.own += other.own;
    }
}

impl Bench {
    /// Measures a stretch: what is sent by `work`, which says how many deliveries there should be in all afterwards.
    pub fn measured(&mut self, work: impl FnOnce(&mut Self) -> u64) -> Took {
        self.check.begin();
        let (began, before) = (now(), Cpu::of(self.server));
        let own = super::process::own_cpu();
        let expected = work(self);
        drain(
            &mut self.client,
            &mut self.check,
            &mut self.trouble,
            expected,
        );
        let seconds = (self.check.last.max(began + 1) - began) as f64 / 1e6;
        Took {
            deliveries: self.check.received,
            cpu: Cpu::of(self.server).since(before),
            seconds,
            own: (super::process::own_cpu() - own) / seconds,
        }
    }

    /// Receives until a time.
    pub fn receive_until(&mut self, end: u64) {
        while now() < end {
            receive(&mut self.client, &mut self.check, &mut self.trouble, end);
        }
    }

    /// Calls `send` with the time each message is due at, `rate` a second for so long. How many there were.
    pub fn paced(&mut self, rate: f64, seconds: f64, mut send: impl FnMut(&mut Self, u64)) -> u64 {
        let began = now();
        let count = (rate * seconds) as u64;
        let mut sent = 0;
        while sent < count {
            let due = began + (sent as f64 * 1e6 / rate) as u64;
            if now() >= due {
                send(self, due);
                sent += 1;
                // What comes back is read all the same when this side is late.
                if sent.is_multiple_of(16) {
                    receive(&mut self.client, &mut self.check, &mut self.trouble, now());
                }
            } else {
                receive(&mut self.client, &mut self.check, &mut self.trouble, due);
            }
        }
        sent
    }

    /// Calls `send` whenever fewer than `window` messages are under way, each of which is delivered `to` times. How many there were.
    pub fn windowed(
        &mut self,
        window: u64,
        to: u64,
        seconds: f64,
        mut send: impl FnMut(&mut Self, u64),
    ) -> u64 {
        let (end, first) = (now() + (seconds * 1e6) as u64, self.check.whole);
        let (mut sent, mut last) = (0, now());
        while now() < end {
            if sent - (self.check.whole - first) / to < window {
                send(self, now());
                (sent, last) = (sent + 1, now());
            } else {
                receive(
                    &mut self.client,
                    &mut self.check,
                    &mut self.trouble,
                    now() + 20_000,
                );
            }
            if now() > last + 3_000_000 {
                self.trouble
                    .push("a message was not delivered within 3 s".to_owned());
                break;
            }
        }
        sent
    }
}
