//! Nobody gets what row level security hides from them, by whichever way.

use std::sync::Arc;

use dovetail::auth::Claims;
use dovetail::changes::Settings;
use serde_json::{Value, json};

use super::changes_support::{Channel, World, claims, table, user};

/// A table whose rows only their owners see.
const OWNED: &str = "
    create table public.t (id int primary key, owner uuid, v text);
    alter table t enable row level security;
    create policy own on t for select to authenticated using (auth.uid() = owner);";

/// Everybody sees this row; what comes before it has all arrived.
const OPEN: &str = "create table public.mark (id int primary key);";

fn authenticated(n: usize) -> Arc<Claims> {
    claims("authenticated", &user(n))
}

/// A channel on `t` and on `mark`.
async fn watch(world: &World, claims: &Arc<Claims>) -> Channel {
    let mut channel = world
        .join_all(claims, &[table("t"), table("mark")])
        .await
        .unwrap();
    channel.skip_warnings = true;
    channel
}

/// What arrived, short: operation and row.
async fn seen(world: &World, channels: &mut [&mut Channel]) -> Vec<Vec<Value>> {
    let mark = next_mark();
    world
        .run(&format!("insert into mark values ({mark})"))
        .await;
    let mut all = Vec::new();
    for channel in channels {
        let changes = channel.until(mark).await;
        let short = |data: &Value| {
            let row = if data["type"] == "DELETE" {
                "old_record"
            } else {
                "record"
            };
            json!([data["type"], data[row]])
        };
        all.push(changes.iter().map(short).collect());
    }
    all
}

