//! Tenants see nothing of each other, whatever a client says it is.

use std::time::Duration;

use serde_json::json;

use super::support::token::{now, sign};
use super::tenants_support::{Ground, anon, database, secret_of};

const LONG_ENOUGH: Duration = Duration::from_millis(500);

async fn two() -> Ground {
    let ground = Ground::new().await;
    for name in ["one", "two"] {
        ground.tenant(name, &database().await).await;
    }
    ground
}

#[tokio::test]
async fn the_token_of_another_tenant_opens_nothing() {
    let ground = two().await;
    let (status, answer) = ground.refused("one", &anon("two")).await;
    assert_eq!(
        (status, answer),
        (401, json!({ "error": "Failed to validate JWT signature" }))
    );
    let client = ground.client("one", &anon("one")).await;
    // A join with the token of another tenant.
    let frame = json!(["1", "1", "realtime:room", "phx_join", { "config": {}, "access_token": anon("two") }]);
    client.socket.text(frame.to_string());
    let reply = client
        .until("the reply", |frame| frame.replies_to("1"))
        .await;
    assert_eq!(reply.payload["status"], "error");
    assert_eq!(
        reply.payload["response"]["reason"],
        "JwtSignatureError: Failed to validate JWT signature"
    );
    // An exchange of the token of a channel.
    let join_ref = client.join("realtime:room", json!({})).await;
    client.push(
        Some(&join_ref),
        "realtime:room",
        "access_token",
        &json!({ "access_token": anon("two") }),
    );
    let closed = client
        .until("the end of the channel", |frame| frame.event == "phx_close")
        .await;
    assert_eq!(closed.topic, "realtime:room");
    // Views of channels.
    let bearer = format!("Bearer {}", anon("two"));
    let answer = ground
        .request("GET", "/api/channels", "one.example", Some(&bearer), None)
        .await;
    assert_eq!(answer.status, 401);
    // The secret of the tenant API is not that of a tenant.
    let (status, _) = ground
        .refused("one", &super::support::token::service())
        .await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_forged_key_id_finds_no_key_of_others() {
    let ground = two().await;
    let key = |kid: &str| json!({ "kty": "oct", "kid": kid, "k": "b25lIHR3byB0aHJlZSBmb3VyIGZpdmUgc2l4IHNldmVu" });
    ground
        .change("two", json!({ "jwt_jwks": { "keys": [key("of-two")] } }))
        .await;
    ground
        .change("one", json!({ "jwt_jwks": { "keys": [] } }))
        .await;
    let claims = json!({ "role": "anon", "exp": now() + 3600 }).to_string();
    let secret = "one two three four five six seven";
    for kid in ["of-two", "../two", "'; --"] {
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": kid }).to_string();
        let token = sign(&header, &claims, secret);
        let (status, _) = ground.refused("one", &token).await;
        assert_eq!(status, 401, "{kid}");
    }
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "of-two" }).to_string();
    ground
        .client("two", &sign(&header, &claims, secret))
        .await
        .heartbeat()
        .await;
    // Where the key id is not known the secret counts, as in the original.
    ground
        .client(
            "two",
            &sign(
                &header.replace("of-two", "else"),
                &claims,
                &secret_of("two"),
            ),
        )
        .await;
}

#[tokio::test]
async fn a_forged_host_names_nobody() {
    let ground = two().await;
    let long = "a".repeat(300);
    for host in [
        "three.example",
        "'or 1=1--.example",
        "one'--.example",
        "one%00.example",
        "one/.example",
        ".one.example",
        "*.example",
        long.as_str(),
    ] {
        let mut target = ground.target("one", &anon("one"));
        target.host = host.to_owned();
        match super::support::socket::Socket::connect(&target).await {
            Err(super::support::socket::Failure::Refused(answer)) => {
                assert_eq!(answer.status, 404, "{host}");
            }
            Err(super::support::socket::Failure::Io(err)) => panic!("{host}: {err}"),
            Ok(_) => panic!("{host} was served"),
        }
    }
    // Only the host counts, not what a proxy says it was.
    let mut target = ground.target("three", &anon("one"));
    for header in ["X-Forwarded-Host", "Forwarded"] {
        target
            .headers
            .push((header.into(), "host=one.example".into()));
    }
    assert!(
        super::support::socket::Socket::connect(&target)
            .await
            .is_err()
    );
    // The tenants are still there.
    ground.client("ONE", &anon("one")).await.heartbeat().await;
}

#[tokio::test]
async fn equal_topics_of_tenants_are_strangers() {
    let ground = Ground::new().await;
    // P-063: a prefix of names must not make two tenants one.
    for name in ["a", "a-private"] {
        let database = database().await;
        let sql = database.connect().await;
        sql.batch_execute(
            "create policy everybody_reads on realtime.messages for select to anon using (true);
             create policy everybody_writes on realtime.messages for insert to anon with check (true);",
        )
        .await
        .unwrap();
        ground.tenant(name, &database).await;
    }
    let public = ground.client("a-private", &anon("a-private")).await;
    let private = ground.client("a", &anon("a")).await;
    let topic = "realtime:room";
    let public_ref = public
        .join(topic, json!({ "broadcast": { "ack": true } }))
        .await;
    let config = json!({ "private": true, "broadcast": { "ack": true } });
    let private_ref = private.join(topic, config).await;
    for (client, join_ref) in [(&public, &public_ref), (&private, &private_ref)] {
        let sent = client.broadcast(join_ref, topic, "said", json!({ "n": 1 }));
        client
            .until("the ack", |frame| frame.replies_to(&sent))
            .await;
    }
    for client in [&public, &private] {
        client.heartbeat().await;
        client.silent(topic, LONG_ENOUGH).await;
    }
}

#[tokio::test]
async fn each_tenant_gets_the_changes_of_its_own_database_over_its_own_slot() {
    let ground = Ground::new().await;
    let databases = [database().await, database().await];
    for (name, database) in ["left", "right"].iter().zip(&databases) {
        ground.tenant(name, database).await;
    }
    let binding = json!({ "event": "*", "schema": "public", "table": "t" });
    let left = ground.client("left", &anon("left")).await;
    let right = ground.client("right", &anon("right")).await;
    for client in [&left, &right] {
        client.listen("realtime:t", binding.clone()).await;
    }
    for (database, text) in databases.iter().zip(["of the left", "of the right"]) {
        let sql = database.connect().await;
        sql.execute("insert into t values (1, $1)", &[&text])
            .await
            .unwrap();
    }
    for (client, text) in [(&left, "of the left"), (&right, "of the right")] {
        assert_eq!(client.change("realtime:t").await["record"]["text"], text);
    }
    for client in [&left, &right] {
        client.silent("realtime:t", LONG_ENOUGH).await;
    }
    let sql = databases[0].connect().await;
    let pattern = format!(
        "supabase_realtime_replication_slot_{}%",
        ground.server.slot_suffix()
    );
    let slots: i64 = sql
        .query_one(
            "select count(*) from pg_replication_slots where slot_name like $1",
            &[&pattern],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(slots, 2);
}
