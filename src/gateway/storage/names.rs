//! Names of buckets and objects, and where content of an object lies.
//!
//! A name is never a file name: content lies under a hash of bucket and name, and below that under the version. So a row
//! whose version was tampered with can only lead to content of the same bucket and name, never to that of another.

use std::fmt::Write;

use object_store::path::Path;
use uuid::Uuid;

use super::error::Error;

/// Longest name of an object in bytes, as in S3.
const LONGEST_OBJECT: usize = 1024;

/// Longest name of a bucket.
const LONGEST_BUCKET: usize = 100;

/// Folder of everything that has a row.
pub(super) const CONTENT: &str = "content";

/// Bytes of the hash that are kept: nobody finds two names with the same 192 bits.
const HASH_BYTES: usize = 24;

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_!.*'() &$=@;:+,?-".contains(c)
}

/// Whether a bucket may be called this.
pub(super) fn check_bucket(name: &str) -> Result<(), Error> {
    let fine = !name.is_empty()
        && name.len() <= LONGEST_BUCKET
        && name.chars().all(is_allowed)
        && name.trim() == name
        && !matches!(name, "." | "..");
    if fine {
        Ok(())
    } else {
        Err(Error::bucket_name())
    }
}

/// Whether an object may be called this: the letters that S3 takes without escaping, in segments that mean themselves.
pub(super) fn check_object(name: &str) -> Result<(), Error> {
    let fine = name.len() <= LONGEST_OBJECT
        && name
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.chars().all(is_allowed));
    if fine { Ok(()) } else { Err(Error::key(name)) }
}

/// A version for new content. It begins with the time, so that its age is known wherever it is copied to.
pub(super) fn new_version(unix_millis: u64) -> Uuid {
    let mut random = [0u8; 10];
    let source = Uuid::new_v4();
    // The last ten bytes hold the two fixed bits of the variant; harmless, as versions need not be secret.
    for (to, from) in random.iter_mut().zip(source.as_bytes().iter().rev()) {
        *to = *from;
    }
    uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid()
}

/// When a version was made, in milliseconds since 1970; none for one that was not made here.
pub(super) fn version_millis(version: &Uuid) -> Option<u64> {
    let (seconds, nanos) = version.get_timestamp()?.to_unix();
    seconds
        .checked_mul(1000)?
        .checked_add(u64::from(nanos / 1_000_000))
}

/// Where content lies; none for a version that we cannot have made.
pub(super) fn content_path(bucket: &str, name: &str, version: &str) -> Option<Path> {
    let version = Uuid::try_parse(version).ok()?;
    let hash = hash(bucket, name);
    let shard = hash.get(..2)?;
    Some(Path::from(format!("{CONTENT}/{shard}/{hash}-{version}")))
}

/// The version in the last part of such a path.
pub(super) fn version_of(path: &Path) -> Option<Uuid> {
    let (_, version) = path.filename()?.split_at_checked(HASH_BYTES * 2 + 1)?;
    Uuid::try_parse(version).ok()
}

fn hash(bucket: &str, name: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(bucket.as_bytes());
    // Not allowed in either, so that no two pairs give the same bytes.
    context.update(&[0]);
    context.update(name.as_bytes());
    let digest = context.finish();
    let mut text = String::with_capacity(HASH_BYTES * 2);
    for byte in digest.as_ref().iter().take(HASH_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_would_be_a_way_out_are_refused() {
        for name in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "a/./b",
            "a\\b",
            "..\\a",
            "a\0b",
            "a\nb",
            "%2e%2e/a",
            "a%2fb",
            "~",
            "ä",
            "a/ä",
            "\u{202e}a",
            "a\u{7f}",
            "C:\\a",
            "a|b",
            "a<b",
        ] {
            assert!(check_object(name).is_err(), "{name:?}");
        }
        assert!(check_object(&"a".repeat(1025)).is_err());
        assert!(check_object(&"a".repeat(1024)).is_ok());
        for name in [
            "a",
            "a/b.png",
            "...",
            "a/..b",
            "a b/(1) c's.txt",
            "!*'()&$=@;:+,?-_.",
        ] {
            assert!(check_object(name).is_ok(), "{name:?}");
        }
        for name in ["", ".", "..", "a/b", " a", "a ", "a\\b", "ä", "a%2fb"] {
            assert!(check_bucket(name).is_err(), "{name:?}");
        }
        assert!(check_bucket(&"b".repeat(101)).is_err());
        assert!(check_bucket("my.bucket-1").is_ok());
    }

    #[test]
    fn a_version_says_when_it_was_made_and_where_it_lies() {
        let version = new_version(1_700_000_000_123);
        assert_eq!(version_millis(&version), Some(1_700_000_000_123));
        assert_ne!(version, new_version(1_700_000_000_123));
        assert_eq!(version_millis(&Uuid::new_v4()), None);
        let path = content_path("b", "a/c.png", &version.to_string()).unwrap();
        assert_eq!(version_of(&path), Some(version));
        assert_eq!(content_path("b", "a", "../../etc/passwd"), None);
        // Bucket `a`, object `b/c` and bucket `a/b`, object `c` are not the same place.
        assert_ne!(hash("a", "b/c"), hash("a/b", "c"));
    }

    proptest! {
        #[test]
        fn whatever_the_name_content_stays_in_its_folder(bucket in ".*", name in ".*", version in ".*") {
            if let Some(path) = content_path(&bucket, &name, &version) {
                let parts: Vec<String> = path.parts().map(|part| part.as_ref().to_owned()).collect();
                prop_assert_eq!(parts.len(), 3);
                prop_assert_eq!(parts[0].as_str(), CONTENT);
                prop_assert!(parts.iter().all(|part| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')));
            }
        }

        #[test]
        fn what_is_taken_has_only_plain_segments(name in "[a-c./\\\\%\\x00-\\x20]{0,12}") {
            if check_object(&name).is_ok() {
                prop_assert!(name.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
                prop_assert!(!name.chars().any(|c| c.is_control() || c == '\\' || c == '%'));
            }
        }
    }
}
