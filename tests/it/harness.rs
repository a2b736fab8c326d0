//! The tests' own ground: a Postgres that starts, and one that can be stopped and started again.

use crate::support::cluster::{Cluster, Stop};

#[tokio::test]
async fn every_test_gets_a_database_with_logical_replication() {
    let cluster = Cluster::shared().await;
    let (one, two) = (cluster.database().await, cluster.database().await);
    assert_ne!(one.name, two.name);
    let row = one.connect().await;
    let row = row.query_one("show wal_level", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "logical");
}

#[tokio::test]
async fn a_cluster_keeps_its_data_when_it_is_stopped_and_started_again() {
    for how in [Stop::Fast, Stop::Immediate] {
        let mut cluster = Cluster::start().await;
        let database = cluster.database().await;
        let client = database.connect().await;
        client
            .batch_execute("create table kept (v int); insert into kept values (1); checkpoint")
            .await
            .unwrap();
        cluster.stop(how).await;
        cluster.resume().await;
        let client = database.connect().await;
        let row = client.query_one("select v from kept", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 1);
    }
}
