//! A file on its way in: what comes before its content, in a form (what browsers send) or in headers.
//!
//! In a form, fields count only if they come before the file: its content is never held to wait for them.

use axum::body::Body;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Map, Value};

use super::ask;
use super::content::{PATIENCE, next};
use super::error::Error;
use super::kinds;

/// Fields of a form before its file.
const FIELDS: usize = 10;

/// Largest such field, and largest metadata of a user.
pub(super) const LARGEST_FIELD: usize = 1024 * 1024;

/// Longest `Cache-Control`.
const LONGEST_CACHE_CONTROL: usize = 255;

/// What is said about the content.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) mime: String,
    pub(super) cache_control: String,
    /// An object.
    pub(super) user_metadata: Value,
    /// As far as it is known before the content is read.
    pub(super) length: Option<u64>,
}

/// Whether the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    ask::header(headers, "content-type").is_some_and(|mime| {
        mime.get(..19)
            .is_some_and(|start| start.eq_ignore_ascii_case("multipart/form-data"))
    })
}

/// The length of the body, if the client says.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Of a body that is the content itself.
pub(super) fn plain(headers: &HeaderMap) -> Result<About, Error> {
    let mime = ask::header(headers, "content-type").unwrap_or("application/octet-stream");
    Ok(About {
        mime: kinds::declared(mime)?.to_owned(),
        cache_control: cache_control(ask::header(headers, "cache-control").unwrap_or("no-cache"))?,
        user_metadata: plain_metadata(headers)?,
        length: content_length(headers),
    })
}

/// Metadata of a user in header `x-metadata`.
pub(super) fn plain_metadata(headers: &HeaderMap) -> Result<Value, Error> {
    let text = ask::header(headers, "x-metadata").and_then(|text| {
        let bytes = STANDARD
            .decode(text)
            .or_else(|_| STANDARD_NO_PAD.decode(text))
            .ok()?;
        String::from_utf8(bytes).ok()
    });
    object(text.as_deref())
}

/// A form, read up to its file.
pub(super) async fn form(headers: &HeaderMap, body: Body) -> Result<Multipart, Error> {
    let mut request = Request::new(body);
    *request.headers_mut() = headers.clone();
    Multipart::from_request(request, &())
        .await
        .map_err(|_| Error::invalid("No content provided"))
}

/// What the fields before the file say.
#[derive(Default)]
pub(super) struct Fields {
    max_age: Option<String>,
    metadata: Option<String>,
    content_type: Option<String>,
    seen: usize,
}

impl Fields {
    /// The next field of the form.
    pub(super) async fn next(form: &mut Multipart) -> Result<Field<'_>, Error> {
        let field = tokio::time::timeout(PATIENCE, form.next_field())
            .await
            .map_err(|_| Error::stalled())?;
        let nothing = || Error::invalid("No content provided");
        field.map_err(|_| nothing())?.ok_or_else(nothing)
    }

    /// What a field says, unless it is the file.
    pub(super) async fn read(&mut self, field: &mut Field<'_>) -> Result<(), Error> {
        self.seen += 1;
        if self.seen > FIELDS {
            return Err(Error::invalid("the form has too many fields"));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let text = text(field).await?;
        match name.as_str() {
            "cacheControl" => self.max_age = Some(text),
            "metadata" | "userMetadata" => self.metadata = Some(text),
            "contentType" => self.content_type = Some(text),
            _ => {}
        }
        Ok(())
    }

    /// What is known of the file.
    pub(super) fn about(&self, file: &Field<'_>) -> Result<About, Error> {
        let mime = self.content_type.as_deref().or_else(|| file.content_type());
        Ok(About {
            mime: kinds::declared(mime.unwrap_or("application/octet-stream"))?.to_owned(),
            cache_control: match &self.max_age {
                Some(seconds) => cache_control(&format!("max-age={seconds}"))?,
                None => "no-cache".to_owned(),
            },
            user_metadata: object(self.metadata.as_deref())?,
            length: None,
        })
    }
}

/// Whether it is the file: clients leave its name empty.
pub(super) fn is_file(field: &Field<'_>) -> bool {
    field.file_name().is_some() || field.name().unwrap_or_default().is_empty()
}

async fn text(field: &mut Field<'_>) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = next(field).await? {
        if bytes.len() + chunk.len() > LARGEST_FIELD {
            return Err(Error::too_large("user_metadata"));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("a field of the form is not UTF-8"))
}

/// A `Cache-Control` that can be sent back.
pub(super) fn cache_control(text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.len() <= LONGEST_CACHE_CONTROL && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    {
        Ok(text.to_owned())
    } else {
        Err(Error::invalid("cacheControl is not acceptable"))
    }
}

/// Metadata of a user. What is no object counts as none, as in the original.
pub(super) fn object(text: Option<&str>) -> Result<Value, Error> {
    let text = text.unwrap_or_default();
    if text.len() > LARGEST_FIELD {
        return Err(Error::too_large("user_metadata"));
    }
    Ok(match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Value::Object(map),
        _ => Value::Object(Map::new()),
    })
}
