//! What a client is told when something is refused, in the shape of Supabase Storage.
//!
//! The original answers nearly every refusal with HTTP status 400 and puts the real status into the body, as text;
//! clients read it there. Resumable uploads and ranges are the exceptions: TUS and HTTP give those statuses a meaning.
//! What Postgres or the store said in detail goes to the log, not to the client, unless a policy's author wrote it.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::gateway::caller::NoCaller;
use crate::gateway::database;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error {
    /// The status in the body.
    pub(super) status: u16,
    /// The status of the response.
    pub(super) http: StatusCode,
    /// `code`, which new clients read.
    pub(super) code: &'static str,
    /// `error`, which old clients read.
    pub(super) error: &'static str,
    /// `message`.
    pub(super) message: Cow<'static, str>,
    /// What to do instead, where there is something.
    pub(super) hint: Option<&'static str>,
    /// Headers that belong to the refusal.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Error {
    fn new(
        status: u16,
        code: &'static str,
        error: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let http = match status {
            500.. => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            http,
            code,
            error,
            message: message.into(),
            hint: None,
            headers: Vec::new(),
        }
    }

    /// The same with the status in the body as that of the response, as TUS wants it.
    pub(super) fn literally(mut self) -> Self {
        self.http = StatusCode::from_u16(self.status).unwrap_or(self.http);
        self
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The bucket is not there, or is none of the caller's business.
    pub(super) fn no_bucket() -> Self {
        Self::new(404, "NoSuchBucket", "Bucket not found", "Bucket not found")
    }

    /// The object is not there, or may not be seen.
    pub(super) fn no_object() -> Self {
        Self::new(404, "NoSuchKey", "not_found", "Object not found")
    }

    /// No such unfinished upload, or it is somebody else's.
    pub(super) fn no_upload() -> Self {
        Self::new(404, "NoSuchUpload", "NoSuchUpload", "Upload not found")
    }

    /// Nothing is served under this path.
    pub(super) fn no_route() -> Self {
        Self::new(404, "InvalidRequest", "Not Found", "Route not found").literally()
    }

    /// The method is not served under this path.
    pub(super) fn no_method() -> Self {
        Self::new(
            405,
            "InvalidRequest",
            "Method Not Allowed",
            "Method not allowed",
        )
        .literally()
    }

    /// A parameter, header or body that cannot be understood.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "InvalidRequest", "Error", message)
    }

    /// A parameter with a value out of range.
    pub(super) fn parameter(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "InvalidParameter", "InvalidParameter", message)
    }

    /// A name of an object that is not taken.
    pub(super) fn key(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        Self::new(
            400,
            "InvalidKey",
            "InvalidKey",
            format!("Invalid key: {shown}"),
        )
    }

    /// A name of a bucket that is not taken.
    pub(super) fn bucket_name() -> Self {
        Self::new(
            400,
            "InvalidBucketName",
            "Invalid Input",
            "Bucket name invalid",
        )
    }

    /// Policies, grants or the token say no.
    pub(super) fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, "AccessDenied", "Unauthorized", message)
    }

    /// It is there already.
    pub(super) fn duplicate(code: &'static str) -> Self {
        Self::new(409, code, "Duplicate", "The resource already exists")
    }

    /// A bucket with objects in it cannot be deleted.
    pub(super) fn not_empty() -> Self {
        let message = "The bucket you tried to delete is not empty";
        Self::new(409, "ResourceNotEmpty", "ResourceNotEmpty", message)
    }

    /// More bytes than may be.
    pub(super) fn too_large(what: &'static str) -> Self {
        let message = format!("The {what} exceeded the maximum allowed size");
        Self::new(413, "EntityTooLarge", "Payload too large", message)
    }

    /// A type that the bucket does not take, or that the content is not of.
    pub(super) fn mime(mime: &str) -> Self {
        let shown: String = mime.chars().take(100).collect();
        let message = format!("mime type {shown} is not supported");
        Self::new(415, "InvalidMimeType", "invalid_mime_type", message)
    }

    /// The content is something else than was said.
    pub(super) fn forged(declared: &str, found: Option<&str>) -> Self {
        let declared: String = declared.chars().take(100).collect();
        let message = match found {
            Some(found) => format!("mime type {declared} was declared, but the content is {found}"),
            None => format!("mime type {declared} was declared, but the content is not"),
        };
        Self::new(415, "InvalidMimeType", "invalid_mime_type", message)
    }

    /// A signed URL whose token is not one of ours, or for something else.
    pub(super) fn signature(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "InvalidSignature", "InvalidSignature", message)
    }

    /// A signed URL whose time is over.
    pub(super) fn expired() -> Self {
        let message = "\"exp\" claim timestamp check failed";
        Self::new(400, "InvalidJWT", "InvalidJWT", message)
    }

    /// A range that lies outside of the content.
    pub(super) fn range(size: u64) -> Self {
        let error = Self::new(
            416,
            "InvalidRange",
            "invalid_range",
            "invalid range provided",
        );
        let value = HeaderValue::try_from(format!("bytes */{size}"));
        match value {
            Ok(value) => error
                .literally()
                .with(axum::http::header::CONTENT_RANGE, value),
            Err(_) => error.literally(),
        }
    }

    /// An image that cannot be rendered.
    pub(super) fn image(message: &'static str) -> Self {
        Self::new(422, "InvalidRequest", "InvalidRequest", message)
    }

    /// Somebody else is at it.
    pub(super) fn locked() -> Self {
        Self::new(
            423,
            "ResourceLocked",
            "ResourceLocked",
            "The resource is locked",
        )
    }

    /// What TUS has a status of its own for.
    pub(super) fn tus(status: u16, message: &'static str) -> Self {
        Self::new(status, "TusError", "TusError", message).literally()
    }

    /// What this server does not do.
    pub(super) fn unsupported(what: &str, hint: &'static str) -> Self {
        let message = format!("{what} is not supported by the embedded storage");
        let mut error = Self::new(501, "NotSupported", "NotSupported", message);
        error.hint = Some(hint);
        error
    }

    /// The client stopped sending.
    pub(super) fn aborted() -> Self {
        Self::new(
            400,
            "InvalidRequest",
            "Error",
            "The body ended before it was complete",
        )
    }

    /// The client sends nothing.
    pub(super) fn stalled() -> Self {
        Self::new(408, "Aborted", "Aborted", "The body did not arrive in time").literally()
    }

    /// Of us; the cause is in the log.
    pub(super) fn internal() -> Self {
        Self::new(500, "InternalError", "Internal", "Internal Server Error")
    }

    /// Content cannot be read or written; the cause goes to the log.
    pub(super) fn content(error: &object_store::Error) -> Self {
        tracing::error!(%error, "content of an object cannot be read or written");
        Self::internal()
    }

    /// Policies said no, in the words of the original.
    pub(super) fn by_policy() -> Self {
        Self::denied("new row violates row-level security policy")
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        let unavailable =
            |status, code, message: &'static str| Self::new(status, code, code, message);
        let Some(db) = error.db() else {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "storage cannot use the database"
            );
            return match error {
                database::Error::Busy => Self {
                    http: StatusCode::TOO_MANY_REQUESTS,
                    ..Self::new(
                        429,
                        "SlowDown",
                        "too_many_connections",
                        "Too many connections issued to the database",
                    )
                },
                _ => unavailable(503, "DatabaseError", "The database cannot be reached"),
            };
        };
        if matches!(error, database::Error::Role(_)) {
            return Self::denied("the role of this token cannot be used here");
        }
        match db.code().code() {
            "42501" if db.message().contains("row-level security") => Self::by_policy(),
            "42501" => Self::denied(db.message().to_owned()),
            "23505" => Self::duplicate("ResourceAlreadyExists"),
            "23503" => Self::new(
                404,
                "InvalidRequest",
                "InvalidRequest",
                "The related resource does not exist",
            ),
            "55P03" | "40P01" | "40001" => Self::locked(),
            "57014" => unavailable(
                544,
                "DatabaseTimeout",
                "The connection to the database timed out",
            ),
            "25006" => unavailable(
                503,
                "DatabaseReadOnly",
                "The database takes no changes at the moment",
            ),
            "42P17" => unavailable(
                503,
                "DatabaseInvalidObjectDefinition",
                "A policy refers to itself",
            ),
            "22P02" | "22P05" | "22021" => Self::parameter(db.message().to_owned()),
            // Raised by a trigger or a policy's function, for its author's users.
            "P0001" => Self::new(
                400,
                "DatabaseError",
                "DatabaseError",
                db.message().to_owned(),
            ),
            "42703" | "42P01" | "3F000" => {
                tracing::error!(
                    message = db.message(),
                    "storage meets a schema it does not know"
                );
                unavailable(
                    503,
                    "DatabaseSchemaMismatch",
                    "Schema storage, a trigger or a policy on it refers to something that does not exist",
                )
            }
            code => {
                tracing::error!(
                    code,
                    message = db.message(),
                    "a statement of storage failed"
                );
                Self::new(
                    500,
                    "DatabaseError",
                    "DatabaseError",
                    format!("database error, code: {code}"),
                )
            }
        }
    }
}

impl From<NoCaller> for Error {
    fn from(nobody: NoCaller) -> Self {
        match nobody {
            NoCaller::NoKey => Self::invalid("headers must have required property 'authorization'"),
            NoCaller::Token(error) => Self::denied(error.to_string()),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut body = json!({
            "statusCode": self.status.to_string(),
            "code": self.code,
            "error": self.error,
            "message": self.message,
        });
        if let (Some(hint), Some(body)) = (self.hint, body.as_object_mut()) {
            body.insert("hint".to_owned(), hint.into());
        }
        let mut response = (self.http, Json(body)).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
