//! What the decoder promises, whatever comes. The encoder here is its mirror, written from Postgres' documentation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use bytes::{BufMut, Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A value as a test wants it.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Null,
    Unchanged,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

fn tuple_bytes(values: &[Wanted]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u16(values.len().try_into().unwrap());
    for value in values {
        match value {
            Wanted::Null => out.put_u8(b'n'),
            Wanted::Unchanged => out.put_u8(b'u'),
            Wanted::Text(content) | Wanted::Binary(content) => {
                out.put_u8(if matches!(value, Wanted::Text(_)) {
                    b't'
                } else {
                    b'b'
                });
                out.put_u32(content.len().try_into().unwrap());
                out.put_slice(content);
            }
        }
    }
    out
}

fn values(tuple: &Tuple) -> Vec<Wanted> {
    tuple
        .iter()
        .map(|value| match value {
            Value::Null => Wanted::Null,
            Value::Unchanged => Wanted::Unchanged,
            Value::Text(content) => Wanted::Text(content.to_vec()),
            Value::Binary(content) => Wanted::Binary(content.to_vec()),
        })
        .collect()
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

fn relation_bytes(relation: &Relation) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(b'R');
    out.put_u32(relation.oid);
    put_text(&mut out, &relation.schema);
    put_text(&mut out, &relation.name);
    out.put_u8(match relation.replica_identity {
        ReplicaIdentity::Default => b'd',
        ReplicaIdentity::Nothing => b'n',
        ReplicaIdentity::Full => b'f',
        ReplicaIdentity::Index => b'i',
    });
    out.put_u16(relation.columns.len().try_into().unwrap());
    for column in &relation.columns {
        out.put_u8(u8::from(column.is_key));
        put_text(&mut out, &column.name);
        out.put_u32(column.type_oid);
        out.put_i32(column.type_modifier);
    }
    out.freeze()
}

fn value() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        Just(Wanted::Null),
        Just(Wanted::Unchanged),
        vec(any::<u8>(), 0..40).prop_map(Wanted::Text),
        vec(any::<u8>(), 0..40).prop_map(Wanted::Binary),
    ]
}

fn name() -> impl Strategy<Value = Box<str>> {
    "[^\0]{1,20}".prop_map(Into::into)
}

fn relation() -> impl Strategy<Value = Relation> {
    let column = (any::<bool>(), name(), any::<u32>(), any::<i32>()).prop_map(
        |(is_key, name, type_oid, type_modifier)| Column {
            is_key,
            name,
            type_oid,
            type_modifier,
        },
    );
    let identity = prop_oneof![
        Just(ReplicaIdentity::Default),
        Just(ReplicaIdentity::Nothing),
        Just(ReplicaIdentity::Full),
        Just(ReplicaIdentity::Index)
    ];
    (any::<u32>(), name(), name(), identity, vec(column, 0..30)).prop_map(
        |(oid, schema, name, replica_identity, columns)| Relation {
            oid,
            schema,
            name,
            replica_identity,
            columns: columns.into(),
        },
    )
}

fn message(tag: u8, fill: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(tag);
    fill(&mut out);
    out.freeze()
}

proptest! {
    #[test]
    fn any_bytes_give_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(bytes.into());
    }

    #[test]
    fn any_bytes_after_a_known_tag_give_a_message_or_an_error(
        tag in proptest::sample::select(b"BCORYIUDTM".to_vec()),
        bytes in vec(any::<u8>(), 0..200),
    ) {
        if let Ok(Message::Insert(insert)) = decode(message(tag, |out| out.put_slice(&bytes))) {
            let _ = values(&insert.new);
        }
    }

    #[test]
    fn an_insert_comes_back_as_it_was_written(oid: u32, row in vec(value(), 0..40)) {
        let bytes = message(b'I', |out| {
            out.put_u32(oid);
            out.put_u8(b'N');
            out.put_slice(&tuple_bytes(&row));
        });
        let Message::Insert(insert) = decode(bytes).unwrap() else { panic!() };
        prop_assert_eq!(insert.relation, oid);
        prop_assert_eq!(insert.new.len(), row.len());
        prop_assert_eq!(insert.new.get(row.len()), None);
        prop_assert_eq!(values(&insert.new), row);
    }

    #[test]
    fn an_update_comes_back_as_it_was_written(
        oid: u32,
        old in proptest::option::of((any::<bool>(), vec(value(), 0..20))),
        row in vec(value(), 0..20),
    ) {
        let bytes = message(b'U', |out| {
            out.put_u32(oid);
            if let Some((full, old)) = &old {
                out.put_u8(if *full { b'O' } else { b'K' });
                out.put_slice(&tuple_bytes(old));
            }
            out.put_u8(b'N');
            out.put_slice(&tuple_bytes(&row));
        });
        let Message::Update(update) = decode(bytes).unwrap() else { panic!() };
        let seen = update.old.map(|old| (old.kind == OldKind::Full, values(&old.tuple)));
        prop_assert_eq!(seen, old);
        prop_assert_eq!(values(&update.new), row);
    }

    #[test]
    fn a_cut_or_prolonged_message_is_refused(row in vec(value(), 0..10), cut in 1usize..20) {
        let whole = message(b'D', |out| {
            out.put_u32(7);
            out.put_u8(b'O');
            out.put_slice(&tuple_bytes(&row));
        });
        prop_assert!(decode(whole.clone()).is_ok());
        let shorter = whole.slice(..whole.len().saturating_sub(cut));
        prop_assert_eq!(decode(shorter), Err(Error::Truncated));
        let mut longer = BytesMut::from(&whole[..]);
        longer.put_slice(&vec![0; cut]);
        prop_assert_eq!(decode(longer.freeze()), Err(Error::Trailing(cut)));
    }

    #[test]
    fn a_relation_comes_back_as_it_was_written(relation in relation()) {
        let bytes = relation_bytes(&relation);
        prop_assert_eq!(decode(bytes), Ok(Message::Relation(relation)));
    }

    #[test]
    fn a_position_is_read_back_from_its_text(lsn: u64) {
        prop_assert_eq!(Lsn(lsn).to_string().parse(), Ok(Lsn(lsn)));
    }

    #[test]
    fn any_text_is_a_position_or_refused(text in "\\PC{0,20}") {
        let _ = text.parse::<Lsn>();
    }
}

