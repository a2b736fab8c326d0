//! What requests carry: shapes, sizes, odd names, many messages, and bodies that take their time.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rest_support::{HOST, Heard, Rest, bearer, request};
use crate::support::http;
use crate::support::token::anon;

#[tokio::test]
async fn ten_thousand_messages_arrive_in_order() {
    let rest = Rest::new().await;
    let member = rest.member(&anon(), "room", false).await;
    let token = bearer(&anon());
    let messages: Vec<Value> = (0..10_000)
        .map(|n| json!({ "topic": "room", "event": "n", "payload": { "n": n } }))
        .collect();
    let answer = rest
        .batch(&[("authorization", &token)], messages.into())
        .await;
    assert_eq!((answer.status, answer.body.len()), (202, 0));
    for n in 0..10_000 {
        let Heard::Text(payload) = member.next().await else {
            panic!("not text");
        };
        assert_eq!(payload["payload"]["n"], n);
    }
}

#[tokio::test]
async fn p170_p176_p177_p180_the_forms_that_members_receive() {
    let rest = Rest::new().await;
    let token = bearer(&anon());
    let headers = [("authorization", token.as_str())];
    let member = rest.member(&anon(), "room", false).await;
    let prefixed = rest.member(&anon(), "realtime:room", false).await;
    let with_id = json!([{ "topic": "room", "event": "e\n\u{1F600}", "payload": { "a": [1, "ü"] }, "id": "my \"id\"" }]);
    assert_eq!(rest.batch(&headers, with_id).await.status, 202);
    let expected = json!({
        "type": "broadcast", "event": "e\n\u{1F600}", "payload": { "a": [1, "ü"] }, "meta": { "id": "my \"id\"" },
    });
    assert_eq!(member.next().await, Heard::Text(expected));
    // The prefix belongs to the name.
    let message = json!([{ "topic": "realtime:room", "event": "p", "payload": {} }]);
    assert_eq!(rest.batch(&headers, message).await.status, 202);
    assert_eq!(prefixed.next().await.event(), "p");
    // Nothing in a body changes what the request is: these keys mean something to the original.
    let odd = json!({ "_method": "DELETE", "private": "true", "topic": "else", "event": "else" });
    assert_eq!(
        rest.single(&headers, "room/events/odd", odd.clone())
            .await
            .status,
        202
    );
    let Heard::User {
        event,
        json: true,
        payload,
    } = member.next().await
    else {
        panic!("not a kind 4 frame with JSON");
    };
    assert_eq!(event, "odd");
    assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), odd);
}

