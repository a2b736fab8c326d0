//! Accepts connections and hands their requests to what answers them.
//!
//! Our own loop rather than `axum::serve`, because sockets need TCP_NODELAY, header limits, and their plain TCP
//! stream back after the upgrade.

use std::future::Future;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::front::Front;
use crate::gateway::Peer;
use crate::socket::Permit;

/// Pending connections the kernel keeps for us.
const BACKLOG: u32 = 4096;
/// A client that does not finish its request line and headers in this time is dropped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest pause after accepting failed (no file descriptors left, for example).
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The original's limit on the number of request headers (protocol.md §1.6).
const MAX_HEADERS: usize = 100;
/// Its limit on the request line.
const REQUEST_LINE: usize = 8_000;

/// Binds the first address that can be bound.
pub(super) fn bind(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
    for address in addresses {
        match bind_one(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // All interfaces means IPv4 too, also where the system's default (bindv6only) says otherwise.
        socket2::SockRef::from(&socket).set_only_v6(false)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until `stop` resolves.
pub(super) async fn accept(
    listener: TcpListener,
    front: Front,
    max_connections: usize,
    max_header: usize,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    tokio::pin!(stop);
    let mut pause = Duration::from_millis(5);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = Duration::from_millis(5);
                // Nagle would hold back small frames.
                let _ = stream.set_nodelay(true);
                // Soft limit: beyond it, connections wait in the kernel's queue.
                let permit = tokio::select! {
                    () = &mut stop => return,
                    permit = Arc::clone(&room).acquire_owned() => permit,
                };
                let Ok(permit) = permit else { return };
                tokio::spawn(serve(
                    stream,
                    Peer(peer.ip()),
                    front.clone(),
                    max_header,
                    permit,
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: Peer, front: Front, max_header: usize, permit: Permit) {
    // Requests carry the permit, so that a socket keeps it for its whole life.
    let permit = Arc::new(permit);
    let service =
        service_fn(move |request: Request<Incoming>| front.answer(request, &permit, peer));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size((REQUEST_LINE + MAX_HEADERS * max_header).max(8192))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}
