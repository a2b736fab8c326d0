//! What clients are told when they get nothing, in the two shapes that Auth has.
//!
//! A handler answers with a [`Refusal`]; [`rendered`], which stands around all of them, knows which version of the API
//! the request asked for (`X-Supabase-Api-Version`) and writes the body. Nothing here ever says what a row holds.

use std::borrow::Cow;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::gateway::database;

const VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
const CODE: HeaderName = HeaderName::from_static("x-sb-error-code");
/// The only version besides the first one.
const NEWEST: &str = "2024-01-01";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    /// What is wrong with a password.
    reasons: Option<Vec<&'static str>>,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            reasons: None,
            retry_after: None,
        }
    }

    /// 400.
    pub(super) fn bad(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400 `validation_failed`.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("validation_failed", message)
    }

    /// 403.
    pub(super) fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 404.
    pub(super) fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 422.
    pub(super) fn unprocessable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 500: what is said is harmless, the reason is logged.
    pub(super) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unexpected_failure",
            message,
        )
    }

    /// A password that is not good enough, for these reasons.
    pub(super) fn weak_password(message: String, reasons: Vec<&'static str>) -> Self {
        Self {
            reasons: Some(reasons),
            ..Self::unprocessable("weak_password", message)
        }
    }

    /// Come back in so many seconds.
    pub(super) fn too_many(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "over_request_rate_limit",
                "Request rate limit reached",
            )
        }
    }

    /// With what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn body(&self, newest: bool) -> Value {
        let mut body = Map::new();
        if newest {
            body.insert("code".to_owned(), self.code.into());
            body.insert("message".to_owned(), self.message.as_ref().into());
        } else {
            body.insert("code".to_owned(), self.status.as_u16().into());
            body.insert("error_code".to_owned(), self.code.into());
            body.insert("msg".to_owned(), self.message.as_ref().into());
        }
        if let Some(hint) = &self.hint {
            body.insert("hint".to_owned(), hint.as_ref().into());
        }
        if let Some(reasons) = &self.reasons {
            body.insert("weak_password".to_owned(), json!({ "reasons": reasons }));
        }
        Value::Object(body)
    }
}

/// The database said no where nothing better is known. The code of Postgres is logged, never its words: they may hold
/// what somebody wrote.
impl From<database::Error> for Refusal {
    fn from(error: database::Error) -> Self {
        let timeout = |message| Self::new(StatusCode::GATEWAY_TIMEOUT, "request_timeout", message);
        match &error {
            database::Error::Busy => timeout("The database is busy"),
            database::Error::Unavailable(reason) => {
                tracing::warn!(error = %reason, "auth: the database cannot be reached");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unexpected_failure",
                    "The database cannot be reached",
                )
            }
            database::Error::Role(_) | database::Error::Postgres(_) => match error.code() {
                Some("57014") => timeout("The database took too long"),
                code => {
                    tracing::warn!(
                        code,
                        object = error.db().and_then(|db| db.constraint().or(db.table())),
                        "auth: the database refused a statement"
                    );
                    Self::internal("Database error")
                }
            },
        }
    }
}

/// The body is written by [`rendered`].
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the bodies of refusals as the request wants them, and keeps every answer out of caches.
pub(super) async fn rendered(request: Request, next: Next) -> Response {
    let newest = asks_for_newest(request.headers());
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = (refusal.status, Json(refusal.body(newest))).into_response();
        let headers = response.headers_mut();
        headers.insert(CODE, HeaderValue::from_static(refusal.code));
        if newest {
            headers.insert(VERSION, HeaderValue::from_static(NEWEST));
        }
        if let Some(seconds) = refusal.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A date from 2024-01-01 on; anything else is the first version.
fn asks_for_newest(headers: &HeaderMap) -> bool {
    let date = headers.get(VERSION).and_then(|value| value.to_str().ok());
    let date = date.filter(|date| date.len() == NEWEST.len());
    let date = date.and_then(|date| chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").ok());
    date.is_some_and(|date| date.format("%Y-%m-%d").to_string().as_str() >= NEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_a_date_and_nothing_else() {
        for (value, newest) in [
            ("2024-01-01", true),
            ("2026-12-31", true),
            ("2023-12-31", false),
            ("2024-1-1", false),
            ("2024-13-01", false),
            ("99999-01-01", false),
            ("", false),
            ("newest", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(VERSION, HeaderValue::from_static(value));
            assert_eq!(asks_for_newest(&headers), newest, "{value}");
        }
        assert!(!asks_for_newest(&HeaderMap::new()));
    }

    #[test]
    fn both_shapes_name_the_code_and_say_the_same() {
        let refusal = Refusal::weak_password("Too short".to_owned(), vec!["length"]).hint("Longer");
        assert_eq!(
            refusal.body(true),
            json!({"code": "weak_password", "message": "Too short", "hint": "Longer",
                   "weak_password": {"reasons": ["length"]}})
        );
        assert_eq!(
            refusal.body(false),
            json!({"code": 422, "error_code": "weak_password", "msg": "Too short", "hint": "Longer",
                   "weak_password": {"reasons": ["length"]}})
        );
    }
}
