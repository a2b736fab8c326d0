//! What every measured message bears: when it was due, the class it belongs to, and its number in that class.
//!
//! 40 characters that stand in JSON as they are: `dvtl:`, 13 hexadecimal digits of microseconds, `:`, 8 of the class, `:`, 12 of the
//! number. A receiver finds it where it was in the socket's last message, else by search; it parses no JSON.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::wire::{hex, put_hex};

/// Length of a mark in bytes.
pub const LENGTH: usize = 40;
const HEAD: &[u8] = b"dvtl:";

/// The mark of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When it was due: microseconds of [`now`].
    pub due: u64,
    /// One source of numbers: a topic, an owner of rows, a room, a writer.
    pub class: u32,
    /// Its number in the class, from 0 on.
    pub number: u64,
}

fn begin() -> Instant {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    *BEGIN.get_or_init(Instant::now)
}

/// Microseconds since this process first asked.
#[inline]
pub fn now() -> u64 {
    begin().elapsed().as_micros() as u64
}

/// Waits until a time of [`now`]; not at all when it has passed.
pub fn sleep_until(micros: u64) {
    std::thread::sleep(Duration::from_micros(micros.saturating_sub(now())));
}

impl Mark {
    /// Its 40 characters.
    pub fn text(self) -> String {
        let mut out = Vec::with_capacity(LENGTH);
        out.extend(HEAD);
        put_hex(&mut out, self.due, 13);
        out.push(b':');
        put_hex(&mut out, u64::from(self.class), 8);
        out.push(b':');
        put_hex(&mut out, self.number, 12);
        String::from_utf8(out).expect("hexadecimal digits")
    }

    /// Its text, filled up to `size` bytes.
    pub fn padded(self, size: usize) -> String {
        let mut text = self.text();
        text.extend(std::iter::repeat_n('x', size.saturating_sub(LENGTH)));
        text
    }

    /// A JSON object of `size` bytes with the mark in it.
    pub fn json(self, size: usize) -> String {
        format!(r#"{{"m":"{}"}}"#, self.padded(size.saturating_sub(8)))
    }

    /// The mark at the beginning of these bytes.
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..LENGTH)?;
        if !bytes.starts_with(HEAD) {
            return None;
        }
        Some(Self {
            due: hex(&bytes[5..18])?,
            class: hex(&bytes[19..27])? as u32,
            number: hex(&bytes[28..40])?,
        })
    }

    /// The first mark in a message; `place` is where the last one was.
    #[inline]
    pub fn find(bytes: &[u8], place: &mut usize) -> Option<Self> {
        if let Some(mark) = bytes.get(*place..).and_then(Self::read) {
            return Some(mark);
        }
        *place = memchr::memmem::find(bytes, HEAD)?;
        Self::read(&bytes[*place..])
    }

    /// Every mark in a message with the place where it begins.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = (usize, Self)> {
        memchr::memmem::find_iter(bytes, HEAD)
            .filter_map(|place| Some((place, Self::read(&bytes[place..])?)))
    }
}
