//! Nobody learns of an object, or changes one, through `/storage/v1` that policies on `storage.objects` keep from them.
//!
//! Ann has a file with a mark that is found nowhere else. Everything that can be asked is asked as Bob, as a visitor and
//! without a token; no answer may hold the mark, the name's secret part, or its size, and afterwards the file is as it was.

use serde_json::json;

use crate::support::http::{Request, Response};
use crate::support::surface::Surface;
use crate::support::token;
use crate::surface_storage::{ANN, BOB, bucket, contents, put, refused};

const MARK: &str = "MARK-4711-of-ann";
const SECRET_NAME: &str = "diagnosis-77";

/// Everybody uses only the folder of their own.
async fn folders(surface: &Surface) {
    let sql = surface.database.connect().await;
    bucket(surface, "own", &json!({})).await;
    for (command, clause) in [
        ("select", "using"),
        ("insert", "with check"),
        ("update", "using"),
        ("delete", "using"),
    ] {
        sql.batch_execute(&format!(
            "create policy own_{command} on storage.objects for {command} to authenticated {clause}
             (bucket_id = 'own' and (storage.foldername(name))[1] = (select auth.uid())::text)"
        ))
        .await
        .unwrap();
    }
}

fn assert_silent(answer: &Response, what: &str) {
    let said = format!("{:?} {}", answer.headers, answer.text());
    for secret in [MARK, "\"size\":16", "bytes */16", "text/x-mark"] {
        assert!(!said.contains(secret), "{what} says {secret}: {said}");
    }
}