fn next_mark() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NEXT: AtomicI64 = AtomicI64::new(1_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn only_the_owner_and_who_bypasses_policies_see_a_row() {
    let world = World::new(&format!("{OWNED}{OPEN}")).await;
    let mut owner = watch(&world, &authenticated(1)).await;
    let mut other = watch(&world, &authenticated(2)).await;
    let mut anon = watch(&world, &claims("anon", "")).await;
    let mut service = watch(&world, &claims("service_role", "")).await;
    world
        .run(&format!(
            "insert into t values (1, '{}', 'x'); update t set v = 'y'; delete from t",
            user(1)
        ))
        .await;
    let all = seen(
        &world,
        &mut [&mut owner, &mut other, &mut anon, &mut service],
    )
    .await;
    let insert = json!(["INSERT", {"id": 1, "owner": user(1), "v": "x"}]);
    let update = json!(["UPDATE", {"id": 1, "owner": user(1), "v": "y"}]);
    // A delete tells everybody the key: the original's rule (G-145).
    let delete = json!(["DELETE", {"id": 1}]);
    assert_eq!(all[0], [insert.clone(), update.clone(), delete.clone()]);
    assert_eq!(all[1], std::slice::from_ref(&delete));
    assert_eq!(all[2], std::slice::from_ref(&delete));
    assert_eq!(all[3], [insert, update, delete]);
}

#[tokio::test]
async fn a_function_that_wrongly_says_it_is_immutable_still_judges_for_each_user() {
    let world = World::new(&format!(
        "create function me() returns uuid immutable language plpgsql as
           $$ begin return (current_setting('request.jwt.claims', true)::json ->> 'sub')::uuid; end $$;
         create table public.t (id int primary key, owner uuid, v text);
         alter table t enable row level security;
         create policy own on t for select to authenticated using (public.me() = owner);{OPEN}"
    ))
    .await;
    let mut owner = watch(&world, &authenticated(1)).await;
    // Often enough for Postgres to keep a plan.
    for round in 0..12 {
        let row = format!("insert into t values ({round}, '{}')", user(1));
        world.run(&row).await;
        let all = seen(&world, &mut [&mut owner]).await;
        assert_eq!(all[0].len(), 1, "{round}");
    }
    let mut other = watch(&world, &authenticated(2)).await;
    for round in 12..24 {
        let row = format!("insert into t values ({round}, '{}')", user(1));
        world.run(&row).await;
        let all = seen(&world, &mut [&mut owner, &mut other]).await;
        assert_eq!((all[0].len(), all[1].len()), (1, 0), "{round}");
    }
}

#[tokio::test]
async fn an_image_is_judged_not_the_row_as_it_is_later() {
    let world = World::new(&format!(
        "{OWNED}{OPEN} alter table t replica identity full;"
    ))
    .await;
    let mut first = watch(&world, &authenticated(1)).await;
    let mut second = watch(&world, &authenticated(2)).await;
    for id in 1..40 {
        world
            .run(&format!(
                "insert into t values ({id}, '{}', 'secret of 1'); commit; update t set owner = '{}', v = 'for 2' where id = {id}; \
                 commit; delete from t where id = {id}",
                user(1),
                user(2)
            ))
            .await;
    }
    let all = seen(&world, &mut [&mut first, &mut second]).await;
    assert_eq!(
        all[0].iter().filter(|change| change[0] == "INSERT").count(),
        39
    );
    assert_eq!(
        all[0].iter().filter(|change| change[0] == "UPDATE").count(),
        0
    );
    assert_eq!(
        all[1].iter().filter(|change| change[0] == "INSERT").count(),
        0
    );
    assert_eq!(
        all[1].iter().filter(|change| change[0] == "UPDATE").count(),
        39
    );
    assert!(!json!(all[1]).to_string().contains("secret of 1"));
}

#[tokio::test]
async fn old_values_are_told_only_to_whom_the_old_row_was_visible() {
    let setup = format!("{OWNED}{OPEN} alter table t replica identity full;");
    let world = World::new(&setup).await;
    let mut first = world.join(&authenticated(1), table("t")).await;
    let mut second = world.join(&authenticated(2), table("t")).await;
    world
        .run(&format!(
            "insert into t values (1, '{}', 'a'); update t set v = 'b'",
            user(1)
        ))
        .await;
    first.change().await;
    assert_eq!(
        first.change().await["old_record"],
        json!({"id": 1, "owner": user(1), "v": "a"})
    );
    world
        .run(&format!("update t set owner = '{}'", user(2)))
        .await;
    let handed = second.change().await;
    assert_eq!(handed["record"]["v"], "b");
    assert_eq!(handed["old_record"], json!({"id": 1}));
}

#[tokio::test]
async fn authorised_deletes_reach_only_those_who_saw_the_row() {
    let settings = Settings {
        deletes_authorised: true,
        ..Settings::default()
    };
    let setup = format!("{OWNED}{OPEN} alter table t replica identity full;");
    let world = World::with(&setup, settings, true).await;
    let mut owner = watch(&world, &authenticated(1)).await;
    let mut other = watch(&world, &authenticated(2)).await;
    let mut anon = watch(&world, &claims("anon", "")).await;
    world
        .run(&format!(
            "insert into t values (1, '{}', 'x'); delete from t",
            user(1)
        ))
        .await;
    // With the key alone nothing can be proven.
    world
        .run(&format!(
            "alter table t replica identity default; insert into t values (2, '{}', 'x'); delete from t",
            user(1)
        ))
        .await;
    let all = seen(&world, &mut [&mut owner, &mut other, &mut anon]).await;
    let row = |id: i32| json!(["INSERT", {"id": id, "owner": user(1), "v": "x"}]);
    assert_eq!(all[0], [row(1), json!(["DELETE", {"id": 1}]), row(2)]);
    assert!(all[1].is_empty() && all[2].is_empty(), "{all:?}");
}

#[tokio::test]
async fn policies_of_every_kind_hide_and_show_as_select_does() {
    let world = World::new(&format!(
        "create table public.t (id int primary key, room int, v text);
         create table public.members (room int, uid uuid);
         create schema private; create table private.secret (id int);
         alter table t enable row level security; alter table members enable row level security;
         create policy self on members for select using (uid = auth.uid());
         create policy room on t for select using (exists (select from members m where m.room = t.room));
         create policy open on t for select to anon using (room = 7);
         create policy careful on t as restrictive for select using (v is distinct from 'hidden');
         create policy zzz_broken on t for select to authenticated using (
            case when auth.jwt() ->> 'sub' = '{}' then 1 / (room - room) = 1 else false end);
         insert into members values (1, '{}'), (1, '{}'), (2, '{}');{OPEN}
         grant select on members to anon;",
        user(9),
        user(1),
        user(9),
        user(2),
    ))
    .await;
    let mut one = watch(&world, &authenticated(1)).await;
    let mut two = watch(&world, &authenticated(2)).await;
    let mut broken = watch(&world, &authenticated(9)).await;
    let mut anon = watch(&world, &claims("anon", "")).await;
    world
        .run("insert into t values (1, 1, 'a'), (2, 2, 'b'), (3, 7, 'c'), (4, 1, 'hidden'), (5, null, 'd')")
        .await;
    let ids = |changes: &Vec<Value>| -> Vec<i64> {
        changes
            .iter()
            .map(|change| change[1]["id"].as_i64().unwrap())
            .collect()
    };
    let all = seen(&world, &mut [&mut one, &mut two, &mut broken, &mut anon]).await;
    assert_eq!(ids(&all[0]), [1]);
    assert_eq!(ids(&all[1]), [2]);
    assert!(all[2].is_empty(), "an error hides: {all:?}");
    assert_eq!(ids(&all[3]), [3]);
    // Membership is read when the change is processed.
    world
        .run(&format!(
            "insert into members values (2, '{}'); insert into t values (6, 2, 'e')",
            user(1)
        ))
        .await;
    let all = seen(&world, &mut [&mut one, &mut two]).await;
    assert_eq!((ids(&all[0]), ids(&all[1])), (vec![6], vec![6]));
}

#[tokio::test]
async fn a_policy_that_needs_the_stored_row_is_asked_by_key() {
    let world = World::new(&format!(
        "create table public.t (id int primary key, owner uuid, v text);
         create function public.mine(r t) returns bool language sql stable security definer as 'select r.owner = auth.uid()';
         alter table t enable row level security;
         create policy own on t for select using (mine(t.*));{OPEN}"
    ))
    .await;
    let mut owner = watch(&world, &authenticated(1)).await;
    let mut other = watch(&world, &authenticated(2)).await;
    world
        .run(&format!("insert into t values (1, '{}', 'x')", user(1)))
        .await;
    let all = seen(&world, &mut [&mut owner, &mut other]).await;
    assert_eq!(all[0].len(), 1);
    assert!(all[1].is_empty());
    // Changed hands before it could be asked about: neither may see the first image.
    world
        .run(&format!(
            "begin; insert into t values (2, '{}', 'for 1'); commit; begin; update t set owner = '{}' where id = 2; commit",
            user(1),
            user(2)
        ))
        .await;
    let all = seen(&world, &mut [&mut owner, &mut other]).await;
    assert!(!json!(all[1]).to_string().contains("INSERT"), "{all:?}");
}

#[tokio::test]
async fn a_policy_whose_functions_the_role_cannot_name_still_works() {
    let world = World::new(&format!(
        "create schema private;
         create table private.owners (id int, uid uuid);
         create function private.owns(int) returns bool language sql stable security definer set search_path = ''
            as 'select exists (select from private.owners o where o.id = $1 and o.uid = auth.uid())';
         create table public.t (id int primary key, v text);
         alter table t enable row level security;
         create policy own on t for select using (private.owns(id));
         insert into private.owners values (1, '{}');{OPEN}",
        user(1)
    ))
    .await;
    let mut owner = watch(&world, &authenticated(1)).await;
    let mut other = watch(&world, &authenticated(2)).await;
    world.run("insert into t values (1, 'x'), (2, 'y')").await;
    let all = seen(&world, &mut [&mut owner, &mut other]).await;
    assert_eq!(all[0], [json!(["INSERT", {"id": 1, "v": "x"}])]);
    assert!(all[1].is_empty());
}

#[tokio::test]
async fn grants_and_policies_apply_to_the_next_change() {
    for announced in [true, false] {
        let world = World::with(&format!("{OWNED}{OPEN}"), Settings::default(), announced).await;
        let mut a = watch(&world, &authenticated(1)).await;
        let row = |id: usize| format!("insert into t values ({id}, '{}', 'x')", user(2));
        let whole = |id: usize| vec![json!(["INSERT", {"id": id, "owner": user(2), "v": "x"}])];
        let steps = [
            ("select 1", vec![]),
            (
                "create policy all_of_it on t for select using (true)",
                whole(2),
            ),
            (
                "revoke select on t from authenticated; grant select (id, owner) on t to authenticated",
                vec![json!(["INSERT", {"id": 3, "owner": user(2)}])],
            ),
            (
                "revoke all on t from authenticated",
                vec![json!(["INSERT", {}])],
            ),
            (
                "grant select on t to authenticated; drop policy all_of_it on t",
                vec![],
            ),
            ("alter role authenticated bypassrls", whole(6)),
            ("alter role authenticated nobypassrls", vec![]),
            (
                "alter role authenticated inherit; create role team; grant team to authenticated; create policy team on t for select to team using (true)",
                whole(8),
            ),
            ("revoke team from authenticated", vec![]),
            ("alter table t disable row level security", whole(10)),
        ];
        for (id, (step, expected)) in (1..).zip(steps) {
            world.run(step).await;
            world.run(&row(id)).await;
            let all = seen(&world, &mut [&mut a]).await;
            assert_eq!(all[0], expected, "{step}, announced: {announced}");
        }
    }
}

#[tokio::test]
async fn a_role_without_usage_of_the_schema_sees_nothing_under_policies() {
    let world = World::new(&format!(
        "create schema s; create table s.t (id int primary key);
         grant select on s.t to anon, authenticated; grant usage on schema s to authenticated;
         alter table s.t enable row level security; create policy p on s.t using (true);{OPEN}"
    ))
    .await;
    let entries = [
        json!({"event": "*", "schema": "s", "table": "t"}),
        table("mark"),
    ];
    let mut anon = world.join_all(&claims("anon", ""), &entries).await.unwrap();
    anon.skip_warnings = true;
    let mut some = world.join_all(&authenticated(1), &entries).await.unwrap();
    world.run("insert into s.t values (1)").await;
    let all = seen(&world, &mut [&mut anon, &mut some]).await;
    assert!(all[0].is_empty());
    assert_eq!(all[1].len(), 1);
}

#[tokio::test]
async fn partitions_are_protected_by_the_policies_of_their_root() {
    let world = World::new(&format!(
        "create table public.root (id int, region text, owner uuid, primary key (id, region)) partition by list (region);
         create table public.leaf (owner uuid, region text not null, junk int, id int not null);
         alter table leaf drop column junk;
         alter table root attach partition leaf for values in ('eu');
         alter table root enable row level security;
         create policy own on root for select using (auth.uid() = owner);{OPEN}"
    ))
    .await;
    let leaf = [table("leaf"), table("mark")];
    let root = [table("root"), table("mark")];
    let mut owner_leaf = world.join_all(&authenticated(1), &leaf).await.unwrap();
    let mut other_leaf = world.join_all(&authenticated(2), &leaf).await.unwrap();
    let mut owner_root = world.join_all(&authenticated(1), &root).await.unwrap();
    let mut other_root = world.join_all(&authenticated(2), &root).await.unwrap();
    world
        .run(&format!("insert into root values (1, 'eu', '{}')", user(1)))
        .await;
    let row = json!({"id": 1, "region": "eu", "owner": user(1)});
    let data = owner_leaf.change().await;
    assert_eq!((&data["table"], &data["record"]), (&json!("leaf"), &row));
    let data = owner_root.change().await;
    assert_eq!((&data["table"], &data["record"]), (&json!("root"), &row));
    let all = seen(
        &world,
        &mut [
            &mut owner_leaf,
            &mut other_leaf,
            &mut owner_root,
            &mut other_root,
        ],
    )
    .await;
    assert!(all.iter().all(Vec::is_empty), "{all:?}");
}

#[tokio::test]
async fn a_subscription_that_can_never_deliver_says_why() {
    let world = World::new(&format!(
        "{OWNED} create table public.closed (id int primary key); revoke all on closed from anon;"
    ))
    .await;
    let mut anon = world.join(&claims("anon", ""), table("t")).await;
    let warning = anon.frame().await;
    assert_eq!(warning[4]["status"], "error");
    assert!(
        warning[4]["message"]
            .as_str()
            .unwrap()
            .contains("no policy for SELECT"),
        "{warning}"
    );
    let mut closed = world.join(&claims("anon", ""), table("closed")).await;
    let warning = closed.frame().await;
    assert!(
        warning[4]["message"]
            .as_str()
            .unwrap()
            .contains("grant select"),
        "{warning}"
    );
    world.run("insert into closed values (1)").await;
    let data = closed.change().await;
    assert_eq!(data["errors"], json!(["Error 401: Unauthorized"]));
    assert_eq!(data["record"], json!({}));
}

#[tokio::test]
async fn a_slow_policy_delays_the_others_by_the_statement_timeout_at_most() {
    let settings = Settings {
        statement_timeout: std::time::Duration::from_millis(800),
        ..Settings::default()
    };
    let setup = format!(
        "create table public.t (id int primary key);
         alter table t enable row level security;
         create policy slow on t for select using (
            case when auth.uid() = '{}' then pg_sleep(30) is not null else true end);{OPEN}",
        user(1)
    );
    let world = World::with(&setup, settings, true).await;
    let mut slow = watch(&world, &authenticated(1)).await;
    let mut quick = watch(&world, &authenticated(2)).await;
    let started = std::time::Instant::now();
    world.run("insert into t values (1)").await;
    assert_eq!(quick.change().await["record"], json!({"id": 1}));
    assert!(
        started.elapsed() < std::time::Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let all = seen(&world, &mut [&mut slow]).await;
    assert!(all[0].is_empty());
}

/// With twelve of them, one after the other and each time anew, the others would run out of time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_slow_audiences_cost_the_others_no_row() {
    let settings = Settings {
        statement_timeout: std::time::Duration::from_millis(1000),
        ..Settings::default()
    };
    let setup = format!(
        "create table public.t (id int primary key);
         alter table t enable row level security;
         create policy slow on t for select using (
            case when auth.uid() = '{}' then true else pg_sleep(30) is not null end);{OPEN}",
        user(99)
    );
    let world = World::with(&setup, settings, true).await;
    let mut slow = Vec::new();
    for number in 0..12 {
        slow.push(watch(&world, &authenticated(number)).await);
    }
    let mut quick = watch(&world, &authenticated(99)).await;
    for id in 1..=4 {
        world.run(&format!("insert into t values ({id})")).await;
        assert_eq!(quick.change().await["record"], json!({"id": id}));
    }
    let mut slow: Vec<&mut _> = slow.iter_mut().collect();
    assert!(seen(&world, &mut slow).await.iter().all(Vec::is_empty));
}
