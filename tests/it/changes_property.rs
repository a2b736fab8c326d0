//! Random schemas, policies, subscriptions and writes: what each subscriber received is what SQL says it may see.
//!
//! With `deletes_authorised`. The oracle is a second table: every image is stored there, readable under a copy of the
//! policies, and is asked for as the subscriber.

use dovetail::changes::Settings;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::{Value, json};

use super::changes_support::{Channel, World, claims, user};

const USERS: usize = 4;
const COLUMNS: [&str; 4] = ["owner", "room", "v", "flag"];

#[derive(Debug, Clone)]
struct Policy {
    permissive: bool,
    role: &'static str,
    using: String,
}

#[derive(Debug, Clone)]
enum Write {
    Insert(i32, String),
    Update(i32, String),
    Delete(i32),
}

fn policy() -> impl Strategy<Value = Policy> {
    let using = prop_oneof![
        Just("true".to_owned()),
        Just("auth.uid() = owner".to_owned()),
        Just("owner = (select auth.uid())".to_owned()),
        Just("v is null or v <> 'b'".to_owned()),
        Just("room > 2".to_owned()),
        Just("auth.role() = 'anon' and flag".to_owned()),
        Just(
            "exists (select from members m where m.room = {t}.room and m.uid = auth.uid())"
                .to_owned()
        ),
        Just("room in (select member_rooms())".to_owned()),
        Just("(room / (room - 3)) >= 0".to_owned()),
        Just("to_jsonb({t}.*) ->> 'v' is not null".to_owned()),
        Just("twice > 5".to_owned()),
        Just("current_user = 'authenticated' and not flag".to_owned()),
    ];
    let role = prop_oneof![Just("public"), Just("anon"), Just("authenticated")];
    (prop::bool::weighted(0.75), role, using).prop_map(|(permissive, role, using)| Policy {
        permissive,
        role,
        using,
    })
}

fn row() -> impl Strategy<Value = String> {
    let owner = prop_oneof![
        Just("null".to_owned()),
        (0..USERS).prop_map(|number| format!("'{}'", user(number)))
    ];
    let room = prop_oneof![
        Just("null".to_owned()),
        (0..6).prop_map(|room: i32| room.to_string())
    ];
    let text = prop_oneof![
        Just("null".to_owned()),
        Just("'a'".to_owned()),
        Just("'b'".to_owned()),
        Just("'it''s \\ \"x\", {y}'".to_owned())
    ];
    let flag = prop_oneof![Just("true"), Just("false"), Just("null")];
    (owner, room, text, flag)
        .prop_map(|(owner, room, text, flag)| format!("{owner}, {room}, {text}, {flag}"))
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => (0..12, row()).prop_map(|(id, row)| Write::Insert(id, row)),
        3 => (0..12, row()).prop_map(|(id, row)| Write::Update(id, row)),
        2 => (0..12).prop_map(Write::Delete),
    ]
}

fn filter() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "room=eq.4",
        "room=gt.1",
        "v=like.%a%",
        "owner=not.is.null",
        "v=in.(a,b)",
        "flag=is.true",
    ])
}

/// The filter as SQL.
fn filter_sql(filter: &str) -> &'static str {
    match filter {
        "room=eq.4" => "room = 4",
        "room=gt.1" => "room > 1",
        "v=like.%a%" => "v like '%a%'",
        "owner=not.is.null" => "owner is not null",
        "v=in.(a,b)" => "v in ('a', 'b')",
        "flag=is.true" => "flag is true",
        _ => "true",
    }
}

