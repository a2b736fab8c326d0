//! Phoenix messages and their two serializers (protocol.md §2).
//!
//! Owns the layout of every frame that crosses a socket: nothing outside this module knows where a byte of a frame
//! stands. Pure: no I/O, no async. Incoming frames borrow from the receive buffer; outgoing frames are complete
//! WebSocket frames (header included, servers do not mask), so that one `Bytes` can be shared by every receiver.

pub mod encode;
pub mod join;
pub mod message;
mod series;
pub mod size;
mod v1;
mod v2;
pub mod websocket;

pub use message::{Decoded, Encoding, Malformed, Payload};
pub use series::{Bodies, Outgoing, Series};

/// The serializer a socket chose with its `vsn` parameter (protocol.md §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `1.0.x`: text frames holding one JSON object.
    V1,
    /// `2.0.x`: text frames holding a JSON array, and binary frames.
    V2,
}

impl Version {
    /// Chooses the serializer for a `vsn` query parameter; `None` means the upgrade is refused (P-002, P-003).
    ///
    /// The value must be a full semantic version, as the original requires: `2.0` is refused.
    pub fn negotiate(vsn: Option<&str>) -> Option<Self> {
        let Some(vsn) = vsn else {
            return Some(Self::V1);
        };
        // A pre-release or build suffix is legal semver and does not change the serializer.
        let core = vsn.split(['-', '+']).next().unwrap_or(vsn);
        let mut parts = core.split('.');
        let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next()?);
        let number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || !number(patch) {
            return None;
        }
        match (major, minor) {
            ("1", "0") => Some(Self::V1),
            ("2", "0") => Some(Self::V2),
            _ => None,
        }
    }
}

/// Decodes a text frame of a client. Bytes rather than `str`, because UTF-8 is not validated on the wire
/// (protocol.md §1.6): wrong UTF-8 is malformed JSON like any other.
pub fn decode_text(version: Version, frame: &[u8]) -> Result<Decoded<'_>, Malformed> {
    match version {
        Version::V1 => v1::decode(frame),
        Version::V2 => v2::decode_text(frame),
    }
}

/// Decodes a binary frame of a client; on V1 it is text in disguise (P-036).
pub fn decode_binary(version: Version, frame: &[u8]) -> Result<Decoded<'_>, Malformed> {
    match version {
        Version::V1 => v1::decode(frame),
        Version::V2 => v2::decode_binary(frame),
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn vsn_must_be_a_full_version_that_is_known() {
        assert_eq!(Version::negotiate(None), Some(Version::V1));
        for (vsn, version) in [
            ("1.0.0", Some(Version::V1)),
            ("1.0.9", Some(Version::V1)),
            ("2.0.0", Some(Version::V2)),
            ("2.0.5", Some(Version::V2)),
            ("2.0", None),
            ("3.0.0", None),
            ("1.1.0", None),
            ("abc", None),
            ("", None),
            ("2.0.0.0", None),
            ("2.0.x", None),
        ] {
            assert_eq!(Version::negotiate(Some(vsn)), version, "{vsn}");
        }
    }
}
