//! What arrives of a change, without row level security.

use serde_json::{Value, json};

use super::changes_support::{World, claims, entries, table};
use dovetail::changes::Settings;

#[tokio::test]
async fn insert_update_and_delete_arrive_in_order_with_the_original_shape() {
    let world = World::new("create table public.t (id int primary key, v text)").await;
    let mut a = world.join(&claims("anon", ""), table("t")).await;
    world
        .run("insert into t values (1, 'x'); update t set v = 'y'; delete from t")
        .await;
    let insert = a.change().await;
    assert_eq!(insert["record"], json!({"id": 1, "v": "x"}));
    assert_eq!(insert["type"], "INSERT");
    assert_eq!(insert["errors"], json!(null));
    assert!(insert.get("old_record").is_none());
    let update = a.change().await;
    assert_eq!(update["record"], json!({"id": 1, "v": "y"}));
    assert_eq!(update["old_record"], json!({"id": 1}));
    assert_eq!(update["commit_timestamp"], insert["commit_timestamp"]);
    let delete = a.change().await;
    assert_eq!(delete["old_record"], json!({"id": 1}));
    assert!(delete.get("record").is_none());
    assert_eq!(
        delete["columns"],
        json!([{"name": "id", "type": "int4"}, {"name": "v", "type": "text"}])
    );
}

