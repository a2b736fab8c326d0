//! Numbers as exact decimal text without exponent (postgres.md §2.15).
use super::{Place, Stop, push_string};

/// More zeros than any float8 needs (its exponents reach 324); a longer one is not Postgres'.
const MAX_EXPONENT: i32 = 400;

/// Appends a number. JSON has no NaN and no infinities: `null` as a column, a string when nested.
pub(super) fn push_number(text: &[u8], place: Place, out: &mut Vec<u8>) -> Result<(), Stop> {
    if matches!(text, b"NaN" | b"Infinity" | b"-Infinity") {
        match place {
            Place::Column => out.extend_from_slice(b"null"),
            Place::Nested => push_string(text, out),
        }
        return Ok(());
    }
    let (negative, unsigned) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => {
            let (mantissa, exponent) = unsigned.split_at(at);
            (
                mantissa,
                parse_exponent(exponent.get(1..).unwrap_or_default())?,
            )
        }
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (
            mantissa.get(..at).unwrap_or_default(),
            mantissa.get(at + 1..),
        ),
        None => (mantissa, None),
    };
    let plain_whole = !whole.is_empty()
        && whole.iter().all(u8::is_ascii_digit)
        && (whole.len() == 1 || whole.first() != Some(&b'0'));
    let plain_fraction = fraction
        .is_none_or(|fraction| !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit));
    if !plain_whole || !plain_fraction {
        return Err(Stop::Malformed);
    }
    // Minus zero is zero, as in jsonb.
    if negative && mantissa.iter().any(|byte| matches!(byte, b'1'..=b'9')) {
        out.push(b'-');
    }
    if exponent == 0 {
        out.extend_from_slice(mantissa);
    } else {
        push_shifted(whole, fraction.unwrap_or_default(), exponent, out);
    }
    Ok(())
}

fn parse_exponent(text: &[u8]) -> Result<i32, Stop> {
    let text = std::str::from_utf8(text).map_err(|_| Stop::Malformed)?;
    let exponent: i32 = text.parse().map_err(|_| Stop::Malformed)?;
    if exponent.abs() > MAX_EXPONENT {
        Err(Stop::Malformed)
    } else {
        Ok(exponent)
    }
}

/// Writes `whole.fraction × 10^exponent` by moving the point through the digits.
fn push_shifted(whole: &[u8], fraction: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let digit_count = i64::try_from(whole.len() + fraction.len()).unwrap_or(i64::MAX);
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX) + i64::from(exponent);
    // A whole part of 0 (`0.5e3`) would leave leading zeros; Postgres prints mantissas from 1 to 9, but be exact.
    let mut leading = true;
    if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(
            b'0',
            usize::try_from(-point).unwrap_or_default(),
        ));
        leading = false;
    }
    for (index, digit) in (0_i64..).zip(whole.iter().chain(fraction)) {
        if index == point && point > 0 {
            if leading {
                out.push(b'0');
            }
            out.push(b'.');
            leading = false;
        }
        if leading && *digit == b'0' {
            continue;
        }
        leading = false;
        out.push(*digit);
    }
    if point >= digit_count {
        if leading {
            out.push(b'0');
        } else {
            out.extend(std::iter::repeat_n(
                b'0',
                usize::try_from(point - digit_count).unwrap_or_default(),
            ));
        }
    }
}
