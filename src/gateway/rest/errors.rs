//! Refusals as PostgREST words them: status, code, message, details and hint.
//!
//! Clients decide by the codes, so those are the original's. What Postgres itself said is handed on as it is: it was
//! said to the caller's role. Nothing else of the inside is told.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio_postgres::error::DbError;

use crate::auth::TokenError;
use crate::gateway::caller::NoCaller;
use crate::gateway::database::Error;

/// Longest part of a request that is repeated in an answer.
const QUOTED: usize = 200;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rejection {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) details: Value,
    pub(super) hint: Option<String>,
    /// Headers of the answer besides the usual ones.
    pub(super) headers: Option<Box<HeaderMap>>,
}

impl Rejection {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            details: Value::Null,
            hint: None,
            headers: None,
        }
    }

    pub(super) fn details(mut self, details: impl Into<Value>) -> Self {
        self.details = details.into();
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A parameter of the URL that cannot be read.
    pub(super) fn grammar(what: &str, given: &str, column: usize, details: String) -> Self {
        let given = shortened(given);
        let message = format!("\"failed to parse {what} ({given})\" (line 1, column {column})");
        Self::new(StatusCode::BAD_REQUEST, "PGRST100", message).details(details)
    }

    /// More of something than one request may have.
    pub(super) fn too_much(what: &str, limit: usize) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST100",
            format!("Too many {what} in one request"),
        )
        .details(format!("At most {limit} {what} are taken"))
        .hint("Split the request, or put the query into a function and call it by rpc")
    }

    /// Something of PostgREST that is not served here.
    pub(super) fn unsupported(details: &str, hint: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "PGRST127",
            "Feature not implemented",
        )
        .details(details)
        .hint(hint)
    }

    /// A body that is not what it should be.
    pub(super) fn body(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PGRST102", message)
    }

    /// A range that cannot be answered.
    pub(super) fn out_of_range(details: impl Into<Value>) -> Self {
        let message = "Requested range not satisfiable";
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103", message).details(details)
    }

    /// A result that is not one row.
    pub(super) fn not_single(rows: i64) -> Self {
        let message = "Cannot coerce the result to a single JSON object";
        Self::new(StatusCode::NOT_ACCEPTABLE, "PGRST116", message)
            .details(format!("The result contains {rows} rows"))
    }

    /// A column that its table has not, in the words of Postgres.
    pub(super) fn no_column(table: &str, column: &str) -> Self {
        let message = format!("column {table}.{} does not exist", shortened(column));
        Self::new(StatusCode::BAD_REQUEST, "42703", message)
    }

    /// Whether a catalog that was read anew could have another answer.
    pub(super) fn may_be_stale(&self) -> bool {
        matches!(
            self.code.as_str(),
            "PGRST200"
                | "PGRST202"
                | "PGRST204"
                | "PGRST205"
                | "42P01"
                | "42703"
                | "42883"
                | "42P10"
        )
    }

    /// The same for what is written: its values are read as the types that the catalog names.
    pub(super) fn may_be_of_other_types(&self) -> bool {
        let code = self.code.as_str();
        ["22P02", "22003", "22007", "22008", "42804", "XX000"].contains(&code)
    }

    pub(super) fn into_response(self) -> Response {
        let body = json!({
            "code": self.code,
            "details": self.details,
            "hint": self.hint,
            "message": self.message,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        if let Ok(status) = HeaderValue::from_str(&format!("PostgREST; error={}", self.code)) {
            headers.insert(HeaderName::from_static("proxy-status"), status);
        }
        if let Some(more) = self.headers {
            headers.extend(*more);
        }
        response
    }

    fn authenticate(mut self, challenge: &'static str) -> Self {
        let challenge = HeaderValue::from_static(challenge);
        self.header(header::WWW_AUTHENTICATE, challenge);
        self
    }

    fn header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.get_or_insert_default().insert(name, value);
    }
}

impl From<NoCaller> for Rejection {
    fn from(no: NoCaller) -> Self {
        let refuse = |code, message| Self::new(StatusCode::UNAUTHORIZED, code, message);
        let invalid = "Bearer error=\"invalid_token\"";
        match no {
            NoCaller::NoKey => refuse("PGRST302", "No API key found in request")
                .hint("Send the project's key as header `apikey`")
                .authenticate("Bearer"),
            NoCaller::Token(TokenError::Expired { .. }) => {
                refuse("PGRST303", "JWT expired").authenticate(invalid)
            }
            NoCaller::Token(TokenError::Unacceptable(_) | TokenError::MissingClaims) => {
                refuse("PGRST303", "Parsing claims failed").authenticate(invalid)
            }
            NoCaller::Token(TokenError::NoKey { .. }) => {
                refuse("PGRST301", "No suitable key or wrong key type").authenticate(invalid)
            }
            NoCaller::Token(TokenError::BadSignature) => {
                refuse("PGRST301", "JWT cryptographic operation failed").authenticate(invalid)
            }
            NoCaller::Token(_) => {
                refuse("PGRST301", "The token is not a JWT of three parts").authenticate(invalid)
            }
        }
    }
}

