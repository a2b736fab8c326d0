//! Databases of tenants that come, go, and are not needed.

use serde_json::json;

use super::support::cluster::{Cluster, Database, Stop};
use super::support::eventually;
use super::support::phoenix::Client;
use super::tenants_support::{Ground, anon, data, database};

/// Connections of servers to a database.
async fn connections(database: &Database) -> i64 {
    let sql = Cluster::shared()
        .await
        .database_named("postgres")
        .connect()
        .await;
    let count = "select count(*) from pg_stat_activity
                 where datname = $1 and application_name like 'realtime%'";
    sql.query_one(count, &[&database.name])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn an_idle_tenant_releases_its_database_and_opens_it_again() {
    let ground = Ground::with(&[("TENANT_IDLE_RELEASE_MS", "300")]).await;
    let database = database().await;
    ground.tenant("idle", &database).await;
    let binding = json!({ "event": "INSERT", "schema": "public", "table": "t" });
    for round in 1..=2 {
        let client = ground.client("idle", &anon("idle")).await;
        client.listen("realtime:t", binding.clone()).await;
        let sql = database.connect().await;
        sql.execute("insert into t values ($1, 'here')", &[&round])
            .await
            .unwrap();
        assert_eq!(client.change("realtime:t").await["record"]["id"], round);
        assert!(connections(&database).await > 0);
        client.socket.close(1000);
        client.closed().await;
        eventually("no connection is left", || async {
            (connections(&database).await == 0).then_some(())
        })
        .await;
    }
    // A tenant with a socket is not idle, however quiet it is.
    let client = ground.client("idle", &anon("idle")).await;
    client.listen("realtime:t", binding).await;
    let ends = std::time::Instant::now() + std::time::Duration::from_millis(1200);
    while std::time::Instant::now() < ends {
        assert!(connections(&database).await > 0);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_tenant_recovers_by_itself_when_its_database_comes_back() {
    let ground = Ground::new().await;
    let mut own = Cluster::start().await;
    let away = own.prepared().await;
    let sql = away.connect().await;
    let table = "create table t (id int primary key); grant select on t to anon;
                 alter publication supabase_realtime add table t;";
    sql.batch_execute(table).await.unwrap();
    drop(sql);
    ground.tenant("fails", &away).await;
    ground.tenant("works", &database().await).await;
    let binding = json!({ "event": "INSERT", "schema": "public", "table": "t" });
    let client = ground.client("fails", &anon("fails")).await;
    client.listen("realtime:t", binding.clone()).await;
    own.stop(Stop::Immediate).await;
    // Meanwhile others are served, and so are its channels that need no database.
    let other = ground.client("works", &anon("works")).await;
    other.listen("realtime:t", binding.clone()).await;
    let late = ground.client("fails", &anon("fails")).await;
    late.join("realtime:room", json!({})).await;
    let health = ground.api("GET", "/api/tenants/fails/health", None).await;
    assert_eq!(data(&health)["healthy"], false);
    // A policy cannot be asked, so nobody gets in.
    let (_, reply) = late
        .try_join("realtime:closed", json!({ "private": true }))
        .await;
    assert_eq!(reply["status"], "error");
    own.resume().await;
    eventually("the stream is live again", || async {
        let health = ground.api("GET", "/api/tenants/fails/health", None).await;
        (data(&health)["replication_connected"] == true).then_some(())
    })
    .await;
    let sql = away.connect().await;
    sql.batch_execute("insert into t values (1)").await.unwrap();
    assert_eq!(client.change("realtime:t").await["record"]["id"], 1);
}

#[tokio::test]
async fn known_tenants_are_served_while_the_metadata_are_away() {
    let mut own = Cluster::start().await;
    let ground = Ground::on(
        own.database().await,
        &[("TENANT_CACHE_EXPIRATION_IN_MS", "100")],
    )
    .await;
    let database = database().await;
    for name in ["known", "unseen"] {
        ground.tenant(name, &database).await;
    }
    let client = ground.client("known", &anon("known")).await;
    client
        .join("realtime:room", json!({ "broadcast": { "self": true } }))
        .await;
    own.stop(Stop::Immediate).await;
    let again = ground.client("known", &anon("known")).await;
    let join_ref = again.join("realtime:room", json!({})).await;
    again.broadcast(&join_ref, "realtime:room", "said", json!({}));
    let heard = |client: Client| async move {
        client
            .until("the broadcast", |frame| frame.event == "broadcast")
            .await;
        client
    };
    let client = heard(client).await;
    // Whether there is such a tenant nobody can say now, so "not found" would be a lie.
    let refused = ground.refused("stranger", &anon("stranger")).await;
    assert_eq!(
        refused,
        (500, json!({ "error": "Error connecting to Realtime" }))
    );
    assert_eq!(
        ground.api("GET", "/api/tenants/known", None).await.status,
        500
    );
    own.resume().await;
    eventually("the metadata are read again", || async {
        let answer = ground.api("GET", "/api/tenants/known", None).await;
        (answer.status == 200).then_some(())
    })
    .await;
    eventually("strangers are unknown again", || async {
        (ground.refused("stranger", &anon("stranger")).await.0 == 404).then_some(())
    })
    .await;
    client.heartbeat().await;
    ground.change("known", json!({ "suspend": true })).await;
    assert_eq!(client.closed().await, 1012);
}

#[tokio::test]
async fn many_who_ask_for_one_tenant_ask_the_metadata_once() {
    let first = Ground::new().await;
    first.tenant("crowd", &database().await).await;
    // Another server that does not know the tenant yet.
    let ground = Ground::on(first.metadata.clone(), &[]).await;
    let mut sql = ground.metadata.connect().await;
    let lock = sql.transaction().await.unwrap();
    lock.batch_execute("lock table _realtime.tenants in access exclusive mode")
        .await
        .unwrap();
    let crowd = (0..30).map(|_| async {
        let client = ground.client("crowd", &anon("crowd")).await;
        client.heartbeat().await;
    });
    let questions = async {
        let watcher = ground.metadata.connect().await;
        let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                       and application_name = 'supabase_mt_realtime' and wait_event_type = 'Lock'";
        eventually("a question that waits", || async {
            let count: i64 = watcher.query_one(waiting, &[]).await.unwrap().get(0);
            (count > 0).then_some(())
        })
        .await;
        // Everybody has knocked by now, or would have been there to see the row at once.
        for _ in 0..20 {
            let count: i64 = watcher.query_one(waiting, &[]).await.unwrap().get(0);
            assert_eq!(count, 1);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        lock.commit().await.unwrap();
    };
    let (_, ()) = tokio::join!(futures_util::future::join_all(crowd), questions);
}
