//! Content as a response: whole or a part of it, streamed, with the headers that keep browsers from running it.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::content::stream;
use super::disposition::{disposition, essence};
use super::error::Error;
use super::objects::Object;
use super::{Storage, names, range};

/// Scripts never, and nothing from elsewhere; what a browser needs to show an image or play a film by itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'",
);

/// How a request wants content.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// Parameter `download`.
    pub(super) download: Option<String>,
    /// When the right to it ends, in seconds since 1970.
    pub(super) expires: Option<i64>,
}

/// The content of an object.
pub(super) async fn object(
    storage: &Storage,
    parts: &Parts,
    object: &Object,
    wish: &Wish,
) -> Result<Response, Error> {
    let etag = object.etag();
    let modified = object.modified.as_deref();
    let mut headers = HeaderMap::new();
    describe(
        &mut headers,
        object.mime(),
        &etag,
        modified,
        wish,
        object.cache_control(),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if range::is_fresh(&parts.headers, &etag, modified) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let path = names::content_path(&object.bucket, &object.name, &object.version)
        .ok_or_else(Error::no_object)?;
    let wanted = range::wanted(&parts.headers, &etag, modified);
    let known = match object.size() {
        // A range needs the truth, which a row need not know.
        Some(size) if wanted.is_none() && parts.method == Method::HEAD => size,
        _ if wanted.is_some() || parts.method == Method::HEAD => {
            let meta = storage
                .content
                .head(&path)
                .await
                .map_err(|error| Error::content(&error))?;
            meta.ok_or_else(Error::no_object)?.size
        }
        _ => 0,
    };
    let part = match wanted {
        Some(wanted) => Some(range::parse(wanted, known).map_err(|_| Error::range(known))?),
        None => None,
    };
    let status = if part.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    if parts.method == Method::HEAD {
        let length = part.as_ref().map_or(known, |part| part.end - part.start);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if let Some(part) = part {
            content_range(&mut headers, part.start, part.end, known);
        }
        return Ok((status, headers, Body::empty()).into_response());
    }
    let is_part = part.is_some();
    let found = storage
        .content
        .get(&path, part)
        .await
        .map_err(|error| Error::content(&error))?;
    let found = found.ok_or_else(Error::no_object)?;
    let (given, size) = (found.range.clone(), found.meta.size);
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(given.end.saturating_sub(given.start)),
    );
    if is_part {
        content_range(&mut headers, given.start, given.end, size);
    }
    Ok((status, headers, Body::from_stream(stream(found))).into_response())
}

fn content_range(headers: &mut HeaderMap, start: u64, end: u64, size: u64) {
    let last = end.saturating_sub(1);
    insert(
        headers,
        header::CONTENT_RANGE,
        &format!("bytes {start}-{last}/{size}"),
    );
}

/// What is said of every content.
pub(super) fn describe(
    headers: &mut HeaderMap,
    mime: &str,
    etag: &str,
    modified: Option<&str>,
    wish: &Wish,
    cache_control: &str,
) {
    // As the original has it, beside all the rest: no browser takes it for a page.
    let shown = if essence(mime) == "text/html" {
        "text/plain"
    } else {
        mime
    };
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    insert(headers, header::CONTENT_TYPE, shown);
    insert(
        headers,
        header::CONTENT_DISPOSITION,
        &disposition(mime, wish.download.as_deref()),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("none"),
    );
    insert(headers, header::ETAG, etag);
    if let Some(modified) = modified {
        insert(headers, header::LAST_MODIFIED, modified);
    }
    match wish.expires {
        Some(expires) => insert(headers, header::EXPIRES, &http_date(expires)),
        None => insert(headers, header::CACHE_CONTROL, cache_control),
    }
}

/// What cannot be a header is left out: rows are written by more than this service.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// As HTTP writes times.
pub(super) fn http_date(unix: i64) -> String {
    let time = chrono::DateTime::from_timestamp(unix, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_as_http_has_them() {
        assert_eq!(
            super::http_date(784_111_777),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
    }
}
