//! BlurHash: a picture in some thirty characters, to show before the picture is there (<https://blurha.sh>).

use std::f32::consts::PI;

use image::RgbImage;

/// Waves across and down; more would be longer and no better at the sizes of a bubble.
const COMPONENTS: (u32, u32) = (4, 3);

const DIGITS: &[u8; 83] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

/// Of a small image: its cost grows with the pixels. Empty for an image without any.
#[allow(clippy::cast_precision_loss)]
pub(super) fn encode(image: &RgbImage) -> String {
    let (width, height) = image.dimensions();
    if width == 0 || height == 0 {
        return String::new();
    }
    let (across, down) = COMPONENTS;
    let factors: Vec<[f32; 3]> = (0..down)
        .flat_map(|y| (0..across).map(move |x| (x, y)))
        .map(|(x, y)| factor(image, x, y))
        .collect();
    let Some((average, waves)) = factors.split_first() else {
        return String::new();
    };
    // As in C and Swift; that in TypeScript looks at positive ones only.
    let greatest = waves.iter().flatten().fold(0_f32, |a, b| a.max(b.abs()));
    let level = whole((greatest * 166.0 - 0.5).floor().clamp(0.0, 82.0));
    let greatest = (level + 1) as f32 / 166.0;
    let mut hash = String::new();
    push(&mut hash, across - 1 + (down - 1) * 9, 1);
    push(&mut hash, level, 1);
    let [r, g, b] = average.map(from_linear);
    push(&mut hash, (r << 16) + (g << 8) + b, 4);
    for wave in waves {
        let [r, g, b] = wave.map(|value| {
            let root = (value / greatest).abs().sqrt().copysign(value);
            whole((root * 9.0 + 9.5).floor().clamp(0.0, 18.0))
        });
        push(&mut hash, (r * 19 + g) * 19 + b, 2);
    }
    hash
}

/// How much of one wave is in the image, for each colour.
#[allow(clippy::cast_precision_loss)]
fn factor(image: &RgbImage, x: u32, y: u32) -> [f32; 3] {
    let (width, height) = image.dimensions();
    let mut sum = [0_f32; 3];
    for (at_x, at_y, pixel) in image.enumerate_pixels() {
        let basis = (PI * x as f32 * at_x as f32 / width as f32).cos()
            * (PI * y as f32 * at_y as f32 / height as f32).cos();
        for (sum, value) in sum.iter_mut().zip(pixel.0) {
            *sum += basis * to_linear(value);
        }
    }
    let weight = if x == 0 && y == 0 { 1.0 } else { 2.0 };
    sum.map(|sum| sum * weight / (width * height) as f32)
}

fn to_linear(value: u8) -> f32 {
    let value = f32::from(value) / 255.0;
    match value <= 0.040_45 {
        true => value / 12.92,
        false => ((value + 0.055) / 1.055).powf(2.4),
    }
}

fn from_linear(value: f32) -> u32 {
    let value = value.clamp(0.0, 1.0);
    let value = match value <= 0.003_130_8 {
        true => value * 12.92,
        false => 1.055 * value.powf(1.0 / 2.4) - 0.055,
    };
    whole((value * 255.0 + 0.5).floor())
}

/// A whole number that is not negative.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f32) -> u32 {
    value as u32
}

/// So many digits of base 83.
fn push(hash: &mut String, value: u32, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (value / 83_u32.pow(place)) % 83;
        let digit = usize::try_from(digit).ok().and_then(|at| DIGITS.get(at));
        hash.push(digit.map_or('0', |digit| char::from(*digit)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use image::Rgb;

    fn number(text: &str) -> u32 {
        text.bytes().fold(0, |number, byte| {
            let digit = DIGITS.iter().position(|d| *d == byte).unwrap();
            number * 83 + u32::try_from(digit).unwrap()
        })
    }

    #[test]
    fn a_plain_image_has_its_colour_and_no_waves() {
        let hash = encode(&RgbImage::from_pixel(8, 6, Rgb([200, 100, 50])));
        assert_eq!(hash.len(), 1 + 1 + 4 + 2 * 11);
        assert_eq!(number(&hash[..1]), 3 + 2 * 9);
        assert_eq!(number(&hash[2..6]), (200 << 16) + (100 << 8) + 50);
    }

    #[test]
    fn hashes_are_those_of_the_reference() {
        // Of the npm package blurhash 2.0.5, encode(pixels, 32, 32, 4, 3).
        let halves = RgbImage::from_fn(32, 32, |x, _| Rgb([if x < 16 { 255 } else { 0 }; 3]));
        assert_eq!(encode(&halves), "L~Lqe9~qt7IUofofj[ayfQfQfQfQ");
        let low = |value: u32| u8::try_from(value % 256).unwrap();
        let colours = RgbImage::from_fn(32, 32, |x, y| {
            Rgb([low(248 - x * 8), low(248 - y * 8), low(x * y)])
        });
        assert_eq!(encode(&colours), "L*H2cZ|=$1xBq2objvkCgYflfTfl");
    }

    #[test]
    fn any_size_has_a_hash() {
        for size in [(1, 1), (1, 32), (32, 1)] {
            assert_eq!(encode(&RgbImage::new(size.0, size.1)).len(), 28);
        }
        assert_eq!(encode(&RgbImage::new(0, 5)), "");
    }
}
