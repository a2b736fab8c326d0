//! The policy `owner = auth.uid()`, compiled: who of 5,000 readers may see a row, asked of one reader and found by look-up.

use std::hint::black_box;

use criterion::Criterion;
use dovetail::auth::Claims;
use dovetail::changes::steps::{Bound, Compiled, FunctionRow, Functions, Image, Readers, Table};
use serde_json::json;

use crate::tasks;

const READERS: u32 = 5000;
/// `auth.uid()` as a Supabase database has it.
const UID: u32 = 16_388;
const UID_BODY: &str = "
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
  )::uuid";
/// The expression in the form in which Postgres 15 stores it; `owner` is the second column.
const OWNER: &str = "{OPEXPR :opno 2972 :opfuncid 2956 :opresulttype 16 :opretset false :opcollid 0 :inputcollid 0 :args (\
    {VAR :varno 1 :varattno 2 :vartype 2950 :vartypmod -1 :varcollid 0 :varlevelsup 0 :varnosyn 1 :varattnosyn 2 :location 8} \
    {FUNCEXPR :funcid 16388 :funcresulttype 2950 :funcretset false :funcvariadic false :funcformat 0 :funccollid 0 \
    :inputcollid 0 :args <> :location 16}) :location 14}";

fn compiled(table: &Table) -> Compiled {
    let uid: FunctionRow = serde_json::from_value(json!({
        "oid": UID, "name": "auth.uid", "language": "sql", "source": UID_BODY, "returns": 2950, "plain": true,
    }))
    .unwrap();
    let functions = Functions::new(vec![uid], true, true);
    Compiled::new(table, &[OWNER], &[], &functions, &|_| true).unwrap()
}

fn claims(reader: u32) -> Claims {
    let json =
        json!({ "role": "authenticated", "exp": 4_102_444_800_u32, "sub": tasks::owner(reader) });
    Claims::from_json(&json.to_string()).unwrap()
}

pub fn all(criterion: &mut Criterion) {
    let table = tasks::table();
    let policy = compiled(&table);
    let image = Image::new(tasks::relation(), tasks::tuple(77), None, 731);
    let bound: Vec<Bound> = (0..READERS)
        .map(|reader| policy.bind(&claims(reader)))
        .collect();
    let mut group = criterion.benchmark_group("policy");

    let decide = |reader: &Bound| policy.sees(reader, &policy.columns(&table, black_box(&image)));
    let seen: Vec<usize> = bound
        .iter()
        .enumerate()
        .filter(|(_, reader)| decide(reader).unwrap())
        .map(|(place, _)| place)
        .collect();
    assert_eq!(seen, [77]);
    group.bench_function("owner_decision", |bencher| {
        bencher.iter(|| decide(black_box(&bound[77])));
    });

    let readers = Readers::new(&policy, (0..).zip(&bound)).unwrap();
    let found = || readers.of(&policy, &policy.columns(&table, black_box(&image)));
    assert_eq!(found(), Some(vec![77]));
    group.bench_function("owner_readers_of_5000", |bencher| bencher.iter(found));
    group.finish();
}
