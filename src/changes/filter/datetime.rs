//! Dates and times from their ISO text, as numbers that compare like SQL's.
use crate::changes::record::calendar::days_from_civil;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days since 2000-01-01: `2024-01-02`, `0044-03-15 BC`, `infinity`.
pub(super) fn parse_date(text: &[u8]) -> Option<i64> {
    if let Some(infinite) = parse_infinity(text) {
        return Some(infinite);
    }
    let (text, before_christ) = split_era(text);
    civil_days(text, before_christ)
}

/// Microseconds since midnight: `03:04:05.123`, up to `24:00:00`.
pub(super) fn parse_time(text: &[u8]) -> Option<i64> {
    let (clock, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, &b"0"[..]),
    };
    let [h1, h2, b':', m1, m2, b':', s1, s2] = clock else {
        return None;
    };
    let (hours, minutes, seconds) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
    if hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    let places = u32::try_from(fraction.len())
        .ok()
        .filter(|places| (1..=6).contains(places))?;
    let fraction = number(fraction)? * 10_i64.pow(6 - places);
    Some(((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + fraction)
}

/// Microseconds since 2000-01-01 of a `timestamp`: `2024-01-02 03:04:05.1`, `… BC`, `-infinity`.
pub(super) fn parse_timestamp(text: &[u8]) -> Option<i64> {
    if let Some(infinite) = parse_infinity(text) {
        return Some(infinite);
    }
    let (text, before_christ) = split_era(text);
    let at = text.iter().position(|byte| *byte == b' ')?;
    let days = civil_days(text.get(..at)?, before_christ)?;
    days.checked_mul(MICROS_PER_DAY)?
        .checked_add(parse_time(text.get(at + 1..)?)?)
}

/// Microseconds since 2000-01-01 UTC of a `timestamptz`, printed in whatever zone: `… 03:04:05+05:30`.
pub(super) fn parse_timestamptz(text: &[u8]) -> Option<i64> {
    if let Some(infinite) = parse_infinity(text) {
        return Some(infinite);
    }
    let (text, before_christ) = split_era(text);
    let space = text.iter().position(|byte| *byte == b' ')?;
    let time = text.get(space + 1..)?;
    let zone = time.iter().position(|byte| matches!(byte, b'+' | b'-'))?;
    let days = civil_days(text.get(..space)?, before_christ)?;
    let local = days
        .checked_mul(MICROS_PER_DAY)?
        .checked_add(parse_time(time.get(..zone)?)?)?;
    local.checked_sub(parse_offset(time.get(zone..)?)?)
}

/// Microseconds east of Greenwich: `+02`, `-03:30`, `+00:19:32`.
fn parse_offset(text: &[u8]) -> Option<i64> {
    let (sign, rest) = match text.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let seconds = match rest {
        [h1, h2] => two(*h1, *h2)? * 3_600,
        [h1, h2, b':', m1, m2] => two(*h1, *h2)? * 3_600 + two(*m1, *m2)? * 60,
        [h1, h2, b':', m1, m2, b':', s1, s2] => {
            two(*h1, *h2)? * 3_600 + two(*m1, *m2)? * 60 + two(*s1, *s2)?
        }
        _ => return None,
    };
    Some(sign * seconds * MICROS_PER_SECOND)
}

fn parse_infinity(text: &[u8]) -> Option<i64> {
    match text {
        b"infinity" => Some(i64::MAX),
        b"-infinity" => Some(i64::MIN),
        _ => None,
    }
}

fn split_era(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

fn civil_days(text: &[u8], before_christ: bool) -> Option<i64> {
    let (year, rest) = text.split_at(text.iter().position(|byte| *byte == b'-')?);
    let [b'-', m1, m2, b'-', d1, d2] = rest else {
        return None;
    };
    let year = number(year).filter(|year| (1..=9_999_999).contains(year))?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // There is no year 0: 1 BC comes before 1.
    let year = if before_christ { 1 - year } else { year };
    Some(days_from_civil(year, month, day))
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 7 {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    number(&[tens, ones])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_equal_in_every_zone() {
        let utc = parse_timestamptz(b"2024-01-02 03:04:05.1+00");
        assert!(utc.is_some());
        assert_eq!(parse_timestamptz(b"2024-01-02 08:34:05.1+05:30"), utc);
        assert_eq!(parse_timestamptz(b"2024-01-01 23:04:05.100-04"), utc);
        assert_eq!(parse_timestamptz(b"2024-01-02 03:23:37.1+00:19:32"), utc);
    }

    #[test]
    fn dates_before_christ_and_infinities_are_in_order() {
        let ascending: Vec<Option<i64>> = [
            "-infinity",
            "4713-01-01 BC",
            "0044-03-15 BC",
            "0001-12-31 BC",
            "0001-01-01",
            "2000-01-01",
            "5874897-12-31",
            "infinity",
        ]
        .iter()
        .map(|text| parse_date(text.as_bytes()))
        .collect();
        assert!(ascending.iter().all(Option::is_some));
        assert!(ascending.is_sorted());
        assert_eq!(
            parse_date(b"0001-12-31 BC").map(|day| day + 1),
            parse_date(b"0001-01-01")
        );
    }

    #[test]
    fn other_date_styles_have_no_value() {
        for text in [
            "",
            "01/02/2024",
            "Tue Jan 02 03:04:05 2024",
            "2024-01-02T03:04:05",
            "2024-13-01",
            "2024-01-02 03:04",
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
        }
    }
}
