//! Timestamps: the ISO text of Postgres with a `T`, and an offset that always has minutes (postgres.md §2.15).
use super::push_string;
use super::string::push_escaped;

/// Appends a `timestamp`: `2024-01-02T03:04:05.1`, `infinity`, `0044-03-15T00:00:00 BC`.
pub(super) fn push_timestamp(text: &[u8], out: &mut Vec<u8>) {
    match split_iso(text) {
        None => push_string(text, out),
        Some((date, time)) => {
            push_date_and_t(date, out);
            push_escaped(time, out);
            out.push(b'"');
        }
    }
}

/// Appends a `timestamptz`: as above with `+00:00`, from any session time zone (`+05:30`, `-00:01:15`).
pub(super) fn push_timestamptz(text: &[u8], out: &mut Vec<u8>) {
    let Some((date, time)) = split_iso(text) else {
        push_string(text, out);
        return;
    };
    push_date_and_t(date, out);
    let zone_start = time.iter().position(|byte| matches!(byte, b'+' | b'-'));
    let (clock, zone) = time.split_at(zone_start.unwrap_or(time.len()));
    let zone_end = zone
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(zone.len());
    let (zone, era) = zone.split_at(zone_end);
    push_escaped(clock, out);
    push_escaped(zone, out);
    if zone.len() == 3 {
        out.extend_from_slice(b":00");
    }
    push_escaped(era, out);
    out.push(b'"');
}

/// Date and rest of an ISO text. `None` for `infinity` and for any other `DateStyle`.
fn split_iso(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b' ')?;
    let date = text.get(..at)?;
    let is_iso = date
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'-')
        && date.contains(&b'-');
    is_iso.then_some((date, text.get(at + 1..)?))
}

fn push_date_and_t(date: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(date);
    out.push(b'T');
}
