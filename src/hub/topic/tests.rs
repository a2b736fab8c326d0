use super::*;
use crate::hub::{Differences, Limits, Outbox, Seen};
use crate::postgres::Snapshot;
use crate::protocol::{Outgoing, Version};
use bytes::Bytes;
use uuid::Uuid;

fn key(private: bool) -> TopicKey {
    TopicKey {
        private,
        topic: "realtime:room".into(),
    }
}

fn member(version: Version) -> Arc<Member> {
    let limits = Limits {
        bytes: 1 << 30,
        frames: 1 << 20,
    };
    let outbox = Arc::new(Outbox::new(limits));
    Arc::new(Member::new(
        "realtime:room".into(),
        version,
        "\"1\"",
        outbox,
    ))
}

const EVENT: Event<'_> = Event::Text {
    kind: Kind::Broadcast,
    payload: b"{}",
};

#[test]
fn the_sender_is_left_out_and_namespaces_do_not_mix() {
    let hub = Arc::new(Hub::default());
    let (a, b, c) = (
        member(Version::V2),
        member(Version::V1),
        member(Version::V2),
    );
    let at_a = hub.join(key(false), Arc::clone(&a), || {});
    let _b = hub.join(key(false), Arc::clone(&b), || {});
    let _c = hub.join(key(true), Arc::clone(&c), || {});
    assert_eq!(at_a.publish(EVENT, Some(a.id)), 1);
    assert_eq!(a.outbox.queued_bytes(), 0);
    assert!(b.outbox.queued_bytes() > 0);
    assert_eq!(c.outbox.queued_bytes(), 0);
}

fn queued(member: &Member) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = member.outbox.poll_take(&mut context, &mut frames);
    frames.into_iter().map(Outgoing::into_bytes).collect()
}

#[test]
fn a_member_receives_only_what_it_may_read() {
    let hub = Arc::new(Hub::default());
    let diff = Event::Text {
        kind: Kind::PresenceDiff,
        payload: b"{}",
    };
    for (broadcast, differences, expected) in [
        (true, Differences::FanOut, [1, 1]),
        (true, Differences::None, [1, 0]),
        (false, Differences::FanOut, [0, 1]),
        (false, Differences::Pushed, [0, 1]),
        (false, Differences::None, [0, 0]),
    ] {
        let member = member(Version::V2);
        member.set_rights(broadcast, differences);
        let place = hub.join(key(true), Arc::clone(&member), || {});
        let reached = [place.publish(EVENT, None), place.publish(diff, None)];
        assert_eq!(reached, expected, "{broadcast} {differences:?}");
        assert_eq!(queued(&member).len(), expected.iter().sum::<usize>());
    }
}

#[test]
fn what_comes_during_a_replay_follows_it_once() {
    let hub = Arc::new(Hub::default());
    let member = member(Version::V2);
    member.hold();
    let _place = hub.join(key(true), Arc::clone(&member), || {});
    let stored = |number: u32| StoredId {
        id: Uuid::from_u128(number.into()),
        xid: number,
    };
    // Transactions below 5 are over when the replay looks; it finds the last of them only.
    let (missed, old, new) = (stored(3), stored(4), stored(5));
    hub.publish_stored(&key(true), EVENT, missed, None);
    hub.publish_stored(&key(true), EVENT, old, None);
    hub.publish_stored(&key(true), EVENT, new, None);
    assert_eq!(member.outbox.queued_bytes(), 0);
    let first = Bytes::from_static(b"reply and replay");
    let snapshot = Snapshot::read("5:5:");
    assert!(snapshot.is_some());
    member.release(vec![first.clone()], Seen::new(vec![old.id], snapshot));
    let frames = queued(&member);
    assert_eq!(
        frames.len(),
        2,
        "the reply, then the message that was not replayed"
    );
    assert_eq!(frames[0], first);
    // For the whole life of the channel.
    assert_eq!(hub.publish_stored(&key(true), EVENT, missed, None), 0);
    assert_eq!(hub.publish_stored(&key(true), EVENT, old, None), 0);
    assert_eq!(hub.publish_stored(&key(true), EVENT, new, None), 1);
    assert_eq!(hub.publish(&key(true), EVENT, None), 1);
}

#[test]
fn whoever_enters_with_rights_of_before_a_suspension_waits_too() {
    let hub = Arc::new(Hub::default());
    let (old, replaying, new) = (
        member(Version::V2),
        member(Version::V2),
        member(Version::V2),
    );
    old.judge(hub.suspensions());
    replaying.judge(hub.suspensions());
    replaying.hold();
    let _replaying = hub.join(key(true), Arc::clone(&replaying), || {});
    hub.suspend_private();
    new.judge(hub.suspensions());
    let _old = hub.join(key(true), Arc::clone(&old), || {
        old.send(Bytes::from_static(b"reply"));
    });
    let _new = hub.join(key(true), Arc::clone(&new), || {});
    old.presence_state(b"{}");
    hub.publish(&key(true), EVENT, None);
    replaying.release(vec![Bytes::from_static(b"reply")], Seen::default());
    let counts = [&old, &replaying, &new].map(|member| queued(member).len());
    assert_eq!(counts, [1, 1, 1], "two replies and one message");
    for member in [&old, &replaying] {
        member.resume(hub.suspensions() - 1);
        assert_eq!(queued(member).len(), 0);
        member.resume(hub.suspensions());
    }
    let counts = [&old, &replaying].map(|member| queued(member).len());
    assert_eq!(counts, [2, 1]);
}

