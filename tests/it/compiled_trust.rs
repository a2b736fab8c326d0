//! When a compiled policy stops being used: what it was made from has changed, or Postgres said otherwise.

use dovetail::changes::Settings;
use serde_json::Value;

use crate::changes_support::{Channel, World, claims, table, user};

const SETUP: &str = "
    create table public.t (id int primary key, owner uuid, v text);
    alter table t enable row level security;
    create policy own on t for select to authenticated using (auth.uid() = owner);
    create table public.mark (id int primary key);";

/// The body of an `auth.uid()` that is the same somebody for everybody.
fn always(number: usize) -> String {
    format!("select '{}'::uuid", user(number))
}

/// Another body for it, of which no event tells.
async fn secretly(world: &World, body: &str) {
    let body = body.replace('\'', "''");
    world
        .run(&format!(
            "update pg_proc set prosrc = '{body}' where oid = 'auth.uid()'::regprocedure"
        ))
        .await;
}

async fn reader(world: &World, number: usize) -> Channel {
    let entries = [table("t"), table("mark")];
    let claims = claims("authenticated", &user(number));
    let mut channel = world.join_all(&claims, &entries).await.unwrap();
    channel.skip_warnings = true;
    channel
}

/// Inserts a row of each of these users; gives the ids (from `first`) that arrive.
async fn arriving(world: &World, channel: &mut Channel, first: i64, owners: &[usize]) -> Vec<i64> {
    for (id, owner) in (first..).zip(owners) {
        world
            .run(&format!(
                "insert into t values ({id}, '{}', 'x')",
                user(*owner)
            ))
            .await;
    }
    let mark = 1_000_000 + first;
    world
        .run(&format!("insert into mark values ({mark})"))
        .await;
    let changes = channel.until(mark).await;
    let id = |data: &Value| data["record"]["id"].as_i64().unwrap();
    changes.iter().map(id).collect()
}

#[tokio::test]
async fn other_functions_policies_and_grants_count_from_the_next_row_on() {
    let world = World::new(SETUP).await;
    let mut channel = reader(&world, 1).await;
    assert_eq!(arriving(&world, &mut channel, 10, &[1, 2, 9]).await, [10]);
    let body = always(9);
    world
        .run(&format!(
            "create or replace function auth.uid() returns uuid language sql stable as $$ {body} $$"
        ))
        .await;
    assert_eq!(arriving(&world, &mut channel, 20, &[1, 2, 9]).await, [22]);
    world
        .run(
            "create or replace function auth.uid() returns uuid language sql stable as
              $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$",
        )
        .await;
    assert_eq!(arriving(&world, &mut channel, 30, &[1, 2, 9]).await, [30]);
    world
        .run("alter policy own on t using (owner <> auth.uid())")
        .await;
    assert_eq!(arriving(&world, &mut channel, 40, &[1, 2]).await, [41]);
    world
        .run("create policy less on t as restrictive for select to public using (v = 'y')")
        .await;
    assert_eq!(arriving(&world, &mut channel, 50, &[1, 2]).await, [0; 0]);
    world.run("drop policy less on t").await;
    assert_eq!(arriving(&world, &mut channel, 60, &[1, 2]).await, [61]);
    world
        .run("revoke execute on function auth.uid() from public, anon, authenticated, service_role")
        .await;
    assert_eq!(arriving(&world, &mut channel, 70, &[1, 2]).await, [0; 0]);
    world
        .run("grant execute on function auth.uid() to authenticated")
        .await;
    assert_eq!(arriving(&world, &mut channel, 80, &[1, 2]).await, [81]);
    // What the function calls, too.
    let called = "execute on function pg_catalog.current_setting(text, boolean)";
    world.run(&format!("revoke {called} from public")).await;
    assert_eq!(arriving(&world, &mut channel, 90, &[1, 2]).await, [0; 0]);
    world.run(&format!("grant {called} to public")).await;
    assert_eq!(arriving(&world, &mut channel, 100, &[1, 2]).await, [101]);
}

#[tokio::test]
async fn a_row_that_a_compiled_policy_shows_and_postgres_does_not_is_hidden_and_compiling_ends() {
    let settings = Settings {
        // The first decision is compared, and the fourth.
        compare_every: 3,
        ..Settings::default()
    };
    let world = World::with(SETUP, settings, true).await;
    let mut channel = reader(&world, 1).await;
    let rows = arriving(&world, &mut channel, 10, &[1, 1, 1]).await;
    assert_eq!(rows, [10, 11, 12]);
    secretly(&world, &always(9)).await;
    assert_eq!(arriving(&world, &mut channel, 20, &[1]).await, [0; 0]);
    // Now Postgres is asked.
    assert_eq!(arriving(&world, &mut channel, 30, &[1, 9, 2]).await, [31]);
    // Also after everything was read again.
    world.run("alter policy own on t to authenticated").await;
    assert_eq!(arriving(&world, &mut channel, 40, &[1, 9]).await, [41]);
    secretly(&world, &always(3)).await;
    assert_eq!(arriving(&world, &mut channel, 50, &[1, 9, 3]).await, [52]);
}

#[tokio::test]
async fn without_compiling_postgres_is_asked_from_the_beginning() {
    let settings = Settings {
        compile_policies: false,
        ..Settings::default()
    };
    let world = World::with(SETUP, settings, true).await;
    let mut channel = reader(&world, 1).await;
    assert_eq!(arriving(&world, &mut channel, 10, &[1, 9]).await, [10]);
    secretly(&world, &always(9)).await;
    assert_eq!(arriving(&world, &mut channel, 20, &[1, 9]).await, [21]);
}

#[tokio::test]
async fn readers_of_one_filter_are_told_apart_by_their_claims_while_they_come_and_go() {
    let world = World::new(SETUP).await;
    let mut channels = Vec::new();
    for number in 1..=40 {
        channels.push(reader(&world, number).await);
    }
    let mut service = world
        .join_all(&claims("service_role", ""), &[table("t"), table("mark")])
        .await
        .unwrap();
    service.skip_warnings = true;
    let owners: Vec<usize> = (1..=40).collect();
    assert_eq!(arriving(&world, &mut service, 100, &owners).await.len(), 40);
    for (number, channel) in (0..).zip(&mut channels) {
        let ids: Vec<_> = channel.until(1_000_100).await;
        assert_eq!(ids.len(), 1);
        assert_eq!(ids[0]["record"]["id"], 100 + number);
    }
    // Every other one leaves, and one comes.
    let mut number = 0;
    channels.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    channels.push(reader(&world, 1).await);
    arriving(&world, &mut service, 200, &owners).await;
    for (channel, owner) in channels.iter_mut().zip((2..=40).step_by(2).chain([1])) {
        let ids: Vec<_> = channel.until(1_000_200).await;
        assert_eq!(ids.len(), 1);
        assert_eq!(ids[0]["record"]["id"], 199 + owner);
    }
}
