//! Publications that appear, vanish and change while the stream runs.

use std::time::Duration;

use super::replication_postgres::Cluster;
use super::replication_reader::{Reader, settings};
use dovetail::replication::{Event, Row, Settings};
use tokio::time::timeout;

/// What our migrations install, in short: every DDL command is written into the log.
const TRIGGER: &str = "
    CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_logical_emit_message(true, 'dovetail', tg_tag); END $$;
    CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION tell();";

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY);
    CREATE TABLE m (id int PRIMARY KEY);
    CREATE PUBLICATION supabase_realtime_messages_publication FOR TABLE m;";

async fn run(sql: &tokio_postgres::Client, commands: &[&str]) {
    for command in commands {
        sql.batch_execute(command).await.unwrap();
    }
}

/// Lines until `last`, without the messages about DDL.
async fn rows(reader: &mut Reader, last: &str) -> Vec<String> {
    let mut lines = reader.until(last).await;
    lines.retain(|line| !line.starts_with("message") && line != "begin" && line != "commit");
    lines
}

#[tokio::test]
async fn a_publication_created_while_streaming_joins_a_durable_stream_from_its_first_change() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    run(&sql, &[TRIGGER, TABLES]).await;
    let mut reader = Reader::live(Settings {
        durable: true,
        ..settings(&cluster)
    })
    .await;
    run(
        &sql,
        &[
            "INSERT INTO t VALUES (1)",
            "INSERT INTO m VALUES (1)",
            "CREATE PUBLICATION supabase_realtime",
            "INSERT INTO t VALUES (2)",
            "ALTER PUBLICATION supabase_realtime ADD TABLE t",
            "INSERT INTO t VALUES (3)",
            "INSERT INTO m VALUES (2)",
            "INSERT INTO t VALUES (4)",
        ],
    )
    .await;
    // Everything was committed before the stream could react, and nothing is missing or doubled.
    assert_eq!(
        rows(&mut reader, "insert t (4)").await,
        [
            "insert m (1)",
            "insert t (3)",
            "insert m (2)",
            "insert t (4)"
        ]
    );
}

#[tokio::test]
async fn a_publication_created_while_streaming_joins_a_temporary_stream_that_misses_nothing_else() {
    let cluster = Cluster::started(&[]).await;
    let sql = std::sync::Arc::new(cluster.sql().await);
    run(&sql, &[TRIGGER, TABLES]).await;
    let mut reader = Reader::live(settings(&cluster)).await;
    let (follow, mut followed) = tokio::sync::mpsc::unbounded_channel();
    let writer = tokio::spawn({
        let sql = std::sync::Arc::clone(&sql);
        async move {
            for id in 0..2000 {
                sql.batch_execute(&format!("INSERT INTO m VALUES ({id})"))
                    .await
                    .unwrap();
                let command = match id {
                    500 => "CREATE PUBLICATION supabase_realtime FOR TABLE t",
                    1500 => "DROP PUBLICATION supabase_realtime",
                    _ => continue,
                };
                sql.batch_execute(command).await.unwrap();
                // A dropped one stops the walsender at the next change: let it be followed first.
                if id == 1500 {
                    while followed.recv().await != Some(1) {}
                }
            }
        }
    });
    let mut expected = 0;
    let mut lists = Vec::new();
    while expected < 2000 {
        let event = reader.next().await;
        match event {
            Event::Publications(names) => {
                lists.push(names.len());
                if lists.len() > 1 {
                    let _ = follow.send(names.len());
                }
            }
            Event::Lost { .. } | Event::Gap { .. } | Event::Live { .. } => panic!("{event:?}"),
            Event::Change(change) => {
                let Row::Insert { new } = change.row else {
                    panic!()
                };
                assert_eq!(new.share(0).unwrap(), expected.to_string());
                expected += 1;
            }
            _ => {}
        }
    }
    assert_eq!(lists, [1, 2, 1]);
    writer.await.unwrap();
}

