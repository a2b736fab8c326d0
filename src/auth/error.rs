//! Why a token is refused, and what each door says about it.

/// Why a token is refused (protocol.md §1.4 rows 4 to 11, §4 rows 9 to 16).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No token was sent at all. [`crate::auth::Keys::verify`] never answers this: the door that
    /// looked for the token does.
    #[error("no token was sent")]
    Missing,
    /// Not three dot-separated parts of base64url.
    #[error("not three base64url parts")]
    Malformed,
    /// Three base64url parts, but header or claims are not JSON (transcripts 014 and 153).
    #[error("header or claims are not JSON")]
    Undecodable,
    /// No key can be chosen for the algorithm the token names.
    #[error("no key verifies this token's algorithm and key id")]
    NoKey {
        /// The key id, when the token names one and a key set is configured to look it up in.
        kid: Option<String>,
    },
    /// The signature is not that of the chosen key.
    #[error("the signature does not match")]
    BadSignature,
    /// `exp` has passed.
    #[error("expired {seconds} seconds ago")]
    Expired {
        /// Whole seconds since `exp`, never negative.
        seconds: i64,
    },
    /// A claim that is present has a type or value that cannot be accepted, or header or claims are
    /// JSON but not objects.
    #[error("claim or part not acceptable: {0}")]
    Unacceptable(&'static str),
    /// `role` or `exp` is absent.
    #[error("`role` or `exp` is absent")]
    MissingClaims,
}

/// The HTTP response that refuses a WebSocket upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRefusal {
    /// HTTP status.
    pub status: u16,
    /// Value of `content-type`.
    pub content_type: &'static str,
    /// The whole body.
    pub body: String,
}

const MALFORMED: &str = "The token provided is not a valid JWT";
const SIGNATURE: &str = "Failed to validate JWT signature";
const REQUIRED: &str = "Fields `role` and `exp` are required in JWT";
const CONNECT: &str = "Error connecting to Realtime";

fn signer_message(kid: Option<&str>) -> String {
    const ADVICE: &str = "check your JWT secret or JWKS configuration";
    match kid {
        Some(kid) => {
            format!("Failed to generate JWT signer for key ID (kid) \"{kid}\", {ADVICE}")
        }
        None => format!("Failed to generate JWT signer, {ADVICE}"),
    }
}

fn expired_message(seconds: i64) -> String {
    format!("Token has expired {seconds} seconds ago")
}

impl TokenError {
    /// The answer to a refused upgrade (protocol.md §1.4). The caller adds the back-off.
    pub fn connect_response(&self) -> ConnectRefusal {
        let (status, error) = match self {
            Self::Undecodable => {
                return ConnectRefusal {
                    status: 500,
                    content_type: "text/html; charset=utf-8",
                    body: "Internal Server Error".to_owned(),
                };
            }
            Self::Missing => (401, "API key is missing".to_owned()),
            Self::Malformed => (401, MALFORMED.to_owned()),
            Self::NoKey { kid } => (401, signer_message(kid.as_deref())),
            Self::BadSignature => (401, SIGNATURE.to_owned()),
            Self::Expired { .. } => (401, "Token has expired".to_owned()),
            Self::Unacceptable(_) => (500, CONNECT.to_owned()),
            Self::MissingClaims => (401, REQUIRED.to_owned()),
        };
        ConnectRefusal {
            status,
            content_type: "application/json; charset=utf-8",
            body: serde_json::json!({ "error": error }).to_string(),
        }
    }

    /// The `reason` of the error reply to a join (protocol.md §4 rows 9 to 16).
    pub fn join_reason(&self) -> String {
        match self {
            Self::Missing | Self::Malformed => format!("MalformedJWT: {MALFORMED}"),
            Self::Undecodable => {
                "UnknownErrorOnChannel: header or claims of the token are not JSON".to_owned()
            }
            Self::NoKey { kid } => format!("JwtSignerError: {}", signer_message(kid.as_deref())),
            Self::BadSignature => format!("JwtSignatureError: {SIGNATURE}"),
            Self::Expired { seconds } => format!("InvalidJWTToken: {}", expired_message(*seconds)),
            Self::MissingClaims => format!("InvalidJWTToken: {REQUIRED}"),
            Self::Unacceptable(_) => "Unknown Error on Channel".to_owned(),
        }
    }

    /// The `message` of the `system` push that answers a bad `access_token` event, and of the one
    /// that ends a channel whose token has expired (protocol.md §3.11, §3.12).
    pub fn refresh_message(&self) -> String {
        match self {
            Self::Missing | Self::Malformed | Self::Undecodable => MALFORMED.to_owned(),
            Self::NoKey { kid: Some(kid) } => signer_message(Some(kid)),
            Self::NoKey { kid: None } => ":error_generating_signer".to_owned(),
            Self::BadSignature => ":signature_error".to_owned(),
            Self::Expired { seconds } => expired_message(*seconds),
            Self::MissingClaims => REQUIRED.to_owned(),
            Self::Unacceptable(what) => format!("The token provided is not acceptable: {what}"),
        }
    }

