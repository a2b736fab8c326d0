//! What the stream says about changes.

use super::replication_postgres::Cluster;
use super::replication_reader::{PATIENCE, Reader, settings};
use dovetail::replication::{Event, Row};

const PUBLICATIONS: &str = "
    CREATE PUBLICATION supabase_realtime FOR ALL TABLES;
    CREATE TABLE t (id int PRIMARY KEY, note text);";

#[tokio::test]
async fn rows_of_many_types_arrive_as_text_under_pinned_settings() {
    let cluster = Cluster::started(&[
        "datestyle=SQL,DMY",
        "intervalstyle=sql_standard",
        "bytea_output=escape",
        "timezone=Europe/Berlin",
    ])
    .await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    sql.batch_execute(
        "CREATE TYPE mood AS ENUM ('sad');
         CREATE TABLE types (a bigint, b numeric, c bool, d bytea, e timestamptz, f interval, g jsonb, h text[],
                             i uuid, j mood, k text, l date)",
    )
    .await
    .unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    sql.batch_execute(
        "INSERT INTO types VALUES (9007199254740993, 'NaN', true, '\\xdeadbeef', '2026-03-04 05:06:07+00',
         '1 day 2 hours', '{\"a\": 1}', '{x,\"y z\",NULL}', '00000000-0000-0000-0000-000000000001', 'sad', NULL,
         '2026-03-04')",
    )
    .await
    .unwrap();
    assert_eq!(
        reader.transaction().await,
        [concat!(
            "insert types (9007199254740993|NaN|t|\\xdeadbeef|2026-03-04 06:06:07+01|1 day 02:00:00|",
            "{\"a\": 1}|{x,\"y z\",NULL}|00000000-0000-0000-0000-000000000001|sad|NULL|2026-03-04)"
        )]
    );
}

#[tokio::test]
async fn old_rows_follow_the_replica_identity() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    sql.batch_execute(
        "CREATE TABLE f (id int PRIMARY KEY, note text);
         ALTER TABLE f REPLICA IDENTITY FULL;
         CREATE TABLE i (id int, code text NOT NULL, note text);
         CREATE UNIQUE INDEX by_code ON i (code);
         ALTER TABLE i REPLICA IDENTITY USING INDEX by_code;",
    )
    .await
    .unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    for table in ["t", "f"] {
        sql.batch_execute(&format!(
            "BEGIN; INSERT INTO {table} VALUES (1, 'a'); UPDATE {table} SET note = 'b';
             UPDATE {table} SET id = 2; DELETE FROM {table}; TRUNCATE {table}; COMMIT"
        ))
        .await
        .unwrap();
    }
    assert_eq!(
        reader.transaction().await,
        [
            "insert t (1|a)",
            "update t (1|b)",
            "update t key (1|NULL) to (2|b)",
            "delete t key (2|NULL)",
            "truncate t"
        ]
    );
    assert_eq!(
        reader.transaction().await,
        [
            "insert f (1|a)",
            "update f full (1|a) to (1|b)",
            "update f full (1|b) to (2|b)",
            "delete f full (2|b)",
            "truncate f"
        ]
    );
    sql.batch_execute("BEGIN; INSERT INTO i VALUES (1, 'x', 'n'); DELETE FROM i; COMMIT")
        .await
        .unwrap();
    assert_eq!(
        reader.transaction().await,
        ["insert i (1|x|n)", "delete i key (NULL|x|NULL)"]
    );
}

#[tokio::test]
async fn a_large_value_that_did_not_change_is_marked() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    sql.batch_execute("ALTER TABLE t ALTER note SET STORAGE EXTERNAL, ADD n int")
        .await
        .unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    sql.batch_execute("INSERT INTO t VALUES (1, repeat('x', 100000), 1)")
        .await
        .unwrap();
    assert_eq!(reader.transaction().await, ["insert t (1|100000 bytes|1)"]);
    sql.batch_execute("UPDATE t SET n = 2").await.unwrap();
    assert_eq!(reader.transaction().await, ["update t (1|UNCHANGED|2)"]);
    sql.batch_execute("ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET n = 3")
        .await
        .unwrap();
    assert_eq!(
        reader.transaction().await,
        ["update t full (1|100000 bytes|2) to (1|UNCHANGED|3)"]
    );
}

