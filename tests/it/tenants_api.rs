//! The tenant API, from the first to the last request of a tenant's life.

use serde_json::{Value, json};

use super::support::cluster::Cluster;
use super::support::server::Server;
use super::support::token::{self, mint, now, sign};
use super::support::{free_port, http};
use super::tenants_support::{Ground, anon, data, database, extension, json, tenant};

#[tokio::test]
async fn a_tenant_is_created_shown_changed_and_deleted() {
    let ground = Ground::new().await;
    let database = database().await;
    let mut body = tenant("life", &database);
    body["name"] = json!("is overwritten");
    body["extensions"][0]["settings"]["mine"] = json!({ "kept": [1] });
    let path = "/api/tenants/life";
    let answer = ground
        .api("PUT", path, Some(json!({ "tenant": body })))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let created = data(&answer);
    let id = created["id"].as_str().unwrap();
    let location = format!("/api/tenants/{id}");
    assert_eq!(answer.header("location"), Some(location.as_str()));
    assert_eq!(created["name"], "life");
    assert_eq!(created["max_joins_per_second"], 100);
    let settings = &created["extensions"][0]["settings"];
    assert_ne!(
        settings["db_host"], "127.0.0.1",
        "the place is shown encrypted"
    );
    assert!(settings.get("db_password").is_none());
    assert_eq!(settings["mine"], json!({ "kept": [1] }));
    assert_eq!(settings["poll_max_changes"], 100);

    let shown = ground.api("GET", path, None).await;
    assert_eq!((shown.status, data(&shown)), (200, created.clone()));
    let list = ground.api("GET", "/api/tenants", None).await;
    assert_eq!(data(&list), json!([created]));

    let changed = ground
        .change("life", json!({ "max_concurrent_users": 7, "name": "new" }))
        .await;
    assert_eq!(
        (&changed["max_concurrent_users"], &changed["name"]),
        (&json!(7), &json!("new"))
    );
    assert_eq!(changed["extensions"], created["extensions"]);
    let posted = json!({ "tenant": { "external_id": "life", "max_concurrent_users": 8 } });
    let posted = ground.api("POST", "/api/tenants", Some(posted)).await;
    assert_eq!(posted.status, 200, "POST of an existing tenant changes it");
    assert_eq!(data(&posted)["max_concurrent_users"], 8);

    for _ in 0..2 {
        let deleted = ground.api("DELETE", path, None).await;
        assert_eq!((deleted.status, deleted.text().as_str()), (204, ""));
        assert_eq!(deleted.header("content-type"), None);
    }
    let gone = ground.api("GET", path, None).await;
    assert_eq!(
        (gone.status, json(&gone)),
        (404, json!({ "message": "not found" }))
    );
    let (status, answer) = ground.refused("life", &anon("life")).await;
    assert_eq!(
        (status, answer),
        (404, json!({ "error": "Tenant not found" }))
    );
}

