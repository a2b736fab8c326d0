//! Which position may be confirmed. Pure.
//!
//! Postgres forgets what is before the confirmed position, so it follows the consumer. But a consumer that has
//! nothing to do confirms nothing, while other tables' changes move the log on: when nothing is in flight the end of the
//! log, as Postgres' keepalives tell it, is confirmed instead, so that an idle stream retains nothing (G-052).

use crate::pgoutput::Lsn;

#[derive(Debug, Default)]
pub(super) struct Position {
    /// End of the last transaction the consumer was given.
    handed: Lsn,
    /// Everything up to here was received, and nothing up to here is still to come.
    received: Lsn,
    /// What was reported as confirmed; never goes back.
    confirmed: Lsn,
    /// The furthest end of the log Postgres told.
    log_end: Lsn,
}

impl Position {
    /// The stream starts at `at`.
    pub(super) fn started(&mut self, at: Lsn) {
        self.received = self.received.max(at);
        self.confirmed = self.confirmed.max(at);
        self.log_end = self.log_end.max(at);
    }

    /// A new slot starts at `at`; what the old one had does not count any more.
    pub(super) fn reset(&mut self, at: Lsn) {
        *self = Self {
            handed: Lsn::ZERO,
            received: at,
            confirmed: at,
            log_end: at,
        };
    }

    /// A transaction ended at `end`; `handed`: the consumer was told.
    pub(super) fn commit(&mut self, end: Lsn, handed: bool) {
        self.received = self.received.max(end);
        self.log_end = self.log_end.max(end);
        if handed {
            self.handed = self.handed.max(end);
        }
    }

    /// Postgres has sent everything up to `end`. In the middle of a transaction that says nothing about its rest.
    pub(super) fn keepalive(&mut self, end: Lsn, in_transaction: bool) {
        self.log_end = self.log_end.max(end);
        if !in_transaction {
            self.received = self.received.max(end);
        }
    }

    /// What to report as flushed when the consumer has confirmed `consumer`.
    pub(super) fn confirm(&mut self, consumer: Lsn) -> Lsn {
        let safe = if consumer >= self.handed {
            self.received
        } else {
            // A consumer cannot have dealt with what it was not given.
            consumer.min(self.received)
        };
        self.confirmed = self.confirmed.max(safe);
        self.confirmed
    }

    /// Where a stream that is started again goes on without repeating anything.
    pub(super) fn resume(&self) -> Lsn {
        self.received
    }

    /// What to report as received.
    pub(super) fn received(&self) -> Lsn {
        self.received
    }

    /// Bytes of log that are not confirmed.
    pub(super) fn lag(&self) -> u64 {
        self.log_end.bytes_since(self.confirmed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn at(lsn: u64) -> Position {
        let mut position = Position::default();
        position.reset(Lsn(lsn));
        position
    }

    #[test]
    fn nothing_in_flight_confirms_the_end_of_the_log() {
        let mut position = at(100);
        position.keepalive(Lsn(900), false);
        assert_eq!(position.confirm(Lsn::ZERO), Lsn(900));
        assert_eq!(position.lag(), 0);
    }

    #[test]
    fn a_transaction_that_was_handed_over_holds_the_position_until_it_is_confirmed() {
        let mut position = at(100);
        position.commit(Lsn(200), true);
        position.keepalive(Lsn(900), false);
        assert_eq!(position.confirm(Lsn::ZERO), Lsn(100));
        assert_eq!(position.lag(), 800);
        assert_eq!(position.confirm(Lsn(200)), Lsn(900));
    }

    #[test]
    fn a_keepalive_inside_a_transaction_confirms_nothing() {
        let mut position = at(100);
        position.keepalive(Lsn(900), true);
        assert_eq!(position.confirm(Lsn(5000)), Lsn(100));
        assert_eq!(position.resume(), Lsn(100));
    }

    #[test]
    fn an_older_transaction_confirmed_moves_only_that_far() {
        let mut position = at(100);
        position.commit(Lsn(200), true);
        position.commit(Lsn(300), true);
        assert_eq!(position.confirm(Lsn(200)), Lsn(200));
        assert_eq!(position.confirm(Lsn(150)), Lsn(200));
        assert_eq!(position.resume(), Lsn(300));
    }

    #[test]
    fn a_transaction_nobody_was_told_about_needs_no_confirmation() {
        let mut position = at(100);
        position.commit(Lsn(200), false);
        assert_eq!(position.confirm(Lsn::ZERO), Lsn(200));
    }

    #[test]
    fn a_new_slot_forgets_what_the_old_one_had_in_flight() {
        let mut position = at(100);
        position.commit(Lsn(200), true);
        position.reset(Lsn(500));
        position.keepalive(Lsn(600), false);
        assert_eq!(position.confirm(Lsn::ZERO), Lsn(600));
    }
}