fn case() -> impl Strategy<Value = (Vec<Policy>, Vec<&'static str>, Vec<Write>)> {
    (
        prop::collection::vec(policy(), 1..4),
        prop::collection::vec(filter(), USERS + 2),
        prop::collection::vec(write(), 10..40),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_receives_what_sql_says_they_may_see_and_nothing_else() {
    let settings = Settings {
        deletes_authorised: true,
        warnings: false,
        ..Settings::default()
    };
    let members: String = (0..USERS)
        .map(|number| {
            format!(
                "insert into members values ({}, '{}');",
                number + 1,
                user(number)
            )
        })
        .collect();
    let world = World::with(
        &format!(
            "create table public.members (room int, uid uuid);
             create function public.member_rooms() returns setof int language sql stable security definer
                as 'select room from public.members where uid = auth.uid()';
             create table public.mark (id int primary key);{members}"
        ),
        settings,
        true,
    )
    .await;
    let rounds: u64 = std::env::var("CHANGES_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12);
    let seed: u64 = std::env::var("CHANGES_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_secs()
        });
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for round in 0..rounds {
        let (policies, filters, writes) = case().new_tree(&mut runner).unwrap().current();
        println!("seed {seed} round {round}: {policies:?} {filters:?} {writes:?}");
        one_round(&world, round, &policies, &filters, &writes).await;
    }
}

async fn one_round(
    world: &World,
    round: u64,
    policies: &[Policy],
    filters: &[&str],
    writes: &[Write],
) {
    let table = format!("t{round}");
    let columns =
        "owner uuid, room int, v text, flag bool, twice int generated always as (room * 2) stored";
    world
        .run(&format!(
            "create table public.{table} (id int primary key, {columns});
             alter table {table} replica identity full; alter table {table} enable row level security;
             create table public.image{round} (n int primary key, id int, {columns});
             alter table image{round} enable row level security;"
        ))
        .await;
    for (number, policy) in policies.iter().enumerate() {
        for name in [table.clone(), format!("image{round}")] {
            let using = policy.using.replace("{t}", &name);
            let kind = if policy.permissive {
                "permissive"
            } else {
                "restrictive"
            };
            world
                .run(&format!(
                    "create policy p{number} on {name} as {kind} for select to {} using ({using})",
                    policy.role
                ))
                .await;
        }
    }
    let mut audiences: Vec<_> = (0..USERS)
        .map(|number| claims("authenticated", &user(number)))
        .collect();
    audiences.push(claims("anon", ""));
    audiences.push(claims("service_role", ""));
    let mut channels: Vec<Channel> = Vec::new();
    for (claims, filter) in audiences.iter().zip(filters) {
        let entry = json!({"event": "*", "schema": "public", "table": table, "filter": filter});
        let mark = json!({"event": "*", "schema": "public", "table": "mark"});
        channels.push(world.join_all(claims, &[entry, mark]).await.unwrap());
    }
    // Each write is followed by its images in the oracle's table, taken from RETURNING or the row before.
    let list = COLUMNS.join(", ");
    let mut events: Vec<(&str, Option<usize>, Option<usize>)> = Vec::new();
    let mut images = 0_usize;
    for write in writes {
        let store = |with: String, n: usize| {
            format!(
                "with w as ({with}) insert into image{round} (n, id, {list}) select {n}, id, {list} from w"
            )
        };
        match write {
            Write::Insert(id, row) => {
                let sql = format!(
                    "insert into {table} (id, {list}) values ({id}, {row}) on conflict do nothing returning *"
                );
                if world.sql.execute(&store(sql, images), &[]).await.unwrap() == 1 {
                    events.push(("INSERT", Some(images), None));
                    images += 1;
                }
            }
            Write::Update(id, row) => {
                let old = store(format!("select * from {table} where id = {id}"), images);
                if world.sql.execute(&old, &[]).await.unwrap() == 1 {
                    let sql = format!(
                        "update {table} set ({list}) = row({row}) where id = {id} returning *"
                    );
                    world
                        .sql
                        .execute(&store(sql, images + 1), &[])
                        .await
                        .unwrap();
                    events.push(("UPDATE", Some(images + 1), Some(images)));
                    images += 2;
                }
            }
            Write::Delete(id) => {
                let sql = format!("delete from {table} where id = {id} returning *");
                if world.sql.execute(&store(sql, images), &[]).await.unwrap() == 1 {
                    events.push(("DELETE", None, Some(images)));
                    images += 1;
                }
            }
        }
    }
    let mark = i64::try_from(round).unwrap() + 1_000_000;
    world
        .run(&format!("insert into mark values ({mark})"))
        .await;
    for ((channel, claims), filter) in channels.iter_mut().zip(&audiences).zip(filters) {
        let received: Vec<Value> = channel.until(mark).await;
        let mut expected: Vec<Value> = Vec::new();
        for (operation, new, old) in &events {
            let image = new.or(*old).unwrap();
            // What needs the stored row cannot be proven for a row that is gone, or has changed since.
            let Some(row) = visible(world, round, claims, image).await else {
                continue;
            };
            let passes: bool = world
                .sql
                .query_one(
                    &format!(
                        "select coalesce({}, false) from image{round} where n = {image}",
                        filter_sql(filter)
                    ),
                    &[],
                )
                .await
                .unwrap()
                .get(0);
            if !passes {
                continue;
            }
            expected.push(match *operation {
                "INSERT" => json!(["INSERT", row, null]),
                "DELETE" => json!(["DELETE", null, {"id": row["id"]}]),
                _ => {
                    let old = visible(world, round, claims, old.unwrap()).await;
                    json!([
                        "UPDATE",
                        row,
                        old.unwrap_or_else(|| json!({"id": row["id"]}))
                    ])
                }
            });
        }
        let received: Vec<Value> = received
            .iter()
            .map(|data| json!([data["type"], data.get("record"), data.get("old_record")]))
            .collect();
        let by_key = policies
            .iter()
            .any(|policy| policy.using.contains("to_jsonb"));
        if by_key {
            // A policy that reads the whole row is judged on the stored row: less may arrive, never more.
            for change in &received {
                let known = expected.iter().any(|expected| {
                    expected[0] == change[0]
                        && expected[1] == change[1]
                        && (expected[2] == change[2]
                            || change[2] == json!({"id": expected[1]["id"]}))
                });
                assert!(
                    known,
                    "{}: unexpected {change} in {expected:?}",
                    claims.json
                );
            }
        } else {
            assert_eq!(received, expected, "{} with filter {filter:?}", claims.json);
        }
    }
}

/// The image as these claims see it; nothing if it is hidden or its policies raise.
async fn visible(
    world: &World,
    round: u64,
    claims: &dovetail::auth::Claims,
    image: usize,
) -> Option<Value> {
    let sql = format!(
        "begin; set local role {}; select set_config('request.jwt.claims', '{}', true);
         set local enable_seqscan = off;
         select to_jsonb(i) - 'n' from image{round} i where n = {image}",
        claims.role, claims.json
    );
    let result = world.sql.simple_query(&sql).await;
    world.sql.batch_execute("rollback").await.unwrap();
    let row = result
        .ok()?
        .into_iter()
        .rev()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row
                .get(0)
                .filter(|text| text.starts_with('{'))
                .map(str::to_owned),
            _ => None,
        })?;
    let value: Value = serde_json::from_str(&row).unwrap();
    value.get("id").is_some().then_some(value)
}
