//! The body of a request: never more of it in memory than a broadcast may have, never longer than a client may take.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::BytesMut;
use futures_util::StreamExt as _;

use crate::api::answers;

/// Largest body (protocol.md §7.6).
const LIMIT: usize = 8_000_000;
/// A client that sends nothing for so long has gone away.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest time for a whole body.
const LONGEST: Duration = Duration::from_secs(120);
/// How much of a body that nobody wants is read all the same, so that its sender comes to reading the answer.
const UNWANTED: usize = 2 * LIMIT;
/// And for how long.
const UNWANTED_TIME: Duration = Duration::from_secs(5);

/// A body that was not read yet, or in part.
pub(super) struct Upload {
    stream: BodyDataStream,
    /// The length that the request says it has.
    announced: Option<u64>,
    /// The client waits for `100 Continue` before it sends anything.
    held_back: bool,
}

impl Upload {
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Self {
        Self {
            announced: body.size_hint().exact(),
            held_back: headers.contains_key(header::EXPECT),
            stream: body.into_data_stream(),
        }
    }

    /// The whole body. The error is the answer: 413 when it is too large, 408 when it does not come, 400 when it breaks off.
    pub(super) async fn read(&mut self) -> Result<Bytes, Response> {
        if self.announced.is_some_and(|length| length > LIMIT as u64) {
            return Err(answers::page(StatusCode::PAYLOAD_TOO_LARGE));
        }
        self.held_back = false;
        let whole = tokio::time::timeout(LONGEST, self.collect()).await;
        whole
            .unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
            .map_err(answers::page)
    }

    async fn collect(&mut self) -> Result<Bytes, StatusCode> {
        let mut whole = BytesMut::new();
        loop {
            let chunk = tokio::time::timeout(PATIENCE, self.stream.next())
                .await
                .map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
            match chunk {
                None => return Ok(whole.freeze()),
                Some(Ok(chunk)) if whole.len() + chunk.len() > LIMIT => {
                    return Err(StatusCode::PAYLOAD_TOO_LARGE);
                }
                Some(Ok(chunk)) => whole.extend_from_slice(&chunk),
                Some(Err(_)) => return Err(StatusCode::BAD_REQUEST),
            }
        }
    }

    /// Reads the rest and keeps nothing of it: who is still sending when the connection closes may never see the answer.
    pub(super) async fn discard(mut self) {
        if self.held_back {
            return;
        }
        let rest = async {
            let mut room = UNWANTED;
            while let Some(Ok(chunk)) = self.stream.next().await {
                match room.checked_sub(chunk.len()) {
                    Some(left) => room = left,
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(UNWANTED_TIME, rest).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    fn upload(body: Body) -> Upload {
        Upload::new(&HeaderMap::new(), body)
    }

    async fn status(body: Body) -> Result<usize, StatusCode> {
        let read = upload(body).read().await;
        read.map(|bytes| bytes.len())
            .map_err(|response| response.status())
    }

    /// `count` pieces of a megabyte, `pause` before each, and then nothing more if it `stalls`.
    fn pieces(count: usize, pause: Duration, stalls: bool) -> Body {
        let piece = Bytes::from(vec![b' '; 1_000_000]);
        let sent = stream::iter(0..count).then(move |_| {
            let piece = piece.clone();
            async move {
                tokio::time::sleep(pause).await;
                Ok::<_, Infallible>(piece)
            }
        });
        match stalls {
            true => Body::from_stream(sent.chain(stream::pending())),
            false => Body::from_stream(sent),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_waited_for_and_one_that_stalls_is_not() {
        let slow = Duration::from_secs(10);
        assert_eq!(status(pieces(8, slow, false)).await, Ok(8_000_000));
        assert_eq!(
            status(pieces(1, slow, true)).await,
            Err(StatusCode::REQUEST_TIMEOUT)
        );
        let slower = Duration::from_secs(20);
        assert_eq!(
            status(pieces(1, slower, false)).await,
            Err(StatusCode::REQUEST_TIMEOUT)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_trickle_ends() {
        let trickle = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(Bytes::from_static(b" "))
        });
        assert_eq!(
            status(Body::from_stream(trickle)).await,
            Err(StatusCode::REQUEST_TIMEOUT)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn too_large_a_body_is_refused_whether_it_says_so_or_not() {
        let too_large = StatusCode::PAYLOAD_TOO_LARGE;
        assert_eq!(status(Body::from(vec![0; LIMIT + 1])).await, Err(too_large));
        assert_eq!(status(Body::from(vec![0; LIMIT])).await, Ok(LIMIT));
        // Endless, so it would never be refused if it were read to its end first.
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![0; 65536])));
        let mut upload = upload(Body::from_stream(endless));
        assert_eq!(upload.read().await.unwrap_err().status(), too_large);
        upload.discard().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_sent_yet_is_not_asked_for() {
        let mut headers = HeaderMap::new();
        headers.insert(header::EXPECT, "100-continue".parse().unwrap());
        let asked = Body::from_stream(stream::poll_fn(
            |_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> {
                panic!("the body was asked for")
            },
        ));
        Upload::new(&headers, asked).discard().await;
    }
}
