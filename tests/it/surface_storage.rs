//! `/storage/v1` over HTTP: shapes of answers and refusals, names, ranges, types, sizes, headers.

use serde_json::{Value, json};

use crate::support::http::{Request, Response};
use crate::support::surface::Surface;
use crate::support::token;

pub(crate) const ANN: &str = "00000000-0000-4000-8000-00000000000a";
pub(crate) const BOB: &str = "00000000-0000-4000-8000-00000000000b";

/// A bucket, made with the key of servers.
pub(crate) async fn bucket(surface: &Surface, name: &str, more: &Value) {
    let mut body = json!({"id": name, "name": name, "public": false});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    let answer = surface
        .ask_json("POST", "/storage/v1/bucket", &surface.service, &body)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// An upload with the content as the body.
pub(crate) async fn put(
    surface: &Surface,
    path: &str,
    bearer: &str,
    mime: &str,
    body: &[u8],
) -> Response {
    let path = format!("/storage/v1/object/{path}");
    let headers = [("Content-Type", mime), ("Cache-Control", "max-age=60")];
    surface
        .ask("POST", &path, bearer, &headers, Some(body))
        .await
}

/// The status that clients read, in the body.
#[track_caller]
pub(crate) fn refused(answer: &Response, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!(body["statusCode"], status.to_string(), "{body}");
    assert_eq!(body["code"], code, "{body}");
    assert!(
        body["message"].is_string() && body["error"].is_string(),
        "{body}"
    );
    assert!(answer.status >= 400, "{}", answer.status);
}

/// Files that are content, in the whole folder.
pub(crate) fn contents(surface: &Surface) -> Vec<std::path::PathBuf> {
    fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found)
            } else {
                found.push(path)
            }
        }
    }
    let mut found = Vec::new();
    walk(surface.folder(), &mut found);
    found
}

/// Waits until there are so many files: content that failed is removed on a task of its own.
pub(crate) async fn settled(surface: &Surface, expected: usize) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let found = contents(surface);
        if found.len() == expected {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{expected} expected: {found:?}"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn refusals_have_the_shape_of_the_original() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({})).await;
    let service = surface.service.clone();

    let mut bare = Request::get("localhost", "/storage/v1/bucket");
    let answer = surface.send(&bare).await;
    refused(&answer, 400, "InvalidRequest");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["message"],
        "headers must have required property 'authorization'"
    );

    bare.headers
        .push(("Authorization".into(), "Bearer nonsense".into()));
    let answer = surface.send(&bare).await;
    refused(&answer, 403, "AccessDenied");
    assert_eq!(answer.json()["error"], "Unauthorized");
    assert_eq!(answer.status, 400);

    let stranger = token::mint(json!({"role": "postgres"}));
    refused(
        &surface.get("/storage/v1/bucket", &stranger).await,
        403,
        "AccessDenied",
    );

    let missing = surface.get("/storage/v1/object/b/none", &service).await;
    refused(&missing, 404, "NoSuchKey");
    assert_eq!(missing.json()["error"], "not_found");
    refused(
        &surface.get("/storage/v1/object/none/none", &service).await,
        404,
        "NoSuchBucket",
    );
    refused(
        &surface.get("/storage/v1/bucket/none", &service).await,
        404,
        "NoSuchBucket",
    );

    let again = surface
        .ask_json(
            "POST",
            "/storage/v1/bucket",
            &service,
            &json!({"name": "b"}),
        )
        .await;
    refused(&again, 409, "BucketAlreadyExists");
    assert_eq!(again.json()["error"], "Duplicate");

    let bad = surface
        .ask_json("POST", "/storage/v1/object/list/b", &service, &json!({}))
        .await;
    refused(&bad, 400, "InvalidRequest");
    assert_eq!(
        surface
            .get("/storage/v1/nothing/here", &service)
            .await
            .status,
        404
    );
    for path in [
        "s3",
        "s3/b/k",
        "vector/ListVectorBuckets",
        "iceberg/v1/config",
        "cdn/b/k",
        "bucket/b/lifecycle",
    ] {
        let answer = surface.get(&format!("/storage/v1/{path}"), &service).await;
        refused(&answer, 501, "NotSupported");
        assert_eq!(answer.status, 501);
        assert!(answer.json()["hint"].is_string());
    }
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({})).await;
    let outside = surface.folder().parent().unwrap().join("escaped");
    for name in [
        "../escaped",
        "..%2fescaped",
        "%2e%2e/escaped",
        "%2e%2e%2fescaped",
        "a/../../escaped",
        "a/%2e%2e/escaped",
        "..%5cescaped",
        "a%5c..%5cescaped",
        "%00",
        "a%00.png",
        "a%0ab",
        "/escaped",
        "%2fescaped",
        "//escaped",
        "a//b",
        "a/",
        ".",
        "..",
        "%2e",
        "a/.",
        "%252e%252e/escaped",
        "%c0%ae%c0%ae/escaped",
        "%ff",
        "%u002e",
        "caf%C3%A9",
        "%E2%80%AE",
        "C:%5Cx",
        "~%2f",
        "a%7cb",
        &"x".repeat(1025),
        &format!("{}a", "a/".repeat(600)),
    ] {
        let answer = put(
            &surface,
            &format!("b/{name}"),
            &surface.service,
            "text/plain",
            b"x",
        )
        .await;
        assert!(
            answer.status >= 400,
            "{name}: {} {}",
            answer.status,
            answer.text()
        );
        assert_eq!(
            contents(&surface),
            Vec::<std::path::PathBuf>::new(),
            "{name}"
        );
        for (method, path) in [
            ("GET", format!("/storage/v1/object/b/{name}")),
            ("GET", format!("/storage/v1/object/public/b/{name}")),
            ("GET", format!("/storage/v1/object/info/b/{name}")),
            (
                "GET",
                format!("/storage/v1/render/image/authenticated/b/{name}?width=1"),
            ),
            ("GET", format!("/storage/v1/object/sign/b/{name}?token=x")),
            ("DELETE", format!("/storage/v1/object/b/{name}")),
        ] {
            let answer = surface
                .ask(method, &path, &surface.service, &[], None)
                .await;
            assert!(answer.status >= 400, "{method} {path}: {}", answer.status);
        }
    }
    put(&surface, "b/fine", &surface.service, "text/plain", b"x").await;
    for name in ["../x", "a/../../x", "\u{0}", "a\\b", "", "/x", "%2e%2e/x"] {
        for (from, to) in [("fine", name), (name, "fine2")] {
            for action in ["move", "copy"] {
                let body = json!({"bucketId": "b", "sourceKey": from, "destinationKey": to});
                let path = format!("/storage/v1/object/{action}");
                let answer = surface
                    .ask_json("POST", &path, &surface.service, &body)
                    .await;
                refused(&answer, 400, "InvalidKey");
            }
        }
    }
    for name in ["../../x", "..", "a/b", "a\\b", ""] {
        let body = json!({"name": name});
        let answer = surface
            .ask_json("POST", "/storage/v1/bucket", &surface.service, &body)
            .await;
        assert!(answer.status >= 400, "{name}");
    }
    assert!(!outside.exists());
    assert_eq!(contents(&surface).len(), 1);
}

