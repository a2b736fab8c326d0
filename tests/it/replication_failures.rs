//! What the stream does when something breaks.

use std::time::Duration;

use super::replication_postgres::Cluster;
use super::replication_reader::{PATIENCE, Reader, confirmed, settings};
use dovetail::pgoutput::Lsn;
use dovetail::replication::{Settings, Status};
use tokio::time::{Instant, sleep, timeout};

const PUBLICATIONS: &str = "
    CREATE PUBLICATION supabase_realtime FOR ALL TABLES;
    CREATE TABLE t (id int PRIMARY KEY, note text);";

/// Ends the walsender of the stream, as an administrator would.
const KILL: &str = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_replication \
     WHERE application_name = 'realtime_replication_connection'";

fn durable(cluster: &Cluster) -> Settings {
    Settings {
        durable: true,
        ..settings(cluster)
    }
}

#[tokio::test]
async fn a_killed_walsender_is_replaced_and_the_gap_is_reported() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    for round in 0..3 {
        let killed = Instant::now();
        sql.batch_execute(KILL).await.unwrap();
        assert_eq!(
            reader.until("live new").await,
            ["lost postgres", "gap temporary_slot", "live new"]
        );
        assert!(killed.elapsed() < Duration::from_secs(5));
        sql.batch_execute(&format!("INSERT INTO t VALUES ({round}, 'a')"))
            .await
            .unwrap();
        assert_eq!(
            reader.transaction().await,
            [format!("insert t ({round}|a)")]
        );
    }
}

#[tokio::test]
async fn a_durable_slot_loses_and_repeats_nothing_when_the_walsender_is_killed() {
    let cluster = Cluster::started(&["logical_decoding_work_mem=64kB"]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(Settings {
        // Little, so that the kill hits the middle of the transaction.
        buffer_bytes: 64 << 10,
        ..durable(&cluster)
    })
    .await;
    reader.confirms = false;
    sql.batch_execute("INSERT INTO t VALUES (0, 'before')")
        .await
        .unwrap();
    assert_eq!(reader.transaction().await, ["insert t (0|before)"]);
    sql.batch_execute("INSERT INTO t SELECT i, repeat('x', 90) FROM generate_series(1, 50000) i")
        .await
        .unwrap();
    assert_eq!(reader.line().await, "begin");
    let (mut seen, mut breaks) = (0, Vec::new());
    loop {
        let line = reader.line().await;
        if line.starts_with("insert") {
            seen += 1;
            assert!(line.starts_with(&format!("insert t ({seen}|")), "{line}");
            if seen == 10_000 || seen == 20_000 {
                sql.batch_execute(KILL).await.unwrap();
                sql.batch_execute(&format!("INSERT INTO t VALUES ({}, 'gap')", 90_000 + seen))
                    .await
                    .unwrap();
            }
        } else if line == "commit" {
            break;
        } else {
            breaks.push(line);
        }
    }
    assert_eq!(seen, 50_000);
    assert!(breaks.contains(&"live again".to_owned()), "{breaks:?}");
    assert!(
        !breaks.iter().any(|line| line.starts_with("gap")),
        "{breaks:?}"
    );
    assert_eq!(reader.transaction().await, ["insert t (100000|gap)"]);
    assert_eq!(reader.transaction().await, ["insert t (110000|gap)"]);
}

#[tokio::test]
async fn a_durable_slot_delivers_what_was_not_confirmed_after_a_restart_of_this_server() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut first = Reader::live(durable(&cluster)).await;
    sql.batch_execute("INSERT INTO t VALUES (1, 'confirmed')")
        .await
        .unwrap();
    first.transaction().await;
    first.confirms = false;
    sql.batch_execute("INSERT INTO t VALUES (2, 'not confirmed')")
        .await
        .unwrap();
    first.transaction().await;
    first.stop.cancel();
    sql.batch_execute("INSERT INTO t VALUES (3, 'while away')")
        .await
        .unwrap();
    let mut second = Reader::start(durable(&cluster));
    second.until("live again").await;
    assert_eq!(second.transaction().await, ["insert t (2|not confirmed)"]);
    assert_eq!(second.transaction().await, ["insert t (3|while away)"]);
}

