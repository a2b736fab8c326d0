//! Which way a request goes: straight to `/rest/v1`, else by the router.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use futures_util::future::Either;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use crate::api::RequestId;
use crate::gateway::{Direct, Peer};
use crate::socket::Permit;

/// Everything that is served. Cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) router: Router,
    /// Where `/rest/v1` is served.
    pub(super) direct: Option<Direct>,
}

impl Front {
    /// The answer. What goes straight has neither permit nor peer: it never becomes a socket, and nothing asks who
    /// is at its other end.
    pub(super) fn answer(
        &self,
        mut request: Request<Incoming>,
        permit: &Arc<Permit>,
        peer: Peer,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        if let Some(direct) = &self.direct
            && direct.takes(&mut request)
        {
            // A box of its own, so that a connection keeps no room for it while nothing is asked.
            return Either::Left(Box::pin(straight(direct.clone(), request.map(Body::new))));
        }
        request.extensions_mut().insert(Arc::clone(permit));
        request.extensions_mut().insert(peer);
        Either::Right(self.router.clone().oneshot(request.map(Body::new)))
    }
}

async fn straight(direct: Direct, request: Request<Body>) -> Result<Response, Infallible> {
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let mut answer = direct.answer(request).await;
    id.put(&mut answer);
    // As the router's requests are logged.
    tracing::debug!(%method, route = "/rest/v1", status = answer.status().as_u16(), "request");
    Ok(answer)
}
