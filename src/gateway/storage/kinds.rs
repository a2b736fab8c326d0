//! Types of content: what may be declared, what a bucket takes, and whether content is what it is said to be.

use super::disposition::essence;
use super::error::Error;

/// Longest type that is taken.
const LONGEST: usize = 255;

/// Types whose content is always recognised, so that anything else under their name is forged.
const RECOGNISED: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "application/pdf",
];

/// The declared type, if it is one.
pub(super) fn declared(mime: &str) -> Result<&str, Error> {
    let mime = mime.trim();
    let fine = mime.len() <= LONGEST
        && mime.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && essence(mime)
            .split_once('/')
            .is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    if fine {
        Ok(mime)
    } else {
        Err(Error::mime(mime))
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
}

/// Whether a bucket may be told to take this: a type, or all subtypes of one.
pub(super) fn check_allowed(pattern: &str) -> Result<(), Error> {
    let (kind, sub) = pattern
        .split_once('/')
        .ok_or_else(|| Error::mime(pattern))?;
    match sub {
        "*" if is_token(kind) || kind == "*" => Ok(()),
        _ => declared(pattern).map(drop),
    }
}

/// Whether a bucket with these types takes this one. None, or an empty list, takes all.
pub(super) fn is_allowed(mime: &str, allowed: &[String]) -> bool {
    let mime = essence(mime);
    let kind = mime.split('/').next().unwrap_or_default();
    allowed.is_empty()
        || allowed.iter().any(|pattern| {
            let pattern = essence(pattern);
            pattern == "*/*" || pattern == mime || pattern.strip_suffix("/*") == Some(kind)
        })
}

/// Whether content that begins so may be called this.
///
/// Only types that browsers show are looked at: others are saved, whatever they are.
pub(super) fn check_content(mime: &str, head: &[u8]) -> Result<(), Error> {
    let declared = essence(mime);
    let found = infer::get(head).map(|kind| kind.mime_type());
    let kind = declared.split('/').next().unwrap_or_default();
    let fine = match (kind, found) {
        _ if head.is_empty() => true,
        ("image", _) if !RECOGNISED.contains(&declared.as_str()) => {
            // No image is a page or a program; which of the rarer images it is does no harm.
            found.is_none_or(|found| {
                found.starts_with("image/") || found == "text/xml" || found == "application/xml"
            })
        }
        ("image", found) => found == Some(declared.as_str()) || is_avif(&declared, head),
        ("application", found) if declared == "application/pdf" => found == Some("application/pdf"),
        // One container holds both, and its first bytes do not say which.
        ("audio" | "video", Some(found)) => {
            found.starts_with("audio/") || found.starts_with("video/") || found == "application/ogg"
        }
        _ => true,
    };
    if fine {
        Ok(())
    } else {
        Err(Error::forged(mime, found))
    }
}

/// A container of the AVIF family; `infer` knows one of its brands only.
fn is_avif(declared: &str, head: &[u8]) -> bool {
    let brand = head.get(4..12);
    declared == "image/avif" && matches!(brand, Some(b"ftypavif" | b"ftypavis" | b"ftypmif1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
    const HTML: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";

    #[test]
    fn content_that_is_shown_has_to_be_what_it_is_called() {
        for (mime, head) in [
            ("image/png", PNG),
            ("image/jpeg", JPEG),
            (
                "image/svg+xml",
                b"<svg xmlns='http://www.w3.org/2000/svg'/>".as_slice(),
            ),
            ("text/plain", HTML),
            ("application/octet-stream", JPEG),
            ("text/html", HTML),
            ("application/pdf", b"%PDF-1.7 "),
            ("image/png", b""),
            ("video/mp4", b"\0\0\0\x18ftypmp42"),
            ("audio/mp4", b"\0\0\0\x18ftypmp42"),
        ] {
            assert!(check_content(mime, head).is_ok(), "{mime}");
        }
        for (mime, head) in [
            ("image/png", JPEG),
            ("image/png", HTML),
            ("image/jpeg; charset=x", PNG),
            ("IMAGE/PNG", HTML),
            ("image/webp", b"just text".as_slice()),
            ("image/x-unheard-of", HTML),
            ("application/pdf", HTML),
            ("application/pdf", b"text"),
            ("video/mp4", HTML),
            ("audio/mpeg", PNG),
        ] {
            assert!(check_content(mime, head).is_err(), "{mime}");
        }
    }

    #[test]
    fn a_bucket_takes_types_and_families_of_types() {
        let list = |types: &[&str]| {
            types
                .iter()
                .map(|&mime| mime.to_owned())
                .collect::<Vec<_>>()
        };
        assert!(is_allowed("text/plain;charset=UTF-8", &list(&[])));
        assert!(is_allowed(
            "text/plain;charset=UTF-8",
            &list(&["text/plain"])
        ));
        assert!(is_allowed("image/PNG", &list(&["image/*"])));
        assert!(!is_allowed("image/png", &list(&["image/jpeg", "text/*"])));
        assert!(!is_allowed("images/png", &list(&["image/*"])));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for mime in [
            "",
            "png",
            "image/",
            "/png",
            "image/png\r\nx: y",
            "im age/png",
            "image/pñg",
            "a/b/c",
        ] {
            assert!(declared(mime).is_err(), "{mime}");
        }
        assert!(declared("text/plain; charset=\"utf-8\"").is_ok());
        for pattern in ["image/*", "*/*", "image/png"] {
            assert!(check_allowed(pattern).is_ok(), "{pattern}");
        }
        for pattern in ["*", "image", "im*/png", "image/p*"] {
            assert!(check_allowed(pattern).is_err(), "{pattern}");
        }
    }
}
