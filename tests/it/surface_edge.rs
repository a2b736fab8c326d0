//! What is common to the services of the embedded surface: which are served, CORS, request ids, metrics, a login that fails.

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::http::{Request, Response};
use crate::support::server::Server;
use crate::support::surface::Surface;
use crate::support::token;

async fn preflight(surface: &Surface, path: &str, method: &str) -> Response {
    let mut request = Request::get("localhost", path);
    request.method = "OPTIONS".into();
    for (name, value) in [
        ("Origin", "https://shop.example"),
        ("Access-Control-Request-Method", method),
        (
            "Access-Control-Request-Headers",
            "apikey,authorization,content-profile,prefer,x-client-info,tus-resumable,upload-length",
        ),
    ] {
        request.headers.push((name.into(), value.into()));
    }
    surface.send(&request).await
}

#[tokio::test]
async fn pages_of_any_origin_may_ask_every_service_and_read_what_they_need() {
    let surface = Surface::start().await;
    for (path, method) in [
        ("/rest/v1/things?id=eq.1", "PATCH"),
        ("/rest/v1/rpc/add", "POST"),
        ("/auth/v1/token?grant_type=password", "POST"),
        ("/auth/v1/user", "PUT"),
        ("/storage/v1/object/bucket/a.png", "DELETE"),
        ("/storage/v1/upload/resumable", "PATCH"),
        ("/realtime/v1/api/broadcast", "POST"),
        ("/realtime/v1/api/broadcast/room/events/hello", "POST"),
    ] {
        let answer = preflight(&surface, path, method).await;
        assert_eq!(answer.status, 200, "{path}");
        let header = |name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
        assert_eq!(header("access-control-allow-origin"), "*", "{path}");
        let methods = header("access-control-allow-methods");
        assert!(
            methods.contains(&method.to_ascii_lowercase()),
            "{path}: {methods}"
        );
        let headers = header("access-control-allow-headers");
        assert!(
            headers.contains("content-profile") && headers.contains("tus-resumable"),
            "{headers}"
        );
        assert!(!header("access-control-allow-credentials").contains("true"));
    }
    let origin = ("Origin", "https://shop.example");
    let answer = surface
        .ask("GET", "/auth/v1/settings", &surface.anon, &[origin], None)
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in [
        "content-range",
        "x-total-count",
        "upload-offset",
        "location",
    ] {
        assert!(exposed.contains(name), "{name} in {exposed}");
    }
    assert!(
        answer
            .header("x-request-id")
            .is_some_and(|id| id.len() >= 20)
    );
}

#[tokio::test]
async fn only_the_parts_that_are_named_are_served() {
    let surface = Surface::with(&[("SURFACE", "rest")]).await;
    let sql = surface.database.connect().await;
    sql.batch_execute("create table t (id int); grant select on t to anon")
        .await
        .unwrap();
    let anon = surface.anon.clone();
    assert_eq!(surface.get("/rest/v1/t", &anon).await.status, 200);
    for path in ["/auth/v1/settings", "/storage/v1/bucket"] {
        assert_eq!(surface.get(path, &anon).await.status, 404, "{path}");
    }
    // The default of serve: a real stack is beside it.
    let database = Cluster::shared().await.prepared().await;
    let server = Server::start(&database).await;
    for path in ["/rest/v1/", "/auth/v1/settings", "/storage/v1/bucket"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    let sql = database.connect().await;
    let made =
        "select to_regclass('auth.users') is not null or to_regnamespace('storage') is not null";
    let made: bool = sql.query_one(made, &[]).await.unwrap().get(0);
    assert!(!made, "and its tables are not made");
}

#[tokio::test]
async fn requests_are_counted_by_service_and_kind_of_status() {
    let surface = Surface::with(&[("METRICS_JWT_SECRET", token::SECRET)]).await;
    surface.get("/rest/v1/nowhere", &surface.anon.clone()).await;
    surface
        .get("/auth/v1/settings", &surface.anon.clone())
        .await;
    let metrics = surface
        .get("/metrics", &surface.service.clone())
        .await
        .text();
    for line in [
        r#"dovetail_surface_requests_total{service="rest",status="4xx"} 1"#,
        r#"dovetail_surface_requests_total{service="auth",status="2xx"} 1"#,
        r#"dovetail_surface_request_seconds_count{service="rest"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_login_that_fails_is_said_to_clients_without_a_secret_and_nothing_is_served() {
    // Gives the roles of the cluster their password, if nobody has yet.
    let first = Surface::start().await;
    let wrong = [("AUTHENTICATOR_PASSWORD", "not the password of anybody")];
    let surface = Surface::over(first.database.clone(), &wrong).await;
    for (path, statuses) in [
        ("/rest/v1/things", [503, 503]),
        ("/auth/v1/token?grant_type=password", [500, 503]),
        ("/storage/v1/bucket", [500, 503]),
    ] {
        let (method, body) = match path.contains("token") {
            true => (
                "POST",
                Some(json!({ "email": "a@example.com", "password": "secret!" }).to_string()),
            ),
            false => ("GET", None),
        };
        let headers = [("Content-Type", "application/json")];
        let body = body.as_ref().map(|body| body.as_bytes());
        let answer = surface
            .ask(method, path, &surface.anon, &headers, body)
            .await;
        assert!(
            statuses.contains(&answer.status),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(
            !answer.text().contains("not the password"),
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    }
}

/// A client that sends a large body hears why it is refused, though nobody wanted the body.
#[tokio::test]
async fn a_refusal_reaches_who_is_still_sending() {
    let surface = Surface::start().await;
    let body = vec![b'x'; 6 << 20];
    let json_type = ("Content-Type", "application/json");
    let bytes = ("Content-Type", "application/octet-stream");
    for (path, kind, status) in [
        ("/storage/v1/object/bucket/a%00b", bytes, 400),
        ("/storage/v1/object/bucket/a%7Fb", bytes, 400),
        ("/auth/v1/token?grant_type=password", json_type, 413),
        ("/rest/v1/rpc/nowhere?select=(", json_type, 400),
    ] {
        for _ in 0..3 {
            let answer = surface
                .ask("POST", path, &surface.anon, &[kind], Some(&body))
                .await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    let mut request = Request::get("localhost", "/rest/v1/things");
    request.method = "POST".into();
    request.body = Some(body);
    assert_eq!(surface.send(&request).await.status, 401);
}
