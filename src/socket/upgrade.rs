//! The connect checks, in order, and the upgrade (protocol.md §1.2–§1.5).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use base64::Engine as _;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::connection::{self, Peer};
use crate::auth::TokenError;
use crate::protocol::Version;
use crate::refusals::{Place, refused};
use crate::tenant::Tenant;
use crate::tenants::{Directory, NoTenant};

/// What the socket route needs: which tenant a request is for, and where its socket is registered.
pub struct Doorway {
    /// Which tenant a request is for.
    pub directory: Arc<Directory>,
    /// Delay before a refused connect is answered.
    pub connect_error_backoff: Duration,
}

/// One of the connections a node serves at the same time; given back when its socket ends.
pub type Permit = tokio::sync::OwnedSemaphorePermit;

/// Why a connect is refused.
enum Refusal {
    /// A status without a body, at once.
    Bare(StatusCode),
    /// A JSON error after the connect backoff.
    Error {
        status: StatusCode,
        /// For the log.
        code: &'static str,
        message: &'static str,
    },
    /// A token that is not accepted; an undecodable one is answered at once (transcript 014).
    Token(TokenError),
    /// A plain-text reason, at once.
    Handshake(String),
}

impl Refusal {
    fn error(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self::Error {
            status,
            code,
            message,
        }
    }
}

/// Handles a request to the socket's path.
pub async fn handle(State(doorway): State<Arc<Doorway>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let (tenant, version, peer) = match check(&doorway, &parts).await {
        Ok(accepted) => accepted,
        Err(refusal) => return refuse(refusal, &doorway).await,
    };
    let mut request = Request::from_parts(parts, body);
    let Some(accept) = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .map(|key| accept_key(key.as_bytes()))
    else {
        return plain(
            StatusCode::BAD_REQUEST,
            "'sec-websocket-key' header is absent",
        );
    };
    let permit = request.extensions_mut().remove::<Arc<Permit>>();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%error, "upgrade failed");
                return;
            }
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => {
                let stream = parts.io.into_inner();
                connection::run(stream, parts.read_buf, tenant, version, peer).await;
                drop(permit);
            }
            Err(_) => tracing::error!("upgraded connection is not a plain TCP stream"),
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty())
        .unwrap_or_default()
}

/// The checks of §1.4, in its order.
async fn check(
    doorway: &Doorway,
    request: &Parts,
) -> Result<(Arc<Tenant>, Version, Peer), Refusal> {
    if request.method != Method::GET {
        return Err(Refusal::Bare(StatusCode::BAD_REQUEST));
    }
    let query = Query::of(&request.uri);
    let version =
        Version::negotiate(query.get("vsn")).ok_or(Refusal::Bare(StatusCode::FORBIDDEN))?;
    let host = request.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let tenant = doorway
        .directory
        .resolve(host)
        .await
        .map_err(|error| match error {
            NoTenant::Unknown => {
                Refusal::error(StatusCode::NOT_FOUND, "TenantNotFound", "Tenant not found")
            }
            NoTenant::Unavailable => Refusal::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "ErrorConnectingToWebsocket",
                "Error connecting to Realtime",
            ),
        })?;
    let settings = tenant.settings_now();
    if settings.suspend {
        return Err(Refusal::error(
            StatusCode::FORBIDDEN,
            "RealtimeDisabledForTenant",
            "Realtime was disabled for this tenant",
        ));
    }
    // The header wins even when it is empty (P-004).
    let token = match request.headers.get("x-api-key") {
        Some(header) => Some(String::from_utf8_lossy(header.as_bytes()).into_owned()),
        None => query.get("apikey").map(str::to_owned),
    };
    let Some(token) = token else {
        return Err(Refusal::Token(TokenError::Missing));
    };
    settings
        .keys
        .verify(&token, unix_now())
        .map_err(Refusal::Token)?;
    if settings
        .max_users
        .is_some_and(|max| tenant.sockets.users() as u64 >= max)
    {
        return Err(Refusal::error(
            StatusCode::TOO_MANY_REQUESTS,
            "ConnectionRateLimitReached",
            "Too many connected users",
        ));
    }
    if tenant.meters.joins.exceeded() {
        return Err(Refusal::error(
            StatusCode::TOO_MANY_REQUESTS,
            "JoinsRateLimitReached",
            "Too many joins per second",
        ));
    }
    handshake(&request.headers)?;
    let peer = Peer {
        token: token.into(),
        headers: forwarded_headers(&request.headers),
        keys: Arc::clone(&settings.keys),
    };
    Ok((tenant, version, peer))
}