#[tokio::test]
async fn a_row_that_was_tampered_with_leads_to_no_other_content() {
    let surface = Surface::start().await;
    let sql = surface.database.connect().await;
    bucket(&surface, "b", &json!({"public": true})).await;
    put(
        &surface,
        "b/secret",
        &surface.service,
        "text/plain",
        b"secret",
    )
    .await;
    put(&surface, "b/mine", &surface.service, "text/plain", b"mine").await;
    for version in [
        "(select version from storage.objects where name = 'secret')",
        "'../../../../etc/passwd'",
        "'/etc/passwd'",
        "''",
        "null",
    ] {
        sql.batch_execute(&format!(
            "update storage.objects set version = {version} where name = 'mine'"
        ))
        .await
        .unwrap();
        let answer = surface
            .get("/storage/v1/object/public/b/mine", &surface.anon)
            .await;
        refused(&answer, 404, "NoSuchKey");
    }
}

#[tokio::test]
async fn bodies_without_end_are_cut_off() {
    let surface = Surface::with(&[("FILE_SIZE_LIMIT", "100000")]).await;
    bucket(&surface, "b", &json!({})).await;
    let large = vec![b'x'; 100_001];
    refused(
        &put(&surface, "b/a", &surface.service, "text/plain", &large).await,
        413,
        "EntityTooLarge",
    );
    // Without a length: counted as it comes.
    let mut chunked = Request::get("localhost", "/storage/v1/object/b/a");
    chunked.method = "POST".into();
    chunked.headers.push((
        "Authorization".into(),
        format!("Bearer {}", surface.service),
    ));
    chunked
        .headers
        .push(("Content-Type".into(), "text/plain".into()));
    chunked
        .headers
        .push(("Transfer-Encoding".into(), "chunked".into()));
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", surface.server.port()))
        .await
        .unwrap();
    let mut wire = format!("POST {} HTTP/1.1\r\n", chunked.path);
    for (name, value) in &chunked.headers {
        wire.push_str(&format!("{name}: {value}\r\n"));
    }
    wire.push_str("\r\n");
    for _ in 0..20 {
        wire.push_str(&format!("{:x}\r\n{}\r\n", 10_000, "x".repeat(10_000)));
    }
    wire.push_str("0\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, wire.as_bytes())
        .await
        .unwrap();
    let (mut answer, rest) = crate::support::http::answer(&mut stream).await.unwrap();
    answer.body = crate::support::http::read_body(&mut stream, &answer, rest)
        .await
        .unwrap();
    refused(&answer, 413, "EntityTooLarge");
    // JSON has its own limit.
    let names: Vec<String> = (0..30_000).map(|number| format!("{number:0100}")).collect();
    let answer = surface
        .ask_json(
            "DELETE",
            "/storage/v1/object/b",
            &surface.service,
            &json!({"prefixes": names}),
        )
        .await;
    refused(&answer, 413, "EntityTooLarge");
    // A form whose fields have no end.
    let field = format!(
        "--x\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n",
        "a".repeat(1_100_000)
    );
    let form = format!(
        "{field}--x\r\nContent-Disposition: form-data; name=\"\"; filename=\"f\"\r\n\r\nx\r\n--x--\r\n"
    );
    let headers = [("Content-Type", "multipart/form-data; boundary=x")];
    let answer = surface
        .ask(
            "POST",
            "/storage/v1/object/b/form",
            &surface.service,
            &headers,
            Some(form.as_bytes()),
        )
        .await;
    refused(&answer, 413, "EntityTooLarge");
    settled(&surface, 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_behind() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({})).await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", surface.server.port()))
        .await
        .unwrap();
    let head = format!(
        "POST /storage/v1/object/b/half HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: text/plain\r\nContent-Length: 10000000\r\n\r\n",
        surface.service
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &vec![b'x'; 3_000_000])
        .await
        .unwrap();
    // The part is being written: its file is there.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while contents(&surface).is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "nothing is written");
        tokio::task::yield_now().await;
    }
    drop(stream);
    settled(&surface, 0).await;
    refused(
        &surface
            .get("/storage/v1/object/b/half", &surface.service)
            .await,
        404,
        "NoSuchKey",
    );
}