#[tokio::test]
async fn what_is_written_is_encrypted_and_what_is_not_ours_is_left_alone() {
    let ground = Ground::new().await;
    let database = database().await;
    ground.tenant("kept", &database).await;
    let sql = ground.metadata.connect().await;
    sql.batch_execute(
        "alter table _realtime.tenants add column newer text default 'theirs';
         update _realtime.tenants set feature_flags = '{\"a\": true}', notify_private_alpha = true;
         update _realtime.extensions set settings = settings || '{\"hand_made\": 1}'",
    )
    .await
    .unwrap();
    ground
        .change("kept", json!({ "max_concurrent_users": 9 }))
        .await;
    let row = sql
        .query_one(
            "select t.newer, t.feature_flags, t.notify_private_alpha, e.settings, t.jwt_secret, t.migrations_ran
             from _realtime.tenants t join _realtime.extensions e on e.tenant_external_id = t.external_id",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "theirs");
    assert_eq!(row.get::<_, Value>(1), json!({ "a": true }));
    assert!(row.get::<_, bool>(2));
    let settings: Value = row.get(3);
    assert_eq!(settings["hand_made"], 1);
    // The original's own text for this plain text and key.
    assert_eq!(settings["db_user"], "sWBpZNdjggEPTQVlI52Zfw==");
    assert!(!row.get::<_, &str>(4).contains("secret"));
    assert_eq!(
        row.get::<_, i32>(5),
        81,
        "the original need not run its migrations"
    );
}

#[tokio::test]
async fn only_tokens_of_the_api_open_it() {
    let ground = Ground::with(&[
        (
            "API_JWT_SECRET_NEXT",
            "the next secret of the tenant API, long enough",
        ),
        (
            "API_TOKEN_BLOCKLIST",
            &mint(json!({ "blocked": true, "exp": 4_000_000_000_i64 })),
        ),
    ])
    .await;
    let next = sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        "{}",
        "the next secret of the tenant API, long enough",
    );
    let expired = mint(json!({ "exp": now() - 1 }));
    let blocked = mint(json!({ "blocked": true, "exp": 4_000_000_000_i64 }));
    let good = token::service();
    for (method, path) in [
        ("GET", "/api/tenants"),
        ("GET", "/api/tenants/a"),
        ("POST", "/api/tenants"),
        ("PUT", "/api/tenants/a"),
        ("PATCH", "/api/tenants/a"),
        ("DELETE", "/api/tenants/a"),
        ("POST", "/api/tenants/a/reload"),
        ("POST", "/api/tenants/a/shutdown"),
        ("GET", "/api/tenants/a/health"),
    ] {
        let refused = [
            None,
            Some(format!("bearer {good}")),
            Some(good.clone()),
            Some(format!("Bearer {}", anon("a"))),
            Some(format!("Bearer {expired}")),
            Some(format!("Bearer {blocked}")),
        ];
        for authorization in refused {
            let answer = ground
                .request(method, path, "localhost", authorization.as_deref(), None)
                .await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (403, ""),
                "{method} {path}"
            );
            assert_eq!(answer.header("content-type"), None);
        }
    }
    let bearer = format!("Bearer {next}");
    let answer = ground
        .request("GET", "/api/tenants/a", "localhost", Some(&bearer), None)
        .await;
    assert_eq!(
        answer.status, 404,
        "the next secret opens it, without any claim"
    );
}

#[tokio::test]
async fn bodies_that_are_not_acceptable_change_nothing() {
    let ground = Ground::new().await;
    let database = database().await;
    ground.tenant("firm", &database).await;
    let before = ground.api("GET", "/api/tenants/firm", None).await.text();
    for (body, status, expected) in [
        (
            json!({ "tenant": { "max_concurrent_users": "many" } }),
            422,
            json!({ "errors": { "max_concurrent_users": ["is invalid"] } }),
        ),
        (
            json!({ "tenant": { "jwt_secret": null } }),
            422,
            json!({ "errors": { "jwt_secret": ["either jwt_secret or jwt_jwks must be provided"] } }),
        ),
        (
            json!({ "nothing": 1 }),
            400,
            json!({ "message": "the body must be JSON: {\"tenant\":{...}}" }),
        ),
    ] {
        let answer = ground.api("PUT", "/api/tenants/firm", Some(body)).await;
        assert_eq!((answer.status, json(&answer)), (status, expected));
    }
    assert_eq!(
        ground.api("GET", "/api/tenants/firm", None).await.text(),
        before
    );
    // A secret may go when there are keys instead.
    let keys = json!({ "keys": [] });
    ground
        .change("firm", json!({ "jwt_secret": null, "jwt_jwks": keys }))
        .await;
    let missing = json!({ "tenant": { "external_id": "new", "jwt_secret": "s" } });
    let answer = ground.api("POST", "/api/tenants", Some(missing)).await;
    assert_eq!(
        json(&answer),
        json!({ "errors": { "extensions": ["can't be blank"] } })
    );
    assert_eq!(
        ground.api("GET", "/api/tenants/new", None).await.status,
        404
    );
}

