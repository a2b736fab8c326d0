//! The fuzz targets of decoders, as far as random bytes go without a fuzzer: nothing panics.
use bytes::{Bytes, BytesMut};
use dovetail::auth::Jwks;
use dovetail::pgoutput::decode;
use dovetail::protocol::websocket::Decoder;
use dovetail::protocol::{Version, decode_binary, decode_text, join};
use proptest::prelude::*;

proptest! {
    #[test]
    fn replication_messages_are_decoded_or_refused(kind in prop::sample::select(&b"BCORYIUDTM"[..]), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode(Bytes::from([&[kind][..], &bytes].concat()));
    }

    #[test]
    fn frames_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[\\[\\]{}\",:a-z0-9]{0,40}") {
        for frame in [&bytes[..], text.as_bytes()] {
            for version in [Version::V1, Version::V2] {
                let _ = decode_text(version, frame);
                let _ = decode_binary(version, frame);
            }
        }
        let _ = join::parse(&text, "public:todos:id=eq.1").map(|join| join.response());
    }

    #[test]
    fn websocket_bytes_in_any_pieces_are_decoded_or_refused(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let mut decoder = Decoder::new(1 << 16);
        let mut buffer = BytesMut::new();
        for piece in pieces {
            buffer.extend_from_slice(&piece);
            while let Ok(Some(_)) = decoder.next(&mut buffer) {}
        }
    }

    #[test]
    fn key_sets_are_read_or_refused(text in "[\\[\\]{}\",:a-zA-Z0-9_-]{0,60}") {
        let _ = Jwks::parse(&text).map(|keys| keys.problems());
    }
}
