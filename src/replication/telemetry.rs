//! What the stream reports about itself: metrics (`dovetail_replication_*`), and log lines that do not flood.

use std::time::Duration;

use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::error::Error;
use super::event::{GapReason, LostReason};
use crate::metrics_names as names;

/// The same trouble is logged as often as this.
const REPEAT: Duration = Duration::from_secs(60);

pub(super) struct Telemetry {
    tenant: String,
    live: Gauge,
    lag: Gauge,
    silence: Gauge,
    reconnects: Counter,
    heard: Mutex<Instant>,
    logged: Mutex<Option<(String, Instant)>>,
}

impl Telemetry {
    pub(super) fn new(tenant: &str) -> Self {
        let label = tenant.to_owned();
        Self {
            live: metrics::gauge!(names::REPLICATION_LIVE, "tenant" => label.clone()),
            lag: metrics::gauge!(names::REPLICATION_LAG, "tenant" => label.clone()),
            silence: metrics::gauge!(names::REPLICATION_SILENCE, "tenant" => label.clone()),
            reconnects: metrics::counter!(names::REPLICATION_RECONNECTS, "tenant" => label.clone()),
            heard: Mutex::new(Instant::now()),
            logged: Mutex::new(None),
            tenant: label,
        }
    }

    pub(super) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Something came from Postgres.
    pub(super) fn heard(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// Bytes of log that are not confirmed; with it the silence is measured.
    pub(super) fn lag(&self, bytes: u64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; 2^53 bytes are enough"
        )]
        self.lag.set(bytes as f64);
        self.measure_silence();
    }

    pub(super) fn measure_silence(&self) {
        self.silence.set(self.heard.lock().elapsed().as_secs_f64());
    }

    /// The stream runs, `again`: after it was lost.
    pub(super) fn live(&self, again: bool) {
        self.heard();
        self.live.set(1.0);
        if again {
            self.reconnects.increment(1);
        }
        *self.logged.lock() = None;
    }

    pub(super) fn lost(&self, reason: LostReason, error: &Error) {
        self.live.set(0.0);
        tracing::warn!(
            tenant = self.tenant,
            reason = reason.as_str(),
            error = %error.chain(),
            "replication stream lost"
        );
    }

    pub(super) fn gap(&self, reason: GapReason) {
        let labels = [
            ("tenant", self.tenant.clone()),
            ("reason", reason.as_str().to_owned()),
        ];
        metrics::counter!(names::REPLICATION_GAPS, &labels).increment(1);
        tracing::warn!(
            tenant = self.tenant,
            reason = reason.as_str(),
            "changes may have been missed"
        );
    }

    /// It does not work, again: said at once, then every minute while the reason is the same.
    pub(super) fn trouble(&self, text: &str) {
        self.live.set(0.0);
        self.measure_silence();
        let mut logged = self.logged.lock();
        let fresh = logged
            .as_ref()
            .is_none_or(|(last, at)| last != text || at.elapsed() >= REPEAT);
        if fresh {
            *logged = Some((text.to_owned(), Instant::now()));
            tracing::warn!(
                tenant = self.tenant,
                error = text,
                "replication stream not running"
            );
        }
    }
}
