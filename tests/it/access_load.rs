//! Many questions at once, and those that others would have to wait for.

use std::time::{Duration, Instant};

use dovetail::access::{Access, Failure, Settings};
use futures_util::future::join_all;

use crate::access_support::{ALICE, BOB, BOTH, NEITHER, World, options, settings, user};
use crate::support::cluster::Cluster;

const MEMBERS: &str = "
    create table public.members (user_id uuid, topic text, primary key (user_id, topic));
    create policy r on realtime.messages for select to authenticated using (
      exists (select from public.members m where m.user_id = (select auth.uid()) and m.topic = (select realtime.topic())));
    create policy w on realtime.messages for insert to authenticated with check (
      exists (select from public.members m where m.user_id = (select auth.uid()) and m.topic = (select realtime.topic())));";

fn sub(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

#[tokio::test]
async fn a_thousand_questions_at_once_take_less_than_a_hundred_round_trips() {
    let world = World::new(&format!(
        "{MEMBERS} insert into public.members
           select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'room:' || n % 10
           from generate_series(0, 998, 2) n"
    ))
    .await;
    // Warm: connected, as a server in service is.
    join_all((0..20).map(|number| {
        let world = &world;
        async move { world.reads(&sub(number), "warm").await.unwrap() }
    }))
    .await;
    let before = world.access.totals();
    let began = Instant::now();
    let answers = join_all((0..1_000).map(|number| {
        let world = &world;
        async move {
            world
                .reads(&sub(number), &format!("room:{}", number % 10))
                .await
        }
    }))
    .await;
    let took = began.elapsed();
    for (number, answer) in answers.into_iter().enumerate() {
        // Members have even numbers.
        let expected = if number % 2 == 0 { BOTH } else { NEITHER };
        assert_eq!(answer, Ok(expected), "{number}");
    }
    let after = world.access.totals();
    let round_trips = after.round_trips - before.round_trips;
    println!("1,000 joins: {round_trips} round trips, {took:?}");
    assert_eq!(after.questions - before.questions, 1_000);
    assert!(round_trips < 100, "{round_trips}");
}

#[tokio::test]
async fn the_same_question_of_many_is_asked_once_and_again_when_it_must_be() {
    let world = World::new(&format!(
        "{MEMBERS} insert into public.members values ('{ALICE}', 'room')"
    ))
    .await;
    let asked = |world: &World| world.access.totals().questions;
    let answers = join_all((0..200).map(|_| world.reads(ALICE, "room"))).await;
    assert!(answers.into_iter().all(|answer| answer == Ok(BOTH)));
    assert_eq!(asked(&world), 1);
    // Other headers, another topic, another claim, writing instead of reading, presence or not: other questions.
    let mut headers = user(ALICE, "room");
    headers.headers = "{\"x-a\":\"b\"}".into();
    let _ = world.access.read(&headers, true).await;
    let _ = world.reads(ALICE, "hall").await;
    let _ = world.reads(BOB, "room").await;
    let _ = world.writes(ALICE, "room").await;
    let _ = world.access.read(&user(ALICE, "room"), false).await;
    assert_eq!(asked(&world), 6);
    // Asked again by wish, and shared by those who wish it together.
    let again = user(ALICE, "room");
    let answers = join_all((0..50).map(|_| world.access.read_again(&again, true))).await;
    assert!(answers.into_iter().all(|answer| answer == Ok(BOTH)));
    assert_eq!(asked(&world), 7);
    world
        .sql
        .batch_execute("truncate public.members")
        .await
        .unwrap();
    assert_eq!(world.access.read_again(&again, true).await, Ok(NEITHER));
    // What was learned is what others get now.
    assert_eq!(world.reads(ALICE, "room").await, Ok(NEITHER));
    assert_eq!(asked(&world), 8);
    world.access.forget();
    assert_eq!(world.reads(ALICE, "room").await, Ok(NEITHER));
    assert_eq!(asked(&world), 9);
}

#[tokio::test]
async fn an_answer_does_not_outlive_the_second_it_is_kept() {
    let settings = Settings {
        cache_for: Duration::ZERO,
        ..settings()
    };
    let world = World::with(Cluster::shared().await, settings, MEMBERS).await;
    assert_eq!(world.reads(ALICE, "room").await, Ok(NEITHER));
    world
        .sql
        .execute(
            "insert into public.members values ($1::text::uuid, 'room')",
            &[&ALICE],
        )
        .await
        .unwrap();
    assert_eq!(world.reads(ALICE, "room").await, Ok(BOTH));
}

#[tokio::test]
async fn an_answer_under_way_when_policies_change_is_asked_again() {
    let world = World::new(
        "create table public.gate (open boolean); insert into public.gate values (true);
         create function public.passes() returns boolean volatile language plpgsql as $$
         declare
           passes boolean := (select open from public.gate);
         begin
           perform pg_advisory_xact_lock_shared(77);
           return passes;
         end $$;
         create policy r on realtime.messages for select to authenticated using (public.passes())",
    )
    .await;
    // The policy waits where the lock is held; when it goes on, it has seen the open gate.
    world
        .sql
        .batch_execute("begin; select pg_advisory_xact_lock(77)")
        .await
        .unwrap();
    let access = world.access.clone();
    let asking = tokio::spawn(async move { access.read(&user(ALICE, "room"), true).await });
    let other = world.database.connect().await;
    crate::support::eventually("the policy waits for the lock", || async {
        let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
                       and database = (select oid from pg_database where datname = current_database())";
        let count: i64 = other.query_one(waiting, &[]).await.unwrap().get(0);
        (count > 0).then_some(())
    })
    .await;
    other
        .batch_execute("update public.gate set open = false")
        .await
        .unwrap();
    world.access.forget();
    world.sql.batch_execute("commit").await.unwrap();
    assert_eq!(asking.await.unwrap(), Ok(NEITHER));
    assert!(world.access.totals().questions >= 2);
}

/// Everybody may read, but who asks for a topic that begins with `slow` sleeps first.
const SLEEPY: &str = "
    create function public.nap() returns boolean volatile language plpgsql as $$
    begin
      if realtime.topic() like 'slow%' then perform pg_sleep(30); end if;
      return true;
    end $$;
    create policy r on realtime.messages for select to authenticated using (public.nap());
    create policy w on realtime.messages for insert to authenticated with check (public.nap())";

#[tokio::test]
async fn a_policy_that_takes_too_long_is_cancelled_and_holds_up_nobody_else() {
    let settings = Settings {
        statement_timeout: Duration::from_secs(2),
        ..settings()
    };
    let world = World::with(Cluster::shared().await, settings, SLEEPY).await;
    let slow = join_all([world.reads(ALICE, "slow"), world.reads(ALICE, "fast")]);
    let others = join_all((0..300).map(|number| {
        let world = &world;
        async move { world.reads(&sub(number), &format!("fast:{number}")).await }
    }));
    let (slow, others) = tokio::join!(slow, others);
    assert!(
        matches!(&slow[0], Err(Failure::Canceled(message)) if message.contains("statement timeout")),
        "{:?}",
        slow[0]
    );
    assert_eq!(slow[1], Ok(BOTH));
    for answer in others {
        assert_eq!(answer, Ok(BOTH));
    }
    // Now it is known: it waits in its own lane, and others are answered while it does.
    let access = world.access.clone();
    let asking = tokio::spawn(async move { access.write(&user(ALICE, "slow")).await });
    assert_eq!(world.reads(BOB, "fast").await, Ok(BOTH));
    assert!(!asking.is_finished());
    assert!(matches!(asking.await.unwrap(), Err(Failure::Canceled(_))));
}

#[tokio::test]
async fn g239_p220_when_policies_exhaust_the_pool_their_subjects_fail_at_once_and_others_do_not() {
    let settings = Settings {
        connections: 1,
        statement_timeout: Duration::from_millis(500),
        ..settings()
    };
    let world = World::with(Cluster::shared().await, settings, SLEEPY).await;
    let first = world.reads(ALICE, "slow").await;
    assert!(matches!(first, Err(Failure::Canceled(_))), "{first:?}");
    let questions = world.access.totals().questions;
    let second = world.reads(ALICE, "slow").await.unwrap_err();
    assert_eq!(second, Failure::PoolExhausted);
    assert_eq!(
        second.join_reason("slow"),
        "IncreaseConnectionPool: Please increase your connection pool size"
    );
    assert_eq!(
        world.writes(ALICE, "slow").await,
        Err(Failure::PoolExhausted)
    );
    assert_eq!(world.access.totals().questions, questions, "at once");
    assert_eq!(world.reads(ALICE, "fast").await, Ok(BOTH));
    assert_eq!(world.reads(BOB, "fast").await, Ok(BOTH));
}

#[tokio::test]
async fn g239_a_question_that_waits_too_long_for_a_connection_is_told_so() {
    let settings = Settings {
        connections: 1,
        statement_timeout: Duration::from_secs(60),
        queue_timeout: Duration::from_millis(300),
        ..settings()
    };
    let world = World::with(
        Cluster::shared().await,
        settings,
        "create policy r on realtime.messages for select to authenticated using (
           realtime.topic() <> 'held' or pg_advisory_xact_lock_shared(78) is not null)",
    )
    .await;
    world
        .sql
        .batch_execute("begin; select pg_advisory_xact_lock(78)")
        .await
        .unwrap();
    let access = world.access.clone();
    let held = tokio::spawn(async move { access.read(&user(ALICE, "held"), true).await });
    let other = world.database.connect().await;
    crate::support::eventually("the connection is busy", || async {
        let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
                       and database = (select oid from pg_database where datname = current_database())";
        let count: i64 = other.query_one(waiting, &[]).await.unwrap().get(0);
        (count > 0).then_some(())
    })
    .await;
    assert_eq!(world.reads(BOB, "room").await, Err(Failure::PoolExhausted));
    assert!(world.access.reachable().await, "busy is not gone");
    world.sql.batch_execute("commit").await.unwrap();
    assert_eq!(held.await.unwrap(), Ok(BOTH));
    assert_eq!(world.reads(BOB, "room").await, Ok(BOTH));
}

#[tokio::test]
async fn connections_are_made_when_needed_and_end_with_the_last_owner() {
    let world = World::new(SLEEPY).await;
    let connected = || async {
        let count = "select count(*) from pg_stat_activity
                     where application_name = 'realtime_connect' and datname = current_database()";
        world
            .sql
            .query_one(count, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
    };
    let access = Access::start(options(&world.database), settings());
    assert_eq!(connected().await, 0);
    assert_eq!(access.read(&user(ALICE, "fast"), true).await, Ok(BOTH));
    let asking = {
        let access = access.clone();
        tokio::spawn(async move { access.read(&user(ALICE, "slow"), true).await })
    };
    crate::support::eventually("the policy sleeps", || async {
        let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
        let count: i64 = world.sql.query_one(sleeping, &[]).await.unwrap().get(0);
        (count > 0).then_some(())
    })
    .await;
    asking.abort();
    let _ = asking.await;
    drop(access);
    crate::support::eventually("nobody is connected", || async {
        (connected().await == 0).then_some(())
    })
    .await;
}
