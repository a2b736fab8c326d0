//! How long somebody is banned: durations as Go writes them (`24h`, `1h30m`, `1.5s`), or `none`.

use super::error::Refusal;

/// A hundred years, in seconds: what is longer is as good.
const FOREVER: f64 = 3_155_760_000.0;

/// Seconds; none where no ban is meant. No longer than a hundred years.
pub(super) fn seconds(text: &str) -> Result<Option<f64>, Refusal> {
    if text == "none" {
        return Ok(None);
    }
    let duration = parse(text).ok_or_else(|| {
        Refusal::invalid("invalid format for ban duration: write 24h, 1h30m or none")
    })?;
    Ok(Some(duration.clamp(-FOREVER, FOREVER)).filter(|seconds| *seconds != 0.0))
}

fn parse(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        total += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = after;
    }
    (!text.ends_with(['-', '+'])).then_some(sign * total)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("24h", Some(86_400.0)),
            ("1h30m", Some(5400.0)),
            ("1.5s", Some(1.5)),
            ("300ms", Some(0.3)),
            ("-1h", Some(-3600.0)),
            ("0", None),
            ("0s", None),
            ("none", None),
            ("999999999h", Some(FOREVER)),
        ] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
        for bad in [
            "", "1", "h", "1d", "-", "+", "1h-", "1 h", "1..5h", "x1h", "NaNh", "1e3s", "infs", "ä",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