#[tokio::test]
async fn old_content_goes_with_its_row() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({})).await;
    let service = &surface.service;
    assert_eq!(
        put(&surface, "b/a", service, "text/plain", b"one")
            .await
            .status,
        200
    );
    settled(&surface, 1).await;
    let headers = [("Content-Type", "text/plain")];
    surface
        .ask(
            "PUT",
            "/storage/v1/object/b/a",
            service,
            &headers,
            Some(b"two"),
        )
        .await;
    settled(&surface, 1).await;
    let places = json!({"bucketId": "b", "sourceKey": "a", "destinationKey": "c"});
    assert_eq!(
        surface
            .ask_json("POST", "/storage/v1/object/copy", service, &places)
            .await
            .status,
        200
    );
    settled(&surface, 2).await;
    let places = json!({"bucketId": "b", "sourceKey": "a", "destinationKey": "d"});
    assert_eq!(
        surface
            .ask_json("POST", "/storage/v1/object/move", service, &places)
            .await
            .status,
        200
    );
    settled(&surface, 2).await;
    assert_eq!(
        surface.get("/storage/v1/object/b/d", service).await.text(),
        "two"
    );
    assert_eq!(
        surface
            .ask("DELETE", "/storage/v1/object/b/d", service, &[], None)
            .await
            .status,
        200
    );
    settled(&surface, 1).await;
    // A duplicate is refused before its content is taken in.
    refused(
        &put(&surface, "b/c", service, "text/plain", b"x").await,
        409,
        "KeyAlreadyExists",
    );
    settled(&surface, 1).await;
    assert_eq!(
        surface
            .ask("POST", "/storage/v1/bucket/b/empty", service, &[], None)
            .await
            .status,
        200
    );
    settled(&surface, 0).await;
}

#[tokio::test]
async fn two_who_write_one_object_at_once_leave_one_content() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({})).await;
    let headers = [("Content-Type", "text/plain")];
    for round in 0..5 {
        let path = format!("/storage/v1/object/b/{round}");
        let one = surface.ask("PUT", &path, &surface.service, &headers, Some(b"one"));
        let two = surface.ask("PUT", &path, &surface.service, &headers, Some(b"two"));
        let (one, two) = tokio::join!(one, two);
        assert_eq!((one.status, two.status), (200, 200));
        let got = surface.get(&path, &surface.service).await.text();
        assert!(got == "one" || got == "two", "{got}");
    }
}
