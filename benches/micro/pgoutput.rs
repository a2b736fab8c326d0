//! From messages of the stream to rows, whose values stay slices of what was received.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use dovetail::pgoutput::{Message, OldKind, Value, decode};

use crate::tasks;

/// Rows of the long transaction.
const ROWS: u32 = 1000;

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pgoutput");
    group.throughput(Throughput::Elements(1));

    let insert = tasks::insert(7);
    match decode(insert.clone()).unwrap() {
        Message::Insert(insert) => assert_eq!(insert.new.get(0), Some(Value::Text(b"7"))),
        other => panic!("{other:?}"),
    }
    group.bench_function("insert_of_5_columns", |bencher| {
        bencher.iter(|| decode(black_box(&insert).clone()));
    });

    let update = tasks::update_of_key(7, 8);
    match decode(update.clone()).unwrap() {
        Message::Update(update) => {
            let old = update.old.unwrap();
            assert_eq!(old.kind, OldKind::Key);
            assert_eq!(old.tuple.get(0), Some(Value::Text(b"7")));
            assert_eq!(update.new.get(0), Some(Value::Text(b"8")));
        }
        other => panic!("{other:?}"),
    }
    group.bench_function("update_with_old_key", |bencher| {
        bencher.iter(|| decode(black_box(&update).clone()));
    });

    let mut transaction: Vec<Bytes> = vec![tasks::begin(), tasks::relation_message()];
    transaction.extend((0..ROWS).map(tasks::insert));
    transaction.push(tasks::commit());
    let rows = |transaction: &[Bytes]| {
        let messages = transaction.iter().map(|bytes| decode(bytes.clone()));
        messages
            .filter(|message| matches!(black_box(message), Ok(Message::Insert(_))))
            .count()
    };
    assert_eq!(rows(&transaction), ROWS as usize);
    group.throughput(Throughput::Elements(u64::from(ROWS)));
    group.bench_function("transaction_of_1000_inserts", |bencher| {
        bencher.iter(|| rows(black_box(&transaction)));
    });
    group.finish();
}
