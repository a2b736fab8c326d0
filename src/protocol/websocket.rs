//! WebSocket framing (RFC 6455) for the server's side: building unmasked frames, decoding masked ones.
//!
//! Our own rather than a library's because the protocol needs what libraries refuse: text that is not UTF-8 must be
//! dropped, not end the socket (protocol.md §1.6), the close code of every violation is fixed (§1.7), frames must be
//! shared between receivers as finished bytes, and an idle socket must hold no buffer.

use bytes::{Bytes, BytesMut};

/// Longest header of a server frame: 2 bytes and a 64-bit length.
const MAX_HEADER: usize = 10;

/// Builds one unmasked frame with a single allocation: the header is written in front once the length is known.
pub struct Builder {
    buffer: Vec<u8>,
    opcode: u8,
}

impl Builder {
    /// A text frame with room for `capacity` bytes of payload.
    pub fn text(capacity: usize) -> Self {
        Self::new(0x1, capacity)
    }

    /// A binary frame with room for `capacity` bytes of payload.
    pub fn binary(capacity: usize) -> Self {
        Self::new(0x2, capacity)
    }

    fn new(opcode: u8, capacity: usize) -> Self {
        let mut buffer = Vec::with_capacity(MAX_HEADER + capacity);
        buffer.resize(MAX_HEADER, 0);
        Self { buffer, opcode }
    }

    /// Appends payload bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends text as a JSON string, quotes included.
    pub fn json_string(&mut self, text: &str) {
        // Writing into a Vec cannot fail, and a str always serialises.
        let _ = serde_json::to_writer(&mut self.buffer, text);
    }

    /// The finished frame.
    pub fn finish(mut self) -> Bytes {
        let length = self.buffer.len().saturating_sub(MAX_HEADER);
        let (header, used) = header(self.opcode, length);
        if let Some(front) = self.buffer.get_mut(..MAX_HEADER) {
            front.copy_from_slice(&header);
        }
        Bytes::from(self.buffer).slice(MAX_HEADER - used..)
    }
}

/// The header of a frame, at the end of the array, and how much of the array it is.
fn header(opcode: u8, length: usize) -> ([u8; MAX_HEADER], usize) {
    let mut header = [0u8; MAX_HEADER];
    let first = 0x80 | opcode;
    let used = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => {
            header[8..].copy_from_slice(&[first, short]);
            2
        }
        (_, Ok(medium)) => {
            header[6..8].copy_from_slice(&[first, 126]);
            header[8..].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            header[..2].copy_from_slice(&[first, 127]);
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            MAX_HEADER
        }
    };
    (header, used)
}

/// Appends the header of a text frame with so many bytes of payload.
pub(super) fn text_header(length: usize, out: &mut Vec<u8>) {
    let (header, used) = header(0x1, length);
    out.extend_from_slice(header.get(MAX_HEADER - used..).unwrap_or_default());
}

/// Bytes of a frame with so many bytes of payload.
pub(super) fn frame_size(length: usize) -> usize {
    header(0, length).1 + length
}

/// A close frame with a code and no reason (protocol.md §1.7).
pub fn close_frame(code: u16) -> Bytes {
    let mut frame = Builder::new(0x8, 2);
    frame.extend(&code.to_be_bytes());
    frame.finish()
}

/// A pong frame that repeats the payload of a ping (P-025).
pub fn pong_frame(payload: &[u8]) -> Bytes {
    let mut frame = Builder::new(0xA, payload.len());
    frame.extend(payload);
    frame.finish()
}

/// What a client sent, as soon as it is complete.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message, UTF-8 not validated.
    Text(BytesMut),
    /// A whole binary message.
    Binary(BytesMut),
    /// A ping with its payload.
    Ping(BytesMut),
    /// A pong; nothing to do.
    Pong,
    /// A close frame with its code, 1005 when it had none.
    Close(u16),
}

/// A violation that ends the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Frame or reassembled message larger than the limit: close 1009 (P-023).
    #[error("message too big")]
    TooBig,
    /// Not RFC 6455: close 1002 (P-028).
    #[error("protocol violation")]
    Protocol,
}

