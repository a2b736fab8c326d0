//! What a broadcast of 200 bytes costs on its way in and out, apart from the sockets: WebSocket framing, and Phoenix messages in
//! each serializer. A message that goes out is encoded once however many receive it (`benches/hub.rs` has the cost of each).

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion};
use dovetail::protocol::websocket::{Builder, Decoder, Incoming};
use dovetail::protocol::{Encoding, Payload, Version, decode_binary, decode_text, encode};

const TOPIC: &str = "realtime:room-1";
const EVENT: &str = "cursor";
/// Bytes of the user's payload.
const SIZE: usize = 200;

/// JSON of exactly [`SIZE`] bytes.
fn payload() -> String {
    let frame = r#"{"text":""}"#.len();
    format!(r#"{{"text":"{}"}}"#, "x".repeat(SIZE - frame))
}

/// The same as text messages carry it.
fn body() -> String {
    format!(
        r#"{{"type":"broadcast","event":"{EVENT}","payload":{}}}"#,
        payload()
    )
}

fn v1_push() -> String {
    let body = body();
    format!(
        r#"{{"topic":"{TOPIC}","event":"broadcast","payload":{body},"ref":"7","join_ref":"1"}}"#
    )
}

fn v2_push() -> String {
    let body = body();
    format!(r#"["1","7","{TOPIC}","broadcast",{body}]"#)
}

/// Kind 3: lengths of refs, topic, event and metadata, then the flag of JSON, then those and the payload.
fn v2_binary_push() -> Vec<u8> {
    let mut frame = vec![3, 1, 1, TOPIC.len() as u8, EVENT.len() as u8, 0, 1];
    for part in ["1", "7", TOPIC, EVENT, &payload()] {
        frame.extend(part.as_bytes());
    }
    frame
}

/// A masked binary frame of a client, 126 to 65,535 bytes long.
fn client_frame(payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let length = u16::try_from(payload.len()).unwrap();
    let mut frame = vec![0x82, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, key)| byte ^ key));
    frame
}

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");

    let content = payload().into_bytes();
    let frame = client_frame(&content);
    let mut decoder = Decoder::new(1 << 20);
    let whole = decoder.next(&mut BytesMut::from(&*frame)).unwrap();
    assert_eq!(whole, Some(Incoming::Binary(BytesMut::from(&*content))));
    group.bench_function("websocket_decode", |bencher| {
        bencher.iter_batched_ref(
            || BytesMut::from(&*frame),
            |buffer| decoder.next(black_box(buffer)),
            BatchSize::SmallInput,
        );
    });
    let build = |payload: &[u8]| {
        let mut builder = Builder::binary(payload.len());
        builder.extend(payload);
        builder.finish()
    };
    assert_eq!(&build(&content)[..4], [0x82, 126, 0, 200]);
    group.bench_function("websocket_encode", |bencher| {
        bencher.iter(|| build(black_box(&content)));
    });

    let body = body();
    let pushes = [
        (Version::V1, "v1_text", v1_push()),
        (Version::V2, "v2_text", v2_push()),
    ];
    for (version, name, push) in pushes {
        let decoded = decode_text(version, push.as_bytes()).unwrap();
        assert_eq!((&*decoded.topic, &*decoded.event), (TOPIC, "broadcast"));
        assert_eq!(decoded.payload, Payload::Json(&body));
        group.bench_function(format!("{name}_decode"), |bencher| {
            bencher.iter(|| decode_text(version, black_box(push.as_bytes())).is_ok());
        });
        let fan_out = |body: &str| encode::fan_out(version, TOPIC, "broadcast", body.as_bytes());
        let text = fan_out(&body);
        let message: serde_json::Value = serde_json::from_slice(&text[4..]).unwrap();
        let carried = match version {
            Version::V1 => &message["payload"],
            Version::V2 => &message[4],
        };
        assert_eq!(carried["event"], EVENT);
        group.bench_function(format!("{name}_encode"), |bencher| {
            bencher.iter(|| fan_out(black_box(&body)));
        });
    }

    let push = v2_binary_push();
    let decoded = decode_binary(Version::V2, &push).unwrap();
    let carried = Payload::UserBroadcast {
        event: EVENT,
        encoding: Encoding::Json,
        payload: &content,
    };
    assert_eq!((&*decoded.topic, decoded.payload), (TOPIC, carried));
    group.bench_function("v2_binary_decode", |bencher| {
        bencher.iter(|| decode_binary(Version::V2, black_box(&push)).is_ok());
    });
    let fan_out =
        |payload: &[u8]| encode::user_broadcast(TOPIC, EVENT, "", Encoding::Json, payload);
    assert!(fan_out(&content).unwrap().ends_with(&content));
    group.bench_function("v2_binary_encode", |bencher| {
        bencher.iter(|| fan_out(black_box(&content)));
    });
    group.finish();
}