#[tokio::test]
async fn a_new_table_in_a_publication_does_not_interrupt_the_stream() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    run(
        &sql,
        &[TRIGGER, TABLES, "CREATE PUBLICATION supabase_realtime"],
    )
    .await;
    let mut reader = Reader::live(settings(&cluster)).await;
    let walsender = "SELECT pid FROM pg_stat_replication";
    let before: i32 = sql.query_one(walsender, &[]).await.unwrap().get(0);
    for number in 0..20 {
        let table = format!("CREATE TABLE n{number} (id int PRIMARY KEY)");
        let add = format!("ALTER PUBLICATION supabase_realtime ADD TABLE n{number}");
        let insert = format!("INSERT INTO n{number} VALUES (7)");
        run(&sql, &[&table, &add, &insert]).await;
    }
    for number in 0..20 {
        let line = format!("insert n{number} (7)");
        assert_eq!(rows(&mut reader, &line).await, [line]);
    }
    let after: i32 = sql
        .query_one(
            "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_publication_dropped_while_streaming_leaves_the_other_in_place() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    run(
        &sql,
        &[
            TRIGGER,
            TABLES,
            "CREATE PUBLICATION supabase_realtime FOR TABLE t",
        ],
    )
    .await;
    let mut reader = Reader::live(settings(&cluster)).await;
    run(
        &sql,
        &[
            "INSERT INTO t VALUES (1)",
            "DROP PUBLICATION supabase_realtime",
        ],
    )
    .await;
    rows(&mut reader, "message dovetail DROP PUBLICATION").await;
    assert_eq!(reader.line().await, "commit");
    // Nothing else happens before the stream has followed; it must not meet the missing publication.
    reader.publications(1).await;
    run(
        &sql,
        &["INSERT INTO t VALUES (2)", "INSERT INTO m VALUES (1)"],
    )
    .await;
    assert_eq!(rows(&mut reader, "insert m (1)").await, ["insert m (1)"]);
}

#[tokio::test]
async fn a_publication_dropped_and_created_again_as_the_documentation_says_is_survived() {
    for durable in [false, true] {
        let cluster = Cluster::started(&[]).await;
        let sql = cluster.sql().await;
        run(
            &sql,
            &[
                TRIGGER,
                TABLES,
                "CREATE PUBLICATION supabase_realtime FOR TABLE t",
            ],
        )
        .await;
        let mut reader = Reader::live(Settings {
            durable,
            ..settings(&cluster)
        })
        .await;
        run(
            &sql,
            &[
                "BEGIN; DROP PUBLICATION IF EXISTS supabase_realtime; CREATE PUBLICATION supabase_realtime; COMMIT",
                "ALTER PUBLICATION supabase_realtime ADD TABLE t",
                "INSERT INTO t VALUES (1)",
            ],
        )
        .await;
        assert_eq!(
            rows(&mut reader, "insert t (1)").await,
            ["insert t (1)"],
            "durable: {durable}"
        );
    }
}

#[tokio::test]
async fn a_publication_missing_for_a_moment_with_changes_in_between_is_survived_with_a_gap() {
    for durable in [false, true] {
        let cluster = Cluster::started(&[]).await;
        let sql = cluster.sql().await;
        // Without the event trigger the stream cannot know.
        run(
            &sql,
            &[TABLES, "CREATE PUBLICATION supabase_realtime FOR TABLE t"],
        )
        .await;
        let mut reader = Reader::live(Settings {
            durable,
            ..settings(&cluster)
        })
        .await;
        run(
            &sql,
            &[
                "DROP PUBLICATION supabase_realtime",
                "INSERT INTO m VALUES (1)",
                "CREATE PUBLICATION supabase_realtime FOR TABLE t",
            ],
        )
        .await;
        let (last, gap) = if durable {
            ("live new", "gap slot_stuck")
        } else {
            ("live new", "gap temporary_slot")
        };
        let lines = reader.until(last).await;
        assert!(lines.contains(&gap.to_owned()), "{lines:?}");
        reader.watch.recheck();
        reader.publications(2).await;
        run(&sql, &["INSERT INTO t VALUES (1)"]).await;
        assert_eq!(
            rows(&mut reader, "insert t (1)").await,
            ["insert t (1)"],
            "durable: {durable}"
        );
    }
}

#[tokio::test]
async fn without_any_publication_there_is_no_slot_until_one_appears() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    run(
        &sql,
        &[
            "CREATE TABLE t (id int PRIMARY KEY)",
            "CREATE PUBLICATION supabase_realtime",
        ],
    )
    .await;
    let mut reader = Reader::live(Settings {
        durable: true,
        ..settings(&cluster)
    })
    .await;
    run(&sql, &["DROP PUBLICATION supabase_realtime"]).await;
    reader.watch.recheck();
    assert_eq!(reader.line().await, "lost no_publication");
    reader.waits_for("nothing to stream").await;
    let slots: i64 = sql
        .query_one("SELECT count(*) FROM pg_replication_slots", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(slots, 0);
    run(&sql, &["CREATE PUBLICATION supabase_realtime FOR TABLE t"]).await;
    // Found by itself, and sooner when somebody asks.
    timeout(Duration::from_secs(30), reader.until("live new"))
        .await
        .unwrap();
}
