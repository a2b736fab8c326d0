//! The server-side view of channels: what a server sees, and that nobody else sees anything.

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::http::{self, Request, Response};
use crate::support::phoenix::Client;
use crate::support::server::Server;
use crate::support::token::{anon, mint, now, service, sign, user};

/// A topic that has to be percent-encoded in a path.
const ODD: &str = "a/b c%ü?";
const ODD_PATH: &str = "a%2Fb%20c%25%C3%BC%3F";

async fn server() -> Server {
    let database = Cluster::shared().await.prepared().await;
    Server::start(&database).await
}

async fn ask(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::get("localhost", path);
    for (name, value) in headers {
        request
            .headers
            .push(((*name).to_owned(), (*value).to_owned()));
    }
    http::exchange(("127.0.0.1", server.port()), &request)
        .await
        .expect("an answer")
}

/// The JSON that a token of service_role gets.
async fn look(server: &Server, path: &str) -> Value {
    let bearer = format!("Bearer {}", service());
    let answer = ask(server, path, &[("Authorization", &bearer)]).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn a_server_sees_topics_counts_and_who_is_there() {
    let server = server().await;
    let empty = json!({ "channels": [], "next": null });
    assert_eq!(look(&server, "/api/channels").await, empty);

    let (ann, bob) = (
        Client::connect(&server, &anon()).await,
        Client::connect(&server, &anon()).await,
    );
    let topic = format!("realtime:{ODD}");
    let presence = json!({ "presence": { "enabled": true, "key": "ann" } });
    let join_ref = ann.join(&topic, presence).await;
    bob.join(&topic, json!({})).await;
    bob.join("realtime:lobby", json!({})).await;
    let track =
        json!({ "type": "presence", "event": "track", "payload": { "mood": "fine", "n": 1.50 } });
    let reference = ann.push(Some(&join_ref), &topic, "presence", &track);
    ann.until("the reply to the track", |frame| {
        frame.replies_to(&reference)
    })
    .await;

    let list = json!({ "channels": [
        { "topic": ODD, "private": false, "subscribers": 2 },
        { "topic": "lobby", "private": false, "subscribers": 1 },
    ], "next": null });
    let one = json!({ "topic": ODD, "private": false, "subscribers": 2 });
    for base in ["/api/channels", "/realtime/v1/api/channels"] {
        assert_eq!(look(&server, base).await, list);
        assert_eq!(look(&server, &format!("{base}/{ODD_PATH}")).await, one);
        let present = look(&server, &format!("{base}/{ODD_PATH}/presence")).await;
        let metas = present["ann"]["metas"].as_array().expect("metas");
        assert_eq!(present.as_object().map(serde_json::Map::len), Some(1));
        assert_eq!((metas.len(), &metas[0]["mood"]), (1, &json!("fine")));
    }

    // The private namespace is another one, and a topic of nobody is empty, not missing.
    let private = format!("/api/channels/{ODD_PATH}?private=true");
    assert_eq!(look(&server, &private).await["subscribers"], 0);
    let private = format!("/api/channels/{ODD_PATH}/presence?private=true");
    assert_eq!(look(&server, &private).await, json!({}));
    assert_eq!(
        look(&server, "/api/channels/nobody").await["subscribers"],
        0
    );
    assert_eq!(
        look(&server, "/api/channels/nobody/presence").await,
        json!({})
    );

    let leave = bob.push(None, &topic, "phx_leave", &json!({}));
    bob.until("the reply to the leave", |frame| frame.replies_to(&leave))
        .await;
    let path = format!("/api/channels/{ODD_PATH}");
    assert_eq!(look(&server, &path).await["subscribers"], 1);
}

#[tokio::test]
async fn the_list_comes_in_pages_that_miss_nobody() {
    let server = server().await;
    let client = Client::connect(&server, &anon()).await;
    let mut expected: Vec<String> = (0..25).map(|n| format!("room {n}&+:")).collect();
    for name in &expected {
        client.join(&format!("realtime:{name}"), json!({})).await;
    }
    expected.sort();
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = look(&server, &format!("/api/channels?limit=10{after}")).await;
        let channels = page["channels"].as_array().expect("a list");
        assert!(channels.len() <= 10);
        seen.extend(channels.iter().map(|channel| {
            let topic = channel["topic"].as_str();
            topic.expect("a topic").to_owned()
        }));
        pages += 1;
        let Some(next) = page["next"].as_str() else {
            break;
        };
        let encoded: String = next.bytes().map(|byte| format!("%{byte:02X}")).collect();
        after = format!("&after={encoded}");
    }
    assert_eq!((seen, pages), (expected, 3));

    let bearer = format!("Bearer {}", service());
    for wrong in ["limit=0", "limit=1001", "limit=x", "limit=-1", "after=room"] {
        let path = format!("/api/channels?{wrong}");
        let answer = ask(&server, &path, &[("Authorization", &bearer)]).await;
        assert_eq!(answer.status, 422, "{wrong}");
        let field = wrong.split('=').next().expect("a name");
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert!(body["errors"][field][0].is_string(), "{body}");
    }
}

