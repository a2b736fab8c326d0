//! What arrived, in the words of the scenario files: `frame`, `binary`, `close`, `pong` or `text`.

use crate::compare::{Bindings, Verdict, same};
use crate::fill::to_hex;
use crate::json::Json;
use crate::support::socket::Item;

const KINDS: [&str; 5] = ["frame", "binary", "close", "text", "pong"];

fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    let members = members
        .into_iter()
        .map(|(name, value)| (name.into(), value));
    Json::Object(members.collect())
}

/// One item as a comparable object.
pub fn describe(item: &Item) -> Json {
    match item {
        Item::Text(body) => match Json::parse(body) {
            Ok(frame) => object([("frame", frame)]),
            Err(_) => object([("text", text(body))]),
        },
        Item::Binary(bytes) => object([("binary", binary(bytes))]),
        Item::Pong(bytes) => object([("pong", text(to_hex(bytes)))]),
        Item::Close { code, reason } => {
            let code = Json::Number(code.to_string());
            object([("close", object([("code", code), ("reason", text(reason))]))])
        }
    }
}

/// A binary frame of the server: kind 4 (broadcast) or 2 (push); anything else stays hex.
fn binary(bytes: &[u8]) -> Json {
    let broken = || object([("hex", text(to_hex(bytes)))]);
    let lengths = match bytes.first() {
        Some(4) => bytes.get(1..5),
        Some(2) => bytes.get(1..3),
        _ => None,
    };
    let Some(lengths) = lengths else {
        return broken();
    };
    let mut rest = &bytes[1 + lengths.len()..];
    let mut cut = |length: u8| {
        let (part, after) = rest.split_at_checked(usize::from(length))?;
        rest = after;
        Some(String::from_utf8_lossy(part).into_owned())
    };
    let (Some(topic), Some(event)) = (cut(lengths[0]), cut(lengths[1])) else {
        return broken();
    };
    let kind = Json::Number(bytes[0].to_string());
    if lengths.len() == 2 {
        return object([
            ("kind", kind),
            ("topic", text(topic)),
            ("event", text(event)),
            ("payload_hex", text(to_hex(rest))),
        ]);
    }
    let Some(metadata) = cut(lengths[2]) else {
        return broken();
    };
    let metadata = match metadata.as_str() {
        "" => Json::Null,
        json => Json::parse(json).unwrap_or(text(json)),
    };
    let encoded = lengths[3] != 0;
    let body = String::from_utf8_lossy(rest);
    let payload = match (encoded, Json::parse(&body)) {
        (false, _) => ("payload_hex", text(to_hex(rest))),
        (true, Ok(json)) => ("payload_json", json),
        (true, Err(_)) => ("payload_text", text(body)),
    };
    object([
        ("kind", kind),
        ("topic", text(topic)),
        ("event", text(event)),
        ("metadata", metadata),
        ("encoding", text(if encoded { "json" } else { "binary" })),
        payload,
    ])
}

/// The topic of an expected or described item: items of different topics are in no order.
pub fn lane(item: &Json) -> Json {
    let topic = match (item.get("frame"), item.get("binary")) {
        (Some(frame @ Json::List(_)), _) => frame.items().get(2),
        (Some(frame), _) => frame.get("topic"),
        (None, Some(binary)) => binary.get("topic"),
        (None, None) => None,
    };
    topic.cloned().unwrap_or(text(""))
}

/// The part of an expectation that is compared.
pub fn wanted(expected: &Json) -> &Json {
    KINDS
        .iter()
        .find_map(|kind| expected.get(kind))
        .unwrap_or(expected)
}

/// Compares an expectation with what arrived.
pub fn same_item(expected: &Json, item: &Item, bound: &mut Bindings) -> Verdict {
    let have = describe(item);
    for kind in KINDS {
        let Some(want) = expected.get(kind) else {
            continue;
        };
        return match have.get(kind) {
            Some(have) => same(want, have, bound, "$"),
            None => Err(format!("expected {kind} {want}, got {have}")),
        };
    }
    Err("an expectation without frame, binary, close, text or pong".into())
}
