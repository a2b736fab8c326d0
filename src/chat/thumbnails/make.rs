//! From the bytes of an attachment to its smaller versions. Pure; it may take a second and much memory, so it is called on
//! a thread for such work, and few at a time.
//!
//! What something is, is read from its content. Before anything is decoded its header has said how many pixels there are.

use image::ImageFormat;

use super::blurhash;
use crate::gateway::image::{Output, QUALITY, Refusal, Rendered, Resize, Wanted, measure, render};

/// Longest edge of what a bubble shows, and of what is shown large.
pub(super) const SMALL: u32 = 256;
/// See [`SMALL`].
pub(super) const LARGE: u32 = 1024;

/// What became of an attachment that was called an image.
#[derive(Debug)]
pub(super) enum Made {
    /// An image.
    Image {
        mime: &'static str,
        /// Pixels of the original as it is shown.
        width: u32,
        height: u32,
        blurhash: String,
        small: Rendered,
        large: Rendered,
    },
    /// An image of a kind that is not decoded here. It is as good as the others, and is shown without a smaller version.
    Undecoded { mime: &'static str },
    /// Nothing to show; clients offer it as a file.
    Refused {
        mime: &'static str,
        why: &'static str,
    },
}

/// What is not known to be anything else: no browser runs it.
const UNKNOWN: &str = "application/octet-stream";

/// See the module. `max_pixels` of the source.
pub(super) fn make(source: &[u8], max_pixels: u64) -> Made {
    let found = infer::get(source).map(|kind| kind.mime_type());
    if found == Some("image/avif") || is_avif(source) {
        return Made::Undecoded { mime: "image/avif" };
    }
    let refused = |why| Made::Refused {
        mime: harmless(found),
        why,
    };
    match decoded(source, max_pixels) {
        Ok(made) => made,
        Err(Refusal::TooLarge) => refused("the image has too many pixels"),
        Err(Refusal::Unsupported) => refused("this is no image, or a broken one"),
    }
}

fn decoded(source: &[u8], max_pixels: u64) -> Result<Made, Refusal> {
    let (format, width, height) = measure(source, max_pixels)?;
    // The decoder shows grey where the rest is missing.
    if format == ImageFormat::Jpeg && !is_whole_jpeg(source) {
        return Err(Refusal::Unsupported);
    }
    let within = |edge: u32| Wanted {
        width: Some(edge),
        height: Some(edge),
        resize: Resize::Contain,
        quality: QUALITY,
        output: Output::Still,
        max_pixels,
    };
    // The original is decoded once; the smaller one is made of the larger one.
    let large = render(source, &within(LARGE))?;
    let small = render(&large.bytes, &within(SMALL))?;
    let tiny = image::load_from_memory(&small.bytes).map_err(|_| Refusal::Unsupported)?;
    Ok(Made::Image {
        mime: format.to_mime_type(),
        width,
        height,
        blurhash: blurhash::encode(&tiny.thumbnail(32, 32).into_rgb8()),
        small,
        large,
    })
}

/// Types that a browser would run, and guesses at them, are nobody's to pass on.
fn harmless(found: Option<&'static str>) -> &'static str {
    match found {
        Some(mime) if !mime.starts_with("text/") && !mime.ends_with("xml") => mime,
        _ => UNKNOWN,
    }
}

/// A container of the AVIF family; `infer` knows one of its brands only.
fn is_avif(source: &[u8]) -> bool {
    matches!(source.get(4..12), Some(b"ftypavif" | b"ftypavis"))
}

/// Whether the end of the picture is there. What is inside of segments (a preview has an end of its own) does not count.
fn is_whole_jpeg(source: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker; within the picture's own data 0xFF is followed by 0, or by 0xD0 to 0xD7.
        let Some(rest) = source.get(at..) else {
            return false;
        };
        let Some(found) = rest.windows(2).position(
            |pair| matches!(pair, [0xff, marker] if !matches!(marker, 0 | 0xff | 0xd0..=0xd7)),
        ) else {
            return false;
        };
        let marker = source.get(at + found + 1).copied();
        at += found + 2;
        if marker == Some(0xd9) {
            return true;
        }
        let length = match source.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return false,
        };
        at += length.max(2);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use image::{DynamicImage, Rgba, RgbaImage};
    use proptest::prelude::*;
    use std::io::Cursor;

    fn picture(width: u32, height: u32, alpha: u8, format: ImageFormat) -> Vec<u8> {
        let image = RgbaImage::from_fn(width, height, |x, y| {
            Rgba([(x % 256) as u8, (y % 256) as u8, 9, alpha])
        });
        let image = match format {
            ImageFormat::Jpeg => DynamicImage::ImageRgba8(image).into_rgb8().into(),
            _ => DynamicImage::ImageRgba8(image),
        };
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn size(rendered: &Rendered) -> (u32, u32) {
        let image = image::load_from_memory(&rendered.bytes).unwrap();
        (image.width(), image.height())
    }

    #[test]
    fn two_sizes_in_what_every_client_can_show() {
        for (format, alpha, mime, kind) in [
            (ImageFormat::Jpeg, 255, "image/jpeg", "image/jpeg"),
            (ImageFormat::Png, 255, "image/png", "image/jpeg"),
            (ImageFormat::Png, 100, "image/png", "image/png"),
            (ImageFormat::WebP, 255, "image/webp", "image/jpeg"),
            (ImageFormat::Gif, 255, "image/gif", "image/jpeg"),
        ] {
            let made = make(&picture(1500, 750, alpha, format), 10_000_000);
            let Made::Image {
                mime: found,
                width,
                height,
                blurhash,
                small,
                large,
            } = made
            else {
                panic!("{format:?}: {made:?}");
            };
            assert_eq!((found, width, height), (mime, 1500, 750));
            assert_eq!((size(&small), size(&large)), ((256, 128), (1024, 512)));
            assert_eq!((small.mime, large.mime), (kind, kind), "{format:?} {alpha}");
            assert_eq!(blurhash.len(), 28);
        }
    }

    #[test]
    fn what_is_no_image_or_half_of_one_is_refused_and_called_what_it_is() {
        let mut half = picture(300, 300, 255, ImageFormat::Jpeg);
        half.truncate(half.len() / 2);
        let mut bomb = picture(1, 1, 255, ImageFormat::Png);
        let side = 50_000_u32.to_be_bytes();
        bomb[16..20].copy_from_slice(&side);
        bomb[20..24].copy_from_slice(&side);
        let checksum = crc(&bomb[12..29]).to_be_bytes();
        bomb[29..33].copy_from_slice(&checksum);
        for (source, mime, why) in [
            (half.as_slice(), "image/jpeg", "broken"),
            (bomb.as_slice(), "image/png", "too many pixels"),
            (
                b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                UNKNOWN,
                "no image",
            ),
            (b"<?xml version='1.0'?><svg/>", UNKNOWN, "no image"),
            (b"<html><script>", UNKNOWN, "no image"),
            (b"just text", UNKNOWN, "no image"),
            (b"%PDF-1.7 ", "application/pdf", "no image"),
            (b"", UNKNOWN, "no image"),
        ] {
            match make(source, 50_000_000) {
                Made::Refused {
                    mime: found,
                    why: said,
                } => {
                    assert_eq!(found, mime);
                    assert!(said.contains(why), "{said}");
                }
                other => panic!("{other:?}"),
            }
        }
        let avif = make(b"\0\0\0\x1cftypavif\0\0\0\0", 1);
        assert!(matches!(avif, Made::Undecoded { mime: "image/avif" }));
    }

    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc: u32, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    proptest! {
        #[test]
        fn the_end_of_any_bytes_is_found_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = is_whole_jpeg(&bytes);
        }
    }
}
