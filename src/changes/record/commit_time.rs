//! `commit_timestamp`: microseconds since 2000-01-01 UTC as `YYYY-MM-DDTHH:MM:SS.mmmZ` (postgres.md §2.8.3).
use std::io::Write as _;

use super::calendar::civil_from_days;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Appends the time without quotes, truncated to milliseconds.
pub(super) fn push_commit_time(micros: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(micros.div_euclid(MICROS_PER_DAY));
    let millis = micros.rem_euclid(MICROS_PER_DAY) / 1_000;
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(micros: i64) -> String {
        let mut out = Vec::new();
        push_commit_time(micros, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn counts_from_the_postgres_epoch_and_truncates() {
        assert_eq!(shown(0), "2000-01-01T00:00:00.000Z");
        assert_eq!(shown(999), "2000-01-01T00:00:00.000Z");
        assert_eq!(shown(-1), "1999-12-31T23:59:59.999Z");
        // 2026-08-21 09:12:33.421999 UTC.
        assert_eq!(shown(840_618_753_421_999), "2026-08-21T09:12:33.421Z");
    }

    #[test]
    fn agrees_with_chrono_over_four_thousand_years() {
        let epoch =
            chrono::DateTime::parse_from_rfc3339("2000-01-01T00:00:00Z").map(|time| time.to_utc());
        let epoch = epoch.unwrap_or_default();
        for step in 0..20_000_i64 {
            let micros = (step - 10_000) * 6_311_385_600_123;
            let expected = epoch + chrono::Duration::microseconds(micros);
            assert_eq!(
                shown(micros),
                expected.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
            );
        }
    }

    #[test]
    fn survives_any_number() {
        assert!(shown(i64::MAX).ends_with('Z'));
        assert!(shown(i64::MIN).ends_with('Z'));
    }
}
