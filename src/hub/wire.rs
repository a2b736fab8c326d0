//! The writing half of one socket.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

/// Written to by the socket's writer, and by whoever has a frame that is to go at once; the outbox sees to their turns.
pub struct Wire {
    socket: OwnedWriteHalf,
    /// Counts what is written.
    written: Arc<AtomicU64>,
}

impl Wire {
    /// Counts in `written`, bytes.
    pub fn new(socket: OwnedWriteHalf, written: Arc<AtomicU64>) -> Self {
        Self { socket, written }
    }

    fn stream(&self) -> &TcpStream {
        self.socket.as_ref()
    }

    fn counted(&self, result: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = &result {
            self.written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        result
    }

    /// Writes what the socket takes now.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.counted(self.socket.try_write(bytes))
    }

    /// Writes as soon as the socket takes something.
    pub fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let result = match slices {
                [bytes] => self.socket.try_write(bytes),
                _ => self.socket.try_write_vectored(slices),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.stream().poll_write_ready(context))?;
                }
                result => return Poll::Ready(self.counted(result)),
            }
        }
    }

    /// Nothing more will be written.
    pub fn shut_down(&self) -> io::Result<()> {
        SockRef::from(self.stream()).shutdown(std::net::Shutdown::Write)
    }
}
