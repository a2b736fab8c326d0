//! The straight way to `/rest/v1`, past the router.
//!
//! A request to a table costs little more than its statement, and a router with its layers, each of which boxes a
//! future and clones a service, was a fifth of what is ours. So this passes everything that [`edge`] puts before the
//! other services in one function. Preflights are answered by the router.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, Request, Uri, header};
use axum::response::Response;
use http_body::Body as _;

use super::edge::{self, Shown};
use super::{Gateway, rest, unread};

/// Where `/rest/v1` is.
pub(super) const PREFIX: &str = "/rest/v1";

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Direct(Arc<Inner>);

struct Inner {
    gateway: Arc<Gateway>,
    shown: Shown,
}

impl Direct {
    /// None where `/rest/v1` is not served.
    pub fn new(gateway: &Arc<Gateway>) -> Option<Self> {
        gateway.settings.parts.rest.then(|| {
            Self(Arc::new(Inner {
                gateway: Arc::clone(gateway),
                shown: Shown::new(),
            }))
        })
    }

    /// Whether the request goes this way; if so its URI begins below the prefix now.
    pub fn takes<B>(&self, request: &mut Request<B>) -> bool {
        if request.method() == Method::OPTIONS {
            return false;
        }
        match below(request.uri()) {
            Some(uri) => {
                *request.uri_mut() = uri;
                true
            }
            None => false,
        }
    }

    /// The answer to a request that it takes.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let begun = Instant::now();
        let Inner { gateway, shown } = &*self.0;
        let mut answer = rest::answer(gateway, request.map(unread::watched)).await;
        edge::count("rest", answer.status(), begun);
        let length = answer.body().size_hint().exact();
        let headers = answer.headers_mut();
        shown.add(headers);
        // Also of an answer to HEAD, where hyper says nothing of it.
        if let (Some(length), false) = (length, headers.contains_key(header::CONTENT_LENGTH)) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        answer
    }
}

/// What is below the prefix, when the path is there.
fn below(uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(PREFIX)?;
    let text = match rest.as_bytes().first() {
        Some(b'/') => rest.to_owned(),
        None | Some(b'?') => format!("/{rest}"),
        Some(_) => return None,
    };
    // What was part of a path and its query is one.
    PathAndQuery::try_from(text).ok().map(Uri::from)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_prefix_is_taken_and_nothing_beside_it() {
        for (uri, expected) in [
            ("/rest/v1", Some("/")),
            ("/rest/v1/", Some("/")),
            ("/rest/v1?a=b", Some("/?a=b")),
            ("/rest/v1/things?id=eq.1", Some("/things?id=eq.1")),
            ("http://host/rest/v1/rpc/add", Some("/rpc/add")),
            ("/rest/v1/rest/v1/x", Some("/rest/v1/x")),
            ("/rest/v12/things", None),
            ("/rest/v1%2Fthings", None),
            ("/REST/v1/things", None),
            ("/x/rest/v1/things", None),
            ("*", None),
        ] {
            let found = below(&uri.parse().unwrap());
            assert_eq!(
                found.map(|uri| uri.to_string()).as_deref(),
                expected,
                "{uri}"
            );
        }
    }
}
