//! What one delivery costs in the hub, beside the least it could cost.
//!
//! `cargo bench --bench hub` prints nanoseconds per delivery and the ratio to a floor measured in the same run: a
//! mutex-guarded push of a shared frame, which every design with a queue per socket has to pay.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use dovetail::hub::{Event, Hub, Limits, Member, Membership, Outbox, TopicKey};
use dovetail::protocol::{Encoding, Version};
use parking_lot::Mutex;

const MEMBERS: usize = 2000;
const ROUNDS: usize = 500;
const SAMPLES: usize = 7;

fn main() {
    let payload = vec![b'x'; 200];
    let limits = Limits {
        bytes: 8 << 20,
        frames: 16384,
    };
    let key = TopicKey {
        private: false,
        topic: "realtime:bench".into(),
    };
    let hub = Arc::new(Hub::default());
    let outboxes: Vec<Arc<Outbox>> = (0..MEMBERS)
        .map(|_| Arc::new(Outbox::new(limits)))
        .collect();
    let members: Vec<Membership> = outboxes
        .iter()
        .map(|outbox| {
            let topic = Arc::clone(&key.topic);
            let member = Member::new(topic, Version::V2, "\"1\"", Arc::clone(outbox));
            hub.join(key.clone(), Arc::new(member), || {})
        })
        .collect();
    let event = Event::UserBroadcast {
        event: "bench",
        metadata: "",
        encoding: Encoding::Binary,
        payload: &payload,
    };
    let floor_queues: Vec<Mutex<Vec<Bytes>>> = (0..MEMBERS).map(|_| Mutex::default()).collect();
    let frame = Bytes::from(payload.clone());

    let mut best = (f64::MAX, f64::MAX);
    let (mut frames, mut taken) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let floor = per_delivery(|| {
            for queue in &floor_queues {
                queue.lock().push(frame.clone());
            }
            for queue in &floor_queues {
                std::mem::swap(&mut *queue.lock(), &mut frames);
                black_box(&mut frames).clear();
            }
        });
        let mut context = Context::from_waker(Waker::noop());
        let publish = per_delivery(|| {
            assert_eq!(hub.publish(&key, event, None), MEMBERS);
            for outbox in &outboxes {
                let _ = outbox.poll_take(&mut context, &mut taken);
                taken.clear();
            }
        });
        best = (best.0.min(floor), best.1.min(publish));
    }
    println!("floor    {:7.1} ns per delivery", best.0);
    println!("publish  {:7.1} ns per delivery", best.1);
    println!("ratio    {:7.2}", best.1 / best.0);
    drop(members);
}

fn per_delivery(mut round: impl FnMut()) -> f64 {
    let began = Instant::now();
    for _ in 0..ROUNDS {
        round();
    }
    began.elapsed().as_nanos() as f64 / (ROUNDS * MEMBERS) as f64
}
