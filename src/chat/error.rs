//! Refusals of `/chat/v1`: `{code, message, hint}` with the status that says the same.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_postgres::error::{DbError, SqlState};

use crate::postgres;

/// What to do where the tables are missing.
const MIGRATE: &str = "run: dovetail migrate --chat";

/// See the module.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: String,
    /// Seconds until it is worth trying again.
    retry_after: Option<u64>,
}

impl Error {
    fn new(status: StatusCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
            StatusCode::NOT_IMPLEMENTED => "not_implemented",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "internal",
        };
        Self {
            status,
            code,
            message: message.into(),
            hint: hint.into(),
            retry_after: None,
        }
    }

    /// 400: a parameter is missing or odd.
    pub(super) fn bad(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, hint)
    }

    /// 429, with the seconds until there is allowance again.
    pub(super) fn too_many(seconds: u64) -> Self {
        let error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests from this address",
            format!("try again in {seconds} s"),
        );
        Self {
            retry_after: Some(seconds),
            ..error
        }
    }

    /// 501: this installation cannot do it.
    pub(super) fn missing(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message, hint)
    }

    /// 500: what happened is in the log.
    pub(super) fn internal() -> Self {
        let hint = "the log of the server says more";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "something went wrong",
            hint,
        )
    }

    /// 404 for a path that is none.
    pub(super) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such endpoint", "")
    }

    /// 405.
    pub(super) fn no_method() -> Self {
        let message = "this endpoint has no such method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message, "")
    }

    fn unavailable(error: &dyn std::error::Error) -> Self {
        tracing::warn!(%error, "chat: the database cannot be asked");
        let hint = "try again in a few seconds";
        Self {
            retry_after: Some(5),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the database is away",
                hint,
            )
        }
    }

    /// The status that a function chose (`PT403` is 403), as PostgREST reads it.
    fn chosen(error: &DbError) -> Option<Self> {
        let status: u16 = error.code().code().strip_prefix("PT")?.parse().ok()?;
        let status = StatusCode::from_u16(status).ok()?;
        Some(Self::new(
            status,
            error.message(),
            error.hint().unwrap_or_default(),
        ))
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        Self::unavailable(&error)
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return match error.is_closed() {
                true => Self::unavailable(&error),
                false => {
                    tracing::error!(%error, "chat: an answer of the database was not understood");
                    Self::internal()
                }
            };
        };
        if let Some(chosen) = Self::chosen(db) {
            return chosen;
        }
        match *db.code() {
            SqlState::UNDEFINED_FUNCTION
            | SqlState::UNDEFINED_TABLE
            | SqlState::INVALID_SCHEMA_NAME => {
                Self::missing("the messaging system is not in this database", MIGRATE)
            }
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::QUERY_CANCELED
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::T_R_SERIALIZATION_FAILURE => Self::unavailable(&error),
            _ => {
                // Code and message only: a detail may hold values of rows.
                let (code, message) = (db.code().code(), db.message());
                tracing::error!(code, message, "chat: the database refused");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.code, "message": self.message, "hint": self.hint });
        let mut answer = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            let headers = answer.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
