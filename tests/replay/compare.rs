//! Is what arrived what the transcript says? Placeholders, labels, numbers by value.
//!
//! The rules are those of the transcripts' README (see `tests/golden`): objects have exactly the same
//! keys, `ids` and `metas` are sets, a labelled placeholder means the same value everywhere.

use std::collections::HashMap;

use crate::json::Json;

/// What the labelled placeholders of a scenario have been bound to.
pub type Bindings = HashMap<String, String>;

/// The outcome of a comparison: where and how the two differ, if they do.
pub type Verdict = Result<(), String>;

/// One stretch of an expected text: itself, or a placeholder with the label it binds.
enum Part {
    Exact(String),
    Any(Kind, Option<String>),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Uuid,
    PhxRef,
    TimestampMsZ,
    Timestamp,
    Int,
    Number,
    Text,
}

const KINDS: [(&str, Kind); 8] = [
    ("timestamp:iso8601-ms-z", Kind::TimestampMsZ),
    ("timestamp:iso8601", Kind::Timestamp),
    ("phx_ref", Kind::PhxRef),
    ("uuid", Kind::Uuid),
    ("number", Kind::Number),
    ("int", Kind::Int),
    ("text", Kind::Text),
    ("any", Kind::Text),
];

/// Splits an expected text into its parts.
fn parts(expected: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut exact = String::new();
    let mut rest = expected;
    while let Some(at) = rest.find('<') {
        exact.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((kind, label, length)) = placeholder(rest) {
            parts.push(Part::Exact(std::mem::take(&mut exact)));
            parts.push(Part::Any(kind, label));
            rest = &rest[length..];
        } else {
            exact.push('<');
            rest = &rest[1..];
        }
    }
    exact.push_str(rest);
    parts.push(Part::Exact(exact));
    parts
}

/// A placeholder at the start of the text: its kind, what it binds, and its length.
fn placeholder(text: &str) -> Option<(Kind, Option<String>, usize)> {
    let inner = text.strip_prefix('<')?;
    let inner = &inner[..inner.find('>')?];
    KINDS.iter().find_map(|(name, kind)| {
        let after = inner.strip_prefix(name)?;
        let label = match after.strip_prefix(':') {
            None if after.is_empty() => None,
            Some(label) if !label.is_empty() => Some(inner.to_owned()),
            _ => return None,
        };
        Some((*kind, label, inner.len() + 2))
    })
}

