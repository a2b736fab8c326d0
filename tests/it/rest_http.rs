//! The surface around the REST endpoints: request ids, compression, methods, rates.

use serde_json::{Value, json};

use crate::rest_support::{Rest, bearer};
use crate::support::eventually;
use crate::support::token::{anon, service};

#[tokio::test]
async fn p222_every_response_has_a_request_id_and_a_good_one_is_kept() {
    let rest = Rest::new().await;
    for (method, path, status) in [
        ("GET", "/healthcheck", 200),
        ("GET", "/api/ping", 200),
        ("HEAD", "/api/ping", 200),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/broadcast", 404),
        ("OPTIONS", "/api/broadcast", 404),
        ("DELETE", "/api/broadcast/a/events/b", 404),
        ("POST", "/api/ping", 404),
        ("POST", "/api/broadcast", 401),
        ("GET", "/metrics", 403),
        ("GET", "/socket/websocket?vsn=9.9.9", 403),
    ] {
        let answer = rest.send(method, path, &[], None).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let id = answer.header("x-request-id").unwrap_or_default();
        assert!((20..=200).contains(&id.len()), "{method} {path}: {id:?}");
        let kept = "a-request-id-of-20-ch";
        let answer = rest
            .send(method, path, &[("x-request-id", kept)], None)
            .await;
        assert_eq!(answer.header("x-request-id"), Some(kept), "{method} {path}");
        for wrong in [
            "too-short-by-one-chr".split_at(19).0.to_owned(),
            "x".repeat(201),
        ] {
            let answer = rest
                .send(method, path, &[("x-request-id", &wrong)], None)
                .await;
            assert_ne!(
                answer.header("x-request-id"),
                Some(wrong.as_str()),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn head_is_like_get_and_answers_are_compressed_when_the_client_takes_that() {
    let rest = Rest::new().await;
    for path in [
        "/api/ping",
        "/healthcheck",
        "/healthz",
        "/readyz",
        "/api/openapi",
        "/realtime/v1/api/ping",
    ] {
        let get = rest.send("GET", path, &[], None).await;
        let head = rest.send("HEAD", path, &[], None).await;
        assert_eq!((get.status, head.status), (200, 200), "{path}");
        assert_eq!(
            get.header("content-type"),
            head.header("content-type"),
            "{path}"
        );
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
    let plain = rest.send("GET", "/api/openapi", &[], None).await;
    assert_eq!(plain.header("content-encoding"), None);
    let packed = rest
        .send(
            "GET",
            "/api/openapi",
            &[("accept-encoding", "gzip, br")],
            None,
        )
        .await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.body.get(..2), Some(&[0x1f, 0x8b][..]));
    assert!(packed.body.len() * 2 < plain.body.len());
    let refused = rest
        .send(
            "GET",
            "/api/openapi",
            &[("accept-encoding", "gzip;q=0")],
            None,
        )
        .await;
    assert_eq!(refused.header("content-encoding"), None);
}

#[tokio::test]
async fn p191_pages_of_other_origins_may_send_and_a_client_that_takes_no_json_is_told() {
    let rest = Rest::new().await;
    let token = bearer(&anon());
    let origin = ("origin", "https://example.org");
    for path in [
        "/api/broadcast",
        "/api/broadcast/a/events/b",
        "/realtime/v1/api/broadcast",
    ] {
        for (headers, allowed) in [(vec![origin], Some("*")), (vec![], None)] {
            let answer = rest.send("POST", path, &headers, None).await;
            assert_eq!(
                (answer.status, answer.header("access-control-allow-origin")),
                (401, allowed),
                "{path}"
            );
        }
        let headers = [("authorization", token.as_str()), ("accept", "text/html")];
        assert_eq!(
            rest.send("POST", path, &headers, None).await.status,
            406,
            "{path}"
        );
    }
    let answer = rest
        .send("OPTIONS", "/api/broadcast", &[origin], None)
        .await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (404, None)
    );
    assert_eq!(
        rest.send("GET", "/healthcheck", &[("accept", "text/html")], None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_gateways_path_reaches_the_same_endpoints() {
    let rest = Rest::new().await;
    let member = rest.member(&anon(), "room", false).await;
    let token = bearer(&anon());
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    let body =
        json!({ "messages": [{ "topic": "room", "event": "one", "payload": {} }] }).to_string();
    let batch = rest
        .send(
            "POST",
            "/realtime/v1/api/broadcast?apikey=x&vsn=2.0.0&log_level=info",
            &headers,
            Some(body.as_bytes()),
        )
        .await;
    assert_eq!(batch.status, 202);
    let single = rest
        .send(
            "POST",
            "/realtime/v1/api/broadcast/room/events/two",
            &headers,
            Some(b"{}"),
        )
        .await;
    assert_eq!(single.status, 202);
    assert_eq!(member.next().await.event(), "one");
    assert_eq!(member.next().await.event(), "two");
}

#[tokio::test]
async fn p178_p188_p219_rates() {
    let rest = Rest::with("", &[("TENANT_MAX_EVENTS_PER_SECOND", "5")]).await;
    let token = bearer(&service());
    let headers = [("authorization", token.as_str())];
    let messages = |count: usize| -> Value {
        (0..count)
            .map(|_| json!({ "topic": "room", "event": "e", "payload": {} }))
            .collect()
    };
    let answer = rest.batch(&headers, messages(6)).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (
            429,
            r#"{"message":"Too many messages to broadcast, please reduce the batch size"}"#
        )
    );
    // Larger than the limit: waiting does not help.
    assert_eq!(answer.header("retry-after"), None);
    assert_eq!(answer.header("x-rate-limit"), Some("5"));
    assert_eq!(rest.batch(&headers, messages(5)).await.status, 202);
    // More requests than the limit allows in a minute: refused at the next tick, before anybody looks at tokens.
    for _ in 0..305 {
        rest.send("GET", "/api/ping", &[], None).await;
    }
    let refusal = eventually("too many requests", || async {
        let answer = rest.send("GET", "/api/ping", &[], None).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert_eq!(refusal.text(), r#"{"message":"Too many requests"}"#);
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=61).contains(&wait), "{wait}");
    assert_eq!(refusal.header("x-rate-limit-remaining"), Some("0"));
    for answer in [
        rest.batch(&[], messages(1)).await,
        rest.single(&[], "room/events/e", json!({})).await,
    ] {
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (429, r#"{"message":"Too many requests"}"#)
        );
    }
}
