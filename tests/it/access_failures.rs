//! Whatever goes wrong denies, says what it was, and does not stay (`postgres.md` 5.5).

use std::time::Duration;

use dovetail::access::{Access, Failure, Settings};
use dovetail::postgres::ConnectOptions;
use serde_json::json;

use crate::access_support::{
    ALICE, BOB, BOTH, BROADCAST, NEITHER, World, anon, options, settings, subject, user,
};
use crate::support::cluster::{Cluster, Stop};
use crate::support::eventually;

fn policy_code(failure: &Failure) -> &str {
    match failure {
        Failure::Policy { code, .. } => code,
        other => panic!("not of a policy: {other:?}"),
    }
}

#[tokio::test]
async fn g237_a_policy_that_raises_denies_its_own_topic_and_says_why() {
    let world = World::new(
        "create function public.boom() returns boolean language plpgsql as $$
           begin raise exception 'boom' using errcode = 'P0777'; end $$;
         create function public.gone() returns boolean language plpgsql as $$
           begin return exists (select from public.no_such_table); end $$;
         create function public.breaks(extension text) returns boolean language sql as $$
           select case realtime.topic()
             when 'raise' then public.boom()
             when 'zero' then 1 / (length(extension) - length(extension)) = 1
             when 'table' then public.gone()
             when 'cast' then realtime.topic()::int = 1
             else extension = 'broadcast' end $$;
         create policy r on realtime.messages for select to authenticated using (public.breaks(extension));
         create policy w on realtime.messages for insert to authenticated with check (public.breaks(extension))",
    )
    .await;
    for (topic, code) in [
        ("raise", "P0777"),
        ("zero", "22012"),
        ("table", "42P01"),
        ("cast", "22P02"),
    ] {
        // Together with an innocent, before and behind.
        let (before, read, write, behind) = tokio::join!(
            world.reads(BOB, "room:1"),
            world.reads(ALICE, topic),
            world.writes(ALICE, topic),
            world.writes(BOB, "room:1"),
        );
        for failure in [read.unwrap_err(), write.unwrap_err()] {
            assert_eq!(policy_code(&failure), code);
            assert!(failure.denies());
            assert_eq!(failure.code(), "RlsPolicyError");
            assert_eq!(
                failure.join_reason(topic),
                format!(
                    "Unauthorized: You do not have permissions to read from this Channel topic: {topic}"
                )
            );
        }
        assert_eq!(before, Ok(BROADCAST));
        assert_eq!(behind, Ok(BROADCAST));
        world.access.forget();
    }
}

#[tokio::test]
async fn g233_an_error_of_one_extension_is_no_denial_of_writing_but_a_failure() {
    let world = World::new(
        "create policy w on realtime.messages for insert to authenticated with check (
           extension = 'presence' or 1 / (length(topic) - length(topic)) = 1)",
    )
    .await;
    let failure = world.writes(ALICE, "room").await.unwrap_err();
    assert_eq!(policy_code(&failure), "22012");
}

#[tokio::test]
async fn a_role_that_does_not_exist_or_cannot_be_assumed_is_denied() {
    let world = World::new(
        "create policy open_to_all on realtime.messages using (true) with check (true);
         drop role if exists access_worker; create role access_worker login password 'w';
         grant anon to access_worker; grant all on realtime.messages to access_worker; grant usage on schema realtime to access_worker",
    )
    .await;
    let ghost = subject(json!({"role": "no_such_role"}), "room");
    let failure = world.access.read(&ghost, true).await.unwrap_err();
    assert_eq!(policy_code(&failure), "22023");
    let failure = world.access.write(&ghost).await.unwrap_err();
    assert_eq!(policy_code(&failure), "22023");
    // A role with a name that means something else to SET ROLE.
    let default = subject(json!({"role": "default"}), "room");
    assert!(
        world
            .access
            .read(&default, true)
            .await
            .unwrap_err()
            .denies()
    );

    // A login that may become anon and nobody else.
    let login = ConnectOptions {
        user: "access_worker".into(),
        password: Some("w".into()),
        ..options(&world.database)
    };
    let access = Access::start(login, settings());
    assert_eq!(access.read(&anon("room"), true).await, Ok(BOTH));
    for result in [
        access.read(&user(ALICE, "room"), true).await,
        access.write(&user(ALICE, "room")).await,
    ] {
        assert_eq!(policy_code(&result.unwrap_err()), "42501");
    }
}

#[tokio::test]
async fn a_login_whose_probes_are_refused_allows_nothing() {
    // It owns nothing and bypasses nothing, so row level security stops its probe.
    let world = World::new(
        "create policy r on realtime.messages for select to anon using (true);
         drop role if exists access_guest; create role access_guest login password 'w';
         grant anon to access_guest; grant all on realtime.messages to access_guest; grant usage on schema realtime to access_guest",
    )
    .await;
    let login = ConnectOptions {
        user: "access_guest".into(),
        password: Some("w".into()),
        ..options(&world.database)
    };
    let access = Access::start(login, settings());
    let failure = access.read(&anon("room"), true).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Other(text) if text.contains("row-level security")),
        "{failure:?}"
    );
}