    /// The log code of a failure on a channel (protocol.md §4); bounded, so also a metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAPIKey",
            Self::Malformed => "MalformedJWT",
            Self::NoKey { .. } => "JwtSignerError",
            Self::BadSignature => "JwtSignatureError",
            Self::Expired { .. } | Self::MissingClaims => "InvalidJWTToken",
            Self::Undecodable | Self::Unacceptable(_) => "UnknownErrorOnChannel",
        }
    }

    /// The log code of a refused upgrade (protocol.md §1.4), which differs from [`Self::code`].
    pub fn connect_code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed | Self::Expired { .. } | Self::MissingClaims => {
                self.code()
            }
            Self::Undecodable | Self::NoKey { .. } | Self::BadSignature | Self::Unacceptable(_) => {
                "ErrorConnectingToWebsocket"
            }
        }
    }

    /// Whether the original logs this as a warning rather than an error: what happens to honest
    /// clients every day.
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::MissingClaims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(error: TokenError) -> (u16, String) {
        let refusal = error.connect_response();
        (refusal.status, refusal.body)
    }

    fn no_key(kid: Option<&str>) -> TokenError {
        TokenError::NoKey {
            kid: kid.map(str::to_owned),
        }
    }

    /// One line per error: status and body at connect, reason at join, message at refresh.
    #[test]
    fn every_error_says_what_the_original_says_at_every_door() {
        let rows = [
            (
                TokenError::Missing,
                401,
                r#"{"error":"API key is missing"}"#,
                "MalformedJWT: The token provided is not a valid JWT",
                "The token provided is not a valid JWT",
                "MissingAPIKey",
            ),
            (
                TokenError::Malformed,
                401,
                r#"{"error":"The token provided is not a valid JWT"}"#,
                "MalformedJWT: The token provided is not a valid JWT",
                "The token provided is not a valid JWT",
                "MalformedJWT",
            ),
            (
                no_key(Some("k1")),
                401,
                r#"{"error":"Failed to generate JWT signer for key ID (kid) \"k1\", check your JWT secret or JWKS configuration"}"#,
                "JwtSignerError: Failed to generate JWT signer for key ID (kid) \"k1\", check your JWT secret or JWKS configuration",
                "Failed to generate JWT signer for key ID (kid) \"k1\", check your JWT secret or JWKS configuration",
                "ErrorConnectingToWebsocket",
            ),
            (
                no_key(None),
                401,
                r#"{"error":"Failed to generate JWT signer, check your JWT secret or JWKS configuration"}"#,
                "JwtSignerError: Failed to generate JWT signer, check your JWT secret or JWKS configuration",
                ":error_generating_signer",
                "ErrorConnectingToWebsocket",
            ),
            (
                TokenError::BadSignature,
                401,
                r#"{"error":"Failed to validate JWT signature"}"#,
                "JwtSignatureError: Failed to validate JWT signature",
                ":signature_error",
                "ErrorConnectingToWebsocket",
            ),
            (
                TokenError::Expired { seconds: 7 },
                401,
                r#"{"error":"Token has expired"}"#,
                "InvalidJWTToken: Token has expired 7 seconds ago",
                "Token has expired 7 seconds ago",
                "InvalidJWTToken",
            ),
            (
                TokenError::Unacceptable("exp is not a number"),
                500,
                r#"{"error":"Error connecting to Realtime"}"#,
                "Unknown Error on Channel",
                "The token provided is not acceptable: exp is not a number",
                "ErrorConnectingToWebsocket",
            ),
            (
                TokenError::MissingClaims,
                401,
                r#"{"error":"Fields `role` and `exp` are required in JWT"}"#,
                "InvalidJWTToken: Fields `role` and `exp` are required in JWT",
                "Fields `role` and `exp` are required in JWT",
                "InvalidJWTToken",
            ),
        ];
        for (error, status, body, join, refresh, code) in rows {
            assert_eq!(connect(error.clone()), (status, body.to_owned()));
            assert_eq!(error.join_reason(), join, "{error:?}");
            assert_eq!(error.refresh_message(), refresh, "{error:?}");
            assert_eq!(error.connect_code(), code, "{error:?}");
        }
    }

    #[test]
    fn a_kid_with_quotes_does_not_break_out_of_the_json_body() {
        let (_, body) = connect(no_key(Some("a\",\"x\":\"")));
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            value["error"],
            "Failed to generate JWT signer for key ID (kid) \"a\",\"x\":\"\", check your JWT secret or JWKS configuration"
        );
        assert_eq!(value.as_object().unwrap().len(), 1);
    }

    #[test]
    fn an_undecodable_token_is_told_apart_from_a_malformed_one() {
        let refusal = TokenError::Undecodable.connect_response();
        assert_eq!(refusal.status, 500);
        assert_eq!(refusal.content_type, "text/html; charset=utf-8");
        assert_eq!(refusal.body, "Internal Server Error");
        assert!(
            TokenError::Undecodable
                .join_reason()
                .starts_with("UnknownErrorOnChannel: ")
        );
    }
}