#[tokio::test]
async fn one_frame_per_selection_with_the_ids_of_all_entries_that_match() {
    let world = World::new("create table public.t (id int primary key, n int, v text)").await;
    let filtered = |filter: &str| json!({"event": "INSERT", "schema": "public", "table": "t", "filter": filter});
    let mut a = world
        .join_all(
            &claims("anon", ""),
            &[
                table("t"),
                filtered("n=gt.5"),
                filtered("n=eq.10,v=like.x%"),
                filtered("v=like.y%"),
                filtered("n=in.(10,11)"),
                json!({"event": "*", "schema": "public", "table": "t", "select": ["v"]}),
                json!({"event": "UPDATE", "schema": "public", "table": "t"}),
            ],
        )
        .await
        .unwrap();
    let ids = |frame: &Value| {
        let mut ids: Vec<i64> = frame[4]["ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_i64().unwrap())
            .collect();
        ids.sort_unstable();
        ids
    };
    world.run("insert into t values (1, 10, 'xx')").await;
    let (first, second) = (a.frame().await, a.frame().await);
    assert_eq!(ids(&first), [1, 2, 3, 5]);
    assert_eq!(ids(&second), [6]);
    assert_eq!(second[4]["data"]["record"], json!({"id": 1, "v": "xx"}));
    assert_eq!(
        second[4]["data"]["columns"],
        json!([{"name": "id", "type": "int4"}, {"name": "v", "type": "text"}])
    );
    world.run("insert into t values (2, 1, 'yy')").await;
    assert_eq!(ids(&a.frame().await), [1, 4]);
    a.frame().await;
    world.run("update t set n = 7 where id = 2").await;
    assert_eq!(ids(&a.frame().await), [1, 7]);
}

#[tokio::test]
async fn identities_decide_what_old_rows_hold() {
    let world = World::new(
        "create table public.full_ (id int primary key, a text); alter table full_ replica identity full;
         create table public.idx (id int not null, code text not null, v text);
         create unique index idx_code on idx (code); alter table idx replica identity using index idx_code;
         create table public.nopk (a int, b text); alter table nopk replica identity full;
         create table public.two (a int, b text, v text, primary key (b, a));",
    )
    .await;
    let anon = claims("anon", "");
    let mut full = world.join(&anon, table("full_")).await;
    let mut index = world.join(&anon, table("idx")).await;
    let mut nopk = world.join(&anon, table("nopk")).await;
    let mut two = world.join(&anon, table("two")).await;
    for (table, set) in [
        ("full_", "a = 'y'"),
        ("idx", "code = 'd'"),
        ("nopk", "b = 'y'"),
        ("two", "a = 2"),
    ] {
        let row = if table == "idx" || table == "two" {
            "(1, 'c', 'x')"
        } else {
            "(1, 'x')"
        };
        world
            .run(&format!(
                "insert into {table} values {row}; update {table} set {set}; delete from {table}"
            ))
            .await;
    }
    full.change().await;
    assert_eq!(
        full.change().await["old_record"],
        json!({"id": 1, "a": "x"})
    );
    assert_eq!(
        full.change().await["old_record"],
        json!({"id": 1, "a": "y"})
    );
    for channel in [&mut index, &mut nopk] {
        let insert = channel.change().await;
        assert_eq!(
            insert["errors"],
            json!(["Error 400: Bad Request, no primary key"])
        );
        assert_eq!(insert["commit_timestamp"], json!(null));
        assert_eq!(channel.change().await["old_record"], json!({}));
    }
    assert_eq!(index.change().await["old_record"], json!({"code": "d"}));
    assert_eq!(nopk.change().await["old_record"], json!({"a": 1, "b": "y"}));
    two.change().await;
    let moved = two.change().await;
    assert_eq!(moved["old_record"], json!({"a": 1, "b": "c"}));
    assert_eq!(moved["record"], json!({"a": 2, "b": "c", "v": "x"}));
}

#[tokio::test]
async fn what_the_stream_leaves_out_is_computed_or_fetched() {
    let world = World::new(
        "create table public.t (id int primary key, a int, twice int generated always as (a * 2) stored, big text);
         alter table t alter column big set storage external;
         create type pair as (x int, y text);
         create table public.odd (id int primary key, p pair, h text[]);",
    )
    .await;
    let mut a = world.join(&claims("anon", ""), table("t")).await;
    world
        .run("insert into t values (1, 21, default, repeat('x', 5000))")
        .await;
    assert_eq!(a.change().await["record"]["twice"], 42);
    world.run("update t set a = 22").await;
    let update = a.change().await;
    assert_eq!(update["record"]["twice"], 44);
    assert_eq!(update["record"]["big"].as_str().unwrap().len(), 5000);
    // Too large to be sent at all: left out as the original does, and the row is not cut for it.
    world.run("update t set big = repeat('y', 1200000)").await;
    assert_eq!(
        a.change().await["errors"],
        json!(["Error 413: Payload Too Large"])
    );
    world.run("update t set a = 23").await;
    let update = a.change().await;
    assert_eq!(update["errors"], json!(null));
    assert!(update["record"].get("big").is_none());
    assert_eq!(update["record"]["twice"], 46);
    let mut odd = world.join(&claims("anon", ""), table("odd")).await;
    world
        .run("insert into odd values (1, '(1,\"a b\")', '{x,\"y z\",null}')")
        .await;
    let record = &odd.change().await["record"];
    assert_eq!(
        record,
        &json!({"id": 1, "p": {"x": 1, "y": "a b"}, "h": ["x", "y z", null]})
    );
}

#[tokio::test]
async fn odd_names_work_everywhere() {
    let world = World::new(
        "create schema \"Odd \"\"S\"; grant usage on schema \"Odd \"\"S\" to anon, authenticated;
         create table \"Odd \"\"S\".\"T, 'x\\\" (\"I d\" int primary key, \"who's \"\"it\" uuid, \"position of the row\" text,
            \"Twice\" int generated always as (\"I d\" * 2) stored);
         grant select on \"Odd \"\"S\".\"T, 'x\\\" to anon, authenticated;
         alter table \"Odd \"\"S\".\"T, 'x\\\" enable row level security;
         create policy \"p'\" on \"Odd \"\"S\".\"T, 'x\\\" using (\"who's \"\"it\" = auth.uid() and \"Twice\" > 0);",
    )
    .await;
    let user = super::changes_support::user(1);
    let entry =
        json!({"event": "*", "schema": "Odd \"S", "table": "T, 'x\\", "filter": "I d=gt.0"});
    let mut a = world.join(&claims("authenticated", &user), entry).await;
    world
        .run(&format!(
            "insert into \"Odd \"\"S\".\"T, 'x\\\" values (-1, '{user}', 'q'), (1, '{user}', 'it''s \\ \"q\"')"
        ))
        .await;
    let data = a.change().await;
    assert_eq!(
        data["record"],
        json!({"I d": 1, "who's \"it": user, "position of the row": "it's \\ \"q\"", "Twice": 2})
    );
}

#[tokio::test]
async fn tables_come_and_go_under_a_wide_subscription() {
    for announced in [false, true] {
        let world = World::with(
            "create table public.t (id int primary key)",
            Settings::default(),
            announced,
        )
        .await;
        let mut a = world
            .join(
                &claims("anon", ""),
                json!({"event": "INSERT", "schema": "public"}),
            )
            .await;
        world.run("insert into t values (1)").await;
        assert_eq!(a.change().await["table"], "t");
        world
            .run("create table late (id int primary key); insert into late values (1)")
            .await;
        assert_eq!(a.change().await["table"], "late");
        world
            .run("alter table t add column v text default 'd'; insert into t values (3)")
            .await;
        assert_eq!(a.change().await["record"], json!({"id": 3, "v": "d"}));
        world.run("alter table t rename column v to w; alter table t rename to t2; insert into t2 values (4, 'x')").await;
        let data = a.change().await;
        assert_eq!(
            (&data["table"], &data["record"]),
            (&json!("t2"), &json!({"id": 4, "w": "x"}))
        );
        world.run("alter table t2 drop column w; insert into t2 values (5); drop table late; insert into t2 values (6)").await;
        assert_eq!(a.change().await["record"], json!({"id": 5}));
        assert_eq!(a.change().await["record"], json!({"id": 6}));
    }
}

#[tokio::test]
async fn a_huge_transaction_arrives_complete_and_in_order() {
    let world = World::new("create table public.t (id int primary key, v text)").await;
    let mut a = world.join(&claims("anon", ""), table("t")).await;
    let mut even = world
        .join(
            &claims("anon", ""),
            json!({"event": "*", "schema": "public", "table": "t", "filter": "id=eq.99999"}),
        )
        .await;
    world
        .run("insert into t select n, 'row ' || n from generate_series(1, 100000) n")
        .await;
    for id in 1..=100_000 {
        assert_eq!(a.change().await["record"]["id"], id);
    }
    assert_eq!(even.change().await["record"]["id"], 99_999);
}

#[tokio::test]
async fn leaving_ends_and_a_new_token_continues() {
    let world = World::new("create table public.t (id int primary key)").await;
    let mut a = world.join(&claims("anon", ""), table("t")).await;
    let mut b = world.join(&claims("anon", ""), table("t")).await;
    world.run("insert into t values (1)").await;
    a.change().await;
    b.change().await;
    let old = a.subscription.take();
    let prepared = world
        .changes
        .prepare(entries(&[table("t")]), claims("authenticated", ""))
        .await
        .unwrap();
    a.subscription = Some(world.changes.attach(prepared, a.member.clone(), old, || {}));
    b.subscription = None;
    world.run("insert into t values (2)").await;
    assert_eq!(a.change().await["record"]["id"], 2);
    world.run("insert into t values (3)").await;
    assert_eq!(a.change().await["record"]["id"], 3);
    assert_eq!(b.outbox.queued_bytes(), 0);
}

#[tokio::test]
async fn what_cannot_be_subscribed_is_refused_with_the_original_text() {
    let world = World::new(
        "create table public.errs (id int primary key, n int, name text, secret text);
         revoke all on errs from anon; grant select (id, n, name) on errs to anon;",
    )
    .await;
    let anon = claims("anon", "");
    let head = "Unable to subscribe to changes with given parameters. An exception happened so please check your connect \
                parameters: [event: *, schema: public, table: errs, filters: ";
    for (filter, tail) in [
        (
            "nope=eq.1",
            "[{\"nope\", \"eq\", \"1\", false}], select: nil]. Exception: ERROR P0001 (raise_exception) invalid column for filter nope",
        ),
        (
            "secret=eq.1",
            "[{\"secret\", \"eq\", \"1\", false}], select: nil]. Exception: ERROR P0001 (raise_exception) invalid column for filter secret",
        ),
        (
            "n=eq.abc",
            "[{\"n\", \"eq\", \"abc\", false}], select: nil]. Exception: ERROR 22P02 (invalid_text_representation) invalid input syntax for type integer: \"abc\"",
        ),
        (
            "n=like.5%",
            "[{\"n\", \"like\", \"5%\", false}], select: nil]. Exception: ERROR P0001 (raise_exception) operator like requires a text-compatible column type, got integer",
        ),
        (
            "name=match.(",
            "[{\"name\", \"match\", \"(\", false}], select: nil]. Exception: ERROR P0001 (raise_exception) invalid regular expression for match filter: invalid regular expression: parentheses () not balanced",
        ),
    ] {
        let entry = json!({"event": "*", "schema": "public", "table": "errs", "filter": filter});
        assert_eq!(world.refusal(&anon, entry).await, format!("{head}{tail}"));
    }
    let message = world
        .refusal(
            &anon,
            json!({"event": "INSERT", "schema": "public", "table": "none"}),
        )
        .await;
    assert_eq!(
        message,
        "Unable to subscribe to changes with given parameters. Please check Realtime is enabled for the given connect \
         parameters: [event: INSERT, schema: public, table: none, filters: [], select: nil]"
    );
    let message = world.refusal(&claims("stranger", ""), table("errs")).await;
    assert!(
        message.ends_with("ERROR 42704 (undefined_object) role \"stranger\" does not exist"),
        "{message}"
    );
    let message = world
        .refusal(
            &anon,
            json!({"schema": "public", "table": "errs", "select": ["secret"]}),
        )
        .await;
    assert!(
        message.ends_with("invalid column for select secret"),
        "{message}"
    );
}

#[tokio::test]
async fn a_join_may_be_ahead_of_the_notice_that_its_table_exists() {
    // Nothing at all tells the server of the table.
    let world = World::with("", Settings::default(), false).await;
    let anon = claims("anon", "");
    world.refusal(&anon, table("later")).await;
    world
        .run("create table later (id int primary key, v int generated always as (id + 1) stored)")
        .await;
    let mut a = world.join(&anon, table("later")).await;
    world.run("insert into later values (1)").await;
    assert_eq!(a.change().await["record"], json!({"id": 1, "v": 2}));
}

#[tokio::test]
async fn a_locked_table_makes_only_its_own_rows_wait() {
    let world = World::new(
        "create table public.t (id int primary key);
         create table public.l (id int primary key, v int generated always as (id * 2) stored);
         alter table l enable row level security;
         create policy few on l using (id < 100 and auth.uid() is null);",
    )
    .await;
    let anon = claims("anon", "");
    let mut t = world.join(&anon, table("t")).await;
    let mut l = world.join(&anon, table("l")).await;
    world
        .run("insert into l values (1); insert into t values (1)")
        .await;
    assert_eq!(l.change().await["record"], json!({"id": 1, "v": 2}));
    assert_eq!(t.change().await["record"]["id"], 1);
    let other = world.session().await;
    other
        .batch_execute("begin; lock table l in access exclusive mode")
        .await
        .unwrap();
    // What is known of the catalog is outdated while it cannot be read in full.
    world
        .run("create table elsewhere (id int primary key); insert into t values (2)")
        .await;
    assert_eq!(t.change().await["record"]["id"], 2);
    let mut late = world.join(&anon, table("l")).await;
    other
        .batch_execute("insert into l values (2), (200); commit")
        .await
        .unwrap();
    world.run("insert into l values (3)").await;
    for channel in [&mut l, &mut late] {
        assert_eq!(channel.change().await["record"], json!({"id": 2, "v": 4}));
        assert_eq!(channel.change().await["record"], json!({"id": 3, "v": 6}));
    }
}

#[tokio::test]
async fn a_truncate_does_not_outdate_what_is_known_of_other_tables() {
    let world = World::new("create table public.t (id int primary key)").await;
    let mut t = world.join(&claims("anon", ""), table("t")).await;
    world.run("insert into t values (1)").await;
    assert_eq!(t.change().await["record"]["id"], 1);
    // Whoever reads the whole catalog waits for this lock.
    let other = world.session().await;
    other
        .batch_execute("begin; lock table pg_catalog.pg_publication in access exclusive mode")
        .await
        .unwrap();
    world.run("truncate t; insert into t values (2)").await;
    assert_eq!(t.change().await["record"]["id"], 2);
    other.batch_execute("commit").await.unwrap();
}

#[tokio::test]
async fn a_lost_stream_is_announced_and_goes_on() {
    let world = World::new(
        "create table public.t (id int primary key, owner uuid); alter table t enable row level security;
         create policy own on t using (auth.uid() = owner);",
    )
    .await;
    let user = super::changes_support::user(1);
    let mut a = world
        .join(&claims("authenticated", &user), table("t"))
        .await;
    world
        .run(&format!("insert into t values (1, '{user}')"))
        .await;
    a.change().await;
    // Everything of ours, the connections for questions too.
    world
        .run("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'realtime%' and pid <> pg_backend_pid()")
        .await;
    let gap = a.frame().await;
    assert_eq!(
        (&gap[3], &gap[4]["status"]),
        (&json!("system"), &json!("error"))
    );
    assert!(
        gap[4]["message"]
            .as_str()
            .unwrap()
            .starts_with("Changes may have been missed"),
        "{gap}"
    );
    let back = a.frame().await;
    assert_eq!(
        (&back[4]["status"], &back[4]["message"]),
        (&json!("ok"), &json!("Subscribed to PostgreSQL"))
    );
    world
        .run(&format!("insert into t values (2, '{user}')"))
        .await;
    assert_eq!(a.change().await["record"]["id"], 2);
}
