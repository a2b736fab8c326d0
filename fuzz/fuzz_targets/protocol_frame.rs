//! Frames of clients, in both serializers, and the payload of a join.
#![no_main]
use dovetail::protocol::{Version, decode_binary, decode_text, join};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    for version in [Version::V1, Version::V2] {
        let _ = decode_text(version, frame);
        let _ = decode_binary(version, frame);
    }
    if let Ok(payload) = std::str::from_utf8(frame) {
        if let Ok(join) = join::parse(payload, "public:todos:id=eq.1") {
            let _ = join.response();
        }
    }
});
