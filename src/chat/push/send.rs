//! One request to a push service, and what its answer means (RFC 8030).

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use super::address::{NotAllowed, Resolver, check};
use super::encrypt::{Receiver, encrypt};
use crate::auth::VapidKey;

/// Longest time for one request, resolution and connection included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds that a push service keeps a message for a browser that is away. Older news is seen in the app.
const TTL: &str = "86400";
/// More than that of `Retry-After` is not believed; the queue waits an hour at most.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A browser that takes push messages, as it registered.
#[derive(Clone, Deserialize)]
pub(super) struct Subscription {
    /// Where its push service takes them.
    pub(super) endpoint: String,
    /// Its public key, base64url.
    p256dh: String,
    /// Its secret, base64url.
    auth: String,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The push service took it.
    Delivered,
    /// There is no such subscription (404, 410).
    Gone,
    /// It is larger than this push service takes (413).
    TooLarge,
    /// Trying again would change nothing.
    Refused(String),
    /// Trying again may help, but not before this time is over.
    Later(String, Option<Duration>),
}

/// What is sent, besides the text.
#[derive(Clone, Copy)]
pub(super) struct Envelope<'a> {
    /// A message of the same topic that still waits at the push service is replaced; at most 32 characters of base64url.
    pub(super) topic: Option<&'a str>,
    /// `normal`, or `high` for what should wake a phone.
    pub(super) urgency: &'static str,
}

/// Sends to push services.
pub(super) struct Sender {
    http: reqwest::Client,
    key: VapidKey,
    subject: String,
    /// Endpoints may be http and anywhere.
    private: bool,
}

impl Sender {
    /// # Errors
    /// The system's certificates cannot be used.
    pub(super) fn new(key: VapidKey, subject: String, private: bool) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .dns_resolver(Arc::new(Resolver { private }))
            // A proxy would resolve names itself, and a redirect leads where nobody has looked.
            .no_proxy()
            .redirect(Policy::none())
            .https_only(!private)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(8)
            .user_agent(concat!("dovetail/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            key,
            subject,
            private,
        })
    }

    /// Encrypts and sends. The body of the answer is not read.
    pub(super) async fn send(
        &self,
        to: &Subscription,
        text: &[u8],
        envelope: Envelope<'_>,
    ) -> Outcome {
        let url = match check(&to.endpoint, self.private) {
            Ok(url) => url,
            Err(why) => return Outcome::Refused(why.to_string()),
        };
        let Some(body) = receiver(to).and_then(|receiver| encrypt(&receiver, text).ok()) else {
            return Outcome::Refused("the keys of the subscription are not valid".to_owned());
        };
        let now = chrono::Utc::now().timestamp();
        let Some(authorization) = self.key.authorization(&origin(&url), &self.subject, now) else {
            return Outcome::Later("could not be signed".to_owned(), None);
        };
        let mut request = self
            .http
            .post(url)
            .header("Authorization", authorization)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Encoding", "aes128gcm")
            .header("TTL", TTL)
            .header("Urgency", envelope.urgency)
            .body(body);
        if let Some(topic) = envelope.topic {
            request = request.header("Topic", topic);
        }
        match request.send().await {
            Ok(answer) => outcome(&answer),
            Err(error) => failure(&error),
        }
    }
}

fn receiver(to: &Subscription) -> Option<Receiver> {
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    Some(Receiver {
        public: decode(&to.p256dh).ok()?,
        auth: decode(&to.auth).ok()?,
    })
}

/// Scheme, host and port, the port only where it is not the usual one.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn outcome(answer: &Response) -> Outcome {
    let status = answer.status();
    let why = || format!("the push service answered {}", status.as_u16());
    match status {
        status if status.is_success() => Outcome::Delivered,
        StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Gone,
        StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Outcome::Later(why(), retry_after(answer))
        }
        status if status.is_server_error() => Outcome::Later(why(), retry_after(answer)),
        _ => Outcome::Refused(why()),
    }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
            let left = at.timestamp() - chrono::Utc::now().timestamp();
            Duration::from_secs(u64::try_from(left).unwrap_or(0))
        }
    };
    Some(after.min(MAX_RETRY_AFTER))
}

/// Says what went wrong without the endpoint, which is a secret of the browser.
fn failure(error: &reqwest::Error) -> Outcome {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(why) = inner.downcast_ref::<NotAllowed>() {
            return Outcome::Refused(why.to_string());
        }
        cause = inner.source();
    }
    let why = if error.is_timeout() {
        "the push service did not answer in time"
    } else if error.is_connect() {
        "the push service could not be reached"
    } else {
        "the connection to the push service broke"
    };
    Outcome::Later(why.to_owned(), None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: &str) -> Outcome {
        let answer = http::Response::builder()
            .status(status)
            .header("retry-after", retry_after)
            .body("")
            .unwrap();
        outcome(&Response::from(answer))
    }

    fn later(status: u16, seconds: Option<u64>) -> Outcome {
        let why = format!("the push service answered {status}");
        Outcome::Later(why, seconds.map(Duration::from_secs))
    }

    #[test]
    fn every_answer_has_a_meaning() {
        assert_eq!(answer(200, "9"), Outcome::Delivered);
        assert_eq!(answer(201, "9"), Outcome::Delivered);
        assert_eq!(answer(404, "9"), Outcome::Gone);
        assert_eq!(answer(410, "9"), Outcome::Gone);
        assert_eq!(answer(413, "9"), Outcome::TooLarge);
        for status in [301, 302, 307, 308, 400, 401, 403] {
            assert!(
                matches!(answer(status, "9"), Outcome::Refused(_)),
                "{status}"
            );
        }
        for status in [408, 425, 429, 500, 502, 503] {
            assert_eq!(answer(status, "9"), later(status, Some(9)));
        }
    }

    #[test]
    fn retry_after_is_believed_within_an_hour() {
        assert_eq!(answer(429, "99999999"), later(429, Some(3600)));
        assert_eq!(answer(429, "soon"), later(429, None));
        assert_eq!(answer(429, "-1"), later(429, None));
        assert_eq!(answer(429, "99999999999999999999999999"), later(429, None));
        assert_eq!(
            answer(503, "Wed, 21 Oct 2015 07:28:00 GMT"),
            later(503, Some(0))
        );
        assert_eq!(
            answer(503, "Fri, 21 Oct 2095 07:28:00 GMT"),
            later(503, Some(3600))
        );
    }
}
