//! What the header of an image says, before anything is decoded: its format, its size, how the camera was held.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::Refusal;

/// Format, width and height in pixels as it is shown: what the header says of an image that may be decoded.
pub(crate) fn measure(source: &[u8], max_pixels: u64) -> Result<(ImageFormat, u32, u32), Refusal> {
    let (mut decoder, format) = opened(source, max_pixels)?;
    let (width, height) = decoder.dimensions();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(match is_sideways(orientation) {
        true => (format, height, width),
        false => (format, width, height),
    })
}

/// A decoder with limits, which has read the header only.
pub(super) fn opened(
    source: &[u8],
    max_pixels: u64,
) -> Result<(impl ImageDecoder + '_, ImageFormat), Refusal> {
    let reader = ImageReader::new(Cursor::new(source))
        .with_guessed_format()
        .map_err(|_| Refusal::Unsupported)?;
    let format = reader.format().ok_or(Refusal::Unsupported)?;
    if !matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif
    ) {
        return Err(Refusal::Unsupported);
    }
    let mut decoder = reader.into_decoder().map_err(|error| match error {
        ImageError::Limits(_) => Refusal::TooLarge,
        _ => Refusal::Unsupported,
    })?;
    let (width, height) = decoder.dimensions();
    if u64::from(width).saturating_mul(u64::from(height)) > max_pixels {
        return Err(Refusal::TooLarge);
    }
    let mut limits = Limits::default();
    // Sixteen bits and four channels, and what a decoder needs beside them.
    limits.max_alloc = Some(max_pixels.saturating_mul(10).saturating_add(16 << 20));
    decoder.set_limits(limits).map_err(|_| Refusal::TooLarge)?;
    Ok((decoder, format))
}

/// Whether width and height change places when it is shown.
pub(super) fn is_sideways(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}
