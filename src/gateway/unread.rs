//! Bodies that a refusal did not wait for are read to their end, up to a point.
//!
//! A server that answers and closes while its client still sends makes the kernel reset the connection, and the answer is
//! lost with it. So what a handler leaves unread is read on a task of its own while the answer is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Most bytes that are read only to be thrown away. Who sends more is cut off.
const MOST: u64 = 16 << 20;
/// And the most time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Before the services.
pub(super) async fn drained(request: Request, next: Next) -> Response {
    next.run(request.map(watched)).await
}

/// A body that is read to its end when it is dropped before.
pub(super) fn watched(body: Body) -> Body {
    match body.is_end_stream() {
        true => body,
        false => Body::new(Watched(Some(body))),
    }
}

/// A body while somebody reads it; none when it has ended.
struct Watched(Option<Body>);

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(SizeHint::default, |body| body.size_hint())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let left = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(PATIENCE, discard(body)));
        }
    }
}

async fn discard(mut body: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
        if read > MOST {
            return;
        }
    }
}
