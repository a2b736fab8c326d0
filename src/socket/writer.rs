//! Drains the outbox of one socket into its TCP connection.
//!
//! Everything that is queued is written with as few system calls as the kernel allows; then the task sleeps until
//! the outbox goes from empty to not empty.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::mailbox::{Mailbox, Notice};
use crate::hub::{Closing, Outbox, Wire};
use crate::protocol::{Outgoing, websocket};

/// Close code for a client that did not read what it was sent.
const TRY_AGAIN_LATER: u16 = 1013;
/// How long a closing socket may take to accept its last bytes.
const LAST_WRITE: Duration = Duration::from_secs(2);
/// Frames handed to one system call; more gain nothing.
const BATCH: usize = 64;
/// Bytes of series written out for one system call, if one alone is not longer.
const PAGE_BYTES: usize = 64 << 10;
/// Capacity that is kept between wake-ups.
const KEEP_FRAMES: usize = 16;

/// Writes until the outbox closes or the socket breaks, then tells the connection.
pub(super) async fn run(wire: Arc<Wire>, outbox: Arc<Outbox>, mailbox: Arc<Mailbox>) {
    let closing = match drain(&wire, &outbox).await {
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
            let mut frame = websocket::close_frame(code);
            while !frame.is_empty() {
                let written =
                    poll_fn(|context| wire.poll_write(context, &[IoSlice::new(&frame)])).await?;
                frame.advance(written);
            }
            wire.shut_down()
        };
        // A client that does not read cannot be told; its socket is dropped either way.
        let _ = tokio::time::timeout(LAST_WRITE, farewell).await;
    }
    outbox.close(Closing::Gone);
    mailbox.send(Notice::WriterEnded);
}

