//! `Upload-Metadata`: names and base64 values, with commas between them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Most pairs that are read.
const MOST: usize = 32;

/// The pairs in order; none if the header cannot be understood.
pub(super) fn parse(header: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if header.trim().is_empty() {
        return Some(pairs);
    }
    for pair in header.split(',') {
        let mut words = pair.split_ascii_whitespace();
        let name = words.next()?;
        // A name alone has an empty value.
        let value = STANDARD.decode(words.next().unwrap_or_default()).ok()?;
        let value = String::from_utf8(value).ok()?;
        let is_new = pairs.iter().all(|(known, _)| known != name);
        if words.next().is_some() || !is_new || pairs.len() == MOST {
            return None;
        }
        pairs.push((name.to_owned(), value));
    }
    Some(pairs)
}

/// The value of a name.
pub(super) fn get<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_as_clients_send_them() {
        let pairs =
            parse("bucketName YXZhdGFycw==,objectName YS9iLnBuZw==, empty,metadata e30=").unwrap();
        assert_eq!(get(&pairs, "bucketName"), Some("avatars"));
        assert_eq!(get(&pairs, "objectName"), Some("a/b.png"));
        assert_eq!(get(&pairs, "empty"), Some(""));
        assert_eq!(get(&pairs, "other"), None);
        assert_eq!(parse(""), Some(Vec::new()));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for bad in [
            "a YQ==,a Yg==",
            "a !!!",
            "a YQ== Yg==",
            ",",
            "a YQ==,",
            "a /w==",
            "a YQ",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        let many: Vec<String> = (0..100).map(|number| format!("k{number} YQ==")).collect();
        assert_eq!(parse(&many.join(",")), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pairs in proptest::collection::btree_map("[a-zA-Z]{1,8}", ".*", 0..8)) {
            let header: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value))).collect();
            let read = parse(&header.join(",")).unwrap();
            prop_assert_eq!(read, pairs.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_header_gives_an_answer(header in ".*") {
            let _ = parse(&header);
        }
    }
}