impl Kind {
    fn fits(self, text: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        match self {
            Self::Text => true,
            Self::PhxRef => !text.is_empty() && !text.contains('"'),
            Self::Uuid => shaped(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
            Self::TimestampMsZ => shaped(text, "dddd-dd-ddTdd:dd:dd.dddZ"),
            Self::Timestamp => {
                let text = text.strip_suffix('Z').unwrap_or(text);
                match text.split_once('.') {
                    Some((whole, fraction)) => {
                        shaped(whole, "dddd-dd-ddTdd:dd:dd") && digits(fraction)
                    }
                    None => shaped(text, "dddd-dd-ddTdd:dd:dd"),
                }
            }
            Self::Int => digits(unsigned),
            Self::Number => match unsigned.split_once('.') {
                Some((whole, fraction)) => digits(whole) && digits(fraction),
                None => digits(unsigned),
            },
        }
    }
}

/// Compares byte by byte with a pattern: `d` a digit, `x` a hex digit, anything else itself.
fn shaped(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text
            .bytes()
            .zip(pattern.bytes())
            .all(|(have, want)| match want {
                b'd' => have.is_ascii_digit(),
                b'x' => have.is_ascii_hexdigit(),
                other => have == other,
            })
}

/// Does the text match an expected text with placeholders? Binds labels only when it does.
pub fn text_matches(expected: &str, actual: &str, bound: &mut Bindings) -> bool {
    let parts = parts(expected);
    let mut trial = bound.clone();
    let fits = walk(&parts, actual, &mut trial);
    if fits {
        *bound = trial;
    }
    fits
}

/// Backtracks over the lengths a placeholder may take, longest first.
fn walk(parts: &[Part], actual: &str, bound: &mut Bindings) -> bool {
    match parts {
        [] => actual.is_empty(),
        [Part::Exact(exact)] => exact == actual,
        [Part::Exact(exact), rest @ ..] => actual
            .strip_prefix(exact.as_str())
            .is_some_and(|actual| walk(rest, actual, bound)),
        [Part::Any(kind, label), rest @ ..] => {
            let ends = actual
                .char_indices()
                .map(|(at, _)| at)
                .chain([actual.len()]);
            for end in ends.rev() {
                let value = &actual[..end];
                if !kind.fits(value) {
                    continue;
                }
                let mut trial = bound.clone();
                if let Some(label) = label {
                    let known = trial.entry(label.clone()).or_insert_with(|| value.into());
                    if known != value {
                        continue;
                    }
                }
                if walk(rest, &actual[end..], &mut trial) {
                    *bound = trial;
                    return true;
                }
            }
            false
        }
    }
}

/// A text that is one numeric placeholder matches JSON numbers, and nothing else.
fn is_numeric_placeholder(text: &str) -> bool {
    matches!(
        placeholder(text),
        Some((Kind::Int | Kind::Number, _, length)) if length == text.len()
    )
}

fn same_number(one: &str, other: &str) -> bool {
    let whole = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.bytes().all(|b| b.is_ascii_digit())
    };
    if whole(one) && whole(other) {
        let plain = |text: &str| {
            if text == "-0" {
                "0".to_owned()
            } else {
                text.to_owned()
            }
        };
        return plain(one) == plain(other);
    }
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Compares two values; `at` is the path that an error names.
pub fn same(expected: &Json, actual: &Json, bound: &mut Bindings, at: &str) -> Verdict {
    let differs = || Err(format!("{at}: expected {expected}, got {actual}"));
    let ok = |fits: bool| if fits { Ok(()) } else { differs() };
    match (expected, actual) {
        (Json::Text(text), _) if text == "<any>" => Ok(()),
        (Json::Text(text), Json::Number(digits)) => {
            ok(is_numeric_placeholder(text) && text_matches(text, digits, bound))
        }
        (Json::Text(text), Json::Text(have)) => {
            ok(!is_numeric_placeholder(text) && text_matches(text, have, bound))
        }
        (Json::Number(one), Json::Number(other)) => ok(same_number(one, other)),
        (Json::List(wanted), Json::List(have)) => {
            if wanted.len() != have.len() {
                return differs();
            }
            if at.ends_with(".ids") || at.ends_with(".metas") {
                let paired = pair_up(wanted.len(), have.len(), bound, &mut |want, got, bound| {
                    same(&wanted[want], &have[got], bound, "$").is_ok()
                });
                return ok(paired);
            }
            for (n, (want, got)) in wanted.iter().zip(have).enumerate() {
                same(want, got, bound, &format!("{at}[{n}]"))?;
            }
            Ok(())
        }
        (Json::Object(wanted), Json::Object(have)) => same_members(wanted, have, bound, at),
        _ => ok(expected == actual),
    }
}

fn same_members(
    wanted: &[(String, Json)],
    have: &[(String, Json)],
    bound: &mut Bindings,
    at: &str,
) -> Verdict {
    let mut rest: Vec<&(String, Json)> = have.iter().collect();
    let mut open = false;
    for (name, want) in wanted {
        if name == "<other keys>" {
            open = true;
            continue;
        }
        let exact = rest.iter().position(|(have, _)| have == name);
        let found = exact.or_else(|| {
            rest.iter().position(|(have, value)| {
                let mut trial = bound.clone();
                let fits = name.starts_with('<')
                    && text_matches(name, have, &mut trial)
                    && same(want, value, &mut trial, at).is_ok();
                if fits {
                    *bound = trial;
                }
                fits
            })
        });
        let Some(found) = found else {
            let have = Json::Object(have.to_vec());
            return Err(format!("{at}: key {name:?} is missing in {have}"));
        };
        let (name, value) = rest.remove(found);
        same(want, value, bound, &format!("{at}.{name}"))?;
    }
    match rest.first() {
        Some((name, value)) if !open => Err(format!("{at}: unexpected key {name:?}: {value}")),
        _ => Ok(()),
    }
}

/// Gives every expected thing an actual one of its own, in any order; backtracks over the bindings.
pub fn pair_up(
    wanted: usize,
    have: usize,
    bound: &mut Bindings,
    fits: &mut dyn FnMut(usize, usize, &mut Bindings) -> bool,
) -> bool {
    fn place(
        want: usize,
        wanted: usize,
        free: &mut Vec<usize>,
        bound: &mut Bindings,
        fits: &mut dyn FnMut(usize, usize, &mut Bindings) -> bool,
    ) -> bool {
        if want == wanted {
            return true;
        }
        for n in 0..free.len() {
            let mut trial = bound.clone();
            let candidate = free[n];
            if !fits(want, candidate, &mut trial) {
                continue;
            }
            free.remove(n);
            if place(want + 1, wanted, free, &mut trial, fits) {
                *bound = trial;
                return true;
            }
            free.insert(n, candidate);
        }
        false
    }
    let mut free: Vec<usize> = (0..have).collect();
    place(0, wanted, &mut free, bound, fits)
}

/// What the comparison itself promises; run as one more test of the suite.
pub fn holds_its_own_rules() -> Verdict {
    let cases: [(&str, &str, bool); 20] = [
        ("1.50", "1.5", true),
        ("12345678901234567890123", "12345678901234567890123", true),
        ("12345678901234567890123", "12345678901234567890124", false),
        ("\"<int>\"", "7", true),
        ("\"<int>\"", "\"7\"", false),
        ("\"in <int> s\"", "\"in 7 s\"", true),
        ("\"in <int> s\"", "\"in x s\"", false),
        ("[\"<int:a>\",\"<int:a>\"]", "[1,1]", true),
        ("[\"<int:a>\",\"<int:a>\"]", "[1,2]", false),
        ("{\"a\":1}", "{\"a\":1,\"b\":2}", false),
        ("{\"a\":1,\"b\":2}", "{\"a\":1}", false),
        ("{\"a\":1,\"<other keys>\":0}", "{\"a\":1,\"b\":2}", true),
        ("{\"ids\":[1,2]}", "{\"ids\":[2,1]}", true),
        ("{\"xs\":[1,2]}", "{\"xs\":[2,1]}", false),
        (
            "{\"ids\":[\"<int:a>\",2],\"x\":\"<int:a>\"}",
            "{\"ids\":[2,1],\"x\":1}",
            true,
        ),
        (
            "\"<timestamp:iso8601-ms-z>\"",
            "\"2026-01-01T00:00:00.000Z\"",
            true,
        ),
        (
            "\"<timestamp:iso8601-ms-z>\"",
            "\"2026-01-01T00:00:00Z\"",
            false,
        ),
        ("\"a <text> b\"", "\"a anything at all b\"", true),
        ("null", "0", false),
        (
            "{\"<uuid>\":1}",
            "{\"00000000-0000-0000-0000-00000000000f\":1}",
            true,
        ),
    ];
    for (expected, actual, fits) in cases {
        let parse = |text: &str| Json::parse(text).map_err(|err| format!("{text}: {err}"));
        let verdict = same(
            &parse(expected)?,
            &parse(actual)?,
            &mut Bindings::new(),
            "$",
        );
        if verdict.is_ok() != fits {
            return Err(format!("{expected} against {actual}: {verdict:?}"));
        }
    }
    Ok(())
}
