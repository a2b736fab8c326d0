//! The wire as this client needs it: WebSocket frames (RFC 6455) and Phoenix messages, vsn 2.0.0. Nothing is parsed that need not be.

/// WebSocket opcode of text.
pub const TEXT: u8 = 1;
/// WebSocket opcode of binary data.
pub const BINARY: u8 = 2;
/// WebSocket opcode of a close.
pub const CLOSE: u8 = 8;

/// Appends one frame of a client. The mask is all zeros, so that the payload need not be touched; that is a valid mask.
pub fn put_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    put_head(out, opcode, payload.len(), 0x80);
    out.extend([0; 4]);
    out.extend(payload);
}

/// Appends one frame as a server sends it, without a mask.
pub fn put_plain(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    put_head(out, opcode, payload.len(), 0);
    out.extend(payload);
}

fn put_head(out: &mut Vec<u8>, opcode: u8, length: usize, mask: u8) {
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(mask | length as u8),
        126..0x1_0000 => {
            out.push(mask | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
}

/// The first frame of what a server sent: opcode, where its payload begins, where it ends. None while it is not whole.
/// A server does not mask, and does not fragment what it sends in one piece.
#[inline]
pub fn first_frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&opcode, &short) = (bytes.first()?, bytes.get(1)?);
    let (length, begin) = match short {
        127 => {
            let long = bytes.get(2..10)?.try_into().ok()?;
            (usize::try_from(u64::from_be_bytes(long)).ok()?, 10)
        }
        126 => {
            let long = bytes.get(2..4)?.try_into().ok()?;
            (usize::from(u16::from_be_bytes(long)), 4)
        }
        short => (usize::from(short), 2),
    };
    (bytes.len() >= begin + length).then_some((opcode & 0x0f, begin, begin + length))
}

/// A text message, framed: `[join_ref, ref, topic, event, payload]`; `payload` is JSON.
pub fn push(out: &mut Vec<u8>, reference: &str, topic: &str, event: &str, payload: &str) {
    let join = match topic {
        "phoenix" => "null",
        _ => r#""1""#,
    };
    let text = format!(r#"[{join},"{reference}","{topic}","{event}",{payload}]"#);
    put_masked(out, TEXT, text.as_bytes());
}

/// A broadcast as the client library sends it, framed: kind 3, JSON payload, event `bench`.
pub fn broadcast(out: &mut Vec<u8>, topic: &str, payload: &str) {
    let mut bytes = vec![3, 1, 1, topic.len() as u8, 5, 0, 1];
    for part in ["1", "7", topic, "bench", payload] {
        bytes.extend(part.as_bytes());
    }
    put_masked(out, BINARY, &bytes);
}

/// The request that opens a WebSocket.
pub fn upgrade(out: &mut Vec<u8>, token: &str) {
    for part in [
        "GET /socket/websocket?vsn=2.0.0&apikey=",
        token,
        " HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ] {
        out.extend(part.as_bytes());
    }
}

/// Bytes of a number in hexadecimal digits, the last `digits` of them.
pub fn put_hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) & 15;
        out.push(b"0123456789abcdef"[digit as usize]);
    }
}

/// The number that hexadecimal digits mean.
#[inline]
pub fn hex(digits: &[u8]) -> Option<u64> {
    let mut number = 0;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(value);
    }
    Some(number)
}