#[tokio::test]
async fn p182_names_in_the_path_are_decoded_once() {
    let rest = Rest::new().await;
    let token = bearer(&anon());
    let headers = [("authorization", token.as_str())];
    for (path, topic, event) in [
        ("a%2Fb/events/c%2Fd", "a/b", "c/d"),
        ("a%20b/events/%C3%BC", "a b", "ü"),
        ("a+b/events/c+d", "a+b", "c+d"),
        ("%2541/events/%2525", "%41", "%25"),
        ("events/events/events", "events", "events"),
        ("a:b/events/%3F%23", "a:b", "?#"),
    ] {
        let member = rest.member(&anon(), topic, false).await;
        assert_eq!(
            rest.single(&headers, path, json!({})).await.status,
            202,
            "{path}"
        );
        assert_eq!(member.next().await.event(), event, "{path}");
    }
    for (path, status) in [
        ("%FF/events/e", 400),
        ("a/events/%FF", 400),
        ("%20/events/e", 422),
        ("a/events/%20%09", 422),
        ("a/b/events/c", 404),
        ("a/events/", 404),
        ("a/other/e", 404),
    ] {
        assert_eq!(
            rest.single(&headers, path, json!({})).await.status,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn p179_too_large_is_refused_and_nobody_hears_it() {
    let rest = Rest::with("", &[("MAX_PAYLOAD_SIZE_IN_KB", "1")]).await;
    let token = bearer(&anon());
    let headers = [("authorization", token.as_str())];
    let member = rest.member(&anon(), "room", false).await;
    let large = json!({ "x": "x".repeat(2_000) });
    let expected = json!({ "errors": { "messages": [{}, { "payload": ["Payload size exceeds tenant limit"] }] } });
    let batch = json!([
        { "topic": "room", "event": "never", "payload": {} },
        { "topic": "room", "event": "never", "payload": large },
    ]);
    let answer = rest.batch(&headers, batch).await;
    assert_eq!(
        (
            answer.status,
            serde_json::from_slice::<Value>(&answer.body).unwrap()
        ),
        (422, expected)
    );
    let expected = r#"{"errors":{"payload":["Payload size exceeds tenant limit"]}}"#;
    let answer = rest.single(&headers, "room/events/never", large).await;
    assert_eq!((answer.status, answer.text().as_str()), (422, expected));
    let binary = [
        ("authorization", token.as_str()),
        ("content-type", "application/octet-stream"),
    ];
    let path = "/api/broadcast/room/events/never";
    let answer = rest.send("POST", path, &binary, Some(&[0; 2_000])).await;
    assert_eq!((answer.status, answer.text().as_str()), (422, expected));
    // Larger than any body: refused whether the request says how large it is or not.
    let huge = vec![b' '; 8_000_001];
    assert_eq!(
        rest.send("POST", path, &binary, Some(&huge)).await.status,
        413
    );
    assert_eq!(rest.batch(&headers, json!([{ "topic": "room", "event": "never", "payload": { "x": " ".repeat(8_000_000) } }])).await.status, 413);
    assert_eq!(chunked(&rest, &token, &huge).await, 413);
    // Without a token nobody can make the server keep a body, or learn whether it would.
    let stranger = [("content-type", "application/octet-stream")];
    assert_eq!(
        rest.send("POST", path, &stranger, Some(&huge)).await.status,
        401
    );
    assert_eq!(
        rest.single(&headers, "room/events/last", json!({}))
            .await
            .status,
        202
    );
    assert_eq!(member.next().await.event(), "last");
}

/// Sends a body in pieces, without its length; returns the status.
async fn chunked(rest: &Rest, token: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", rest.server.port()))
        .await
        .unwrap();
    let head = format!(
        "POST /api/broadcast/room/events/never HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nAuthorization: {token}\r\n\
         Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in body.chunks(1 << 20) {
        stream
            .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
            .await
            .unwrap();
        stream.write_all(piece).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    http::answer(&mut stream).await.unwrap().0.status
}

#[tokio::test]
async fn a_slow_body_holds_up_nobody_and_half_a_body_sends_nothing() {
    let rest = Rest::new().await;
    let token = bearer(&anon());
    let headers = [("authorization", token.as_str())];
    let member = rest.member(&anon(), "room", false).await;
    let body =
        json!({ "messages": [{ "topic": "room", "event": "slow", "payload": {} }] }).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /api/broadcast HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nAuthorization: {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    );
    let begin = async || {
        let mut stream = TcpStream::connect(("127.0.0.1", rest.server.port()))
            .await
            .unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    let mut slow = begin().await;
    let mut broken = begin().await;
    assert_eq!(
        rest.single(&headers, "room/events/meanwhile", json!({}))
            .await
            .status,
        202
    );
    assert_eq!(member.next().await.event(), "meanwhile");
    broken.shutdown().await.unwrap();
    slow.write_all(second.as_bytes()).await.unwrap();
    assert_eq!(http::answer(&mut slow).await.unwrap().0.status, 202);
    assert_eq!(member.next().await.event(), "slow");
    assert_eq!(
        rest.single(&headers, "room/events/last", json!({}))
            .await
            .status,
        202
    );
    assert_eq!(member.next().await.event(), "last");
}

#[tokio::test]
async fn p181_p183_p184_content_types() {
    let rest = Rest::new().await;
    let token = bearer(&anon());
    let member = rest.member(&anon(), "room", false).await;
    let send = async |kind: Option<&str>, event: &str, body: &[u8]| {
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        let path = format!("/api/broadcast/room/events/{event}");
        rest.send("POST", &path, &headers, Some(body)).await.status
    };
    let binary = Some("application/octet-stream");
    for (kind, event, body, json, payload) in [
        (binary, "bytes", &b"\x00\xff{"[..], false, &b"\x00\xff{"[..]),
        (binary, "empty", b"", false, b""),
        (None, "none", b"not looked at", true, b"{}"),
        (Some("application/json"), "empty json", b"", true, b"{}"),
        (
            Some("Application/JSON;charset=utf-8"),
            "list",
            b"[1]",
            true,
            br#"{"_json":[1]}"#,
        ),
    ] {
        let encoded = event.replace(' ', "%20");
        assert_eq!(send(kind, &encoded, body).await, 202, "{event}");
        let expected = Heard::User {
            event: event.into(),
            json,
            payload: payload.into(),
        };
        assert_eq!(member.next().await, expected);
    }
    for (body, kind, status) in [
        (&b"{\"a\":"[..], "application/json", 400),
        (b"{\"a\":\"\xff\"}", "application/json", 400),
        (b"{} trailing", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
    ] {
        assert_eq!(send(Some(kind), "never", body).await, status, "{kind}");
    }
    // Before anything is asked about who sends (P-183).
    let path = "/api/broadcast/room/events/never";
    let stranger = request(
        "POST",
        path,
        &[
            ("content-type", "text/plain"),
            ("host", "another.localhost"),
        ],
        Some(b"x"),
    );
    let answer = http::exchange(("127.0.0.1", rest.server.port()), &stranger)
        .await
        .unwrap();
    assert_eq!(answer.status, 415);
    assert_eq!(send(binary, "last", b"").await, 202);
    assert_eq!(member.next().await.event(), "last");
}