#[tokio::test]
async fn only_what_was_committed_arrives_in_the_order_of_commits() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    let other = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    sql.batch_execute("BEGIN; INSERT INTO t VALUES (1, 'late')")
        .await
        .unwrap();
    // One by one: several commands in one message would be one transaction.
    for command in [
        "INSERT INTO t VALUES (2, 'early')",
        "BEGIN",
        "INSERT INTO t VALUES (3, 'never')",
        "ROLLBACK",
    ] {
        other.batch_execute(command).await.unwrap();
    }
    sql.batch_execute("SAVEPOINT s; INSERT INTO t VALUES (4, 'no'); ROLLBACK TO s; COMMIT")
        .await
        .unwrap();
    assert_eq!(reader.transaction().await, ["insert t (2|early)"]);
    assert_eq!(reader.transaction().await, ["insert t (1|late)"]);
}

#[tokio::test]
async fn ddl_while_streaming_changes_the_shape_and_stops_nothing() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(settings(&cluster)).await;
    for command in [
        "INSERT INTO t VALUES (1, 'a')",
        "ALTER TABLE t ADD extra int DEFAULT 5",
        "INSERT INTO t VALUES (2, 'b')",
        "ALTER TABLE t DROP note",
        "INSERT INTO t VALUES (3)",
        "ALTER TABLE t RENAME TO u",
        "INSERT INTO u VALUES (4)",
        "DROP TABLE u",
        "CREATE TABLE t (x text)",
        "INSERT INTO t VALUES ('new')",
    ] {
        sql.batch_execute(command).await.unwrap();
    }
    for expected in [
        "insert t (1|a)",
        "insert t (2|b|5)",
        "insert t (3|5)",
        "insert u (4|5)",
        "insert t (new)",
    ] {
        assert_eq!(reader.transaction().await, [expected]);
    }
}

#[tokio::test]
async fn a_transaction_of_100000_rows_arrives_whole_while_little_of_it_is_in_memory() {
    let cluster = Cluster::started(&["logical_decoding_work_mem=1MB"]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let budget = 1 << 20;
    let mut reader = Reader::live(dovetail::replication::Settings {
        buffer_bytes: budget,
        ..settings(&cluster)
    })
    .await;
    sql.batch_execute("INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 100000) i")
        .await
        .unwrap();
    let (mut rows, mut committed) = (0u32, false);
    let mut batch = Vec::new();
    while !committed {
        let more = tokio::time::timeout(PATIENCE, reader.feed.recv(&mut batch)).await;
        assert_eq!(more, Ok(true));
        let mut held = 0;
        for event in batch.drain(..) {
            match event {
                Event::Change(change) => {
                    let Row::Insert { new } = change.row else {
                        panic!()
                    };
                    rows += 1;
                    held += new.size();
                    let id = String::from_utf8(new.share(0).unwrap().to_vec()).unwrap();
                    assert_eq!(id, rows.to_string());
                }
                Event::Commit(_) => committed = true,
                _ => {}
            }
        }
        assert!(held < 2 * budget, "{held} bytes handed over at once");
    }
    assert_eq!(rows, 100_000);
}

#[tokio::test]
async fn a_row_larger_than_allowed_is_left_out_with_a_gap_and_the_stream_goes_on() {
    let cluster = Cluster::started(&[]).await;
    let sql = cluster.sql().await;
    sql.batch_execute(PUBLICATIONS).await.unwrap();
    let mut reader = Reader::live(dovetail::replication::Settings {
        max_message_bytes: 1 << 20,
        ..settings(&cluster)
    })
    .await;
    sql.batch_execute(
        "BEGIN; INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, repeat('x', 3000000));
         INSERT INTO t VALUES (3, 'b'); COMMIT",
    )
    .await
    .unwrap();
    assert_eq!(
        reader.transaction().await,
        ["insert t (1|a)", "gap message_skipped", "insert t (3|b)"]
    );
}
