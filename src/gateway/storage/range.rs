//! `Range`, `If-Range`, `If-None-Match` and their kin: which part of the content is wanted, if any.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// A range that cannot be given: malformed, several at once, or outside of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsatisfiable;

/// The one range of a `Range` header in content of this size. Several are refused, as in the original.
pub(super) fn parse(header: &str, size: u64) -> Result<Range<u64>, Unsatisfiable> {
    let (first, last) = header
        .strip_prefix("bytes=")
        .and_then(|spec| spec.split_once('-'))
        .ok_or(Unsatisfiable)?;
    let (first, last) = (number(first)?, number(last)?);
    let range = match (first, last) {
        (None, None) => return Err(Unsatisfiable),
        (None, Some(suffix)) => size.saturating_sub(suffix)..size,
        (Some(first), None) => first..size,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(_), Some(_)) => return Err(Unsatisfiable),
    };
    if range.is_empty() {
        Err(Unsatisfiable)
    } else {
        Ok(range)
    }
}

fn number(text: &str) -> Result<Option<u64>, Unsatisfiable> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unsatisfiable);
    }
    // More than can be counted lies behind every content.
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

/// Whether the client has this content already.
pub(super) fn is_fresh(headers: &HeaderMap, etag: &str, modified: Option<&str>) -> bool {
    if headers.contains_key(header::IF_NONE_MATCH) {
        return headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag == etag.trim_start_matches("W/"));
    }
    // Browsers send back what they were sent: the same date, letter by letter.
    let since = headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok());
    since.is_some() && since == modified
}

/// The range that is asked for; none where `If-Range` says that the client's part is of other content.
pub(super) fn wanted<'a>(
    headers: &'a HeaderMap,
    etag: &str,
    modified: Option<&str>,
) -> Option<&'a str> {
    let range = headers.get(header::RANGE)?.to_str().unwrap_or_default();
    match headers
        .get(header::IF_RANGE)
        .map(|value| value.to_str().unwrap_or_default())
    {
        Some(validator) if validator != etag && Some(validator) != modified => None,
        _ => Some(range),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_as_rfc_9110_has_them() {
        assert_eq!(parse("bytes=0-0", 10), Ok(0..1));
        assert_eq!(parse("bytes=2-5", 10), Ok(2..6));
        assert_eq!(parse("bytes=2-", 10), Ok(2..10));
        assert_eq!(parse("bytes=2-99999999999999999999", 10), Ok(2..10));
        assert_eq!(parse("bytes=-3", 10), Ok(7..10));
        assert_eq!(parse("bytes=-30", 10), Ok(0..10));
        for bad in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-",
            "bytes=1-0",
            "bytes=10-",
            "bytes=10-20",
            "bytes=-0",
            "bytes=0-1,3-4",
            "bytes= 0-1",
            "bytes=+0-1",
            "chars=0-1",
            "bytes=0x1-2",
            "bytes=99999999999999999999-",
            "bytes=0--1",
            "bytes=18446744073709551615-18446744073709551615",
        ] {
            assert_eq!(parse(bad, 10), Err(Unsatisfiable), "{bad}");
        }
        assert_eq!(parse("bytes=0-", 0), Err(Unsatisfiable));
    }

    #[test]
    fn a_tag_is_compared_weakly_and_a_part_strongly() {
        let headers = |name: header::HeaderName, value: &str| {
            HeaderMap::from_iter([(name, value.parse().unwrap())])
        };
        assert!(is_fresh(
            &headers(header::IF_NONE_MATCH, "\"a\", W/\"b\""),
            "\"b\"",
            None
        ));
        assert!(is_fresh(
            &headers(header::IF_NONE_MATCH, "*"),
            "\"b\"",
            None
        ));
        assert!(!is_fresh(
            &headers(header::IF_NONE_MATCH, "\"a\""),
            "\"b\"",
            None
        ));
        assert!(!is_fresh(&HeaderMap::new(), "\"b\"", Some("now")));
        let mut part = headers(header::RANGE, "bytes=0-1");
        assert_eq!(wanted(&part, "\"b\"", None), Some("bytes=0-1"));
        part.insert(header::IF_RANGE, "\"a\"".parse().unwrap());
        assert_eq!(wanted(&part, "\"b\"", None), None);
    }

    proptest! {
        #[test]
        fn a_range_lies_within_the_content(header in "bytes=[0-9]{0,21}-[0-9]{0,21}|.*", size in any::<u64>()) {
            if let Ok(range) = parse(&header, size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