#[tokio::test]
async fn g238_a_missing_partition_is_told_apart_and_over_when_it_is_there() {
    let world = World::new(
        "create policy open_to_all on realtime.messages using (true) with check (true);
         do $$ begin execute 'drop table realtime.messages_' || to_char(now() at time zone 'utc', 'YYYY_MM_DD'); end $$",
    )
    .await;
    assert_eq!(
        world.reads(ALICE, "room").await,
        Err(Failure::MissingPartition)
    );
    assert_eq!(
        world.writes(ALICE, "room").await,
        Err(Failure::MissingPartition)
    );
    dovetail::postgres::partitions::maintain(&world.sql, false)
        .await
        .unwrap();
    assert_eq!(world.reads(ALICE, "room").await, Ok(BOTH));
    // A constraint of somebody's own has the same SQLSTATE and is something else.
    world
        .change("alter table realtime.messages add constraint mine check (topic <> 'room')")
        .await;
    let failure = world.reads(ALICE, "room").await.unwrap_err();
    assert!(matches!(failure, Failure::Other(_)), "{failure:?}");
    assert_eq!(world.reads(ALICE, "hall").await, Ok(BOTH));
}

#[tokio::test]
async fn a_cancelled_question_is_told_apart() {
    let settings = Settings {
        statement_timeout: Duration::from_millis(500),
        ..settings()
    };
    let world = World::with(
        Cluster::shared().await,
        settings,
        "create policy r on realtime.messages for select to authenticated using (pg_sleep(30) is not null)",
    )
    .await;
    let failure = world.reads(ALICE, "room").await.unwrap_err();
    assert!(matches!(failure, Failure::Canceled(_)), "{failure:?}");
    assert!(!failure.denies());
    let reason = failure.join_reason("room");
    assert!(reason.starts_with("QueryCanceled: "), "{reason}");
}

#[tokio::test]
async fn a_restart_of_postgres_between_and_during_questions_costs_no_answer_for_long() {
    let mut cluster = Cluster::start().await;
    let world = World::with(
        &cluster,
        settings(),
        "create policy r on realtime.messages for select to authenticated using (auth.uid() = '00000000-0000-0000-0000-00000000000a')",
    )
    .await;
    assert_eq!(world.reads(ALICE, "room").await, Ok(BOTH));
    for how in [Stop::Fast, Stop::Immediate] {
        cluster.stop(how).await;
        world.access.forget();
        let failure = world.reads(ALICE, "room").await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
        assert!(!world.access.reachable().await);
        cluster.resume().await;
        eventually("the database is found again", || async {
            world.access.reachable().await.then_some(())
        })
        .await;
        assert_eq!(world.reads(ALICE, "room").await, Ok(BOTH));
        assert_eq!(world.reads(BOB, "room").await, Ok(NEITHER));
    }
    // A backend that is ended while it is idle, or while it is asked: the question is asked again.
    for _ in 0..3 {
        let sql = world.database.connect().await;
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'realtime_connect'";
        sql.query_one(end, &[]).await.unwrap();
        world.access.forget();
        let (one, two) = tokio::join!(world.reads(ALICE, "room"), world.reads(BOB, "room"));
        assert_eq!((one, two), (Ok(BOTH), Ok(NEITHER)));
    }
}

#[tokio::test]
async fn connections_that_break_under_many_questions_give_nobody_the_answer_of_another() {
    let world = World::new(
        "create policy r on realtime.messages for select to authenticated using (
           split_part(realtime.topic(), ':', 1) = (select auth.uid())::text)",
    )
    .await;
    let sub = |number: usize| format!("00000000-0000-0000-0000-{number:012}");
    let (mut failed, mut killed) = (0, 0);
    for _ in 0..5 {
        world.access.forget();
        let asked = (0..400).map(|number| {
            let (world, sub) = (&world, sub(number));
            async move {
                let whose = if number % 2 == 0 { &sub } else { ALICE };
                world.reads(&sub, &format!("{whose}:{number}")).await
            }
        });
        let killer = world.database.connect().await;
        // Every third time questions are sent, for as long as there are any.
        let kill = async {
            let mut seen = world.access.totals().round_trips;
            loop {
                while world.access.totals().round_trips < seen + 3 {
                    tokio::task::yield_now().await;
                }
                let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                           where application_name = 'realtime_connect' and datname = current_database()";
                killed += killer.query_one(end, &[]).await.unwrap().get::<_, i64>(0);
                seen = world.access.totals().round_trips;
            }
        };
        let answers = tokio::select! {
            answers = futures_util::future::join_all(asked) => answers,
            () = kill => unreachable!("it never ends"),
        };
        for (number, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(rights) if number % 2 == 0 => assert_eq!(rights, BOTH, "{number}"),
                Ok(rights) => assert_eq!(rights, NEITHER, "{number}"),
                Err(Failure::Unreachable(_) | Failure::RateLimited) => failed += 1,
                Err(other) => panic!("{number}: {other:?}"),
            }
        }
    }
    println!("{failed} of 2,000 questions failed while {killed} connections were broken");
    assert!(killed > 0);
    world.access.forget();
    let (theirs, own) = (format!("{ALICE}:1"), format!("{ALICE}:2"));
    let answer = eventually("it goes on", || async {
        world.reads(BOB, &theirs).await.ok()
    })
    .await;
    assert_eq!(answer, NEITHER);
    assert_eq!(world.reads(ALICE, &own).await, Ok(BOTH));
}

