//! Which part of an image becomes how large, for each way of fitting.

/// How an image is brought to the wanted size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Resize {
    /// Fills it; what stands out is cut off on both sides.
    #[default]
    Cover,
    /// Lies within it.
    Contain,
    /// Is pressed into it.
    Fill,
}

/// Which part of the source becomes how large an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Left, top, width, height in the source.
    pub(super) crop: (f64, f64, f64, f64),
    pub(super) size: (u32, u32),
}

impl Plan {
    /// Nothing is cut off.
    pub(super) fn is_whole(&self, width: u32, height: u32) -> bool {
        self.crop == (0.0, 0.0, f64::from(width), f64::from(height))
    }
}

/// How to get there. No image becomes larger.
pub(super) fn plan(
    width: u32,
    height: u32,
    to_width: Option<u32>,
    to_height: Option<u32>,
    resize: Resize,
) -> Plan {
    let (w, h) = (f64::from(width), f64::from(height));
    let whole = |to_w: f64, to_h: f64| Plan {
        crop: (0.0, 0.0, w, h),
        size: (edge(to_w), edge(to_h)),
    };
    let (to_w, to_h) = match (to_width, to_height) {
        (None, None) => return whole(w, h),
        (Some(to_w), None) => {
            let scale = (f64::from(to_w) / w).min(1.0);
            return if resize == Resize::Fill {
                whole(w * scale, h)
            } else {
                whole(w * scale, h * scale)
            };
        }
        (None, Some(to_h)) => {
            let scale = (f64::from(to_h) / h).min(1.0);
            return if resize == Resize::Fill {
                whole(w, h * scale)
            } else {
                whole(w * scale, h * scale)
            };
        }
        (Some(to_w), Some(to_h)) => (f64::from(to_w), f64::from(to_h)),
    };
    match resize {
        Resize::Fill => whole(to_w.min(w), to_h.min(h)),
        Resize::Contain => {
            let scale = (to_w / w).min(to_h / h).min(1.0);
            whole(w * scale, h * scale)
        }
        Resize::Cover => {
            let scale = (to_w / w).max(to_h / h).min(1.0);
            let (size_w, size_h) = (to_w.min(w * scale), to_h.min(h * scale));
            let (crop_w, crop_h) = ((size_w / scale).min(w), (size_h / scale).min(h));
            Plan {
                crop: ((w - crop_w) / 2.0, (h - crop_h) / 2.0, crop_w, crop_h),
                size: (edge(size_w), edge(size_h)),
            }
        }
    }
}

/// At least one pixel.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn edge(length: f64) -> u32 {
    (length.round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plan_stays_within_the_image_and_the_wish(
            w in 1u32..5000, h in 1u32..5000,
            to_w in proptest::option::of(1u32..2000), to_h in proptest::option::of(1u32..2000),
            resize in prop_oneof![Just(Resize::Cover), Just(Resize::Contain), Just(Resize::Fill)],
        ) {
            let plan = plan(w, h, to_w, to_h, resize);
            let (left, top, width, height) = plan.crop;
            prop_assert!(left >= 0.0 && top >= 0.0 && width > 0.0 && height > 0.0);
            prop_assert!(left + width <= f64::from(w) + 1e-6 && top + height <= f64::from(h) + 1e-6);
            prop_assert!(plan.size.0 >= 1 && plan.size.0 <= w.min(to_w.unwrap_or(w)).max(1));
            prop_assert!(plan.size.1 >= 1 && plan.size.1 <= h.min(to_h.unwrap_or(h)).max(1));
        }
    }
}
