//! The filter grammar: any text is parsed or refused, and what was parsed can be described and read as a list.
#![no_main]
use dovetail::changes::filter::{Op, describe_filters, parse, parse_array};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(conditions) = parse(text) else { return };
    assert_eq!(conditions.is_empty(), text.trim().is_empty());
    let _ = describe_filters(&conditions);
    for condition in conditions.iter().filter(|condition| condition.op == Op::In) {
        let _ = parse_array(&condition.value);
    }
});
