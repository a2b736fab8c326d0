//! Objects of the bucket, through the Storage API and in the name of the service: this server's own, or that of a stack.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, redirect};

use crate::chat::BUCKET;
use crate::chat::signer::Signer;
use crate::config::Secret;
use crate::gateway::image::Rendered;
use crate::socket::unix_now;

/// Longest time of one request.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest time until there is a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest original that is made smaller, in bytes: it is held in memory.
const LARGEST: usize = 64 << 20;

/// What shows the Storage API that it is the service who asks.
#[derive(Clone)]
pub(super) enum Pass {
    /// `SERVICE_KEY`.
    Key(Secret),
    /// A token for each request.
    Signed(Box<Signer>),
}

/// Why there is no answer to work with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The service is not there, or not able; it will be again.
    #[error("the Storage API cannot be asked: {0}")]
    Away(String),
    /// There is no such object, or it is not ours to have.
    #[error("the Storage API refused with status {0}")]
    Refused(StatusCode),
    /// More than fits.
    #[error("the object has more than {LARGEST} bytes")]
    TooLarge,
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        // Without the address: it holds the names of objects.
        Self::Away(error.without_url().to_string())
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    client: Client,
    url: String,
    pass: Pass,
}

impl Store {
    /// `url` with its path (`.../storage/v1`).
    ///
    /// # Errors
    /// When the system has no certificates to verify others with.
    pub(super) fn new(url: &str, pass: Pass) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .connect_timeout(CONNECT)
            .build()?;
        Ok(Self {
            client,
            url: url.to_owned(),
            pass,
        })
    }

    /// The content of an object.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>, Fault> {
        let url = format!(
            "{}/object/authenticated/{BUCKET}/{}",
            self.url,
            encoded(path)
        );
        let mut answer = self.passed(self.client.get(url))?.send().await?;
        accepted(answer.status())?;
        let mut content = Vec::new();
        while let Some(part) = answer.chunk().await? {
            if content.len() + part.len() > LARGEST {
                return Err(Fault::TooLarge);
            }
            content.extend_from_slice(&part);
        }
        Ok(content)
    }

    /// Writes an object, over what an earlier attempt may have left.
    pub(super) async fn put(&self, path: &str, image: Rendered) -> Result<(), Fault> {
        let url = format!("{}/object/{BUCKET}/{}", self.url, encoded(path));
        let request = self
            .client
            .post(url)
            .header("content-type", image.mime)
            .header("cache-control", "max-age=31536000")
            .header("x-upsert", "true")
            .body(image.bytes);
        let answer = self.passed(request)?.send().await?;
        accepted(answer.status())
    }

    fn passed(&self, request: RequestBuilder) -> Result<RequestBuilder, Fault> {
        let token = match &self.pass {
            Pass::Key(key) => key.expose().to_owned(),
            Pass::Signed(signer) => signer
                .service(unix_now())
                .ok_or_else(|| Fault::Away("there is no token".to_owned()))?,
        };
        Ok(request.header("apikey", &token).bearer_auth(token))
    }
}

fn accepted(status: StatusCode) -> Result<(), Fault> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS | StatusCode::NOT_IMPLEMENTED => {
            Err(Fault::Away(format!("status {status}")))
        }
        status if status.is_client_error() => Err(Fault::Refused(status)),
        status => Err(Fault::Away(format!("status {status}"))),
    }
}

/// The name as a path: everything but letters, digits and a few signs is written as `%XX`.
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_address() {
        assert_eq!(encoded("a/b c?d#e%2f.png"), "a/b%20c%3Fd%23e%252f.png");
        assert_eq!(encoded("é"), "%C3%A9");
    }

    #[test]
    fn only_what_will_not_change_by_waiting_is_a_refusal() {
        for (status, refused) in [
            (400, true),
            (404, true),
            (401, false),
            (429, false),
            (503, false),
        ] {
            let fault = accepted(StatusCode::from_u16(status).unwrap_or_default());
            assert_eq!(matches!(fault, Err(Fault::Refused(_))), refused, "{status}");
        }
        assert!(accepted(StatusCode::OK).is_ok());
    }
}
