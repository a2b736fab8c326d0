//! Messages of logical replication: any bytes are decoded or refused, and what was decoded can be read.
#![no_main]
use bytes::Bytes;
use dovetail::pgoutput::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = decode(Bytes::copy_from_slice(bytes)) {
        let _ = format!("{message:?}");
    }
});