/// What the database said, to a caller of this role.
pub(super) fn of_database(error: &Error, role: &str) -> Rejection {
    match error {
        Error::Busy => Rejection::new(
            StatusCode::GATEWAY_TIMEOUT,
            "PGRST003",
            "Timed out acquiring connection from connection pool.",
        ),
        Error::Unavailable(_) => Rejection::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "PGRST000",
            "Database connection error.",
        )
        .hint("The server's log says why its login `authenticator` cannot connect"),
        Error::Role(_) | Error::Postgres(_) => match error.db() {
            Some(db) => of_postgres(db, role),
            None => Rejection::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "PGRST001",
                "Database client error. Retrying the connection.",
            ),
        },
    }
}

fn of_postgres(db: &DbError, role: &str) -> Rejection {
    let code = db.code().code();
    if code == "PGRST" {
        return raised(db);
    }
    let status = status_of(code, db.message(), role == "anon");
    let mut rejection = Rejection::new(status, code, db.message());
    rejection.details = db.detail().map_or(Value::Null, Value::from);
    rejection.hint = db.hint().map(str::to_owned);
    if status == StatusCode::UNAUTHORIZED {
        return rejection.authenticate("Bearer");
    }
    rejection
}

/// The status for a SQLSTATE, by PostgREST's table.
fn status_of(code: &str, message: &str, anonymous: bool) -> StatusCode {
    let class = code.get(..2).unwrap_or_default();
    match code {
        "23503" | "23505" => return StatusCode::CONFLICT,
        "25006" => return StatusCode::METHOD_NOT_ALLOWED,
        "21000" if message.ends_with("requires a WHERE clause") => return StatusCode::BAD_REQUEST,
        "22023" if message.starts_with("role") && message.ends_with("does not exist") => {
            return StatusCode::UNAUTHORIZED;
        }
        "53400" | "42P17" => return StatusCode::INTERNAL_SERVER_ERROR,
        "57P01" => return StatusCode::SERVICE_UNAVAILABLE,
        "P0001" => return StatusCode::BAD_REQUEST,
        "42883" | "42P01" => return StatusCode::NOT_FOUND,
        "42501" if anonymous => return StatusCode::UNAUTHORIZED,
        "42501" => return StatusCode::FORBIDDEN,
        _ => {}
    }
    match class {
        "08" | "53" => StatusCode::SERVICE_UNAVAILABLE,
        "0L" | "0P" | "28" => StatusCode::FORBIDDEN,
        "09" | "21" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58"
        | "F0" | "HV" | "P0" | "XX" => StatusCode::INTERNAL_SERVER_ERROR,
        "PT" => code
            .get(2..)
            .and_then(|number| number.parse().ok())
            // Below 200 is no answer at all.
            .filter(|number: &u16| (200..600).contains(number))
            .and_then(|number| StatusCode::from_u16(number).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        _ => StatusCode::BAD_REQUEST,
    }
}

/// `raise sqlstate 'PGRST'`: message and detail are JSON and say the whole answer.
fn raised(db: &DbError) -> Rejection {
    let broken = || {
        let message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error";
        Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST121", message).hint(
            "MESSAGE must be an object with `code` and `message`, DETAIL one with `status` and `headers`",
        )
    };
    let message: Option<Value> = serde_json::from_str(db.message()).ok();
    let detail: Option<Value> = db.detail().and_then(|text| serde_json::from_str(text).ok());
    let (Some(message), Some(detail)) = (message, detail) else {
        return broken();
    };
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let status = detail
        .get("status")
        .and_then(Value::as_u64)
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| (200..600).contains(number))
        .and_then(|number| StatusCode::from_u16(number).ok());
    let (Some(code), Some(said), Some(status)) = (text("code"), text("message"), status) else {
        return broken();
    };
    let mut rejection = Rejection::new(status, code, said);
    rejection.details = text("details").map_or(Value::Null, Value::from);
    rejection.hint = text("hint").map(str::to_owned);
    let Some(headers) = detail.get("headers").and_then(Value::as_object) else {
        return broken();
    };
    for (name, value) in headers {
        let name = HeaderName::try_from(name.as_str()).ok();
        let value = value
            .as_str()
            .and_then(|value| HeaderValue::from_str(value).ok());
        match (name, value) {
            (Some(name), Some(value)) => rejection.header(name, value),
            _ => return broken(),
        }
    }
    rejection
}

/// A part of a request, short enough to be repeated.
pub(super) fn shortened(text: &str) -> &str {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_the_status_that_postgrest_gives_it() {
        for (code, status) in [
            ("23505", 409),
            ("23503", 409),
            ("23502", 400),
            ("22P02", 400),
            ("42P01", 404),
            ("42883", 404),
            ("42703", 400),
            ("25006", 405),
            ("57014", 500),
            ("P0001", 400),
            ("PT402", 402),
            ("PT000", 500),
            ("PT999", 500),
            ("PTxyz", 500),
            ("42501", 403),
            ("40001", 500),
            ("XX000", 500),
            ("", 400),
        ] {
            assert_eq!(status_of(code, "", false).as_u16(), status, "{code}");
        }
        assert_eq!(status_of("42501", "", true), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn what_is_repeated_is_short_and_cut_between_characters() {
        assert_eq!(shortened("é"), "é");
        assert_eq!(shortened(&"é".repeat(1000)).chars().count(), QUOTED);
    }
}
