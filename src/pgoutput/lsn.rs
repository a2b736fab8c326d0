//! A position in the write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A position in Postgres' write-ahead log: a byte offset, written `high/low` in hexadecimal (`0/16B3748`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// "No position": what Postgres calls `InvalidXLogRecPtr`.
    pub const ZERO: Self = Self(0);

    /// Bytes of log from `earlier` up to this position, 0 if it is not earlier.
    #[must_use]
    pub fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is not a position such as `0/16B3748`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the write-ahead log (expected hexadecimal like 0/16B3748)")]
pub struct InvalidLsn;

impl FromStr for Lsn {
    type Err = InvalidLsn;

    fn from_str(text: &str) -> Result<Self, InvalidLsn> {
        let half = |digits: &str| {
            // from_str_radix would also take a sign.
            let plain = (1..=8).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if plain {
                u32::from_str_radix(digits, 16).map_err(|_| InvalidLsn)
            } else {
                Err(InvalidLsn)
            }
        };
        let (high, low) = text.split_once('/').ok_or(InvalidLsn)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}
