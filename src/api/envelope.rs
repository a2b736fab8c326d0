//! What every request goes through, whatever its route: a request id, and whether the client takes JSON.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::answers;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every response has an `x-request-id`: the one of the request if it has 20 to 200 characters (P-222).
pub(super) async fn request_id(request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let mut response = next.run(request).await;
    id.put(&mut response);
    response
}

/// What a request is called.
pub struct RequestId(HeaderValue);

impl RequestId {
    /// That of the request, or a fresh one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(&REQUEST_ID).filter(|id| {
            id.to_str()
                .is_ok_and(|id| (20..=200).contains(&id.chars().count()))
        });
        Self(match given {
            Some(id) => id.clone(),
            None => {
                HeaderValue::try_from(fresh().to_string()).unwrap_or(HeaderValue::from_static(""))
            }
        })
    }

    /// Says it in the answer.
    pub fn put(self, response: &mut Response) {
        response.headers_mut().insert(REQUEST_ID, self.0);
    }
}

/// Unlike any other, and that is all: nothing is opened by it, so it is not worth a call of the kernel each time.
fn fresh() -> uuid::Uuid {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    static START: LazyLock<(u64, u64)> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // An odd factor makes another number of each number.
    let (high, low) = (START.0, START.1);
    let low = low.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let random = (u128::from(high) << 64) | u128::from(low);
    uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
}

/// Routes below `/api` speak JSON only: 406 to a client that does not take it (protocol.md §8.1 item 4).
pub(super) async fn json_only(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let path = path.strip_prefix("/realtime/v1").unwrap_or(path);
    if path.starts_with("/api/") && !takes_json(request.headers()) {
        return answers::page(StatusCode::NOT_ACCEPTABLE);
    }
    next.run(request).await
}

fn takes_json(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .collect();
    accepted.is_empty() || accepted.iter().any(|range| names_json(range))
}

fn names_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts.any(|parameter| {
        let quality = parameter
            .strip_prefix("q=")
            .or_else(|| parameter.strip_prefix("Q="));
        quality.is_some_and(|quality| quality.trim().parse() == Ok(0.0_f32))
    });
    !refused && matches!(kind.as_str(), "*/*" | "application/*" | "application/json")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_unless_accept_leaves_it_out() {
        for (accept, expected) in [
            (None, true),
            (Some(""), true),
            (Some("*/*"), true),
            (Some("application/json"), true),
            (Some("text/html, Application/JSON;q=0.5"), true),
            (Some("application/*"), true),
            (Some("text/html"), false),
            (Some("application/json;q=0"), false),
            (Some("garbage"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(takes_json(&headers), expected, "{accept:?}");
        }
    }
}