/// What RFC 6455 asks of the request (protocol.md §1.5).
fn handshake(headers: &HeaderMap) -> Result<(), Refusal> {
    for (name, token) in [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
    ] {
        let values: Vec<String> = headers
            .get_all(&name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_ascii_lowercase())
            .collect();
        if !values.iter().any(|value| value == token) {
            return Err(Refusal::Handshake(format!(
                "'{name}' header must contain '{token}', got {values:?}"
            )));
        }
    }
    match headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .map(|version| version.as_bytes())
    {
        Some(b"13") => {}
        _ => {
            return Err(Refusal::Handshake(
                "'sec-websocket-version' header must equal '13'".to_owned(),
            ));
        }
    }
    if !headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        return Err(Refusal::Handshake(
            "'sec-websocket-key' header is absent".to_owned(),
        ));
    }
    Ok(())
}

async fn refuse(refusal: Refusal, doorway: &Doorway) -> Response<Body> {
    let backoff = doorway.connect_error_backoff;
    match refusal {
        Refusal::Bare(status) => Response::builder()
            .status(status)
            .body(Body::empty())
            .unwrap_or_default(),
        Refusal::Handshake(reason) => plain(StatusCode::BAD_REQUEST, &reason),
        Refusal::Token(error) => {
            refused("", Place::Connect, error.connect_code());
            if error != TokenError::Undecodable {
                tokio::time::sleep(backoff).await;
            }
            let refusal = error.connect_response();
            Response::builder()
                .status(refusal.status)
                .header(header::CONTENT_TYPE, refusal.content_type)
                .body(Body::from(refusal.body))
                .unwrap_or_default()
        }
        Refusal::Error {
            status,
            code,
            message,
        } => {
            refused("", Place::Connect, code);
            tokio::time::sleep(backoff).await;
            Response::builder()
                .status(status)
                .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
                .body(Body::from(
                    serde_json::json!({ "error": message }).to_string(),
                ))
                .unwrap_or_default()
        }
    }
}

fn plain(status: StatusCode, reason: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::from(reason.to_owned()))
        .unwrap_or_default()
}

/// The headers that policies may see: those whose name starts with `x-`, the last of equal ones, as a JSON object.
fn forwarded_headers(headers: &HeaderMap) -> Arc<str> {
    let headers: BTreeMap<&str, String> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-"))
        .map(|(name, value)| {
            (
                name.as_str(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    serde_json::to_string(&headers)
        .unwrap_or_else(|_| "{}".to_owned())
        .into()
}

fn accept_key(key: &[u8]) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    base64::engine::general_purpose::STANDARD.encode(context.finish())
}

/// Seconds since 1970, the clock that tokens are checked against.
pub fn unix_now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// Query parameters, decoded; the last of equal ones wins, as in the original.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&');
        Self(
            pairs
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rfind(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Form decoding: `+` is a blank, `%XX` a byte; what does not decode stays as it is.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        match first {
            b'+' => out.push(b' '),
            b'%' => match rest.split_first_chunk::<2>().and_then(|(hex, rest)| {
                let hex = std::str::from_utf8(hex).ok()?;
                Some((u8::from_str_radix(hex, 16).ok()?, rest))
            }) {
                Some((byte, rest)) => {
                    out.push(byte);
                    bytes = rest;
                }
                None => out.push(b'%'),
            },
            byte => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn query_values_are_decoded() {
        let uri: Uri = "/socket/websocket?vsn=2.0.0&apikey=a%2Bb+c%zz&x"
            .parse()
            .unwrap();
        let query = Query::of(&uri);
        assert_eq!(query.get("apikey"), Some("a+b c%zz"));
        assert_eq!(query.get("x"), Some(""));
        assert_eq!(query.get("y"), None);
    }

    #[test]
    fn only_x_headers_are_kept() {
        let mut headers = HeaderMap::new();
        headers.append("x-one", "1".parse().unwrap());
        headers.append("x-one", "2".parse().unwrap());
        headers.append("cookie", "secret".parse().unwrap());
        assert_eq!(&*forwarded_headers(&headers), r#"{"x-one":"2"}"#);
    }
}
