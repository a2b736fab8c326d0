//! Exact decimals of any length, compared digit by digit: `numeric` without rounding (postgres.md §2.10.4).
use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

/// A `numeric`. `1.50` and `1.5` have the same digits, because zeros that mean nothing are not kept.
#[derive(Debug, Clone)]
pub(super) enum Decimal<'a> {
    Finite {
        negative: bool,
        /// Digits before the point, without leading zeros.
        whole: Cow<'a, [u8]>,
        /// Digits after the point, without trailing zeros.
        fraction: Cow<'a, [u8]>,
    },
    NegativeInfinity,
    Infinity,
    NaN,
}

impl<'a> Decimal<'a> {
    /// Reads the text output of `numeric`, which has no exponent.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        match text {
            b"NaN" => return Some(Self::NaN),
            b"Infinity" => return Some(Self::Infinity),
            b"-Infinity" => return Some(Self::NegativeInfinity),
            _ => {}
        }
        let (negative, digits) = match text.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let mut parts = digits.splitn(2, |byte| *byte == b'.');
        let whole = parts.next().unwrap_or_default();
        let fraction = parts.next().unwrap_or_default();
        if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return None;
        }
        let start = whole
            .iter()
            .position(|digit| *digit != b'0')
            .unwrap_or(whole.len());
        let end = fraction
            .iter()
            .rposition(|digit| *digit != b'0')
            .map_or(0, |at| at + 1);
        let whole = whole.get(start..).unwrap_or_default();
        let fraction = fraction.get(..end).unwrap_or_default();
        Some(Self::Finite {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            whole: Cow::Borrowed(whole),
            fraction: Cow::Borrowed(fraction),
        })
    }

    pub(super) fn into_owned(self) -> Decimal<'static> {
        match self {
            Self::Finite {
                negative,
                whole,
                fraction,
            } => Decimal::Finite {
                negative,
                whole: Cow::Owned(whole.into_owned()),
                fraction: Cow::Owned(fraction.into_owned()),
            },
            Self::NegativeInfinity => Decimal::NegativeInfinity,
            Self::Infinity => Decimal::Infinity,
            Self::NaN => Decimal::NaN,
        }
    }

    /// SQL's order: -Infinity, finite values, Infinity, NaN; NaN equals itself.
    pub(super) fn compare(&self, other: &Decimal<'_>) -> Ordering {
        match (self, other) {
            (
                Self::Finite {
                    negative: false,
                    whole: a,
                    fraction: a_fraction,
                },
                Decimal::Finite {
                    negative: false,
                    whole: b,
                    fraction: b_fraction,
                },
            ) => compare_magnitudes(a, a_fraction, b, b_fraction),
            (
                Self::Finite {
                    negative: true,
                    whole: a,
                    fraction: a_fraction,
                },
                Decimal::Finite {
                    negative: true,
                    whole: b,
                    fraction: b_fraction,
                },
            ) => compare_magnitudes(b, b_fraction, a, a_fraction),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::NegativeInfinity => 0,
            Self::Finite { negative: true, .. } => 1,
            Self::Finite {
                negative: false, ..
            } => 2,
            Self::Infinity => 3,
            Self::NaN => 4,
        }
    }

    /// The shortest text of the value: equal for equal values and no others.
    pub(super) fn push_key(&self, key: &mut SmallVec<[u8; 24]>) {
        match self {
            Self::Finite {
                negative,
                whole,
                fraction,
            } => {
                if *negative {
                    key.push(b'-');
                }
                key.extend_from_slice(whole);
                key.push(b'.');
                key.extend_from_slice(fraction);
            }
            Self::NegativeInfinity => key.extend_from_slice(b"-i"),
            Self::Infinity => key.push(b'i'),
            Self::NaN => key.push(b'n'),
        }
    }
}

/// Without leading zeros the longer whole part is greater; fractions compare like words of a dictionary.
fn compare_magnitudes(a: &[u8], a_fraction: &[u8], b: &[u8], b_fraction: &[u8]) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.cmp(b))
        .then_with(|| a_fraction.cmp(b_fraction))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn compare(a: &str, b: &str) -> Ordering {
        Decimal::parse(a.as_bytes())
            .unwrap()
            .compare(&Decimal::parse(b.as_bytes()).unwrap())
    }

    #[test]
    fn scale_and_the_sign_of_zero_do_not_count() {
        assert_eq!(compare("1.50", "1.5"), Ordering::Equal);
        assert_eq!(compare("0.00", "-0"), Ordering::Equal);
        assert_eq!(compare("100", "100.000"), Ordering::Equal);
    }

    #[test]
    fn values_are_in_the_order_of_sql() {
        let ascending = [
            "-Infinity",
            "-10.5",
            "-10",
            "-9",
            "-0.01",
            "0",
            "0.009",
            "0.01",
            "0.1",
            "9",
            "10",
            "10.05",
            "10.5",
            "99999999999999999999",
            "Infinity",
            "NaN",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn refuses_what_numeric_never_prints() {
        for text in ["", "-", "1e5", " 1", "1.2.3", "+1", ".5", "nan"] {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
