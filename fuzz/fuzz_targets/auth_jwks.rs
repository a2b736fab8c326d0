//! Sets of keys from the environment: any text is read or refused.
#![no_main]
use dovetail::auth::Jwks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(keys) = Jwks::parse(text) {
        let _ = keys.problems();
    }
});
