//! What changes of a tenant do to those who are connected (P-108, P-109).

use serde_json::{Value, json};

use super::support::phoenix::Client;
use super::support::{eventually, token};
use super::tenants_support::{Ground, anon, data, database, extension, secret_of};

const TOPIC: &str = "realtime:room";

async fn ground_and_client(name: &str) -> (Ground, Client) {
    let ground = Ground::new().await;
    ground.tenant(name, &database().await).await;
    let client = ground.client(name, &anon(name)).await;
    client
        .join(TOPIC, json!({ "broadcast": { "ack": true } }))
        .await;
    (ground, client)
}

/// The message before the close, in the form of a broadcast to all, then 1012.
async fn asked_to_come_back(client: &Client) {
    let said = client
        .until("the message before the close", |frame| {
            frame.event == "system"
        })
        .await;
    assert_eq!((said.join_ref, said.reference), (None, None));
    assert_eq!(said.topic, TOPIC);
    assert_eq!(
        said.payload,
        json!({ "extension": "system", "status": "ok", "message": "Server requested disconnect" })
    );
    assert_eq!(client.closed().await, 1012);
}

#[tokio::test]
async fn suspending_ends_everything_and_can_be_lifted() {
    let (ground, client) = ground_and_client("susp").await;
    let idle = ground.client("susp", &anon("susp")).await;
    ground.change("susp", json!({ "suspend": true })).await;
    asked_to_come_back(&client).await;
    assert_eq!(
        idle.closed().await,
        1012,
        "a socket without a channel as well"
    );
    let refused = ground.refused("susp", &anon("susp")).await;
    assert_eq!(
        refused,
        (
            403,
            json!({ "error": "Realtime was disabled for this tenant" })
        )
    );
    ground.change("susp", json!({ "suspend": false })).await;
    let client = ground.client("susp", &anon("susp")).await;
    client.join(TOPIC, json!({})).await;
}

#[tokio::test]
async fn private_only_ends_public_channels() {
    let (ground, client) = ground_and_client("priv").await;
    ground.change("priv", json!({ "private_only": true })).await;
    asked_to_come_back(&client).await;
    let client = ground.client("priv", &anon("priv")).await;
    let (_, reply) = client.try_join(TOPIC, json!({})).await;
    assert_eq!(
        reply["response"]["reason"],
        "PrivateOnly: This project only allows private channels"
    );
}

#[tokio::test]
async fn another_secret_ends_those_who_came_with_the_old_one() {
    let (ground, client) = ground_and_client("turn").await;
    // The same secret again is no change.
    ground
        .change("turn", json!({ "jwt_secret": secret_of("turn") }))
        .await;
    client.heartbeat().await;
    ground
        .change("turn", json!({ "jwt_secret": secret_of("other") }))
        .await;
    asked_to_come_back(&client).await;
    assert_eq!(ground.refused("turn", &anon("turn")).await.0, 401);
    ground
        .client("turn", &anon("other"))
        .await
        .heartbeat()
        .await;
    let client = ground.client("turn", &anon("other")).await;
    client.join(TOPIC, json!({})).await;
    ground
        .change("turn", json!({ "jwt_jwks": { "keys": [] } }))
        .await;
    asked_to_come_back(&client).await;
}

#[tokio::test]
async fn limits_change_under_those_who_stay() {
    let (ground, client) = ground_and_client("lim").await;
    let change = json!({ "max_channels_per_client": 2, "max_concurrent_users": 1, "presence_enabled": true });
    ground.change("lim", change).await;
    client.join("realtime:second", json!({})).await;
    client
        .until("the state of presence, which is on now", |frame| {
            frame.topic == "realtime:second" && frame.event == "presence_state"
        })
        .await;
    let (_, reply) = client.try_join("realtime:third", json!({})).await;
    assert_eq!(
        reply["response"]["reason"],
        "ChannelRateLimitReached: Too many channels"
    );
    let refused = ground.refused("lim", &anon("lim")).await;
    assert_eq!(
        refused,
        (429, json!({ "error": "Too many connected users" }))
    );
    ground
        .change("lim", json!({ "max_concurrent_users": 2 }))
        .await;
    ground.client("lim", &anon("lim")).await;
    client.heartbeat().await;
}

#[tokio::test]
async fn another_database_is_opened_without_a_disconnect() {
    let (ground, client) = ground_and_client("move").await;
    let binding = json!({ "event": "INSERT", "schema": "public", "table": "t" });
    client.listen("realtime:t", binding).await;
    let other = database().await;
    ground
        .change("move", json!({ "extensions": [extension(&other)] }))
        .await;
    client
        .until("subscribed again", |frame| {
            frame.topic == "realtime:t" && frame.says_subscribed()
        })
        .await;
    let sql = other.connect().await;
    sql.batch_execute("insert into t values (5, 'moved')")
        .await
        .unwrap();
    assert_eq!(client.change("realtime:t").await["record"]["text"], "moved");
}

