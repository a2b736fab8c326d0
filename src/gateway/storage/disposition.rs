//! Whether a browser may show content, or has to save it, and under which name.
//!
//! Objects are whatever somebody uploaded, and they come from the origin of the application's API. What could run
//! scripts there (HTML, SVG, XML) is only ever saved; the few types that cannot are shown.

use std::fmt::Write;

/// Types that are shown. No text of any kind.
const SHOWN: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "application/pdf",
    "audio/mpeg",
    "audio/mp4",
    "audio/aac",
    "audio/ogg",
    "audio/wav",
    "audio/x-wav",
    "audio/webm",
    "audio/flac",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
];

/// Longest name that is offered.
const LONGEST: usize = 1024;

/// `Content-Disposition`. `download` is the parameter of that name: there without a value, the browser chooses the name.
pub(super) fn disposition(mime: &str, download: Option<&str>) -> String {
    match download {
        Some(name) if !name.is_empty() => attachment(name),
        Some(_) => "attachment".to_owned(),
        None if SHOWN.contains(&essence(mime).as_str()) => "inline".to_owned(),
        None => "attachment".to_owned(),
    }
}

/// The type without its parameters, in small letters.
pub(super) fn essence(mime: &str) -> String {
    mime.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Both forms of RFC 6266: one that every client reads, and one that has all letters.
fn attachment(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes().take(LONGEST) {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!(
        "attachment; filename={}; filename*=UTF-8''{encoded}",
        plain(name)
    )
}

/// A quoted name of letters that mean nothing in a header or a path.
fn plain(name: &str) -> String {
    let letters = name.chars().take(LONGEST).map(|c| match c {
        '"' | '\\' | '/' | '%' => '_',
        c if c.is_ascii() && !c.is_ascii_control() => c,
        _ => '_',
    });
    format!("\"{}\"", letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn what_can_run_scripts_is_saved() {
        for mime in [
            "text/html",
            "TEXT/HTML; charset=x",
            "image/svg+xml",
            "text/plain",
            "application/xhtml+xml",
            "text/xml",
            "application/javascript",
            "",
            "image/png+xml",
            "application/octet-stream",
        ] {
            assert_eq!(disposition(mime, None), "attachment", "{mime}");
        }
        for mime in [
            "image/png",
            "Image/JPEG",
            "application/pdf",
            "video/mp4; codecs=a",
        ] {
            assert_eq!(disposition(mime, None), "inline", "{mime}");
        }
        assert_eq!(disposition("image/png", Some("")), "attachment");
    }

    #[test]
    fn a_name_is_offered_in_both_forms() {
        assert_eq!(
            disposition("image/png", Some("a \"ü\".png")),
            "attachment; filename=\"a ___.png\"; filename*=UTF-8''a%20%22%C3%BC%22.png"
        );
    }

    proptest! {
        #[test]
        fn any_name_makes_one_header(name in ".*") {
            let value = disposition("image/png", Some(&name));
            prop_assert!(HeaderValue::from_str(&value).is_ok());
            if !name.is_empty() {
                prop_assert_eq!(value.matches('"').count(), 2);
                prop_assert!(!value.contains('\\'));
            }
        }
    }
}