#[tokio::test]
async fn a_database_that_cannot_be_prepared_is_said_and_the_tenant_is_there() {
    let ground = Ground::new().await;
    let mut nowhere = Cluster::shared().await.database_named("postgres");
    nowhere.port = free_port();
    let body = json!({ "tenant": tenant("lost", &nowhere) });
    let answer = ground.api("PUT", "/api/tenants/lost", Some(body)).await;
    assert_eq!(answer.status, 422);
    let message = json(&answer)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("could not be prepared"), "{message}");
    assert!(!message.contains("it is only a test"), "{message}");
    assert_eq!(
        ground.api("GET", "/api/tenants/lost", None).await.status,
        200
    );
    let health = ground.api("GET", "/api/tenants/lost/health", None).await;
    assert_eq!(
        data(&health)["healthy"],
        false,
        "its migrations are pending"
    );
    // Told where it is, it is prepared the next time somebody looks.
    let database = Cluster::shared().await.database().await;
    ground
        .change("lost", json!({ "extensions": [extension(&database)] }))
        .await;
    super::support::eventually("the database is prepared", || async {
        let health = ground.api("GET", "/api/tenants/lost/health", None).await;
        (data(&health)["healthy"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_tenant_of_the_environment_is_shown_and_cannot_be_written() {
    let database = database().await;
    let server = Server::start(&database).await;
    let call = async |method: &str, path: &str| {
        let mut request = http::Request::get("localhost", path);
        request.method = method.to_owned();
        let bearer = format!("Bearer {}", token::service());
        request.headers.push(("Authorization".into(), bearer));
        request.body = Some(json!({ "tenant": {} }).to_string().into_bytes());
        http::exchange(("127.0.0.1", server.port()), &request)
            .await
            .unwrap()
    };
    let shown = call("GET", "/api/tenants/realtime-dev").await;
    assert_eq!(
        (shown.status, &data(&shown)["external_id"]),
        (200, &json!("realtime-dev"))
    );
    assert!(!shown.text().contains("it is only a test"));
    let list = call("GET", "/api/tenants").await;
    assert_eq!(data(&list), json!([data(&shown)]));
    assert_eq!(call("GET", "/api/tenants/other").await.status, 404);
    for (method, path) in [
        ("POST", "/api/tenants"),
        ("PUT", "/api/tenants/realtime-dev"),
        ("PATCH", "/api/tenants/realtime-dev"),
        ("DELETE", "/api/tenants/realtime-dev"),
    ] {
        let answer = call(method, path).await;
        assert_eq!(answer.status, 409, "{method}");
        assert!(
            answer.text().contains("TENANTS=database"),
            "{}",
            answer.text()
        );
    }
    for action in ["reload", "shutdown"] {
        assert_eq!(
            call("POST", &format!("/api/tenants/other/{action}"))
                .await
                .status,
            404
        );
        let client = super::support::phoenix::Client::connect(&server, &token::anon()).await;
        client.join("realtime:room", json!({})).await;
        let answer = call("POST", &format!("/api/tenants/realtime-dev/{action}")).await;
        assert_eq!(answer.status, 204);
        if action == "reload" {
            assert_eq!(client.closed().await, 1012);
        } else {
            client.heartbeat().await;
        }
        super::support::eventually("healthy again", || async {
            let health = call("GET", "/api/tenants/realtime-dev/health").await;
            (data(&health)["db_connected"] == true).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn tokens_of_clients_see_health_and_manage_nothing() {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::start(&database).await;
    let ask = async |method: &str, path: &str, token: &str| {
        let mut request = http::Request::get("localhost", path);
        request.method = method.into();
        request
            .headers
            .push(("authorization".into(), format!("Bearer {token}")));
        let address = ("127.0.0.1", server.port());
        http::exchange(address, &request).await.unwrap().status
    };
    let tenant = "/api/tenants/realtime-dev";
    let address = mint(json!({ "url": "bucket/a.png" }));
    for token in [token::anon(), token::user("ann"), address] {
        assert_eq!(ask("GET", &format!("{tenant}/health"), &token).await, 200);
        for (method, path) in [
            ("GET", "/api/tenants".to_owned()),
            ("GET", tenant.to_owned()),
            ("DELETE", tenant.to_owned()),
            ("POST", format!("{tenant}/reload")),
            ("POST", format!("{tenant}/shutdown")),
        ] {
            assert_eq!(ask(method, &path, &token).await, 403, "{method} {path}");
        }
    }
    assert_eq!(ask("GET", tenant, &token::service()).await, 200);
    let public = ask("GET", "/realtime/v1/api/tenants", &token::service()).await;
    assert_eq!(public, 404, "the gateway of the stack forbids it");
}
