//! Frames that are not written yet: one receiver's words around bodies that others receive too.
//!
//! A body is rendered once however many receive it, and what differs from one receiver to the next (its topic, the ids of its
//! subscriptions) is short. Copying both into a frame of its own for each receiver costs an allocation and two copies for every
//! delivery, on the task that delivers. A [`Series`] is what the receiver's own task needs to write them, when its socket takes them.

use std::sync::Arc;

use bytes::Bytes;

use super::{Version, websocket};

/// Bodies that are sent one after the other: JSON texts.
pub type Bodies = Arc<[Arc<[u8]>]>;

/// What waits for a socket.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Finished frames in one piece, and how many they are. Shared by all who receive the same.
    Frames(Bytes, u32),
    /// Text frames to be written out.
    Series(Series),
}

/// See the module. Its frames are those of [`super::encode::fan_out`].
#[derive(Clone, Debug)]
pub struct Series {
    version: Version,
    /// What stands in a message before the body; shared by its frames.
    head: Box<[u8]>,
    /// Whether the body is within an object with `ids`.
    wrapped: bool,
    bodies: Bodies,
    /// Bytes of all frames.
    size: usize,
}

impl Series {
    /// One message for each body. `ids` makes it `{"ids":[…],"data":body}` (protocol.md §3.12); without, it is the payload itself.
    pub fn new(
        version: Version,
        topic: &str,
        event: &str,
        ids: Option<&[u64]>,
        bodies: Bodies,
    ) -> Self {
        let mut head = Vec::with_capacity(64 + topic.len() + event.len());
        let string = |head: &mut Vec<u8>, text: &str| {
            // Writing into a Vec cannot fail, and a str always serialises.
            let _ = serde_json::to_writer(head, text);
        };
        match version {
            Version::V1 => {
                head.extend_from_slice(b"{\"topic\":");
                string(&mut head, topic);
                head.extend_from_slice(b",\"event\":");
                string(&mut head, event);
                head.extend_from_slice(b",\"payload\":");
            }
            Version::V2 => {
                head.extend_from_slice(b"[null,null,");
                string(&mut head, topic);
                head.push(b',');
                string(&mut head, event);
                head.push(b',');
            }
        }
        if let Some(ids) = ids {
            head.extend_from_slice(b"{\"ids\":[");
            for (number, id) in ids.iter().enumerate() {
                if number > 0 {
                    head.push(b',');
                }
                let _ = serde_json::to_writer(&mut head, id);
            }
            head.extend_from_slice(b"],\"data\":");
        }
        let mut series = Self {
            version,
            head: head.into(),
            wrapped: ids.is_some(),
            bodies,
            size: 0,
        };
        series.size = series
            .bodies
            .iter()
            .map(|body| websocket::frame_size(series.length(body)))
            .sum();
        series
    }

    fn tail(&self) -> &'static [u8] {
        match (self.version, self.wrapped) {
            (Version::V1, false) => b",\"ref\":null}",
            (Version::V1, true) => b"},\"ref\":null}",
            (Version::V2, false) => b"]",
            (Version::V2, true) => b"}]",
        }
    }

    /// Bytes of a message, without its header.
    fn length(&self, body: &[u8]) -> usize {
        self.head.len() + body.len() + self.tail().len()
    }

    /// Appends all frames.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.size);
        let tail = self.tail();
        for body in &*self.bodies {
            websocket::text_header(self.length(body), out);
            out.extend_from_slice(&self.head);
            out.extend_from_slice(body);
            out.extend_from_slice(tail);
        }
    }

    /// The frames, finished.
    pub fn finish(&self) -> Outgoing {
        let mut out = Vec::new();
        self.write(&mut out);
        Outgoing::Frames(out.into(), self.count())
    }

    fn count(&self) -> u32 {
        u32::try_from(self.bodies.len()).unwrap_or(u32::MAX)
    }
}

impl Outgoing {
    /// How many frames.
    pub fn count(&self) -> u32 {
        match self {
            Self::Frames(_, count) => *count,
            Self::Series(series) => series.count(),
        }
    }

    /// Their bytes on the wire.
    pub fn size(&self) -> usize {
        match self {
            Self::Frames(bytes, _) => bytes.len(),
            Self::Series(series) => series.size,
        }
    }

    /// The bytes themselves.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Frames(bytes, _) => bytes,
            Self::Series(series) => {
                let mut out = Vec::new();
                series.write(&mut out);
                out.into()
            }
        }
    }
}

/// One frame.
impl From<Bytes> for Outgoing {
    fn from(frame: Bytes) -> Self {
        Self::Frames(frame, 1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::encode;

    proptest! {
        #[test]
        fn its_frames_are_those_that_are_written_one_by_one(
            topic in ".{0,40}",
            ids in proptest::option::of(proptest::collection::vec(any::<u64>(), 0..4)),
            lengths in proptest::collection::vec(prop_oneof![0usize..400, Just(70_000)], 0..5),
            v1 in any::<bool>(),
        ) {
            let version = if v1 { Version::V1 } else { Version::V2 };
            let bodies: Vec<Arc<[u8]>> = lengths.iter().map(|length| vec![b'x'; *length].into()).collect();
            let mut expected = Vec::new();
            for body in &bodies {
                let payload = match &ids {
                    Some(ids) => [
                        serde_json::to_string(&serde_json::json!({ "ids": ids })).unwrap().trim_end_matches('}').as_bytes(),
                        b",\"data\":", body, b"}",
                    ].concat(),
                    None => body.to_vec(),
                };
                expected.extend_from_slice(&encode::fan_out(version, &topic, "INSERT", &payload));
            }
            let series = Series::new(version, &topic, "INSERT", ids.as_deref(), bodies.into());
            prop_assert_eq!(Outgoing::Series(series.clone()).size(), expected.len());
            prop_assert_eq!(Outgoing::Series(series.clone()).into_bytes(), expected.clone());
            prop_assert_eq!(series.finish().into_bytes(), expected);
        }
    }
}