#[test]
fn what_is_kept_for_a_member_is_no_more_than_its_outbox_takes() {
    let hub = Arc::new(Hub::default());
    let limits = Limits {
        bytes: 1000,
        frames: 100,
    };
    let outbox = Arc::new(Outbox::new(limits));
    let kept = Arc::new(Member::new(
        "realtime:room".into(),
        Version::V2,
        "\"1\"",
        Arc::clone(&outbox),
    ));
    let _place = hub.join(key(true), Arc::clone(&kept), || {});
    hub.suspend_private();
    let payload = [b' '; 400];
    let event = Event::Text {
        kind: Kind::Broadcast,
        payload: &payload,
    };
    let mut reached = 0;
    while outbox.closing().is_none() {
        reached += hub.publish(&key(true), event, None);
    }
    assert_eq!(reached, 2);
    assert_eq!(outbox.closing(), Some(crate::hub::Closing::Overflow));
}

#[test]
fn what_a_replay_settled_is_forgotten_with_its_database() {
    let hub = Arc::new(Hub::default());
    let member = member(Version::V2);
    member.hold();
    let _place = hub.join(key(true), Arc::clone(&member), || {});
    let snapshot = Snapshot::read("1000:1000:");
    member.release(Vec::new(), Seen::new(Vec::new(), snapshot));
    let stored = StoredId {
        id: Uuid::from_u128(1),
        xid: 800,
    };
    assert_eq!(hub.publish_stored(&key(true), EVENT, stored, None), 0);
    hub.replace_database();
    assert_eq!(hub.recent(&key(true)), [] as [u32; 0]);
    hub.publish_stored(&key(true), EVENT, stored, None);
    assert_eq!(queued(&member).len(), 0, "nobody knows its rights there");
    member.resume(hub.suspensions());
    assert_eq!(queued(&member).len(), 1);
}

#[test]
fn whoever_is_reached_over_the_limit_is_marked_once() {
    let events = Arc::new(Meter::new(Some(1), std::time::Duration::from_secs(5), 12));
    let hub = Arc::new(Hub::new(Arc::clone(&events), Arc::new(Meter::unlimited())));
    let (sender, receiver) = (member(Version::V2), member(Version::V2));
    let place = hub.join(key(false), Arc::clone(&sender), || {});
    let _other = hub.join(key(false), Arc::clone(&receiver), || {});
    for _ in 0..100 {
        place.publish(EVENT, Some(sender.id));
    }
    assert!(!receiver.take_over_limit());
    events.tick();
    assert_eq!(place.publish(EVENT, Some(sender.id)), 1);
    assert!(receiver.take_over_limit());
    assert!(!receiver.take_over_limit());
    assert!(!sender.take_over_limit());
    assert_eq!(events.total(), 101);
}

#[test]
fn a_topic_without_members_leaves_the_registry() {
    let hub = Arc::new(Hub::default());
    let first = hub.join(key(false), member(Version::V2), || {});
    let second = hub.join(key(false), member(Version::V2), || {});
    drop(first);
    assert_eq!(hub.topics(), 1);
    drop(second);
    assert_eq!(hub.topics(), 0);
    assert_eq!(hub.publish(&key(false), EVENT, None), 0);
}

#[test]
fn a_place_that_was_left_is_used_again() {
    let hub = Arc::new(Hub::default());
    let keep = hub.join(key(false), member(Version::V2), || {});
    for _ in 0..100 {
        drop(hub.join(key(false), member(Version::V2), || {}));
    }
    assert_eq!(keep.topic.members.read().slots.len(), 2);
}

#[test]
fn a_v1_member_gets_no_binary_and_no_broken_json() {
    let hub = Arc::new(Hub::default());
    let v1 = member(Version::V1);
    let place = hub.join(key(false), Arc::clone(&v1), || {});
    for (encoding, payload) in [
        (crate::protocol::Encoding::Binary, &b"\x01\x02"[..]),
        (crate::protocol::Encoding::Json, &b"{broken"[..]),
    ] {
        let event = Event::UserBroadcast {
            event: "e",
            metadata: "",
            encoding,
            payload,
        };
        assert_eq!(place.publish(event, None), 0);
    }
    assert_eq!(place.publish(Event::Raw { payload: b"x" }, None), 0);
}

#[test]
fn joins_and_leaves_from_many_threads_lose_nobody() {
    let hub = Arc::new(Hub::default());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let member = member(Version::V2);
                    let place = hub.join(key(false), Arc::clone(&member), || {});
                    hub.publish(&key(false), EVENT, None);
                    assert!(member.outbox.queued_bytes() > 0);
                    drop(place);
                }
            });
        }
    });
    assert_eq!(hub.topics(), 0);
}
