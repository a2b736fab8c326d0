//! The way into the endpoints of one tenant: which tenant, how many requests, whose token (protocol.md §5.6a, §7.4).

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::answers;
use crate::auth::Claims;
use crate::socket::unix_now;
use crate::tenant::Tenant;
use crate::tenants::{Directory, NoTenant};

/// `x-rate-limit` where there is no limit: the largest integer that every reader of JSON and JavaScript holds.
const NO_LIMIT: u64 = (1 << 53) - 1;

/// A request that was let in, and counted.
pub(super) struct Admitted {
    /// The tenant it is for.
    pub(super) tenant: Arc<Tenant>,
    /// The average of requests and the limit, per second, when it came.
    rate: (u64, u64),
}

/// The tenant that the request's host names; the error is the whole answer.
pub(super) async fn tenant(
    directory: &Directory,
    headers: &HeaderMap,
) -> Result<Arc<Tenant>, Response> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    directory
        .resolve(host)
        .await
        .map_err(|reason| match reason {
            NoTenant::Unknown => {
                answers::message(StatusCode::UNAUTHORIZED, "Tenant not found in database")
            }
            NoTenant::Unavailable => answers::message(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database of the tenants cannot be read now",
            ),
        })
}

/// Finds the tenant and counts the request, before anything is asked about who sent it (P-219).
///
/// The error is the whole answer.
pub(super) async fn enter(
    directory: &Directory,
    headers: &HeaderMap,
) -> Result<Admitted, Response> {
    let tenant = tenant(directory, headers).await?;
    let requests = &tenant.meters.requests;
    requests.add(1);
    // Whole requests, as the original shows them.
    let rate = (
        requests.average() as u64,
        requests.limit().unwrap_or(NO_LIMIT),
    );
    if requests.exceeded() {
        let until = requests.lifted_in(|average| average < rate.1 as f64);
        let refusal = too_many("Too many requests", until);
        let admitted = Admitted { tenant, rate };
        return Err(admitted.stamp(refusal));
    }
    Ok(Admitted { tenant, rate })
}

/// Why somebody is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotServed {
    /// No token, or none that counts. What is wrong with it is not told (P-190).
    Unauthorized,
    /// Nobody of the tenant is (P-187).
    Suspended,
}

impl From<NotServed> for Response {
    fn from(reason: NotServed) -> Self {
        match reason {
            NotServed::Unauthorized => answers::message(StatusCode::UNAUTHORIZED, "Unauthorized"),
            NotServed::Suspended => answers::message(StatusCode::FORBIDDEN, "Tenant is suspended"),
        }
    }
}

impl Admitted {
    /// Whose request it is; nobody's while the tenant is suspended.
    pub(super) fn person(&self, headers: &HeaderMap) -> Result<Arc<Claims>, NotServed> {
        let settings = self.tenant.settings();
        let claims = token(headers)
            .and_then(|token| settings.keys.verify(token, unix_now()).ok())
            .ok_or(NotServed::Unauthorized)?;
        match settings.suspend {
            true => Err(NotServed::Suspended),
            false => Ok(claims),
        }
    }

    /// Adds the `x-rate-*` headers (P-191).
    pub(super) fn stamp(&self, mut response: Response) -> Response {
        let (average, limit) = self.rate;
        for (name, number) in [
            ("x-rate-rolling", average),
            ("x-rate-limit", limit),
            ("x-rate-limit-remaining", limit.saturating_sub(average)),
        ] {
            let name = HeaderName::from_static(name);
            response
                .headers_mut()
                .insert(name, HeaderValue::from(number));
        }
        response
    }
}

/// 429; `until` is when it is worth coming again, absent when it never is.
pub(super) fn too_many(message: &str, until: Option<Duration>) -> Response {
    let mut response = answers::message(StatusCode::TOO_MANY_REQUESTS, message);
    if let Some(until) = until {
        let seconds = until.as_secs_f64().ceil().max(1.0) as u64;
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The token of a request: `Authorization` with the scheme `bearer` in any case or none at all (G-256), else `apikey`.
///
/// A header that is there twice is refused rather than chosen from: whoever stands in front may have looked at the other.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?;
        Some(match values.next() {
            Some(_) => None,
            None => first.to_str().ok(),
        })
    };
    if let Some(authorization) = only(&header::AUTHORIZATION) {
        match authorization?.split_once(' ') {
            None => return authorization,
            Some((_, token)) if token.contains(' ') => return None,
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => return Some(token),
            Some(_) => {}
        }
    }
    only(&HeaderName::from_static("apikey")).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(given: &[(&'static str, &'static str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        token(&headers).map(str::to_owned)
    }

    #[test]
    fn the_token_is_where_the_original_looks_for_it() {
        for (given, expected) in [
            (&[][..], None),
            (&[("authorization", "Bearer a")], Some("a")),
            (&[("authorization", "bEARER a")], Some("a")),
            (&[("authorization", "a")], Some("a")),
            (&[("apikey", "b")], Some("b")),
            (&[("authorization", "Bearer a"), ("apikey", "b")], Some("a")),
            (
                &[("authorization", "Basic abc"), ("apikey", "b")],
                Some("b"),
            ),
            (&[("authorization", "Basic abc")], None),
            (&[("authorization", "Bearer  a"), ("apikey", "b")], None),
            (&[("authorization", "Bearer a b"), ("apikey", "b")], None),
            (
                &[
                    ("authorization", "Bearer a"),
                    ("authorization", "Bearer b"),
                    ("apikey", "c"),
                ],
                None,
            ),
            (&[("apikey", "a"), ("apikey", "b")], None),
            (&[("x-api-key", "a")], None),
        ] {
            assert_eq!(found(given).as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn retry_after_is_in_whole_seconds_and_never_zero() {
        for (until, expected) in [
            (None, None),
            (Some(Duration::ZERO), Some("1")),
            (Some(Duration::from_millis(4200)), Some("5")),
        ] {
            let response = too_many("x", until);
            let header = response.headers().get(header::RETRY_AFTER);
            assert_eq!(header.map(|value| value.to_str().unwrap()), expected);
        }
    }
}