impl Violation {
    /// The close code that answers it.
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooBig => 1009,
            Self::Protocol => 1002,
        }
    }
}

/// Takes frames out of a receive buffer and puts fragmented messages together.
pub struct Decoder {
    max_message: usize,
    /// The message begun by a frame without FIN, if any: whether it is text, and what came so far.
    fragments: Option<(bool, BytesMut)>,
}

struct Header {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Bytes of header, mask included.
    size: usize,
    /// Bytes of payload.
    length: usize,
}

impl Decoder {
    /// A decoder that refuses frames and messages of more than `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Self {
            max_message,
            fragments: None,
        }
    }

    /// The next complete message in `buffer`, `None` when more bytes are needed.
    ///
    /// Takes what it consumes out of the buffer. A violation is final: the socket must be closed.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        loop {
            let Some(header) = self.header(buffer)? else {
                return Ok(None);
            };
            if buffer.len() < header.size + header.length {
                // Room for the rest at once, so that a large frame is not copied as it grows.
                buffer.reserve(header.size + header.length - buffer.len());
                return Ok(None);
            }
            let mut payload = buffer.split_to(header.size + header.length);
            let _ = payload.split_to(header.size);
            unmask(&mut payload, header.mask);
            if let Some(incoming) = self.accept(&header, payload)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn header(&self, buffer: &[u8]) -> Result<Option<Header>, Violation> {
        let Some(([first, second], rest)) = buffer.split_first_chunk() else {
            return Ok(None);
        };
        // Reserved bits need an extension, and a client must mask.
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(Violation::Protocol);
        }
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        let (length, rest, extra) = match second & 0x7F {
            126 => match rest.split_first_chunk() {
                Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest, 2),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest, 8),
                None => return Ok(None),
            },
            short => (u64::from(short), rest, 0),
        };
        match opcode {
            0x0..=0x2 => {}
            // Control frames are short and whole.
            0x8..=0xA if fin && length < 126 => {}
            _ => return Err(Violation::Protocol),
        }
        let so_far = match (&self.fragments, opcode) {
            (Some((_, fragments)), 0) => fragments.len(),
            _ => 0,
        };
        let length = usize::try_from(length).map_err(|_| Violation::TooBig)?;
        if length.saturating_add(so_far) > self.max_message {
            return Err(Violation::TooBig);
        }
        let Some((mask, _)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Header {
            fin,
            opcode,
            mask: *mask,
            size: 2 + extra + 4,
            length,
        }))
    }

    fn accept(
        &mut self,
        header: &Header,
        payload: BytesMut,
    ) -> Result<Option<Incoming>, Violation> {
        let whole = |text: bool, message| {
            if text {
                Incoming::Text(message)
            } else {
                Incoming::Binary(message)
            }
        };
        match header.opcode {
            0x0 => {
                let (text, mut fragments) = self.fragments.take().ok_or(Violation::Protocol)?;
                fragments.unsplit(payload);
                if header.fin {
                    return Ok(Some(whole(text, fragments)));
                }
                self.fragments = Some((text, fragments));
                Ok(None)
            }
            opcode @ (0x1 | 0x2) => {
                if self.fragments.is_some() {
                    return Err(Violation::Protocol);
                }
                if header.fin {
                    return Ok(Some(whole(opcode == 0x1, payload)));
                }
                self.fragments = Some((opcode == 0x1, payload));
                Ok(None)
            }
            0x8 => close_code(&payload).map(|code| Some(Incoming::Close(code))),
            0x9 => Ok(Some(Incoming::Ping(payload))),
            _ => Ok(Some(Incoming::Pong)),
        }
    }
}