#[tokio::test]
async fn a_question_that_breaks_its_connection_fails_and_those_asked_with_it_do_not() {
    let world = World::new(
        "create function public.breaks() returns boolean volatile security definer language plpgsql as $$
         begin
           if realtime.topic() = 'poison' then perform pg_terminate_backend(pg_backend_pid()); end if;
           return true;
         end $$;
         create policy r on realtime.messages for select to authenticated using (public.breaks())",
    )
    .await;
    let (before, poison, behind) = tokio::join!(
        world.reads(BOB, "room:1"),
        world.reads(ALICE, "poison"),
        futures_util::future::join_all((0..50).map(|number| {
            let world = &world;
            async move { world.reads(BOB, &format!("room:{number}")).await }
        })),
    );
    assert_eq!(before, Ok(BOTH));
    assert!(matches!(poison, Err(Failure::Unreachable(_))), "{poison:?}");
    assert!(behind.into_iter().all(|answer| answer == Ok(BOTH)));
}

#[tokio::test]
async fn p221_after_three_failed_attempts_the_database_is_left_alone() {
    let world = World::new("").await;
    let nobody_there = ConnectOptions {
        port: crate::support::free_port(),
        ..options(&world.database)
    };
    let access = Access::start(nobody_there, settings());
    for _ in 0..3 {
        let failure = access.read(&user(ALICE, "room"), true).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
        assert!(
            failure.to_string().contains("start Postgres"),
            "it says what to do: {failure}"
        );
    }
    let failure = access.read(&user(ALICE, "room"), true).await.unwrap_err();
    assert_eq!(failure, Failure::RateLimited);
    assert_eq!(
        failure.join_reason("room"),
        "DatabaseConnectionRateLimitReached: Too many database connections attempts per second"
    );
    assert!(!access.reachable().await);
    // The window passes by itself.
    eventually("it is tried again", || async {
        let failure = access.read(&user(ALICE, "room"), true).await.unwrap_err();
        matches!(failure, Failure::Unreachable(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_database_without_free_connections_is_told_apart() {
    let world = World::new("").await;
    world
        .sql
        .batch_execute(&format!(
            "drop role if exists access_full; create role access_full login password 'w'; alter database {} connection limit 0",
            world.database.name
        ))
        .await
        .unwrap();
    let login = ConnectOptions {
        user: "access_full".into(),
        password: Some("w".into()),
        ..options(&world.database)
    };
    let access = Access::start(login, settings());
    let failure = access.read(&anon("room"), true).await.unwrap_err();
    assert_eq!(failure, Failure::LackOfConnections);
}

#[tokio::test]
async fn without_the_table_nothing_is_allowed_and_the_database_still_counts_as_reachable() {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    let access = Access::start(options(&database), settings());
    let failure = access.read(&anon("room"), true).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Other(text) if text.contains("dovetail doctor")),
        "{failure:?}"
    );
    assert!(access.reachable().await);
}

#[tokio::test]
async fn the_text_of_the_policies_changes_with_whatever_decides() {
    let world = World::new("").await;
    let mut last = world.access.policies().await.unwrap();
    assert_eq!(world.access.policies().await.unwrap(), last);
    for change in [
        "create policy r on realtime.messages for select to authenticated using (true)",
        "alter policy r on realtime.messages using (extension = 'broadcast')",
        "alter policy r on realtime.messages to anon",
        "alter policy r on realtime.messages rename to s",
        "revoke insert on realtime.messages from anon",
        "grant insert (topic) on realtime.messages to anon",
        "alter table realtime.messages force row level security",
        "alter table realtime.messages disable row level security",
        "revoke usage on schema realtime from anon",
        "alter table realtime.messages owner to postgres",
        "drop policy s on realtime.messages",
    ] {
        world.sql.batch_execute(change).await.unwrap();
        let now = world.access.policies().await.unwrap();
        assert_ne!(now, last, "{change}");
        last = now;
    }
    // What others do does not matter.
    world
        .sql
        .batch_execute("create table public.t (id int); select realtime.send('{}', 'e', 't')")
        .await
        .unwrap();
    assert_eq!(world.access.policies().await.unwrap(), last);
}