#[tokio::test]
async fn reload_asks_everybody_back_and_shutdown_nobody() {
    let (ground, client) = ground_and_client("again").await;
    let call = async |action: &str| {
        let path = format!("/api/tenants/again/{action}");
        let answer = ground.api("POST", &path, None).await;
        assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    };
    let binding = json!({ "event": "INSERT", "schema": "public", "table": "t" });
    client.listen("realtime:t", binding).await;
    call("shutdown").await;
    client
        .until("subscribed again", |frame| {
            frame.topic == "realtime:t" && frame.says_subscribed()
        })
        .await;
    client.heartbeat().await;
    call("reload").await;
    let said: Vec<Value> = [0, 1].map(|_| Value::Null).into();
    for _ in said {
        client
            .until("a message for each channel", |frame| {
                frame.event == "system"
            })
            .await;
    }
    assert_eq!(client.closed().await, 1012);
    let client = ground.client("again", &anon("again")).await;
    client.join(TOPIC, json!({})).await;
    for action in ["reload", "shutdown"] {
        let answer = ground
            .api("POST", &format!("/api/tenants/none/{action}"), None)
            .await;
        assert_eq!(answer.status, 404);
    }
}

#[tokio::test]
async fn deleting_ends_everything_and_gives_the_slot_back() {
    let ground = Ground::with(&[("SLOT_DURABLE", "true")]).await;
    let database = database().await;
    ground.tenant("del", &database).await;
    let client = ground.client("del", &anon("del")).await;
    client.join(TOPIC, json!({})).await;
    let pattern = format!("%{}%", ground.server.slot_suffix());
    let sql = database.connect().await;
    let slots = async || -> i64 {
        let count = "select count(*) from pg_replication_slots where slot_name like $1";
        sql.query_one(count, &[&pattern]).await.unwrap().get(0)
    };
    eventually("a slot", || async { (slots().await == 1).then_some(()) }).await;
    assert_eq!(
        ground.api("DELETE", "/api/tenants/del", None).await.status,
        204
    );
    asked_to_come_back(&client).await;
    assert_eq!(slots().await, 0);
    assert_eq!(ground.refused("del", &anon("del")).await.0, 404);
    let rows = ground.metadata.connect().await;
    let left: i64 = rows
        .query_one("select count(*) from _realtime.extensions", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn rows_that_others_write_count_when_the_time_of_what_was_read_is_over() {
    let ground = Ground::with(&[("TENANT_CACHE_EXPIRATION_IN_MS", "200")]).await;
    ground.tenant("by-hand", &database().await).await;
    let client = ground.client("by-hand", &anon("by-hand")).await;
    client.join(TOPIC, json!({})).await;
    let sql = ground.metadata.connect().await;
    let set = async |change: &str| {
        let update = format!("update _realtime.tenants set {change}");
        sql.batch_execute(&update).await.unwrap();
    };
    set("max_channels_per_client = 1").await;
    eventually("the new limit", || async {
        let (join_ref, reply) = client.try_join("realtime:more", json!({})).await;
        if reply["status"] == "ok" {
            client.push(Some(&join_ref), "realtime:more", "phx_leave", &json!({}));
            client.heartbeat().await;
            return None;
        }
        Some(())
    })
    .await;
    // Nobody has to knock for this one.
    set("suspend = true").await;
    asked_to_come_back(&client).await;
    set("suspend = false").await;
    let client = eventually("served again", || async {
        let target = ground.target("by-hand", &anon("by-hand"));
        super::support::socket::Socket::connect(&target).await.ok()
    })
    .await;
    let client = Client::over(client);
    client.join(TOPIC, json!({})).await;
    sql.batch_execute("delete from _realtime.tenants")
        .await
        .unwrap();
    asked_to_come_back(&client).await;
    assert_eq!(ground.refused("by-hand", &anon("by-hand")).await.0, 404);
}

#[tokio::test]
async fn health_has_four_states() {
    let ground = Ground::new().await;
    let database = database().await;
    ground.tenant("well", &database).await;
    let health = async || data(&ground.api("GET", "/api/tenants/well/health", None).await);
    let quiet = health().await;
    assert_eq!(
        quiet,
        json!({
            "healthy": true, "db_connected": false, "replication_connected": false,
            "connected_cluster": 0, "region": "us-east-1", "node": quiet["node"],
        })
    );
    let client = ground.client("well", &anon("well")).await;
    client.join(TOPIC, json!({})).await;
    let up = eventually("the stream", || async {
        let health = health().await;
        (health["replication_connected"] == true).then_some(health)
    })
    .await;
    assert_eq!(
        (&up["healthy"], &up["db_connected"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(up["connected_cluster"], 1);
    let mut away = database.clone();
    away.port = super::support::free_port();
    ground
        .change("well", json!({ "extensions": [extension(&away)] }))
        .await;
    let down = health().await;
    assert_eq!(
        (&down["healthy"], &down["db_connected"]),
        (&json!(false), &json!(false))
    );
    let bearer = format!("Bearer {}", token::service());
    let path = "/api/tenants/well/health";
    let head = ground
        .request("HEAD", path, "localhost", Some(&bearer), None)
        .await;
    assert_eq!(head.status, 200, "the stack's health check asks with HEAD");
}
