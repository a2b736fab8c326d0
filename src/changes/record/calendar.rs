//! The proleptic Gregorian calendar, in days since 2000-01-01 as Postgres counts them.
//!
//! Written here rather than taken from a crate because the dates of Postgres reach from 4713 BC to the year
//! 5,874,897, beyond what the usual types hold.

/// Days from 0000-03-01 to 2000-01-01: years are counted from March so that leap days come last.
const EPOCH: i64 = 730_425;
const DAYS_PER_ERA: i64 = 146_097;

/// Year (astronomical: 1 BC is 0), month 1–12, day 1–31.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`]. The caller has checked that month and day are in range and that the
/// year has at most seven digits.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_landmarks() {
        assert_eq!(civil_from_days(0), (2000, 1, 1));
        assert_eq!(days_from_civil(1970, 1, 1), -10_957);
        assert_eq!(days_from_civil(2000, 3, 1), 60);
        // Julian day 0, the first date of Postgres: 4714-11-24 BC.
        assert_eq!(days_from_civil(-4713, 11, 24), -2_451_545);
    }

    proptest::proptest! {
        #[test]
        fn days_round_trip_over_the_whole_range_of_postgres(days in -2_451_545_i64..2_145_031_949) {
            let (year, month, day) = civil_from_days(days);
            proptest::prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
            proptest::prop_assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
