//! From an address to a walsender connection that is logged in.

use std::io;
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use super::error::Error;
use super::wire::{Frame, PATIENCE, Stream, Wire, refusal};
use crate::postgres::{self, ConnectOptions, RENDERING, TlsMode, tls_connector, tls_hint};

/// What `pg_stat_activity` shows (§3.8: dashboards look for it).
const APPLICATION_NAME: &str = "realtime_replication_connection";

/// Opens a connection and logs in.
pub(super) async fn login(options: &ConnectOptions, max_message: usize) -> Result<Wire, Error> {
    let stream = match timeout(PATIENCE, reach(options)).await {
        Ok(stream) => stream?,
        Err(_) => return Err(Error::Timeout(PATIENCE)),
    };
    let mut wire = Wire::new(stream, max_message);
    let parameters = [
        ("user", &*options.user),
        ("database", &*options.dbname),
        ("replication", "database"),
        ("application_name", APPLICATION_NAME),
        ("client_encoding", "UTF8"),
        // A new slot may have to wait long for other transactions, whatever limits the role has.
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
    ]
    .into_iter()
    // Values arrive as text. `TimeZone` and `extra_float_digits` stay the database's own: the original's do too.
    .chain(RENDERING.iter().copied());
    wire.send(|buffer| frontend::startup_message(parameters, buffer))
        .await?;
    authenticate(&mut wire, options).await?;
    match wire.next().await? {
        Frame::Other(Message::ReadyForQuery(_)) => Ok(wire),
        Frame::Other(Message::ErrorResponse(body)) => Err(refused(&body)),
        _ => Err(Error::Protocol("something else than the end of the login")),
    }
}

async fn reach(options: &ConnectOptions) -> Result<Box<dyn Stream>, Error> {
    if options.is_unix() {
        let path = format!("{}/.s.PGSQL.{}", options.host, options.port);
        let stream = UnixStream::connect(path).await.map_err(Error::Reach)?;
        return Ok(Box::new(stream));
    }
    // Every address of the name is tried in the resolver's order: IPv6 and IPv4 (G-203), unless one family is wanted.
    let stream = postgres::reach(options).await.map_err(Error::Reach)?;
    notice_death(&stream).map_err(Error::Reach)?;
    encrypt(stream, options).await
}

/// A peer that vanished without a word is noticed within 20 s, by the kernel: also while we do not read, and without
/// mistaking a walsender that is busy with a large transaction for a dead one.
fn notice_death(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(8))
        .with_interval(Duration::from_secs(3));
    #[cfg(not(target_os = "windows"))]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(20)))?;
    Ok(())
}

async fn encrypt(
    mut stream: TcpStream,
    options: &ConnectOptions,
) -> Result<Box<dyn Stream>, Error> {
    if options.tls == TlsMode::Disable {
        return Ok(Box::new(stream));
    }
    let mut request = bytes::BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(Error::Broken)?;
    // One byte and not more: what follows belongs to the encrypted conversation.
    match stream.read_u8().await.map_err(Error::Broken)? {
        b'S' => {}
        _ if options.tls == TlsMode::Prefer => return Ok(Box::new(stream)),
        _ => return Err(Error::TlsRefused),
    }
    let mut connector = tls_connector(options.tls, options.tls_ca_file.as_deref())
        .map_err(|reason| Error::Tls(reason.into()))?;
    let connect = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connector, &options.host)
        .map_err(|error| Error::Tls(Box::new(error)))?;
    let stream = connect
        .connect(stream)
        .await
        .map_err(|error| match tls_hint(&error) {
            Some(hint) => Error::Certificate(hint, Box::new(error)),
            None => Error::Tls(Box::new(error)),
        })?;
    Ok(Box::new(stream))
}

async fn authenticate(wire: &mut Wire, options: &ConnectOptions) -> Result<(), Error> {
    let password = || {
        options.password.as_deref().ok_or_else(|| {
            Error::Login("the database asks for a password and none is configured".into())
        })
    };
    loop {
        match wire.next().await? {
            Frame::Other(Message::AuthenticationOk) => return Ok(()),
            Frame::Other(Message::AuthenticationCleartextPassword) => {
                let password = password()?;
                wire.send(|buffer| frontend::password_message(password.as_bytes(), buffer))
                    .await?;
            }
            Frame::Other(Message::AuthenticationMd5Password(body)) => {
                let hash = md5_hash(options.user.as_bytes(), password()?.as_bytes(), body.salt());
                wire.send(|buffer| frontend::password_message(hash.as_bytes(), buffer))
                    .await?;
            }
            Frame::Other(Message::AuthenticationSasl(body)) => {
                scram(wire, &body, password()?).await?;
            }
            Frame::Other(Message::ErrorResponse(body)) => return Err(refused(&body)),
            _ => {
                return Err(Error::Login(
                    "the database asks for a kind of login that is not supported \
                     (supported: trust, password, md5, scram-sha-256)"
                        .into(),
                ));
            }
        }
    }
}

async fn scram(
    wire: &mut Wire,
    offer: &AuthenticationSaslBody,
    password: &str,
) -> Result<(), Error> {
    let known = offer
        .mechanisms()
        .any(|mechanism| Ok(mechanism == SCRAM_SHA_256))
        .map_err(Error::Broken)?;
    if !known {
        return Err(Error::Login("the database offers no SCRAM-SHA-256".into()));
    }
    let failed = |error: io::Error| Error::Login(error.to_string());
    let mut exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    wire.send(|buffer| frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), buffer))
        .await?;
    match wire.next().await? {
        Frame::Other(Message::AuthenticationSaslContinue(body)) => {
            exchange.update(body.data()).map_err(failed)?;
        }
        Frame::Other(Message::ErrorResponse(body)) => return Err(refused(&body)),
        _ => {
            return Err(Error::Protocol(
                "something else than the next step of SCRAM",
            ));
        }
    }
    wire.send(|buffer| frontend::sasl_response(exchange.message(), buffer))
        .await?;
    match wire.next().await? {
        Frame::Other(Message::AuthenticationSaslFinal(body)) => {
            exchange.finish(body.data()).map_err(failed)
        }
        Frame::Other(Message::ErrorResponse(body)) => Err(refused(&body)),
        _ => Err(Error::Protocol("something else than the end of SCRAM")),
    }
}

/// An error during the login: a wrong password keeps its own kind, because trying it often helps nobody.
fn refused(body: &postgres_protocol::message::backend::ErrorResponseBody) -> Error {
    let refusal = refusal(body);
    match &*refusal.code {
        "28000" | "28P01" => Error::Login(refusal.to_string()),
        _ => Error::Postgres(refusal),
    }
}