#[tokio::test]
async fn a_restart_of_postgres_is_survived_and_does_not_wait_for_us() {
    let mut cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    sql.batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    reader.transaction().await;
    for crash in [false, true] {
        let (gone, back) = tokio::sync::oneshot::channel();
        // The stream must go on answering while Postgres shuts down.
        let stopped = tokio::task::spawn_blocking(move || {
            let took = if crash {
                cluster.crash();
                Duration::ZERO
            } else {
                cluster.stop()
            };
            let _ = gone.send(());
            (cluster, took)
        });
        back.await.unwrap();
        let (again, took) = stopped.await.unwrap();
        assert!(took < Duration::from_secs(5), "shutdown took {took:?}");
        cluster = again;
        let lost = reader.line().await;
        assert!(lost.starts_with("lost"), "{lost}");
        assert!(matches!(reader.watch.status(), Status::Waiting { .. }));
        cluster.start().await;
        assert_eq!(
            reader.until("live new").await,
            ["gap temporary_slot", "live new"]
        );
    }
    let sql = cluster.sql().await;
    sql.batch_execute("INSERT INTO t VALUES (2, 'b')")
        .await
        .unwrap();
    assert_eq!(reader.transaction().await, ["insert t (2|b)"]);
}

#[tokio::test]
async fn the_stream_may_be_started_before_postgres_exists() {
    let mut cluster = Cluster::create(&[]);
    let mut reader = Reader::start(settings(&cluster));
    reader.waits_for("could not reach the database").await;
    cluster.start().await;
    reader
        .waits_for("CREATE PUBLICATION supabase_realtime")
        .await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    reader.watch.recheck();
    reader.is_live().await;
    assert_eq!(reader.line().await, "live new");
    sql.batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    assert_eq!(reader.transaction().await, ["insert t (1|a)"]);
}

#[tokio::test]
async fn a_wrong_wal_level_is_reported_with_its_remedy_until_it_is_right() {
    let mut cluster = Cluster::started(&["wal_level=replica"]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::start(settings(&cluster));
    reader
        .waits_for("ALTER SYSTEM SET wal_level = 'logical'")
        .await;
    cluster.stop();
    cluster.set("wal_level=logical");
    cluster.start().await;
    reader.is_live().await;
}

#[tokio::test]
async fn a_durable_slot_that_was_dropped_is_made_again_with_a_gap() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(durable(&cluster)).await;
    // The stream may be back between the two commands: then again.
    loop {
        sql.batch_execute(KILL).await.unwrap();
        let dropped = sql
            .batch_execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
            .await;
        if dropped.is_ok() {
            break;
        }
    }
    let lines = reader.until("live new").await;
    assert_eq!(lines[lines.len() - 2], "gap slot_lost");
    sql.batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    assert_eq!(reader.transaction().await, ["insert t (1|a)"]);
}

#[tokio::test]
async fn a_durable_slot_that_postgres_invalidated_is_made_again_with_a_gap() {
    let cluster = Cluster::started(&[
        "max_slot_wal_keep_size=1MB",
        "min_wal_size=32MB",
        "max_wal_size=32MB",
    ])
    .await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let first = Reader::live(durable(&cluster)).await;
    first.stop.cancel();
    drop(first);
    wait(&sql, "SELECT NOT active FROM pg_replication_slots").await;
    sql.batch_execute("CREATE TABLE junk (x text)")
        .await
        .unwrap();
    for _ in 0..6 {
        sql.batch_execute(
            "INSERT INTO junk SELECT repeat('x', 1000) FROM generate_series(1, 2000)",
        )
        .await
        .unwrap();
        sql.batch_execute("SELECT pg_switch_wal()").await.unwrap();
        sql.batch_execute("CHECKPOINT").await.unwrap();
    }
    wait(&sql, "SELECT wal_status = 'lost' FROM pg_replication_slots").await;
    let mut second = Reader::start(durable(&cluster));
    assert_eq!(
        second.until("live new").await,
        ["gap slot_lost", "live new"]
    );
}

#[tokio::test]
async fn a_slot_in_use_is_waited_for_and_its_owner_left_alone() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut first = Reader::live(settings(&cluster)).await;
    let mut second = Reader::start(settings(&cluster));
    second.waits_for("is in use by another connection").await;
    sql.batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    assert_eq!(first.transaction().await, ["insert t (1|a)"]);
    drop(first);
    assert_eq!(second.line().await, "live new");
}

#[tokio::test]
async fn a_permanent_slot_of_our_name_is_reported_and_not_taken() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let settings = settings(&cluster);
    sql.execute(
        "SELECT pg_create_logical_replication_slot($1, 'pgoutput')",
        &[&settings.slot],
    )
    .await
    .unwrap();
    let mut reader = Reader::start(settings);
    reader.waits_for("SELECT pg_drop_replication_slot(").await;
    sql.batch_execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        .await
        .unwrap();
    assert_eq!(reader.line().await, "live new");
}

