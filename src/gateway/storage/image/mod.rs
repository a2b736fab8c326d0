//! Smaller versions of images: bytes and a wish in, bytes out. No I/O; it may take a second and much memory, so it is
//! called on a thread for such work, and few at a time.
//!
//! How large an image is is read from its header, before anything is decoded. What a camera wrote beside the pixels
//! (place, time, profile) is left out; how the camera was held is applied first. An image never becomes larger.

mod header;
mod plan;

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat};

pub(crate) use header::measure;
use header::{is_sideways, opened};
pub(crate) use plan::Resize;
use plan::plan;

/// Longest edge that is asked for with success.
pub(crate) const LONGEST_EDGE: u32 = 2000;

/// Quality where none is asked for.
pub(crate) const QUALITY: u8 = 80;

/// What it is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Output {
    /// As it came; a GIF becomes a PNG of its first frame.
    #[default]
    Origin,
    /// WebP, without loss.
    Webp,
    /// JPEG, or PNG where something shows through: what every client can show, and small.
    Still,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) resize: Resize,
    /// Of JPEG, 1 to 100.
    pub(crate) quality: u8,
    pub(crate) output: Output,
    /// Most pixels of the source.
    pub(crate) max_pixels: u64,
}

/// An image that was made.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mime: &'static str,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Not an image, broken, or of a kind that is not read here (SVG, AVIF, HEIC).
    #[error("the source image is invalid or unsupported for rendering")]
    Unsupported,
    /// More pixels than may be.
    #[error("the source image resolution is too large to process")]
    TooLarge,
}

/// The image as wanted.
pub(crate) fn render(source: &[u8], wanted: &Wanted) -> Result<Rendered, Refusal> {
    let (mut decoder, format) = opened(source, wanted.max_pixels)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|_| Refusal::Unsupported)?;
    let mut image = resized(decoded, wanted, is_sideways(orientation))?;
    // After resizing: turning a small image is cheap.
    image.apply_orientation(orientation);
    let format = match (wanted.output, format) {
        (Output::Webp, _) => ImageFormat::WebP,
        (Output::Still, _) if shows_through(&image) => ImageFormat::Png,
        (Output::Still, _) => {
            image = DynamicImage::ImageRgb8(image.into_rgb8());
            ImageFormat::Jpeg
        }
        (Output::Origin, ImageFormat::Gif) => ImageFormat::Png,
        (Output::Origin, format) => format,
    };
    encoded(&image, format, wanted.quality)
}

fn shows_through(image: &DynamicImage) -> bool {
    let pixels = image
        .as_rgba8()
        .into_iter()
        .flat_map(|image| image.pixels());
    pixels.into_iter().any(|pixel| pixel.0.last() != Some(&255))
}

