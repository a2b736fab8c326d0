//! Which of 100,000 subscriptions a row concerns, through the index that the worker of Postgres Changes asks.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use criterion::{Criterion, Throughput};
use dovetail::auth::Claims;
use dovetail::changes::filter;
use dovetail::changes::steps::{
    Audience, Binding, Filter, Index, Plan, Planned, Requested, Subscriber, Table, Views, Wanted,
};
use dovetail::hub::{Limits, Member, Outbox};
use dovetail::protocol::Version;

use crate::tasks;

const SUBSCRIPTIONS: u32 = 100_000;
/// Of the mixture, those that must be tried on every row: `gt` is compared here, `like` is left to Postgres. The others are
/// found by their values.
const COMPARED: u32 = 900;
const ASKED: u32 = 100;
const LISTS: u32 = 2000;

/// A filter of one condition as a client writes it.
fn compiled(table: &Table, text: &str) -> Arc<Filter> {
    let conditions: Vec<_> = filter::parse(text)
        .unwrap()
        .into_iter()
        .map(|condition| {
            let place = tasks::COLUMNS
                .iter()
                .position(|(name, ..)| *name == condition.column);
            (place.unwrap(), condition)
        })
        .collect();
    assert_eq!(conditions.len(), 1, "{text}");
    Arc::new(Filter::compile(table, &conditions).unwrap())
}

/// An index of one subscriber for each filter, all of one role.
fn index(filters: impl Iterator<Item = String>) -> Index {
    let table = tasks::table();
    let claims = Claims::from_json(r#"{"role":"authenticated","exp":4102444800}"#).unwrap();
    let role = claims.role.clone();
    let audience = Arc::new(Audience::new(Arc::new(claims)));
    let requested = Arc::new(Requested {
        entries: Vec::new(),
    });
    let outbox = Arc::new(Outbox::new(Limits {
        bytes: 1 << 20,
        frames: 1000,
    }));
    let topic: Arc<str> = "realtime:tasks".into();
    let mut index = Index::default();
    for (id, text) in (1..).zip(filters) {
        let member = Member::new(topic.clone(), Version::V2, "\"1\"", outbox.clone());
        let subscriber = Subscriber {
            id,
            member: Arc::new(member),
            audience: audience.clone(),
            alive: Arc::new(AtomicBool::new(true)),
        };
        let planned = Planned {
            source: tasks::OID,
            table: table.clone(),
            filter: compiled(&table, &text),
            binding: Binding {
                id,
                wanted: Wanted::All,
                select: None,
                legacy: false,
            },
        };
        let plan = Plan {
            requested: requested.clone(),
            role: role.clone(),
            generation: 0,
            bindings: vec![planned],
            warnings: Vec::new(),
        };
        index.add(&Arc::new(subscriber), &Arc::new(plan));
    }
    index
}

fn mixture(number: u32) -> String {
    match number {
        // Of ascending limits, so that a row is above the first alone.
        n if n < COMPARED => format!("id=gt.{}", n * 1000),
        n if n < COMPARED + ASKED => format!("title=like.task {n}%"),
        n if n < COMPARED + ASKED + LISTS => {
            let first = n - COMPARED - ASKED;
            format!("id=in.({first},{},{})", first + LISTS, first + 2 * LISTS)
        }
        n => format!("id=eq.{}", n - COMPARED - ASKED - LISTS),
    }
}

pub fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Elements(1));
    let views = Views::default();
    let mut hits = Vec::new();
    let mut measure = |name: &str, index: &mut Index, id: u32, expected: usize| {
        let row = tasks::inserted(id);
        index.matches(&row, &views, &mut hits);
        assert_eq!(hits.len(), expected, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                hits.clear();
                index.matches(black_box(&row), &views, &mut hits);
                black_box(&hits).len()
            });
        });
        hits.clear();
    };

    let mut equal = index((0..SUBSCRIPTIONS).map(|n| format!("id=eq.{n}")));
    measure("eq_100000", &mut equal, 77_777, 1);
    measure("eq_100000_nobody", &mut equal, SUBSCRIPTIONS, 0);
    drop(equal);

    let mut mixed = index((0..SUBSCRIPTIONS).map(mixture));
    // One `gt`, one `in`, one `eq`, and every `like`: whether those hold is not known yet.
    measure("mixed_100000", &mut mixed, 500, 3 + ASKED as usize);
    group.finish();
}
