//! Drains the outbox of one socket into its TCP connection.
//!
//! Everything that is queued is written with as few system calls as the kernel allows; then the task sleeps until
//! the outbox goes from empty to not empty.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;

use super::mailbox::{Mailbox, Notice};
use crate::hub::{Closing, Outbox};
use crate::protocol::websocket;

/// Close code for a client that did not read what it was sent.
const TRY_AGAIN_LATER: u16 = 1013;
/// How long a closing socket may take to accept its last bytes.
const LAST_WRITE: Duration = Duration::from_secs(2);
/// Frames handed to one system call; more gain nothing.
const BATCH: usize = 64;
/// Capacity that is kept between wake-ups.
const KEEP_FRAMES: usize = 16;

/// Writes until the outbox closes or the socket breaks, then tells the connection. Adds what it wrote to `bytes`.
pub(super) async fn run(
    mut socket: OwnedWriteHalf,
    outbox: Arc<Outbox>,
    mailbox: Arc<Mailbox>,
    bytes: Arc<AtomicU64>,
) {
    let closing = match drain(&mut socket, &outbox, &bytes).await {
        Ok(closing) => closing,
        Err(_) => Closing::Gone,
    };
    let code = match closing {
        Closing::Code(code) => Some(code),
        Closing::Overflow => Some(TRY_AGAIN_LATER),
        Closing::Gone => None,
    };
    if let Some(code) = code {
        let farewell = async {
            socket.write_all(&websocket::close_frame(code)).await?;
            socket.shutdown().await
        };
        // A client that does not read cannot be told; its socket is dropped either way.
        let _ = tokio::time::timeout(LAST_WRITE, farewell).await;
    }
    outbox.close(Closing::Gone);
    mailbox.send(Notice::WriterEnded);
}

/// Writes what is queued as it comes; returns the reason when the outbox closes.
async fn drain(
    socket: &mut OwnedWriteHalf,
    outbox: &Outbox,
    bytes: &AtomicU64,
) -> io::Result<Closing> {
    let mut frames: Vec<Bytes> = Vec::new();
    loop {
        let closing = poll_fn(|context| outbox.poll_take(context, &mut frames)).await;
        match closing {
            Some(closing @ (Closing::Overflow | Closing::Gone)) => return Ok(closing),
            Some(closing) => {
                let _ =
                    tokio::time::timeout(LAST_WRITE, write_all(socket, outbox, &mut frames, bytes))
                        .await;
                return Ok(closing);
            }
            None => {
                if let Some(closing) = write_all(socket, outbox, &mut frames, bytes).await? {
                    return Ok(closing);
                }
            }
        }
        frames.clear();
        if frames.capacity() > KEEP_FRAMES {
            frames = Vec::new();
        }
    }
}

/// Writes all frames; `Some` when the outbox gave up on this client while the socket was full.
async fn write_all(
    socket: &mut OwnedWriteHalf,
    outbox: &Outbox,
    frames: &mut [Bytes],
    bytes: &AtomicU64,
) -> io::Result<Option<Closing>> {
    let mut rest = frames;
    while !rest.is_empty() {
        let written = poll_fn(|context| {
            match poll_write(Pin::new(&mut *socket), context, rest) {
                Poll::Ready(result) => Poll::Ready(result.map(Ok)),
                // Only a socket that takes no more bytes needs to learn that its outbox overflowed.
                Poll::Pending => outbox.poll_gave_up(context).map(|closing| Ok(Err(closing))),
            }
        })
        .await?;
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes.fetch_add(written as u64, Ordering::Relaxed);
                rest = advance(rest, written);
            }
            Err(closing) => return Ok(Some(closing)),
        }
    }
    Ok(None)
}

fn poll_write(
    socket: Pin<&mut OwnedWriteHalf>,
    context: &mut Context<'_>,
    frames: &[Bytes],
) -> Poll<io::Result<usize>> {
    if let [frame] = frames {
        return socket.poll_write(context, frame);
    }
    let mut slices = [IoSlice::new(&[]); BATCH];
    let count = frames.len().min(BATCH);
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(frame);
    }
    socket.poll_write_vectored(context, slices.get(..count).unwrap_or_default())
}

/// What is left of the frames after `written` bytes.
fn advance(frames: &mut [Bytes], mut written: usize) -> &mut [Bytes] {
    let mut done = 0;
    for frame in frames.iter_mut() {
        if written < frame.len() {
            frame.advance(written);
            break;
        }
        written -= frame.len();
        done += 1;
    }
    frames.get_mut(done..).unwrap_or_default()
}
