//! WebSocket framing: any bytes, in any pieces, give messages or a violation, and never more than the limit.
#![no_main]
use bytes::BytesMut;
use dovetail::protocol::websocket::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let mut decoder = Decoder::new(1 << 16);
    let mut buffer = BytesMut::new();
    for piece in pieces {
        buffer.extend_from_slice(&piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
