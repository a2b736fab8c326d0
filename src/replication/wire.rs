//! The frontend/backend protocol as far as a walsender needs it: frames, simple queries, CopyBoth.
//!
//! `postgres-protocol` writes and parses the messages; the framing is ours, because that crate does not know
//! `CopyBothResponse`, and because rows shall be slices of the read buffer.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::error::{Error, Refusal};

/// Space for one read. A kept row keeps its whole chunk alive, so not larger.
const READ_BYTES: usize = 64 << 10;

/// Longest message outside of a copy: catalogue answers and errors are small.
const CONTROL_BYTES: usize = 1 << 20;

/// How long Postgres may take to answer a command, and to take what we write.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// What a connection is made of: a socket, plain or encrypted.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is logged in, or on its way there.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    max_message: usize,
    /// Bytes of a message that is too large, still to be thrown away.
    skipping: usize,
}

/// One message from Postgres.
pub(super) enum Frame {
    CopyBoth,
    CopyData(Bytes),
    CopyDone,
    /// A message of a copy larger than allowed; it has been thrown away.
    TooLarge,
    Other(Message),
}

/// One row of a simple query: columns as text.
pub(super) type Row = Vec<Option<String>>;

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>, max_message: usize) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            max_message,
            skipping: 0,
        }
    }

    /// Writes what `fill` puts into the buffer.
    pub(super) async fn send(
        &mut self,
        fill: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), Error> {
        self.output.clear();
        fill(&mut self.output).map_err(Error::Broken)?;
        let write = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        match timeout(PATIENCE, write).await {
            Ok(written) => written.map_err(Error::Broken),
            Err(_) => Err(Error::Timeout(PATIENCE)),
        }
    }

    /// Reads more from the network. Safe to cancel.
    pub(super) async fn fill(&mut self) -> Result<(), Error> {
        self.input.reserve(READ_BYTES.max(self.missing()));
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(Error::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Broken(error)),
        }
    }

    /// Bytes that are missing for the message at hand: a large one is read into one allocation.
    fn missing(&self) -> usize {
        match self.header() {
            Some((_, length)) if length <= self.max_message => {
                (length + 1).saturating_sub(self.input.len())
            }
            _ => 0,
        }
    }

    /// Tag, and length without the tag, of the message at hand.
    fn header(&self) -> Option<(u8, usize)> {
        let (tag, rest) = self.input.split_first()?;
        let length = rest.first_chunk::<4>()?;
        Some((*tag, u32::from_be_bytes(*length) as usize))
    }

    /// The next message, if it has been read already.
    pub(super) fn buffered(&mut self) -> Result<Option<Frame>, Error> {
        if self.skipping > 0 {
            let gone = self.skipping.min(self.input.len());
            self.input.advance(gone);
            self.skipping -= gone;
            return Ok((self.skipping == 0).then_some(Frame::TooLarge));
        }
        let Some((tag, length)) = self.header() else {
            return Ok(None);
        };
        if length < 4 {
            return Err(Error::Protocol("a message shorter than its own header"));
        }
        if tag == b'd' && length > self.max_message {
            self.skipping = length + 1;
            return self.buffered();
        }
        if tag != b'd' && length > CONTROL_BYTES {
            return Err(Error::Protocol("a message that is too long"));
        }
        if self.input.len() < length + 1 {
            return Ok(None);
        }
        let mut frame = self.input.split_to(length + 1);
        match tag {
            b'd' => {
                frame.advance(5);
                Ok(Some(Frame::CopyData(frame.freeze())))
            }
            b'c' => Ok(Some(Frame::CopyDone)),
            b'W' => Ok(Some(Frame::CopyBoth)),
            _ => Message::parse(&mut frame)
                .map_err(Error::Broken)?
                .map(|message| Some(Frame::Other(message)))
                .ok_or(Error::Protocol("a message that ends too early")),
        }
    }

    /// The next message that means something; notices and settings do not.
    pub(super) async fn next(&mut self) -> Result<Frame, Error> {
        match timeout(PATIENCE, self.next_patiently()).await {
            Ok(frame) => frame,
            Err(_) => Err(Error::Timeout(PATIENCE)),
        }
    }

    /// As [`Self::next`], however long it takes; a peer that is gone is noticed by the kernel.
    async fn next_patiently(&mut self) -> Result<Frame, Error> {
        loop {
            match self.buffered()? {
                Some(Frame::Other(
                    Message::NoticeResponse(_)
                    | Message::ParameterStatus(_)
                    | Message::NotificationResponse(_)
                    | Message::BackendKeyData(_),
                )) => {}
                Some(frame) => return Ok(frame),
                None => self.fill().await?,
            }
        }
    }

    /// Runs one command that may have to wait for others.
    pub(super) async fn query_patiently(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        self.send(|buffer| frontend::query(sql, buffer)).await?;
        // The first message comes when the waiting is over.
        let first = self.next_patiently().await?;
        self.rows(Some(first)).await
    }

    /// Runs one command or query and returns its rows.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        self.send(|buffer| frontend::query(sql, buffer)).await?;
        self.rows(None).await
    }

    async fn rows(&mut self, mut first: Option<Frame>) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let frame = match first.take() {
                Some(frame) => frame,
                None => self.next().await?,
            };
            match frame {
                Frame::Other(Message::DataRow(row)) => rows.push(text_row(&row)?),
                Frame::Other(Message::ErrorResponse(body)) => refused = Some(refusal(&body)),
                Frame::Other(Message::ReadyForQuery(_)) => {
                    return refused.map_or(Ok(rows), |error| Err(Error::Postgres(error)));
                }
                Frame::Other(Message::RowDescription(_) | Message::CommandComplete(_)) => {}
                _ => return Err(Error::Protocol("something that does not answer a query")),
            }
        }
    }

    /// Starts a copy in both directions with `command`.
    pub(super) async fn copy_both(&mut self, command: &str) -> Result<(), Error> {
        self.send(|buffer| frontend::query(command, buffer)).await?;
        match self.next().await? {
            Frame::CopyBoth => Ok(()),
            Frame::Other(Message::ErrorResponse(body)) => Err(Error::Postgres(refusal(&body))),
            _ => Err(Error::Protocol("something that does not start a copy")),
        }
    }

    /// Ends the copy, throws away what Postgres had sent already, and makes the connection ready for commands.
    pub(super) async fn end_copy(&mut self) -> Result<(), Error> {
        self.send(|buffer| {
            frontend::copy_done(buffer);
            Ok(())
        })
        .await?;
        loop {
            match self.next().await? {
                Frame::Other(Message::ReadyForQuery(_)) => return Ok(()),
                Frame::Other(Message::ErrorResponse(body)) => {
                    return Err(Error::Postgres(refusal(&body)));
                }
                _ => {}
            }
        }
    }

    /// Says goodbye, so that Postgres drops the temporary slot at once.
    pub(super) async fn close(mut self) {
        let goodbye = self.send(|buffer| {
            frontend::terminate(buffer);
            Ok(())
        });
        if goodbye.await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }
}

/// What an error message says.
pub(super) fn refusal(body: &ErrorResponseBody) -> Refusal {
    let mut refusal = Refusal {
        code: String::new(),
        message: String::new(),
        hint: None,
    };
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => refusal.code = value,
            b'M' => refusal.message = value,
            b'H' => refusal.hint = Some(value),
            _ => {}
        }
    }
    refusal
}

fn text_row(body: &DataRowBody) -> Result<Row, Error> {
    let buffer = body.buffer();
    let columns = body.ranges().map(|range| {
        Ok(range.and_then(|range| {
            buffer
                .get(range)
                .map(|value| String::from_utf8_lossy(value).into_owned())
        }))
    });
    columns.collect().map_err(Error::Broken)
}
