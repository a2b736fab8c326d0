//! Which transactions the database shows to those who ask now.
//!
//! The stream may tell of a commit a moment before other sessions see it: the log is sent first. What is read then is
//! older than the row that made us read, so questions wait until the transactions they are about are visible.

/// A snapshot as `pg_current_snapshot()` writes it: `xmin:xmax:in progress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    xmax: u64,
    in_progress: Vec<u64>,
}

impl Snapshot {
    /// `None` when it is no snapshot.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let _xmin: u64 = parts.next()?.parse().ok()?;
        let xmax = parts.next()?.parse().ok()?;
        let list = parts.next()?;
        let in_progress = list
            .split(',')
            .filter(|id| !id.is_empty())
            .map(|id| id.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self { xmax, in_progress })
    }

    /// Is the transaction with these low 32 bits of its id over?
    pub fn shows(&self, xid: u32) -> bool {
        // The id is near the present one, before or after; ids are compared as Postgres does, modulo 2^32.
        let distance = xid.wrapping_sub(self.xmax as u32).cast_signed();
        let full = self.xmax.wrapping_add_signed(i64::from(distance));
        full < self.xmax && !self.in_progress.contains(&full)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_shows_when_it_is_neither_running_nor_in_the_future() {
        let snapshot = Snapshot::read("10:20:12,15").unwrap();
        for (xid, shown) in [
            (9, true),
            (11, true),
            (12, false),
            (15, false),
            (19, true),
            (20, false),
            (21, false),
        ] {
            assert_eq!(snapshot.shows(xid), shown, "{xid}");
        }
        assert!(Snapshot::read("10:20:").unwrap().shows(10));
        assert_eq!(Snapshot::read("10:x:"), None);
    }

    #[test]
    fn ids_wrap_around() {
        let snapshot = Snapshot::read("4294967300:4294967310:4294967301").unwrap();
        assert!(snapshot.shows(u32::MAX));
        assert!(!snapshot.shows(5));
        assert!(snapshot.shows(6));
        assert!(!snapshot.shows(14));
    }
}