#[tokio::test]
async fn every_endpoint_as_the_wrong_person() {
    let surface = Surface::start().await;
    folders(&surface).await;
    let ann = token::user(ANN);
    let bob = token::user(BOB);
    let path = format!("own/{ANN}/{SECRET_NAME}");
    assert_eq!(
        put(&surface, &path, &ann, "text/x-mark", MARK.as_bytes())
            .await
            .status,
        200
    );
    assert_eq!(
        put(
            &surface,
            &format!("own/{BOB}/mine"),
            &bob,
            "text/plain",
            b"x"
        )
        .await
        .status,
        200
    );
    let before = contents(&surface).len();

    let key = format!("{ANN}/{SECRET_NAME}");
    let to = format!("{BOB}/taken");
    for (who, bearer) in [("bob", bob.as_str()), ("a visitor", surface.anon.as_str())] {
        for method in ["GET", "HEAD"] {
            for route in [
                format!("object/{path}"),
                format!("object/authenticated/{path}"),
                format!("object/public/{path}"),
                format!("object/info/{path}"),
                format!("object/info/authenticated/{path}"),
                format!("object/info/public/{path}"),
                format!("object/sign/{path}?token={bearer}"),
                format!("render/image/authenticated/{path}?width=1"),
                format!("render/image/public/{path}?width=1"),
                format!("render/image/sign/{path}?token={bearer}"),
            ] {
                for header in [
                    ("X-Any", "1"),
                    ("Range", "bytes=0-3"),
                    ("If-None-Match", "*"),
                ] {
                    let route = format!("/storage/v1/{route}");
                    let mut request = Request::get("localhost", &route);
                    request.method = method.to_owned();
                    request
                        .headers
                        .push(("Authorization".into(), format!("Bearer {bearer}")));
                    request.headers.push((header.0.into(), header.1.into()));
                    if method == "HEAD" {
                        // A body that never comes is not waited for.
                        let mut stream =
                            tokio::net::TcpStream::connect(("127.0.0.1", surface.server.port()))
                                .await
                                .unwrap();
                        let (answer, _) = crate::support::http::begin(&mut stream, &request)
                            .await
                            .unwrap();
                        assert!(answer.status >= 400, "{who} {method} {route}");
                        assert_silent(&answer, &route);
                        continue;
                    }
                    let answer = surface.send(&request).await;
                    assert!(
                        answer.status >= 400,
                        "{who} {method} {route}: {}",
                        answer.text()
                    );
                    assert_silent(&answer, &route);
                }
            }
        }
        for (method, route, body) in [
            ("POST", "object/list/own".to_owned(), json!({"prefix": ANN})),
            (
                "POST",
                "object/list/own".to_owned(),
                json!({"prefix": "", "search": SECRET_NAME}),
            ),
            (
                "POST",
                "object/list/own".to_owned(),
                json!({"prefix": "", "search": "%"}),
            ),
            (
                "POST",
                "object/list-v2/own".to_owned(),
                json!({"prefix": ANN}),
            ),
            (
                "POST",
                "object/list-v2/own".to_owned(),
                json!({"with_delimiter": true}),
            ),
            (
                "POST",
                format!("object/sign/{path}"),
                json!({"expiresIn": 60}),
            ),
            (
                "POST",
                "object/sign/own".to_owned(),
                json!({"expiresIn": 60, "paths": [key]}),
            ),
            ("POST", format!("object/upload/sign/{path}"), json!({})),
            (
                "POST",
                "object/move".to_owned(),
                json!({"bucketId": "own", "sourceKey": key, "destinationKey": to}),
            ),
            (
                "POST",
                "object/move".to_owned(),
                json!({"bucketId": "own", "sourceKey": key, "destinationKey": key}),
            ),
            (
                "POST",
                "object/copy".to_owned(),
                json!({"bucketId": "own", "sourceKey": key, "destinationKey": to}),
            ),
            (
                "DELETE",
                "object/own".to_owned(),
                json!({"prefixes": [key]}),
            ),
            ("DELETE", format!("object/{path}"), json!({})),
            ("GET", "bucket/own".to_owned(), json!({})),
            ("PUT", "bucket/own".to_owned(), json!({"public": true})),
            ("POST", "bucket/own/empty".to_owned(), json!({})),
            ("DELETE", "bucket/own".to_owned(), json!({})),
        ] {
            let answer = surface
                .ask_json(method, &format!("/storage/v1/{route}"), bearer, &body)
                .await;
            assert_silent(&answer, &format!("{who} {method} {route} {body}"));
            let said = answer.text();
            assert!(
                !said.contains("token="),
                "{who} got a token by {route}: {said}"
            );
            let own_words = body.to_string().contains(SECRET_NAME);
            assert!(
                own_words || !said.contains(SECRET_NAME),
                "{who} {route}: {said}"
            );
        }
        for (method, upsert) in [("POST", "false"), ("POST", "true"), ("PUT", "false")] {
            let headers = [("Content-Type", "text/plain"), ("x-upsert", upsert)];
            let route = format!("/storage/v1/object/{path}");
            let answer = surface
                .ask(method, &route, bearer, &headers, Some(b"overwritten"))
                .await;
            let code = answer.json()["statusCode"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(
                ["403", "409"].contains(&code.as_str()),
                "{who} {method}: {}",
                answer.text()
            );
            assert_silent(&answer, &route);
        }
        // Over an own object that is copied or moved to where the file is.
        for action in ["copy", "move"] {
            let body = json!({"bucketId": "own", "sourceKey": format!("{BOB}/mine"), "destinationKey": key});
            let headers = [("Content-Type", "application/json"), ("x-upsert", "true")];
            let route = format!("/storage/v1/object/{action}");
            let body = body.to_string();
            let answer = surface
                .ask("POST", &route, bearer, &headers, Some(body.as_bytes()))
                .await;
            assert!(answer.status >= 400, "{who} {action}: {}", answer.text());
        }
    }
    let mut nobody = Request::get("localhost", &format!("/storage/v1/object/{path}"));
    refused(&surface.send(&nobody).await, 404, "NoSuchBucket");
    nobody.path = format!("/storage/v1/object/authenticated/{path}");
    refused(&surface.send(&nobody).await, 400, "InvalidRequest");

    // Everything is as it was.
    let got = surface
        .get(&format!("/storage/v1/object/{path}"), &ann)
        .await;
    assert_eq!((got.status, got.text().as_str()), (200, MARK));
    assert_eq!(contents(&surface).len(), before);
    let bucket = surface
        .get("/storage/v1/bucket/own", &surface.service)
        .await
        .json();
    assert_eq!(bucket["public"], false);
    let mine = surface
        .get(&format!("/storage/v1/object/own/{BOB}/mine"), &bob)
        .await;
    assert_eq!(mine.text(), "x");
}

#[tokio::test]
async fn resumable_uploads_are_nobody_elses() {
    let surface = Surface::start().await;
    folders(&surface).await;
    let ann = token::user(ANN);
    let created = begin(&surface, &ann, &format!("{ANN}/tus"), 10, "false").await;
    assert_eq!(created.status, 201, "{}", created.text());
    let path = created.header("location").unwrap().to_owned();
    patch(&surface, &path, &ann, 0, b"01234").await;
    for bearer in [
        token::user(BOB),
        surface.anon.clone(),
        surface.service.clone(),
    ] {
        let answer = patch(&surface, &path, &bearer, 5, b"56789").await;
        assert_eq!(answer.status, 404, "{}", answer.text());
        let headers = [("Tus-Resumable", "1.0.0")];
        let answer = surface.ask("DELETE", &path, &bearer, &headers, None).await;
        assert_eq!(answer.status, 404);
        assert_eq!(head(&surface, &path, &bearer).await.status, 404);
    }
    let mut bare = Request::get("localhost", &path);
    bare.method = "PATCH".into();
    bare.headers.push(("Tus-Resumable".into(), "1.0.0".into()));
    assert_eq!(surface.send(&bare).await.status, 415);
    // Ann's own goes on.
    assert_eq!(patch(&surface, &path, &ann, 5, b"56789").await.status, 204);
    let got = surface
        .get(&format!("/storage/v1/object/own/{ANN}/tus"), &ann)
        .await;
    assert_eq!(got.text(), "0123456789");
    // And Bob begins none in her folder, nor over her file.
    for upsert in ["false", "true"] {
        for name in [format!("{ANN}/tus"), format!("{ANN}/new")] {
            let answer = begin(&surface, &token::user(BOB), &name, 10, upsert).await;
            assert!([403, 409].contains(&answer.status), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_public_bucket_that_becomes_private_is_private_at_once() {
    let surface = Surface::start().await;
    bucket(&surface, "p", &json!({"public": true})).await;
    put(
        &surface,
        "p/a",
        &surface.service,
        "text/plain",
        MARK.as_bytes(),
    )
    .await;
    let got = surface
        .get("/storage/v1/object/public/p/a", &surface.anon)
        .await;
    assert_eq!(got.text(), MARK);
    surface
        .ask_json(
            "PUT",
            "/storage/v1/bucket/p",
            &surface.service,
            &json!({"public": false}),
        )
        .await;
    let got = surface
        .get("/storage/v1/object/public/p/a", &surface.anon)
        .await;
    refused(&got, 404, "NoSuchBucket");
    assert_silent(&got, "public");
}

#[tokio::test]
async fn claims_of_one_request_are_not_those_of_the_next() {
    let surface = Surface::with(&[("SURFACE_CONNECTIONS", "1")]).await;
    folders(&surface).await;
    let ann = token::user(ANN);
    let path = format!("/storage/v1/object/own/{ANN}/a");
    put(
        &surface,
        &format!("own/{ANN}/a"),
        &ann,
        "text/plain",
        MARK.as_bytes(),
    )
    .await;
    for _ in 0..10 {
        assert_eq!(surface.get(&path, &ann).await.text(), MARK);
        assert_silent(&surface.get(&path, &token::user(BOB)).await, "the next");
        let body = json!({"prefix": ANN});
        let list = surface
            .ask_json("POST", "/storage/v1/object/list/own", &surface.anon, &body)
            .await;
        assert_eq!(list.json(), json!([]));
    }
}

pub(crate) async fn begin(
    surface: &Surface,
    bearer: &str,
    name: &str,
    length: u64,
    upsert: &str,
) -> Response {
    let metadata = format!("bucketName {},objectName {}", base64("own"), base64(name));
    let length = length.to_string();
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("Upload-Length", length.as_str()),
        ("Upload-Metadata", metadata.as_str()),
        ("x-upsert", upsert),
    ];
    surface
        .ask(
            "POST",
            "/storage/v1/upload/resumable",
            bearer,
            &headers,
            None,
        )
        .await
}

pub(crate) async fn patch(
    surface: &Surface,
    path: &str,
    bearer: &str,
    offset: u64,
    body: &[u8],
) -> Response {
    let offset = offset.to_string();
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("Upload-Offset", offset.as_str()),
        ("Content-Type", "application/offset+octet-stream"),
    ];
    surface
        .ask("PATCH", path, bearer, &headers, Some(body))
        .await
}

/// The head of the answer alone: its `Content-Length` is that of a body that does not come.
pub(crate) async fn head(surface: &Surface, path: &str, bearer: &str) -> Response {
    let mut request = Request::get("localhost", path);
    request.method = "HEAD".into();
    request
        .headers
        .push(("Authorization".into(), format!("Bearer {bearer}")));
    request
        .headers
        .push(("Tus-Resumable".into(), "1.0.0".into()));
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", surface.server.port()))
        .await
        .unwrap();
    crate::support::http::begin(&mut stream, &request)
        .await
        .unwrap()
        .0
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
