//! One rate: counted without a lock, averaged over a window of ticks (protocol.md §7.2).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// No limit, in the atomic.
const NONE: u64 = u64::MAX;

/// After this long without anything to count the window begins anew (protocol.md §7.2 item 3).
const IDLE: Duration = Duration::from_secs(5 * 60);

/// See the module.
pub struct Meter {
    /// Per second.
    limit: AtomicU64,
    tick: Duration,
    ticks: usize,
    /// Counted since the last tick.
    current: AtomicU64,
    /// Counted in all.
    total: AtomicU64,
    exceeded: AtomicBool,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    /// Counts of the last ticks, the newest last; none at rest.
    counts: VecDeque<u64>,
    /// Ticks since something was counted.
    idle: u32,
}

impl Meter {
    /// A meter at rest. Its window begins with one empty tick when something is counted, as in the original, and is
    /// dropped when nothing was counted for five minutes.
    pub fn new(limit: Option<u64>, tick: Duration, ticks: usize) -> Self {
        Self {
            limit: AtomicU64::new(limit.unwrap_or(NONE)),
            tick,
            ticks,
            current: AtomicU64::new(0),
            total: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
            window: Mutex::default(),
        }
    }

    /// A meter that only counts.
    pub fn unlimited() -> Self {
        Self::new(None, super::TICK, 1)
    }

    /// This many happened.
    pub fn add(&self, count: u64) {
        self.current.fetch_add(count, Ordering::Relaxed);
        self.total.fetch_add(count, Ordering::Relaxed);
    }

    /// Whether the average had reached the limit at the last tick.
    pub fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// The limit, per second.
    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit != NONE)
    }

    /// Another limit; the window begins anew.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(NONE), Ordering::Relaxed);
        *self.window.lock() = Window::default();
        self.current.store(0, Ordering::Relaxed);
        self.exceeded.store(false, Ordering::Relaxed);
    }

    /// Counted in all since the meter was made.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Per second, over the ticks of the window.
    pub fn average(&self) -> f64 {
        let window = self.window.lock();
        let sum: u64 = window.counts.iter().sum();
        sum as f64 / (window.counts.len().max(1) as f64 * self.tick.as_secs_f64())
    }

    /// How long until the average fits, if nothing more happens: at a tick, so up to one tick too much; `None` when it
    /// never will.
    pub fn lifted_in(&self, fits: impl Fn(f64) -> bool) -> Option<Duration> {
        let mut window = self.window.lock().counts.clone();
        if window.is_empty() {
            window.push_back(0);
        }
        window.push_back(self.current.load(Ordering::Relaxed));
        for ticks in 1..=self.ticks + 1 {
            while window.len() > self.ticks {
                window.pop_front();
            }
            let sum: u64 = window.iter().sum();
            if fits(sum as f64 / (window.len().max(1) as f64 * self.tick.as_secs_f64())) {
                return self.tick.checked_mul(u32::try_from(ticks).ok()?);
            }
            window.push_back(0);
        }
        None
    }

    /// A tick is over: the limit holds or is lifted now, and not in between (P-215).
    pub fn tick(&self) {
        let count = self.current.swap(0, Ordering::Relaxed);
        {
            let mut window = self.window.lock();
            window.idle = if count == 0 { window.idle + 1 } else { 0 };
            if window.idle >= (IDLE.as_secs() / self.tick.as_secs().max(1)) as u32 {
                window.counts = VecDeque::new();
            }
            if window.counts.is_empty() {
                if count == 0 {
                    return;
                }
                window.counts.push_back(0);
            }
            window.counts.push_back(count);
            while window.counts.len() > self.ticks {
                window.counts.pop_front();
            }
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let exceeded = limit != NONE && self.average() >= limit as f64;
        self.exceeded.store(exceeded, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn meter() -> Meter {
        Meter::new(Some(10), Duration::from_secs(5), 12)
    }

    #[test]
    fn a_short_burst_is_tolerated_until_the_tick() {
        let meter = meter();
        meter.add(1000);
        assert!(!meter.exceeded());
        meter.tick();
        // 1000 in two ticks of five seconds.
        assert_eq!(meter.average(), 100.0);
        assert!(meter.exceeded());
    }

    #[test]
    fn the_limit_is_lifted_when_the_burst_leaves_the_window() {
        let meter = meter();
        meter.add(1000);
        let ticks = (1..)
            .find(|_| {
                meter.tick();
                !meter.exceeded()
            })
            .unwrap_or(0);
        // 1000 over n + 1 ticks is below 10 a second at the window's end only: the burst has left it then.
        assert_eq!(ticks, 13);
        assert_eq!(meter.total(), 1000);
    }

    #[test]
    fn the_time_until_it_is_lifted_is_what_passes() {
        for burst in [50, 120, 700, 1000] {
            let meter = meter();
            meter.add(burst);
            meter.tick();
            let said = meter.lifted_in(|average| average < 10.0).unwrap();
            let mut passed = Duration::ZERO;
            while passed.is_zero() || meter.exceeded() {
                meter.tick();
                passed += Duration::from_secs(5);
            }
            assert_eq!(said, passed, "{burst}");
        }
        assert_eq!(meter().lifted_in(|average| average < 0.0), None);
    }

    #[test]
    fn without_a_limit_nothing_is_too_much() {
        let meter = Meter::new(None, Duration::from_secs(5), 12);
        meter.add(u64::MAX / 2);
        meter.tick();
        assert!(!meter.exceeded());
    }

    #[test]
    fn a_new_limit_begins_a_new_window() {
        let meter = meter();
        meter.add(1000);
        meter.tick();
        meter.set_limit(Some(20));
        assert!(!meter.exceeded());
        meter.tick();
        assert!(!meter.exceeded());
    }
}