/// Writes what is queued as it comes; returns the reason when the outbox closes.
async fn drain(wire: &Wire, outbox: &Outbox) -> io::Result<Closing> {
    let mut frames: Vec<Outgoing> = Vec::new();
    loop {
        let closing = poll_fn(|context| outbox.poll_take(context, &mut frames)).await;
        match closing {
            Some(closing @ (Closing::Overflow | Closing::Gone)) => return Ok(closing),
            Some(closing) => {
                let _ =
                    tokio::time::timeout(LAST_WRITE, write_all(wire, outbox, &mut frames)).await;
                return Ok(closing);
            }
            None => {
                if let Some(closing) = write_all(wire, outbox, &mut frames).await? {
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
    wire: &Wire,
    outbox: &Outbox,
    frames: &mut [Outgoing],
) -> io::Result<Option<Closing>> {
    let mut rest = frames;
    while !rest.is_empty() {
        let written = poll_fn(|context| {
            match poll_write(wire, context, rest) {
                Poll::Ready(result) => Poll::Ready(result.map(Ok)),
                // Only a socket that takes no more bytes needs to learn that its outbox overflowed.
                Poll::Pending => outbox.poll_gave_up(context).map(|closing| Ok(Err(closing))),
            }
        })
        .await?;
        match written {
            Ok(Written { bytes: 0, .. }) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                rest = rest.get_mut(written.done..).unwrap_or_default();
            }
            Err(closing) => return Ok(Some(closing)),
        }
    }
    Ok(None)
}

struct Written {
    bytes: usize,
    /// How many of the entries need nothing more.
    done: usize,
}

/// Writes what it can of the first entries; of one that was written in part, what is left stands in its place.
fn poll_write(
    wire: &Wire,
    context: &mut Context<'_>,
    rest: &mut [Outgoing],
) -> Poll<io::Result<Written>> {
    let written = match rest {
        [Outgoing::Series(_), ..] => return poll_write_out(wire, context, rest),
        _ => {
            let mut slices = [IoSlice::new(&[]); BATCH];
            let mut count = 0;
            for (slice, entry) in slices.iter_mut().zip(&*rest) {
                let Outgoing::Frames(bytes, _) = entry else {
                    break;
                };
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            let slices = slices.get(..count).unwrap_or_default();
            ready!(wire.poll_write(context, slices))?
        }
    };
    let (mut done, mut left) = (0, written);
    for entry in rest {
        let Outgoing::Frames(bytes, _) = entry else {
            break;
        };
        if left < bytes.len() {
            bytes.advance(left);
            break;
        }
        left -= bytes.len();
        done += 1;
    }
    Poll::Ready(Ok(Written {
        bytes: written,
        done,
    }))
}

thread_local! {
    /// Where series are written out: one for a thread and not one for a socket, for what is in it is written at once.
    static PAGE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The same for series: writes some out, and hands them to the kernel in one piece.
fn poll_write_out(
    wire: &Wire,
    context: &mut Context<'_>,
    rest: &mut [Outgoing],
) -> Poll<io::Result<Written>> {
    PAGE.with_borrow_mut(|page| {
        page.clear();
        for entry in &*rest {
            let Outgoing::Series(series) = entry else {
                break;
            };
            if !page.is_empty() && page.len() + entry.size() > PAGE_BYTES {
                break;
            }
            series.write(page);
        }
        let result = wire.poll_write(context, &[IoSlice::new(page)]);
        let written = match &result {
            Poll::Ready(Ok(written)) => *written,
            _ => 0,
        };
        let (mut done, mut at) = (0, 0);
        for entry in rest {
            let end = at + entry.size();
            if end > written {
                // The client reads slowly: what is left of this one is kept as it is.
                if let Some(left) = page.get(written..end).filter(|_| at < written) {
                    *entry = Outgoing::Frames(Bytes::copy_from_slice(left), entry.count());
                }
                break;
            }
            at = end;
            done += 1;
        }
        if page.capacity() > 2 * PAGE_BYTES {
            *page = Vec::new();
        }
        result.map_ok(|bytes| Written { bytes, done })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::hub::{Limits, Member};
    use crate::protocol::{Series, Version};

    /// A client and both halves of our side, with small buffers.
    async fn connected() -> (TcpStream, OwnedWriteHalf, OwnedReadHalf) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let client = client
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        socket2::SockRef::from(&server)
            .set_send_buffer_size(4096)
            .unwrap();
        let (reading, writing) = server.into_split();
        (client, writing, reading)
    }

    /// Whatever a socket takes at a time, what arrives is what was queued, in its order.
    #[tokio::test]
    async fn frames_and_series_arrive_whole_at_a_client_that_reads_in_small_pieces() {
        let outbox = Arc::new(Outbox::new(Limits {
            bytes: 1 << 30,
            frames: 1 << 20,
        }));
        let mut expected = Vec::new();
        for number in 0..400_usize {
            let outgoing = if number % 7 == 0 {
                let text = format!("frame {number} {}", "y".repeat(number * 11));
                let mut frame = websocket::Builder::text(text.len());
                frame.extend(text.as_bytes());
                Outgoing::from(frame.finish())
            } else {
                // Some alone are longer than what is written out at a time.
                let length = if number % 50 == 1 { 40_000 } else { number };
                let bodies: Vec<Arc<[u8]>> = (0..1 + number % 5)
                    .map(|at| vec![b'a' + at as u8; length + at].into())
                    .collect();
                let topic = format!("realtime:{number}");
                Outgoing::Series(Series::new(
                    Version::V2,
                    &topic,
                    "postgres_changes",
                    Some(&[7, 8]),
                    bodies.into(),
                ))
            };
            expected.extend_from_slice(&outgoing.clone().into_bytes());
            assert!(outbox.push(outgoing));
        }
        outbox.close(Closing::Code(1000));
        expected.extend_from_slice(&websocket::close_frame(1000));

        let (mut client, writing, _reading) = connected().await;
        let written = Arc::new(AtomicU64::new(0));
        let wire = Arc::new(Wire::new(writing, written.clone()));
        outbox.connect(Arc::clone(&wire));
        let writer = tokio::spawn(run(wire, outbox, Arc::default()));
        let mut received = Vec::new();
        let mut piece = [0; 3000];
        loop {
            let count = client.read(&mut piece).await.unwrap();
            if count == 0 {
                break;
            }
            received.extend_from_slice(piece.get(..count).unwrap());
        }
        assert!(
            received == expected,
            "{} of {} bytes",
            received.len(),
            expected.len()
        );
        writer.await.unwrap();
        assert_eq!(written.load(Ordering::Relaxed), expected.len() as u64);
    }

    /// Some are written where they are made, some by the writer, some partly by either.
    #[tokio::test]
    async fn what_goes_at_once_overtakes_nothing() {
        let outbox = Arc::new(Outbox::new(Limits {
            bytes: 1 << 30,
            frames: 1 << 20,
        }));
        let (mut client, writing, _reading) = connected().await;
        let written = Arc::new(AtomicU64::new(0));
        let wire = Arc::new(Wire::new(writing, written.clone()));
        outbox.connect(Arc::clone(&wire));
        let member = Member::new("realtime:r".into(), Version::V2, "1", outbox.clone());
        let writer = tokio::spawn(run(wire, outbox.clone(), Arc::default()));
        let (mut total, mut went) = (0, 0);
        for round in 0..400_usize {
            let mut expected = Vec::new();
            for number in 0..1 + round % 4 {
                // Now and then more than the socket takes.
                let length = if round % 9 == 8 { 50_000 } else { 10 + round };
                let mut frame = websocket::Builder::text(length);
                frame.extend(&vec![b'a' + ((round + number) % 26) as u8; length]);
                let frame = frame.finish();
                expected.extend_from_slice(&frame);
                assert!(member.send_when((round + number) % 3 != 1, frame));
                // The writer had no turn since.
                went += usize::from(outbox.queued_bytes() == 0);
            }
            let mut received = vec![0; expected.len()];
            client.read_exact(&mut received).await.unwrap();
            assert!(received == expected, "round {round}");
            total += expected.len() as u64;
        }
        assert_eq!(written.load(Ordering::Relaxed), total);
        assert!(went > 5, "{went} went at once");
        outbox.close(Closing::Gone);
        writer.await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
