//! How much of something happens, and when it is too much (protocol.md §7).
//!
//! Pure counters: a [`Meter`] is told what happened and when a tick is over, and knows its average. [`Meters`] are
//! those of one tenant. Nothing here reads a clock or closes anything; whoever acts on a limit asks
//! [`Meter::exceeded`], which is one atomic load. An [`AddressLimiter`] refuses by itself.

mod address;
mod meter;

pub use address::AddressLimiter;
pub use meter::Meter;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Length of a tick of all meters but that of HTTP requests.
pub const TICK: Duration = Duration::from_secs(5);
/// Length of a tick of the meter of HTTP requests.
pub const REQUEST_TICK: Duration = Duration::from_secs(1);

/// Ticks of the window of all meters but that of HTTP requests: a minute.
const TICKS: usize = 12;
/// Ticks of the window of HTTP requests: a minute too.
const REQUEST_TICKS: usize = 60;

/// Averages a tenant may reach, per second; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Joins of channels.
    pub joins: Option<u64>,
    /// Broadcasts sent and received; HTTP requests are held to it too (§7.4).
    pub events: Option<u64>,
    /// Presence messages sent and received.
    pub presence_events: Option<u64>,
}

/// The meters of one tenant.
pub struct Meters {
    /// Joins.
    pub joins: Arc<Meter>,
    /// Broadcasts: each one sent, and each delivery (§7.3).
    pub events: Arc<Meter>,
    /// Presence: each change, each state and each copy of a difference (§6.7).
    pub presence_events: Arc<Meter>,
    /// Changes of tables delivered. Counted, never held back: a change that was promised is not dropped (D3).
    pub db_events: Arc<Meter>,
    /// HTTP requests to the tenant's endpoints (§7.4).
    pub requests: Arc<Meter>,
    /// Bytes read from sockets; counted only.
    pub input_bytes: AtomicU64,
    /// Bytes written to sockets; counted only.
    pub output_bytes: Arc<AtomicU64>,
}

impl Meters {
    /// Meters at rest.
    pub fn new(rates: Rates) -> Self {
        Self {
            joins: Arc::new(Meter::new(rates.joins, TICK, TICKS)),
            events: Arc::new(Meter::new(rates.events, TICK, TICKS)),
            presence_events: Arc::new(Meter::new(rates.presence_events, TICK, TICKS)),
            db_events: Arc::new(Meter::new(None, TICK, TICKS)),
            requests: Arc::new(Meter::new(rates.events, REQUEST_TICK, REQUEST_TICKS)),
            input_bytes: AtomicU64::new(0),
            output_bytes: Arc::default(),
        }
    }

    /// Other limits from now on; the windows begin anew, as in the original.
    pub fn set(&self, rates: Rates) {
        self.joins.set_limit(rates.joins);
        self.events.set_limit(rates.events);
        self.presence_events.set_limit(rates.presence_events);
        self.requests.set_limit(rates.events);
    }

    /// A tick of [`TICK`] is over.
    pub fn tick(&self) {
        for meter in [
            &self.joins,
            &self.events,
            &self.presence_events,
            &self.db_events,
        ] {
            meter.tick();
        }
    }
}