#[tokio::test]
async fn an_idle_stream_lets_the_log_of_other_tables_go() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute("CREATE PUBLICATION supabase_realtime; CREATE TABLE other (x text)")
        .await
        .unwrap();
    // Nobody reads, nobody confirms.
    let _reader = Reader::live(settings(&cluster)).await;
    sql.batch_execute("INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
        .await
        .unwrap();
    let end: Lsn = sql
        .query_one("SELECT pg_current_wal_lsn()::text", &[])
        .await
        .unwrap()
        .get::<_, String>(0)
        .parse()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while confirmed(&sql).await < end {
        assert!(Instant::now() < deadline, "nothing is confirmed");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_the_consumer_has_not_confirmed_is_kept() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(durable(&cluster)).await;
    reader.confirms = false;
    let before = confirmed(&sql).await;
    sql.batch_execute("INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    assert_eq!(reader.line().await, "begin");
    assert_eq!(reader.line().await, "insert t (1|a)");
    let dovetail::replication::Event::Commit(commit) = reader.next().await else {
        panic!()
    };
    // Statuses are sent meanwhile: Postgres asks for one when it is stopped, and the timer of 10 s runs.
    sleep(Duration::from_secs(11)).await;
    let meanwhile = confirmed(&sql).await;
    assert!(meanwhile < commit.end_lsn, "{before} {meanwhile}");
    reader.feed.confirm(commit.end_lsn);
    let deadline = Instant::now() + Duration::from_secs(3);
    while confirmed(&sql).await < commit.end_lsn {
        assert!(
            Instant::now() < deadline,
            "what was confirmed is not reported"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_consumer_that_does_not_read_holds_the_stream_without_losing_it() {
    let cluster = Cluster::started(&["wal_sender_timeout=2s"]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(Settings {
        buffer_bytes: 256 << 10,
        ..settings(&cluster)
    })
    .await;
    let count = 60_000;
    sql.batch_execute(&format!(
        "INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, {count}) i"
    ))
    .await
    .unwrap();
    // Four times as long as Postgres waits for a client that says nothing.
    sleep(Duration::from_secs(8)).await;
    assert_eq!(reader.line().await, "begin");
    for row in 1..=count {
        let line = reader.line().await;
        assert!(line.starts_with(&format!("insert t ({row}|")), "{line}");
    }
    assert_eq!(reader.line().await, "commit");
}

#[tokio::test]
async fn an_idle_stream_outlives_the_timeout_of_postgres() {
    // Long enough for a busy machine: a stream that says nothing in all that time is at fault.
    let cluster = Cluster::started(&["wal_sender_timeout=3s"]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    // They come after "live", as an event of their own.
    reader.publications(1).await;
    let event = timeout(Duration::from_secs(8), reader.next()).await;
    assert!(event.is_err(), "{event:?}");
    assert!(matches!(reader.watch.status(), Status::Live { .. }));
}

#[tokio::test]
async fn a_start_delayed_by_a_pending_transaction_waits_for_it() {
    let cluster = Cluster::started(&["statement_timeout=500", "lock_timeout=500"]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let other = cluster.sql().await;
    other
        .batch_execute("BEGIN; INSERT INTO t VALUES (1, 'before')")
        .await
        .unwrap();
    let mut reader = Reader::start(settings(&cluster));
    wait(&sql, "SELECT count(*) = 1 FROM pg_replication_slots").await;
    let early = timeout(Duration::from_secs(3), reader.next()).await;
    assert!(early.is_err(), "{early:?}");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(reader.line().await, "live new");
    other
        .batch_execute("INSERT INTO t VALUES (2, 'after')")
        .await
        .unwrap();
    assert_eq!(reader.transaction().await, ["insert t (2|after)"]);
}

#[tokio::test]
async fn a_single_change_on_an_idle_database_arrives_within_20_ms() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    let mut times = Vec::new();
    for id in 0..51 {
        let begun = Instant::now();
        sql.batch_execute(&format!("INSERT INTO t VALUES ({id}, 'a')"))
            .await
            .unwrap();
        reader.transaction().await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!("median {:?}, longest {:?}", times[25], times[50]);
    assert!(times[25] < Duration::from_millis(20), "{:?}", times[25]);
}

#[tokio::test]
async fn dropping_the_feed_frees_the_slot() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let reader = Reader::live(settings(&cluster)).await;
    drop(reader);
    wait(&sql, "SELECT count(*) = 0 FROM pg_replication_slots").await;
}

/// Waits until `question` is answered with true.
async fn wait(sql: &tokio_postgres::Client, question: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !sql
        .query_one(question, &[])
        .await
        .unwrap()
        .get::<_, bool>(0)
    {
        assert!(Instant::now() < deadline, "never true: {question}");
        sleep(Duration::from_millis(50)).await;
    }
}
