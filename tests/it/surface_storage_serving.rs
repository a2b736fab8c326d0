//! Content as `/storage/v1` gives it: whole, in parts or not again, never as something that could run, never forged.

use serde_json::json;

use crate::support::surface::Surface;
use crate::surface_storage::{bucket, put, refused, settled};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

#[tokio::test]
async fn content_is_served_as_a_whole_in_parts_or_not_again() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({"public": true})).await;
    put(
        &surface,
        "b/digits",
        &surface.service,
        "text/plain",
        b"0123456789",
    )
    .await;
    put(&surface, "b/empty", &surface.service, "text/plain", b"").await;
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let path = format!("/storage/v1/object/public/b/{path}");
        surface
            .ask("GET", &path, &surface.anon, headers, None)
            .await
    };
    let whole = get("digits", &[]).await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    assert_eq!(whole.header("content-length"), Some("10"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("cache-control"), Some("max-age=60"));
    let etag = whole.header("etag").unwrap().to_owned();
    let modified = whole.header("last-modified").unwrap().to_owned();
    assert!(modified.ends_with(" GMT"));

    for (range, body, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=8-", "89", "bytes 8-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=5-500", "56789", "bytes 5-9/10"),
    ] {
        let part = get("digits", &[("Range", range)]).await;
        assert_eq!((part.status, part.text().as_str()), (206, body), "{range}");
        assert_eq!(part.header("content-range"), Some(content_range));
        assert_eq!(
            part.header("content-length"),
            Some(body.len().to_string().as_str())
        );
    }
    for range in [
        "bytes=10-",
        "bytes=5-4",
        "bytes=0-1,3-4",
        "bytes=0-0,0-0,0-0,0-0",
        "bytes=-0",
        "bytes=-",
        "bytes",
        "lines=0-1",
        "bytes=99999999999999999999-",
        "bytes=a-b",
        "bytes=0-1;x",
        &format!("bytes={}", "0-1,".repeat(1000)),
    ] {
        let answer = get("digits", &[("Range", range)]).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), Some("bytes */10"));
        refused(&answer, 416, "InvalidRange");
    }
    assert_eq!(get("empty", &[("Range", "bytes=0-")]).await.status, 416);
    assert_eq!(get("empty", &[]).await.text(), "");

    for headers in [
        [("If-None-Match", etag.as_str())],
        [("If-Modified-Since", modified.as_str())],
    ] {
        let same = get("digits", &headers).await;
        assert_eq!((same.status, same.body.len()), (304, 0));
        assert_eq!(same.header("etag"), Some(etag.as_str()));
    }
    let other = get(
        "digits",
        &[("Range", "bytes=0-1"), ("If-Range", "\"other\"")],
    )
    .await;
    assert_eq!((other.status, other.text().as_str()), (200, "0123456789"));
    let same = get("digits", &[("Range", "bytes=0-1"), ("If-Range", &etag)]).await;
    assert_eq!((same.status, same.text().as_str()), (206, "01"));

    let head = surface.ask(
        "HEAD",
        "/storage/v1/object/b/digits",
        &surface.service,
        &[],
        None,
    );
    let mut head = tokio::time::timeout(std::time::Duration::from_secs(10), head).await;
    let head = head.as_mut().unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    assert_eq!(head.header("etag"), Some(etag.as_str()));
    assert!(head.body.is_empty());

    let over = surface
        .ask(
            "PUT",
            "/storage/v1/object/b/digits",
            &surface.service,
            &[("Content-Type", "text/plain")],
            Some(b"new"),
        )
        .await;
    assert_eq!(over.status, 200);
    let changed = get("digits", &[("If-None-Match", &etag)]).await;
    assert_eq!((changed.status, changed.text().as_str()), (200, "new"));
}

#[tokio::test]
async fn nothing_that_could_run_is_shown() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({"public": true})).await;
    let script = b"<html><script>alert(1)</script></html>";
    for (name, mime) in [
        ("a.html", "text/html"),
        ("b.html", "TEXT/HTML;charset=utf-8"),
        ("c.svg", "image/svg+xml"),
        ("d.xml", "application/xhtml+xml"),
        ("e.js", "text/javascript"),
        ("f", "application/octet-stream"),
    ] {
        let body: &[u8] = if mime == "image/svg+xml" {
            b"<?xml version='1.0'?><svg/>"
        } else {
            script
        };
        let answer = put(&surface, &format!("b/{name}"), &surface.service, mime, body).await;
        assert_eq!(answer.status, 200, "{mime}: {}", answer.text());
        let got = surface
            .get(
                &format!("/storage/v1/object/public/b/{name}"),
                &surface.anon,
            )
            .await;
        assert_eq!(
            got.header("content-disposition"),
            Some("attachment"),
            "{mime}"
        );
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        assert!(
            got.header("content-security-policy")
                .unwrap()
                .starts_with("sandbox; default-src 'none'")
        );
        assert!(
            !got.header("content-type")
                .unwrap()
                .to_ascii_lowercase()
                .contains("html;"),
            "{mime}"
        );
    }
    let html = surface
        .get("/storage/v1/object/public/b/a.html", &surface.anon)
        .await;
    assert_eq!(html.header("content-type"), Some("text/plain"));
    // A type in a row that no header can hold.
    let sql = surface.database.connect().await;
    sql.batch_execute("update storage.objects set metadata = jsonb_build_object('mimetype', E'text/html\\r\\nX-Evil: 1', 'cacheControl', E'a\\nb')")
        .await
        .unwrap();
    let got = surface
        .get("/storage/v1/object/public/b/a.html", &surface.anon)
        .await;
    assert_eq!((got.status, got.header("x-evil")), (200, None));
    assert_eq!(got.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn forged_types_and_odd_types_are_refused_and_leave_nothing() {
    let surface = Surface::start().await;
    bucket(&surface, "b", &json!({})).await;
    let html = b"<!DOCTYPE html><script>alert(1)</script>".as_slice();
    for (mime, body) in [
        ("image/png", html),
        ("image/jpeg", PNG),
        ("image/gif", b"<gif>"),
        ("image/webp", b"RIFF....WAVE"),
        ("application/pdf", html),
        ("video/mp4", html),
        ("nonsense", b"x"),
        ("a/b/c", b"x"),
        ("image/", b"x"),
    ] {
        let answer = put(&surface, "b/forged", &surface.service, mime, body).await;
        refused(&answer, 415, "InvalidMimeType");
        assert_eq!(answer.json()["error"], "invalid_mime_type");
    }
    settled(&surface, 0).await;
    let list = surface
        .ask_json(
            "POST",
            "/storage/v1/object/list/b",
            &surface.service,
            &json!({"prefix": ""}),
        )
        .await;
    assert_eq!(list.json(), json!([]));
    assert_eq!(
        put(&surface, "b/fine.png", &surface.service, "image/png", PNG)
            .await
            .status,
        200
    );
}
