//! What comes from one socket: as few system calls as the kernel allows, and no buffer for a socket from which nothing comes.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio_util::io::poll_read_buf;

/// Bytes of one read. Longer messages have a buffer of their size.
const READ_BYTES: usize = 8192;

thread_local! {
    /// Where messages are received: one for a thread and not one for a socket, for what is in it is taken at once.
    static PAGE: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// Adds what has come to the buffer, and says how much. Nothing is allocated for a socket from which nothing comes.
pub(super) fn poll_read(
    reader: &mut OwnedReadHalf,
    context: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let reader = Pin::new(reader);
    if buffer.is_empty() {
        return PAGE.with_borrow_mut(|page| {
            let mut page = ReadBuf::new(page);
            ready!(reader.poll_read(context, &mut page))?;
            buffer.extend_from_slice(page.filled());
            Poll::Ready(Ok(page.filled().len()))
        });
    }
    // The rest of a message: to where it is put together.
    buffer.reserve(READ_BYTES);
    poll_read_buf(reader, context, buffer)
}
