//! Resumable uploads and clients that lie: about offsets, lengths, versions, names, types.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::http::{self, Response};
use crate::support::surface::Surface;
use crate::surface_storage::{bucket, contents, settled};
use crate::surface_storage_leaks::{base64, begin, head, patch};

async fn post(surface: &Surface, headers: &[(&str, &str)]) -> Response {
    let path = "/storage/v1/upload/resumable";
    surface
        .ask("POST", path, &surface.service, headers, None)
        .await
}

fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name} {}", base64(value)))
        .collect();
    pairs.join(",")
}

#[tokio::test]
async fn what_a_beginning_has_to_say() {
    let surface = Surface::with(&[("FILE_SIZE_LIMIT", "1000000")]).await;
    bucket(
        &surface,
        "own",
        &json!({"file_size_limit": 1000, "allowed_mime_types": ["text/*"]}),
    )
    .await;
    let fine = metadata(&[
        ("bucketName", "own"),
        ("objectName", "a"),
        ("contentType", "text/plain"),
    ]);
    let none = metadata(&[
        ("bucketName", "none"),
        ("objectName", "a"),
        ("contentType", "text/plain"),
    ]);
    let image = metadata(&[
        ("bucketName", "own"),
        ("objectName", "a"),
        ("contentType", "image/png"),
    ]);
    let up = metadata(&[
        ("bucketName", "own"),
        ("objectName", "../a"),
        ("contentType", "text/plain"),
    ]);
    let nameless = metadata(&[("bucketName", "own")]);
    let tus = ("Tus-Resumable", "1.0.0");
    for (headers, status) in [
        (
            vec![("Upload-Length", "5"), ("Upload-Metadata", &fine)],
            412,
        ),
        (
            vec![
                ("Tus-Resumable", "0.2.2"),
                ("Upload-Length", "5"),
                ("Upload-Metadata", &fine),
            ],
            412,
        ),
        (vec![tus, ("Upload-Metadata", &fine)], 400),
        (
            vec![tus, ("Upload-Length", "-5"), ("Upload-Metadata", &fine)],
            400,
        ),
        (
            vec![tus, ("Upload-Length", "5x"), ("Upload-Metadata", &fine)],
            400,
        ),
        (
            vec![
                tus,
                ("Upload-Length", "99999999999999999999999"),
                ("Upload-Metadata", &fine),
            ],
            400,
        ),
        (
            vec![tus, ("Upload-Length", "1001"), ("Upload-Metadata", &fine)],
            413,
        ),
        (
            vec![
                tus,
                ("Upload-Length", "18446744073709551615"),
                ("Upload-Metadata", &fine),
            ],
            413,
        ),
        (
            vec![
                tus,
                ("Upload-Defer-Length", "1"),
                ("Upload-Metadata", &fine),
            ],
            501,
        ),
        (vec![tus, ("Upload-Length", "5")], 400),
        (
            vec![
                tus,
                ("Upload-Length", "5"),
                ("Upload-Metadata", "bucketName !!!"),
            ],
            400,
        ),
        (
            vec![tus, ("Upload-Length", "5"), ("Upload-Metadata", &nameless)],
            400,
        ),
        (
            vec![tus, ("Upload-Length", "5"), ("Upload-Metadata", &up)],
            400,
        ),
        (
            vec![tus, ("Upload-Length", "5"), ("Upload-Metadata", &none)],
            404,
        ),
        (
            vec![tus, ("Upload-Length", "5"), ("Upload-Metadata", &image)],
            415,
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let answer = post(&surface, &headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
        assert_eq!(answer.header("tus-resumable"), Some("1.0.0"));
        if status == 412 {
            assert!(
                answer
                    .header("tus-version")
                    .is_none_or(|version| version == "1.0.0")
            );
        }
    }
    assert!(contents(&surface).is_empty());
}

#[tokio::test]
async fn offsets_and_lengths_that_lie() {
    let surface = Surface::start().await;
    bucket(&surface, "own", &json!({})).await;
    let service = surface.service.clone();
    let created = begin(&surface, &service, "a", 10, "false").await;
    let path = created.header("location").unwrap().to_owned();
    assert!(created.header("upload-expires").unwrap().ends_with("GMT"));
    for offset in [1, 5, 10, 11, u64::MAX] {
        assert_eq!(
            patch(&surface, &path, &service, offset, b"x").await.status,
            409,
            "{offset}"
        );
    }
    // More than was said: refused before it is read, and nothing of it is kept.
    assert_eq!(
        patch(&surface, &path, &service, 0, b"0123456789ab")
            .await
            .status,
        413
    );
    assert_eq!(
        head(&surface, &path, &service)
            .await
            .header("upload-offset"),
        Some("0")
    );
    // The same without a length.
    let chunked = raw_patch(&surface, &path, 0, &["012345", "6789", "ab"]).await;
    assert_eq!(chunked.status, 413, "{}", chunked.text());
    assert_eq!(
        head(&surface, &path, &service)
            .await
            .header("upload-offset"),
        Some("0")
    );

    let part = patch(&surface, &path, &service, 0, b"0123").await;
    assert_eq!(
        (part.status, part.header("upload-offset")),
        (204, Some("4"))
    );
    assert_eq!(
        patch(&surface, &path, &service, 0, b"0123").await.status,
        409
    );
    // Nothing at all is fine, and changes nothing.
    assert_eq!(
        patch(&surface, &path, &service, 4, b"")
            .await
            .header("upload-offset"),
        Some("4")
    );
    for (header, value, status) in [
        ("Content-Type", "text/plain", 415),
        ("Upload-Offset", "four", 400),
        ("Upload-Offset", "", 400),
        ("Tus-Resumable", "2.0.0", 412),
    ] {
        let mut headers = vec![
            ("Tus-Resumable", "1.0.0"),
            ("Upload-Offset", "4"),
            ("Content-Type", "application/offset+octet-stream"),
        ];
        headers.retain(|(name, _)| *name != header);
        headers.push((header, value));
        let answer = surface
            .ask("PATCH", &path, &service, &headers, Some(b"4"))
            .await;
        assert_eq!(answer.status, status, "{header}: {value}");
    }
    let last = patch(&surface, &path, &service, 4, b"456789").await;
    assert_eq!(
        (last.status, last.header("upload-offset")),
        (204, Some("10"))
    );
    let got = surface.get("/storage/v1/object/own/a", &service).await;
    assert_eq!(got.text(), "0123456789");
    // Who missed the last answer learns that it is done; nothing can be added.
    assert_eq!(
        head(&surface, &path, &service)
            .await
            .header("upload-offset"),
        Some("10")
    );
    assert_eq!(patch(&surface, &path, &service, 10, b"x").await.status, 413);
    assert_eq!(patch(&surface, &path, &service, 10, b"").await.status, 204);
    for path in [
        "nonsense",
        "00000000-0000-0000-0000-000000000000",
        "..%2f..%2fcontent",
        "%2e%2e",
    ] {
        let path = format!("/storage/v1/upload/resumable/{path}");
        assert_eq!(
            patch(&surface, &path, &service, 0, b"x").await.status,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_second_part_waits_its_turn_and_asking_ends_the_first() {
    let surface = Surface::start().await;
    bucket(&surface, "own", &json!({})).await;
    let service = surface.service.clone();
    let created = begin(&surface, &service, "a", 1_000_000, "false").await;
    let path = created.header("location").unwrap().to_owned();
    // A part whose end does not come: a connection that is dead, and nobody knows.
    let mut stalled = tokio::net::TcpStream::connect(("127.0.0.1", surface.server.port()))
        .await
        .unwrap();
    let wire = format!(
        "PATCH {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 1000000\r\n\r\n"
    );
    stalled.write_all(wire.as_bytes()).await.unwrap();
    stalled.write_all(&vec![b'x'; 400_000]).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while contents(&surface).len() < 2 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the part does not arrive"
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(patch(&surface, &path, &service, 0, b"x").await.status, 423);
    let asked = head(&surface, &path, &service).await;
    let offset: u64 = asked.header("upload-offset").unwrap().parse().unwrap();
    assert!(offset > 0 && offset <= 400_000, "{offset}");
    let rest = vec![b'x'; 1_000_000 - usize::try_from(offset).unwrap()];
    assert_eq!(
        patch(&surface, &path, &service, offset, &rest).await.status,
        204
    );
    let got = surface.get("/storage/v1/object/own/a", &service).await;
    assert_eq!(got.body.len(), 1_000_000);
    drop(stalled);
}

#[tokio::test]
async fn an_upload_ends_with_its_time() {
    let surface = Surface::with(&[("TUS_URL_EXPIRY_MS", "1000")]).await;
    bucket(&surface, "own", &json!({})).await;
    let service = surface.service.clone();
    let created = begin(&surface, &service, "a", 10, "false").await;
    let path = created.header("location").unwrap().to_owned();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while head(&surface, &path, &service).await.status != 410 {
        assert!(tokio::time::Instant::now() < deadline, "it does not expire");
    }
    assert_eq!(patch(&surface, &path, &service, 0, b"x").await.status, 410);
}

#[tokio::test]
async fn forged_content_is_refused_at_the_end_and_leaves_nothing() {
    let surface = Surface::start().await;
    bucket(&surface, "own", &json!({})).await;
    let service = surface.service.clone();
    let metadata = metadata(&[
        ("bucketName", "own"),
        ("objectName", "a.png"),
        ("contentType", "image/png"),
    ]);
    let headers = [
        ("Tus-Resumable", "1.0.0"),
        ("Upload-Length", "9"),
        ("Upload-Metadata", metadata.as_str()),
    ];
    let created = post(&surface, &headers).await;
    let path = created.header("location").unwrap().to_owned();
    assert_eq!(
        patch(&surface, &path, &service, 0, b"<script").await.status,
        204
    );
    assert_eq!(patch(&surface, &path, &service, 7, b">1").await.status, 415);
    settled(&surface, 0).await;
    assert_eq!(head(&surface, &path, &service).await.status, 404);
}

/// A part in chunks, without a length.
async fn raw_patch(surface: &Surface, path: &str, offset: u64, chunks: &[&str]) -> Response {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", surface.server.port()))
        .await
        .unwrap();
    let mut wire = format!(
        "PATCH {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Tus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        surface.service
    );
    for chunk in chunks {
        wire.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    wire.push_str("0\r\n\r\n");
    stream.write_all(wire.as_bytes()).await.unwrap();
    let (mut answer, rest) = http::answer(&mut stream).await.unwrap();
    answer.body = http::read_body(&mut stream, &answer, rest).await.unwrap();
    answer
}
