//! What was learned of a table or a row before it changed is not used afterwards.

use std::sync::Arc;

use dovetail::auth::Claims;
use serde_json::json;

use super::changes_support::{World, claims, table, user};

fn authenticated(n: usize) -> Arc<Claims> {
    claims("authenticated", &user(n))
}

/// Rows that only owners see, and whose policy reads the whole row, so that rows are looked up by key.
const WHOLE_ROW: &str = "
    create function public.mine(r json) returns bool language sql stable as
        $$ select (r ->> 'owner')::uuid = auth.uid() $$;";

fn whole_row(table: &str) -> String {
    format!(
        "alter table {table} enable row level security;
         create policy own on {table} for select using (public.mine(row_to_json({table})));"
    )
}

#[tokio::test]
async fn channels_that_share_a_filter_keep_it_when_columns_move() {
    let world = World::new("create table public.t (id int primary key, junk text, v text);").await;
    let entry = json!({"event": "*", "schema": "public", "table": "t", "filter": "v=eq.x"});
    let mut first = world.join(&authenticated(1), entry.clone()).await;
    let mut second = world.join(&authenticated(2), entry).await;
    world.run("insert into t values (1, 'x', 'x')").await;
    world.run("alter table t drop column junk").await;
    world.run("insert into t values (2, 'y'), (3, 'x')").await;
    for channel in [&mut first, &mut second] {
        assert_eq!(channel.change().await["record"]["id"], 1);
        assert_eq!(channel.change().await["record"]["id"], 3);
    }
}

#[tokio::test]
async fn a_row_is_looked_up_by_the_key_that_the_table_has_now() {
    let setup = format!(
        "{WHOLE_ROW} create table public.t (id int primary key, owner uuid); {}",
        whole_row("t")
    );
    let world = World::new(&setup).await;
    let mut owner = world.join(&authenticated(1), table("t")).await;
    let mine = user(1);
    // Enough of them that every connection knows how to look a row up.
    for id in 3..=12 {
        world
            .run(&format!("insert into t values ({id}, '{mine}')"))
            .await;
        assert_eq!(owner.change().await["record"]["id"], id);
    }
    world.run("alter table t rename column id to number").await;
    world
        .run(&format!("insert into t values (2, '{mine}')"))
        .await;
    assert_eq!(owner.change().await["record"]["number"], 2);
}

#[tokio::test]
async fn a_renamed_table_is_not_judged_by_the_table_that_took_its_name() {
    let setup = format!(
        "{WHOLE_ROW} create table public.t (id int primary key, owner uuid, v text); {}
         create table public.mark (id int primary key);",
        whole_row("t")
    );
    let world = World::new(&setup).await;
    let mut channel = world
        .join_all(
            &authenticated(1),
            &[json!({"event": "*", "schema": "public", "table": "*"})],
        )
        .await
        .unwrap();
    channel.skip_warnings = true;
    let (mine, other) = (user(1), user(2));
    // Enough of them that every connection knows how to look a row up.
    for id in 1..=12 {
        world
            .run(&format!("insert into t values ({id}, '{mine}')"))
            .await;
        channel.change().await;
    }
    world
        .run(
            "alter table t rename to archive;
              create table t (id int primary key, owner uuid, v text);
              alter table t enable row level security;
              create policy own on t for select using (public.mine(row_to_json(t)))",
        )
        .await;
    world
        .run(&format!(
            "begin; insert into archive values (100, '{other}', 'secret'); insert into t values (100, '{mine}', 'mine'); commit"
        ))
        .await;
    world.run("insert into mark values (1000)").await;
    let changes = channel.until(1000).await;
    assert!(
        !json!(changes).to_string().contains("secret"),
        "{changes:?}"
    );
    assert_eq!(changes.len(), 1, "{changes:?}");
}

#[tokio::test]
async fn a_large_value_that_a_later_command_of_the_transaction_wrote_is_not_told_to_the_former_owner()
 {
    let setup = "
        create table public.t (id int primary key, owner uuid, v text, large text);
        alter table t alter large set storage external;
        alter table t enable row level security;
        create policy own on t for select to authenticated using (auth.uid() = owner);
        create table public.mark (id int primary key);";
    let world = World::new(setup).await;
    let mut first = world
        .join_all(&authenticated(1), &[table("t"), table("mark")])
        .await
        .unwrap();
    first.skip_warnings = true;
    let (one, two) = (user(1), user(2));
    world
        .run(&format!(
            "insert into t values (1, '{one}', 'a', repeat('a', 5000))"
        ))
        .await;
    world
        .run(&format!(
            "begin; update t set v = 'b'; update t set owner = '{two}', large = repeat('secret', 1000); commit"
        ))
        .await;
    world.run("insert into mark values (1000)").await;
    let changes = first.until(1000).await;
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(changes[1]["record"]["v"], "b");
    assert!(!json!(changes).to_string().contains("secret"));
}

#[tokio::test]
async fn a_row_that_a_later_command_of_the_transaction_handed_on_is_not_told_as_it_was_before() {
    let setup = format!(
        "{WHOLE_ROW} create table public.t (id int primary key, owner uuid, v text); {}
         create table public.mark (id int primary key);",
        whole_row("t")
    );
    let world = World::new(&setup).await;
    let mut second = world
        .join_all(&authenticated(2), &[table("t"), table("mark")])
        .await
        .unwrap();
    second.skip_warnings = true;
    let (one, two) = (user(1), user(2));
    world
        .run(&format!(
            "begin; insert into t values (1, '{one}', 'secret'); update t set owner = '{two}', v = 'b'; commit"
        ))
        .await;
    world.run("insert into mark values (1000)").await;
    let changes = second.until(1000).await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["record"]["v"], "b");
}

#[tokio::test]
async fn what_a_policy_remembers_in_a_setting_is_forgotten_before_the_next_audience() {
    let setup = "
        create table public.t (id int primary key, owner uuid);
        create function public.me() returns uuid language plpgsql as $$
        begin
            if coalesce(current_setting('app.me', true), '') = '' then
                perform set_config('app.me', auth.uid()::text, true);
            end if;
            return current_setting('app.me')::uuid;
        end $$;
        alter table t enable row level security;
        create policy own on t for select using (owner = public.me());
        create table public.mark (id int primary key);";
    let world = World::new(setup).await;
    let mut channels = Vec::new();
    for n in 1..=4 {
        let mut channel = world
            .join_all(&authenticated(n), &[table("t"), table("mark")])
            .await
            .unwrap();
        channel.skip_warnings = true;
        channels.push(channel);
    }
    for n in 1..=4 {
        world
            .run(&format!("insert into t values ({n}, '{}')", user(n)))
            .await;
    }
    world.run("insert into mark values (1000)").await;
    for (n, channel) in (1..).zip(&mut channels) {
        let changes = channel.until(1000).await;
        let ids: Vec<_> = changes
            .iter()
            .map(|data| data["record"]["id"].clone())
            .collect();
        assert_eq!(ids, [json!(n)]);
    }
}