#[tokio::test]
async fn nobody_else_sees_anything() {
    let server = server().await;
    let client = Client::connect(&server, &anon()).await;
    let presence = json!({ "presence": { "enabled": true, "key": "secret-person" } });
    let join_ref = client.join("realtime:secret-topic", presence).await;
    let track = json!({ "event": "track", "payload": {} });
    let reference = client.push(Some(&join_ref), "realtime:secret-topic", "presence", &track);
    client
        .until("the reply", |frame| frame.replies_to(&reference))
        .await;

    let bearer = |token: &str| ("Authorization", format!("Bearer {token}"));
    let claims = json!({ "role": "service_role", "exp": now() + 3600 }).to_string();
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let other = sign(
        header,
        &claims,
        "the-secret-of-another-tenant-of-32-characters",
    );
    let unsigned = sign(r#"{"alg":"none"}"#, &claims, "");
    let expired = mint(json!({ "role": "service_role", "exp": now() - 1 }));
    let no_role = mint(json!({ "sub": "service_role" }));
    let good = service();
    let mut asked: Vec<(u16, Vec<(&str, String)>)> = vec![
        (401, vec![]),
        (401, vec![bearer("")]),
        (401, vec![bearer("x")]),
        (401, vec![bearer(&other)]),
        (401, vec![bearer(&unsigned)]),
        (401, vec![bearer(&expired)]),
        (401, vec![bearer(&no_role)]),
        (401, vec![("apikey", other.clone())]),
        // A scheme and exactly one word, or the word alone; and what the socket takes is not taken here.
        (401, vec![("Authorization", format!("Bearer {good} x"))]),
        (401, vec![("Authorization", format!("Bearer  {good}"))]),
        (401, vec![("x-api-key", good.clone())]),
        // Authorization wins over a good apikey.
        (401, vec![bearer("x"), ("apikey", good.clone())]),
    ];
    for role in [
        "anon",
        "authenticated",
        "supabase_admin",
        "SERVICE_ROLE",
        "service_role ",
    ] {
        let token = mint(json!({ "role": role, "app_metadata": { "role": "service_role" } }));
        asked.push((403, vec![bearer(&token)]));
    }
    asked.push((403, vec![bearer(&anon()), ("apikey", good.clone())]));
    asked.push((403, vec![bearer(&user("ann"))]));
    // What is let in: the token alone, as some gateways send it (G-256), the scheme in any case, and apikey without or behind another scheme.
    asked.push((200, vec![("Authorization", good.clone())]));
    asked.push((200, vec![("Authorization", format!("bEaReR {good}"))]));
    asked.push((200, vec![("apikey", good.clone())]));
    asked.push((
        200,
        vec![
            ("Authorization", "Basic abc".to_owned()),
            ("apikey", good.clone()),
        ],
    ));

    for (status, headers) in &asked {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        for base in ["/api/channels", "/realtime/v1/api/channels"] {
            for rest in ["", "/secret-topic", "/secret-topic/presence", "?limit=x"] {
                let answer = ask(&server, &format!("{base}{rest}"), &headers).await;
                if *status == 200 {
                    assert_ne!(answer.status, 401, "{headers:?}");
                    assert_ne!(answer.status, 403, "{headers:?}");
                    continue;
                }
                assert_eq!(answer.status, *status, "{base}{rest} {headers:?}");
                let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
                assert!(body["message"].is_string());
                assert!(!answer.text().contains("secret"), "{}", answer.text());
            }
        }
    }
    // In the query a token counts for nothing.
    let path = format!("/api/channels?apikey={good}");
    assert_eq!(ask(&server, &path, &[]).await.status, 401);
}

#[tokio::test]
async fn another_host_is_another_tenant() {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::with(&database, &[("TENANT_FROM_HOST", "true")]).await;
    let bearer = format!("Bearer {}", service());
    let mut request = Request::get("realtime-dev.local", "/api/channels");
    request
        .headers
        .push(("Authorization".to_owned(), bearer.clone()));
    let address = ("127.0.0.1", server.port());
    let own = http::exchange(address, &request).await.expect("an answer");
    assert_eq!(own.status, 200);
    let foreign = ask(&server, "/api/channels", &[("Authorization", &bearer)]).await;
    assert_eq!(foreign.status, 401);
    assert_eq!(
        foreign.text(),
        r#"{"message":"Tenant not found in database"}"#
    );
}

#[tokio::test]
async fn the_inspector_can_be_switched_off() {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::with(&database, &[("INSPECTOR", "false")]).await;
    for path in ["/inspector", "/inspector/", "/inspector/main.mjs"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}