fn resized(image: DynamicImage, wanted: &Wanted, sideways: bool) -> Result<DynamicImage, Refusal> {
    let (width, height) = if sideways {
        (wanted.height, wanted.width)
    } else {
        (wanted.width, wanted.height)
    };
    let plan = plan(image.width(), image.height(), width, height, wanted.resize);
    let alpha = image.color().has_alpha();
    let (from_width, from_height) = (image.width(), image.height());
    // One kind of pixel for all: the library's code for the others would be a quarter of this program.
    let (kind, pixels) = (PixelType::U8x4, image.into_rgba8().into_raw());
    let (to_width, to_height) = plan.size;
    let pixels = if plan.size == (from_width, from_height) && plan.is_whole(from_width, from_height)
    {
        pixels
    } else {
        let from = Image::from_vec_u8(from_width, from_height, pixels, kind)
            .map_err(|_| Refusal::Unsupported)?;
        let mut to = Image::new(to_width, to_height, kind);
        let (left, top, width, height) = plan.crop;
        let options = ResizeOptions::new()
            .crop(left, top, width, height)
            .use_alpha(alpha);
        Resizer::new()
            .resize(&from, &mut to, &options)
            .map_err(|_| Refusal::Unsupported)?;
        to.into_vec()
    };
    let image = image::RgbaImage::from_raw(to_width, to_height, pixels)
        .map(DynamicImage::ImageRgba8)
        .ok_or(Refusal::Unsupported)?;
    Ok(match alpha {
        true => image,
        false => DynamicImage::ImageRgb8(image.into_rgb8()),
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat, quality: u8) -> Result<Rendered, Refusal> {
    let mut bytes = Vec::new();
    let (width, height) = (image.width(), image.height());
    let has_alpha = image.color().has_alpha();
    let color = if has_alpha {
        ExtendedColorType::Rgba8
    } else {
        ExtendedColorType::Rgb8
    };
    let (mime, result) = match format {
        ImageFormat::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100));
            (
                "image/jpeg",
                encoder.encode(image.as_bytes(), width, height, color),
            )
        }
        ImageFormat::WebP => {
            let encoder = WebPEncoder::new_lossless(&mut bytes);
            (
                "image/webp",
                encoder.write_image(image.as_bytes(), width, height, color),
            )
        }
        _ => {
            let encoder = PngEncoder::new(&mut bytes);
            (
                "image/png",
                encoder.write_image(image.as_bytes(), width, height, color),
            )
        }
    };
    result.map_err(|_| Refusal::Unsupported)?;
    Ok(Rendered { bytes, mime })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn wanted(width: Option<u32>, height: Option<u32>, resize: Resize) -> Wanted {
        Wanted {
            width,
            height,
            resize,
            quality: QUALITY,
            output: Output::Origin,
            max_pixels: 1_000_000,
        }
    }

    /// Left half red, right half blue.
    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let image = image::RgbImage::from_fn(width, height, |x, _| {
            if x < width / 2 {
                image::Rgb([255, 0, 0])
            } else {
                image::Rgb([0, 0, 255])
            }
        });
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(image)
            .write_to(&mut bytes, format)
            .unwrap();
        bytes.into_inner()
    }

    fn size(rendered: &Rendered) -> (u32, u32) {
        let image = image::load_from_memory(&rendered.bytes).unwrap();
        (image.width(), image.height())
    }

    #[test]
    fn each_way_of_resizing() {
        let source = picture(200, 100, ImageFormat::Png);
        for (w, h, resize, expected) in [
            (Some(50), Some(50), Resize::Cover, (50, 50)),
            (Some(50), Some(50), Resize::Contain, (50, 25)),
            (Some(50), Some(50), Resize::Fill, (50, 50)),
            (Some(50), None, Resize::Cover, (50, 25)),
            (None, Some(50), Resize::Contain, (100, 50)),
            (None, None, Resize::Cover, (200, 100)),
            (Some(1000), Some(1000), Resize::Contain, (200, 100)),
            (Some(1000), Some(50), Resize::Cover, (200, 50)),
            (Some(1), None, Resize::Cover, (1, 1)),
        ] {
            let rendered = render(&source, &wanted(w, h, resize)).unwrap();
            assert_eq!(size(&rendered), expected, "{w:?} {h:?} {resize:?}");
        }
        // The middle is kept: both colours are still there.
        let rendered = render(&source, &wanted(Some(50), Some(50), Resize::Cover)).unwrap();
        let image = image::load_from_memory(&rendered.bytes)
            .unwrap()
            .into_rgb8();
        assert_eq!(
            (image.get_pixel(5, 25).0, image.get_pixel(45, 25).0),
            ([255, 0, 0], [0, 0, 255])
        );
    }

    #[test]
    fn formats_are_kept_or_chosen() {
        for (format, mime) in [
            (ImageFormat::Jpeg, "image/jpeg"),
            (ImageFormat::Png, "image/png"),
            (ImageFormat::WebP, "image/webp"),
            (ImageFormat::Gif, "image/png"),
        ] {
            let rendered = render(
                &picture(20, 10, format),
                &wanted(Some(10), None, Resize::Cover),
            )
            .unwrap();
            assert_eq!((rendered.mime, size(&rendered)), (mime, (10, 5)));
        }
        let webp = Wanted {
            output: Output::Webp,
            ..wanted(None, None, Resize::Cover)
        };
        assert_eq!(
            render(&picture(20, 10, ImageFormat::Jpeg), &webp)
                .unwrap()
                .mime,
            "image/webp"
        );
    }

    #[test]
    fn the_way_the_camera_was_held_is_applied_and_the_rest_left_out() {
        let plain = picture(40, 20, ImageFormat::Jpeg);
        // APP1 with one entry: orientation 6, turn right by a quarter; and a secret behind it.
        let mut exif =
            b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        exif.extend_from_slice(b"52.5200N 13.4050E");
        let mut source = plain.get(..2).unwrap().to_vec();
        source.extend_from_slice(&[0xff, 0xe1]);
        source.extend_from_slice(&u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
        source.extend_from_slice(&exif);
        source.extend_from_slice(plain.get(2..).unwrap());
        let rendered = render(&source, &wanted(Some(10), None, Resize::Cover)).unwrap();
        assert_eq!(size(&rendered), (10, 20));
        assert!(!rendered.bytes.windows(8).any(|part| part == b"52.5200N"));
        assert!(!rendered.bytes.windows(4).any(|part| part == b"Exif"));
        let image = image::load_from_memory(&rendered.bytes)
            .unwrap()
            .into_rgb8();
        assert!(image.get_pixel(5, 2).0[0] > 200, "what was left is on top");
    }

    #[test]
    fn what_is_no_image_or_too_much_of_one_is_refused() {
        let any = wanted(Some(10), None, Resize::Cover);
        for source in [
            b"".as_slice(),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"GIF89a",
            b"\x89PNG\r\n\x1a\n",
            b"\0\0\0\x1cftypavif",
            b"BM",
        ] {
            assert_eq!(render(source, &any).unwrap_err(), Refusal::Unsupported);
        }
        // A header that promises 65,535 times 65,535 pixels; nothing is decoded.
        let mut bomb = picture(1, 1, ImageFormat::Gif);
        bomb.splice(6..10, [0xff; 4]);
        assert_eq!(render(&bomb, &any).unwrap_err(), Refusal::TooLarge);
        let mut png = picture(1, 1, ImageFormat::Png);
        png.splice(16..24, [0, 1, 0, 0, 0, 1, 0, 0]);
        assert!(render(&png, &any).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_give_an_answer(mut tail in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..4) {
            let mut source = [b"\xff\xd8\xff".as_slice(), b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x10\0\0\0WEBPVP8 "]
                .get(kind).unwrap().to_vec();
            source.append(&mut tail);
            let _ = render(&source, &wanted(Some(10), None, Resize::Cover));
        }
    }
}