/// The code of a close frame; malformed ones are a violation.
fn close_code(payload: &[u8]) -> Result<u16, Violation> {
    if payload.is_empty() {
        return Ok(1005);
    }
    let (bytes, reason) = payload.split_first_chunk().ok_or(Violation::Protocol)?;
    let code = u16::from_be_bytes(*bytes);
    let legal = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !legal || std::str::from_utf8(reason).is_err() {
        return Err(Violation::Protocol);
    }
    Ok(code)
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    // Eight bytes at a time: the mask repeats every four.
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Some(bytes) = chunk.first_chunk_mut::<8>() {
            *bytes = (u64::from_ne_bytes(*bytes) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client_frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![if fin { 0x80 } else { 0 } | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length @ 126..=65535 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        frame.extend(mask);
        frame.extend(payload.iter().enumerate().map(|(i, b)| b ^ mask[i % 4]));
        frame
    }

    fn decode(bytes: &[u8]) -> Result<Option<Incoming>, Violation> {
        Decoder::new(1000).next(&mut BytesMut::from(bytes))
    }

    #[test]
    fn a_frame_in_pieces_is_decoded_when_it_is_whole() {
        let frame = client_frame(true, 1, b"hello world, this is text");
        let mut decoder = Decoder::new(1000);
        let mut buffer = BytesMut::new();
        for byte in &frame[..frame.len() - 1] {
            buffer.extend_from_slice(&[*byte]);
            assert_eq!(decoder.next(&mut buffer), Ok(None));
        }
        buffer.extend_from_slice(&frame[frame.len() - 1..]);
        let expected = Incoming::Text(BytesMut::from(&b"hello world, this is text"[..]));
        assert_eq!(decoder.next(&mut buffer), Ok(Some(expected)));
    }

    #[test]
    fn fragments_are_put_together_around_control_frames() {
        let mut bytes = client_frame(false, 2, b"ab");
        bytes.extend(client_frame(true, 9, b"p"));
        bytes.extend(client_frame(true, 0, b"cd"));
        let mut buffer = BytesMut::from(&bytes[..]);
        let mut decoder = Decoder::new(1000);
        assert_eq!(
            decoder.next(&mut buffer).unwrap(),
            Some(Incoming::Ping(BytesMut::from(&b"p"[..])))
        );
        assert_eq!(
            decoder.next(&mut buffer).unwrap(),
            Some(Incoming::Binary(BytesMut::from(&b"abcd"[..])))
        );
    }

    #[test]
    fn violations_have_their_close_codes() {
        assert_eq!(decode(&[0x81, 0x01, b'x']), Err(Violation::Protocol));
        assert_eq!(
            decode(&client_frame(true, 3, b"")),
            Err(Violation::Protocol)
        );
        assert_eq!(
            decode(&client_frame(true, 0, b"")),
            Err(Violation::Protocol)
        );
        assert_eq!(
            decode(&client_frame(true, 8, &[3])),
            Err(Violation::Protocol)
        );
        assert_eq!(
            decode(&client_frame(true, 1, &[b'x'; 1001])),
            Err(Violation::TooBig)
        );
        let mut bytes = client_frame(false, 1, &[b'x'; 600]);
        bytes.extend(client_frame(true, 0, &[b'x'; 600]));
        assert_eq!(decode(&bytes), Err(Violation::TooBig));
    }

    #[test]
    fn wrong_utf8_is_passed_on() {
        let incoming = decode(&client_frame(true, 1, &[0xff, 0xfe])).unwrap();
        assert_eq!(
            incoming,
            Some(Incoming::Text(BytesMut::from(&[0xff, 0xfe][..])))
        );
    }

    proptest! {
        #[test]
        fn any_payload_survives_the_mask(payload in proptest::collection::vec(any::<u8>(), 0..900)) {
            let decoded = decode(&client_frame(true, 2, &payload)).unwrap();
            prop_assert_eq!(decoded, Some(Incoming::Binary(BytesMut::from(&payload[..]))));
        }

        #[test]
        fn any_bytes_are_a_frame_a_violation_or_unfinished(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut decoder = Decoder::new(1000);
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decoder.next(&mut buffer) {}
        }

        #[test]
        fn a_built_frame_says_its_length(length in 0usize..70000) {
            let mut builder = Builder::binary(length);
            builder.extend(&vec![7; length]);
            let frame = builder.finish();
            let header = match length { 0..=125 => 2, 126..=65535 => 4, _ => 10 };
            prop_assert_eq!(frame.len(), header + length);
            prop_assert_eq!(frame[0], 0x82);
        }
    }
}
