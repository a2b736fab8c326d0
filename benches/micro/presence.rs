//! A topic where 5,000 are present: somebody comes and goes, and what a newcomer is told.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use dovetail::presence::state::{Payload, State};
use serde_json::{Value, json};

const PRESENT: u64 = 5000;
const PAYLOAD: &str = r#"{"user":"ann","online_at":"2026-01-02T03:04:05Z","typing":false}"#;
/// As long as the server's own.
const PHX_REF: &str = "GDGh5AAAAAAAAAfB";

fn track(state: &mut State, owner: u64, key: &Arc<str>) -> String {
    let payload = Payload::parse(black_box(PAYLOAD)).unwrap();
    let diff = state.track(owner, None, key, payload, PHX_REF.to_owned());
    diff.unwrap().json()
}

/// The keys of one side of a difference.
fn keys(diff: &str, side: &str) -> Vec<String> {
    let diff: Value = serde_json::from_str(diff).unwrap();
    diff[side].as_object().unwrap().keys().cloned().collect()
}

pub fn all(criterion: &mut Criterion) {
    let mut state = State::default();
    for owner in 0..PRESENT {
        track(&mut state, owner, &format!("user-{owner}").into());
    }
    let key: Arc<str> = "newcomer".into();
    let mut group = criterion.benchmark_group("presence");

    // Together, so that the state is afterwards what it was; two elements, a join and a leave.
    let come_and_go = |state: &mut State| {
        let joined = track(state, PRESENT, &key);
        let left = state.untrack(PRESENT, &key).unwrap().json();
        (joined, left)
    };
    let (joined, left) = come_and_go(&mut state);
    assert_eq!(keys(&joined, "joins"), ["newcomer"]);
    assert_eq!(keys(&joined, "leaves"), [] as [&str; 0]);
    assert_eq!(keys(&left, "leaves"), ["newcomer"]);
    let meta = &serde_json::from_str::<Value>(&joined).unwrap()["joins"]["newcomer"]["metas"][0];
    assert_eq!(
        (&meta["user"], &meta["phx_ref"]),
        (&json!("ann"), &json!(PHX_REF))
    );
    group.throughput(Throughput::Elements(2));
    group.bench_function("join_and_leave_among_5000", |bencher| {
        bencher.iter(|| come_and_go(black_box(&mut state)));
    });

    let whole: Value = serde_json::from_str(&state.json()).unwrap();
    assert_eq!(whole.as_object().unwrap().len(), PRESENT as usize);
    group.throughput(Throughput::Elements(PRESENT));
    group.bench_function("state_of_5000", |bencher| {
        bencher.iter(|| black_box(&state).json());
    });
    group.finish();
}