#[test]
fn positions_are_written_as_postgres_writes_them() {
    assert_eq!(Lsn(0x16B_3748).to_string(), "0/16B3748");
    assert_eq!(Lsn(0x2A_0000_0001).to_string(), "2A/1");
    for wrong in [
        "",
        "/",
        "0/",
        "/0",
        "+1/0",
        "0/ 1",
        "0/123456789",
        "0-1",
        "0/1/2",
    ] {
        assert_eq!(wrong.parse::<Lsn>(), Err(InvalidLsn), "{wrong}");
    }
}

#[test]
fn transaction_borders_are_decoded() {
    let begin = message(b'B', |out| {
        out.put_u64(0x10);
        out.put_i64(-5);
        out.put_u32(77);
    });
    assert_eq!(
        decode(begin),
        Ok(Message::Begin(Begin {
            final_lsn: Lsn(0x10),
            commit_time: -5,
            xid: 77
        }))
    );
    let commit = message(b'C', |out| {
        out.put_u8(0);
        out.put_u64(0x10);
        out.put_u64(0x20);
        out.put_i64(9);
    });
    assert_eq!(
        decode(commit),
        Ok(Message::Commit(Commit {
            commit_lsn: Lsn(0x10),
            end_lsn: Lsn(0x20),
            commit_time: 9
        }))
    );
}

#[test]
fn the_other_messages_are_decoded() {
    let truncate = message(b'T', |out| {
        out.put_u32(2);
        out.put_u8(3);
        out.put_u32(5);
        out.put_u32(6);
    });
    assert_eq!(
        decode(truncate),
        Ok(Message::Truncate(Truncate {
            cascade: true,
            restart_identity: true,
            relations: [5, 6].into()
        }))
    );
    let emitted = message(b'M', |out| {
        out.put_u8(1);
        out.put_u64(8);
        put_text(out, "dovetail");
        out.put_u32(2);
        out.put_slice(b"hi");
    });
    assert_eq!(
        decode(emitted),
        Ok(Message::Message(LogicalMessage {
            transactional: true,
            lsn: Lsn(8),
            prefix: "dovetail".into(),
            content: Bytes::from_static(b"hi")
        }))
    );
    let of_type = message(b'Y', |out| {
        out.put_u32(9);
        put_text(out, "");
        put_text(out, "mood");
    });
    assert_eq!(
        decode(of_type),
        Ok(Message::Type(Type {
            oid: 9,
            schema: "pg_catalog".into(),
            name: "mood".into()
        }))
    );
    let origin = message(b'O', |out| {
        out.put_u64(4);
        put_text(out, "elsewhere");
    });
    assert_eq!(
        decode(origin),
        Ok(Message::Origin(Origin {
            lsn: Lsn(4),
            name: "elsewhere".into()
        }))
    );
}

#[test]
fn values_share_the_memory_of_the_message() {
    let bytes = message(b'I', |out| {
        out.put_u32(1);
        out.put_u8(b'N');
        out.put_slice(&tuple_bytes(&[
            Wanted::Null,
            Wanted::Text(b"value".to_vec()),
        ]));
    });
    let range = bytes.as_ptr_range();
    let Message::Insert(insert) = decode(bytes.clone()).unwrap() else {
        panic!()
    };
    let shared = insert.new.share(1).unwrap();
    assert_eq!(shared, "value");
    assert!(range.contains(&shared.as_ptr()));
    assert_eq!(insert.new.share(0), None);
}

#[test]
fn a_truncate_that_promises_more_oids_than_it_has_allocates_nothing_for_them() {
    let bytes = message(b'T', |out| {
        out.put_u32(u32::MAX);
        out.put_u8(0);
    });
    assert_eq!(decode(bytes), Err(Error::Truncated));
}
