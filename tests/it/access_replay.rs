//! Stored messages and their order (`postgres.md` 4.5).

use dovetail::access::{Access, Stored, StoredBody};
use tokio_postgres::Client;

use crate::access_support::{Replayed as _, World, options, settings};

fn events(rows: &[Stored]) -> Vec<&str> {
    rows.iter().map(|row| row.event.as_str()).collect()
}

/// Milliseconds since 1970 by the clock of the database, plus an offset.
async fn clock(sql: &Client, offset: i64) -> i64 {
    let now = "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint";
    let now: i64 = sql.query_one(now, &[]).await.unwrap().get(0);
    now + offset
}

#[tokio::test]
async fn g218_the_newest_private_broadcasts_of_the_topic_come_oldest_first() {
    let world = World::new(
        "insert into realtime.messages (topic, extension, event, payload, private, inserted_at)
         select 'room', 'broadcast', 'e' || n, jsonb_build_object('n', n), true,
                date_trunc('day', now() at time zone 'utc') - interval '1 hour' + n * interval '1 minute'
         from generate_series(0, 59) n;
         insert into realtime.messages (topic, extension, event, payload, private, inserted_at)
         select topic, extension, event, payload, private, date_trunc('day', now() at time zone 'utc') - interval '1 second' from (values
           ('room', 'broadcast', 'public', '{}'::jsonb, false), ('room', 'broadcast', 'unsaid', '{}', null),
           ('room', 'presence', 'presence', '{}', true), ('hall', 'broadcast', 'hall', '{}', true),
           ('room', 'broadcast', null, '{}', true), ('room', 'broadcast', 'empty', null, true)) v (topic, extension, event, payload, private);
         insert into realtime.messages (topic, extension, event, payload, private, inserted_at)
         values ('room', 'broadcast', 'future', '{}', true, now() at time zone 'utc' + interval '90 seconds')",
    )
    .await;
    let rows = world.access.replayed("room", 0, 3).await.unwrap();
    assert_eq!(events(&rows), ["e57", "e58", "e59"]);
    assert_eq!(rows[2].body, StoredBody::Json("{\"n\": 59}".into()));
    // Inclusive, and counted from the newest.
    let since: i64 = world
        .sql
        .query_one(
            "select (extract(epoch from inserted_at) * 1000)::bigint from realtime.messages where event = 'e57'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    let rows = world.access.replayed("room", since, 25).await.unwrap();
    assert_eq!(events(&rows), ["e57", "e58", "e59"]);
    let rows = world.access.replayed("room", since + 1, 25).await.unwrap();
    assert_eq!(events(&rows), ["e58", "e59"]);
    assert_eq!(
        world
            .access
            .replayed("room", i64::MIN, 25)
            .await
            .unwrap()
            .len(),
        25
    );
    assert_eq!(
        world.access.replayed("room", i64::MAX, 25).await,
        Ok(vec![])
    );
    assert_eq!(world.access.replayed("it's", 0, 25).await, Ok(vec![]));
}

#[tokio::test]
async fn messages_of_one_transaction_keep_their_order_whoever_inserted_them_and_how() {
    let world = World::new("").await;
    let since = clock(&world.sql, -1_000).await;
    // Room for rows appears before those that are there already, as after a clean-up.
    world
        .sql
        .batch_execute(
            "insert into realtime.messages (topic, extension, event, payload, private)
               select 'other', 'broadcast', 'x', jsonb_build_object('x', repeat('x', 500)), true from generate_series(1, 200);
             delete from realtime.messages where topic = 'other' and random() < 0.7",
        )
        .await
        .unwrap();
    world
        .sql
        .batch_execute("vacuum realtime.messages")
        .await
        .unwrap();
    let mut script = String::from("begin;");
    for number in 0..60 {
        let filling = "y".repeat(if number % 7 == 0 { 3_000 } else { 30 });
        script.push_str(&match number % 3 {
            0 => format!("select realtime.send('{{\"f\": \"{filling}\"}}', 'e{number}', 'room');"),
            1 => format!("select realtime.send_binary('{filling}', 'e{number}', 'room');"),
            _ => format!(
                "insert into realtime.messages (topic, extension, event, payload, private)
                 values ('room', 'broadcast', 'e{number}', '{{\"f\": \"{filling}\"}}', true);"
            ),
        });
    }
    script.push_str("commit");
    world.sql.batch_execute(&script).await.unwrap();
    let rows = world.access.replayed("room", since, 1_000).await.unwrap();
    let expected: Vec<String> = (0..60).map(|number| format!("e{number}")).collect();
    assert_eq!(events(&rows), expected);
    // The newest of them, if not all are wanted.
    let rows = world.access.replayed("room", since, 5).await.unwrap();
    assert_eq!(events(&rows), expected[55..]);
    // One statement.
    world
        .sql
        .batch_execute(
            "select realtime.send('{}', 's' || n, 'series') from generate_series(1, 100) n",
        )
        .await
        .unwrap();
    let rows = world.access.replayed("series", since, 1_000).await.unwrap();
    let expected: Vec<String> = (1..=100).map(|number| format!("s{number}")).collect();
    assert_eq!(events(&rows), expected);
}

#[tokio::test]
async fn ids_of_sent_messages_ascend_also_within_a_transaction_and_bear_their_time() {
    let world = World::new("").await;
    let before = clock(&world.sql, 0).await;
    world
        .sql
        .batch_execute(
            "select realtime.send('{}', n::text, 'room') from generate_series(1, 300) n;
             select realtime.send_binary('x', n::text, 'room') from generate_series(301, 400) n",
        )
        .await
        .unwrap();
    let after = clock(&world.sql, 0).await;
    let rows = world
        .sql
        .query("select id from realtime.messages order by event::int", &[])
        .await
        .unwrap();
    let ids: Vec<uuid::Uuid> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(ids.len(), 400);
    assert!(ids.is_sorted_by(|one, other| one < other), "{ids:?}");
    for id in &ids {
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        let time = i64::try_from(id.as_u128() >> 80).unwrap();
        assert!((before..=after).contains(&time), "{before} {time} {after}");
    }
}

#[tokio::test]
async fn a_restored_table_keeps_the_order_by_ids() {
    let world = World::new("").await;
    let since = clock(&world.sql, -1_000).await;
    // As a restore does: all rows by one command, in any order.
    world
        .sql
        .batch_execute(
            "select realtime.send('{}', 'e' || n, 'room') from generate_series(1, 50) n;
             create temporary table kept as select * from realtime.messages;
             truncate realtime.messages;
             insert into realtime.messages select * from kept order by random()",
        )
        .await
        .unwrap();
    let rows = world.access.replayed("room", since, 1_000).await.unwrap();
    let expected: Vec<String> = (1..=50).map(|number| format!("e{number}")).collect();
    assert_eq!(events(&rows), expected);
}

#[tokio::test]
async fn binary_messages_are_bytes_and_a_schema_without_them_works() {
    let world = World::new("").await;
    world
        .sql
        .batch_execute("select realtime.send_binary('\\x00ff10', 'b', 'room'); select realtime.send('{\"id\": 1}', 'j', 'room')")
        .await
        .unwrap();
    let rows = world.access.replayed("room", 0, 25).await.unwrap();
    assert_eq!(events(&rows), ["b", "j"]);
    assert_eq!(rows[0].body, StoredBody::Binary(vec![0, 255, 16].into()));
    assert_eq!(rows[1].body, StoredBody::Json("{\"id\": 1}".into()));
    // G-224.
    world
        .sql
        .batch_execute(
            "alter table realtime.messages drop column binary_payload cascade;
             create policy r on realtime.messages for select to authenticated using (true)",
        )
        .await
        .unwrap();
    let old = Access::start(options(&world.database), settings());
    let rows = old.replayed("room", 0, 25).await.unwrap();
    assert_eq!(events(&rows), ["j"]);
    let alice = crate::access_support::user(crate::access_support::ALICE, "room");
    assert_eq!(
        old.read(&alice, true).await,
        Ok(crate::access_support::BOTH)
    );
}
