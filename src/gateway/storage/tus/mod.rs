//! Resumable uploads: TUS 1.0 with creation (also with the first bytes), termination and expiration.
//!
//! An unfinished upload is a folder of the content's store: who began it and what for ([`unfinished`]), and the bytes so
//! far in segments ([`receive`]). It belongs to the role and subject that began it, or to whoever has the token of a
//! signed URL for the same object. Policies are asked at its beginning, with every part, and when it is complete.
//! One part at a time: locks are of this process, so that requests for one upload have to reach the same one.

mod begin;
mod lock;
mod metadata;
mod receive;
mod unfinished;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use uuid::Uuid;

use super::Storage;
use super::ask::{self, Target};
use super::error::Error;
use super::upload::{self, Order};
pub(super) use lock::Locks;
use unfinished::Unfinished;
pub(super) use unfinished::{FOLDER, id_of, remove};

/// The one version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

/// The type of a part.
const PART: &str = "application/offset+octet-stream";

/// How a request shows its right to an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// By the token of the API.
    Token,
    /// By that of a signed URL, in `x-signature`.
    Signature,
}

pub(super) fn routes() -> Router<Arc<Storage>> {
    Router::new()
        .route("/upload/resumable", many(Door::Token))
        .route("/upload/resumable/", many(Door::Token))
        .route("/upload/resumable/sign", many(Door::Signature))
        .route("/upload/resumable/sign/", many(Door::Signature))
        .route("/upload/resumable/{id}", one(Door::Token))
        .route("/upload/resumable/sign/{id}", one(Door::Signature))
        .layer(map_response(|mut response: Response| async move {
            response.headers_mut().insert(RESUMABLE, VERSION);
            response
        }))
}

fn many(door: Door) -> MethodRouter<Arc<Storage>> {
    post(
        move |State(storage): State<Arc<Storage>>, request: Request| async move {
            let (parts, body) = request.into_parts();
            let answer = match version(&parts.headers) {
                Ok(()) => begin::begin(&storage, door, parts, body).await,
                Err(error) => Err(upload::refuse(body, error).await),
            };
            answer.map_err(Error::literally)
        },
    )
}

fn one(door: Door) -> MethodRouter<Arc<Storage>> {
    let patch = move |State(storage): State<Arc<Storage>>,
                      Path(id): Path<String>,
                      request: Request| async move {
        let (parts, body) = request.into_parts();
        let answer = match version(&parts.headers) {
            Ok(()) => receive::patch(&storage, door, &id, parts, body).await,
            Err(error) => Err(upload::refuse(body, error).await),
        };
        answer.map_err(Error::literally)
    };
    let head = move |State(storage): State<Arc<Storage>>,
                     Path(id): Path<String>,
                     request: Request| async move {
        let parts = request.into_parts().0;
        look(&storage, door, &id, &parts)
            .await
            .map_err(Error::literally)
    };
    let delete = move |State(storage): State<Arc<Storage>>,
                       Path(id): Path<String>,
                       request: Request| async move {
        let parts = request.into_parts().0;
        terminate(&storage, door, &id, &parts)
            .await
            .map_err(Error::literally)
    };
    // HEAD alone: GET means nothing in TUS.
    axum::routing::patch(patch).head(head).delete(delete)
}

fn version(headers: &HeaderMap) -> Result<(), Error> {
    match headers.get(RESUMABLE) {
        Some(version) if version == VERSION => Ok(()),
        Some(_) => {
            let error = Error::tus(412, "Tus-Resumable has to be 1.0.0");
            Err(error.with(HeaderName::from_static("tus-version"), VERSION))
        }
        None => Err(Error::tus(412, "Tus-Resumable Required")),
    }
}

/// A header that has to be a whole number.
fn number(headers: &HeaderMap, name: &HeaderName, missing: &'static str) -> Result<u64, Error> {
    let text = ask::header(headers, name.as_str()).ok_or_else(|| Error::tus(400, missing))?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| Error::tus(400, missing))
}

/// On whose behalf a request about this object is.
fn order(
    storage: &Storage,
    door: Door,
    parts: &Parts,
    target: Target,
    upsert: bool,
) -> Result<Order, Error> {
    let facts = ask::facts(parts);
    match door {
        Door::Token => {
            let who = ask::caller(storage, parts)?;
            Ok(Order {
                target: Arc::new(target),
                owner: who.sub().map(str::to_owned),
                who,
                upsert,
                facts,
                operation: "storage.tus.upload.part",
            })
        }
        Door::Signature => {
            let signature = ask::header(&parts.headers, "x-signature");
            let signature =
                signature.ok_or_else(|| Error::signature("Missing x-signature header"))?;
            upload::granted(storage, target, Some(signature), facts)
        }
    }
}

/// The upload, if it is the bearer's. Whatever is wrong about that, it is not there.
async fn mine(
    storage: &Storage,
    door: Door,
    id: &str,
    parts: &Parts,
) -> Result<(Unfinished, Order), Error> {
    if door == Door::Token {
        // Before anything is looked up: nobody gets a different answer than a stranger.
        ask::caller(storage, parts)?;
    }
    let id = Uuid::try_parse(id).map_err(|_| Error::no_upload())?;
    let unfinished = Unfinished::read(storage, id)
        .await?
        .ok_or_else(Error::no_upload)?;
    let info = &unfinished.info;
    let target = Target::new(info.bucket.clone(), info.name.clone())?;
    let order = order(storage, door, parts, target, info.upsert)?;
    if !info.is_of(&order, door == Door::Signature) {
        return Err(Error::no_upload());
    }
    if info.is_over(storage) {
        return Err(Error::tus(410, "The upload has expired"));
    }
    Ok((unfinished, order))
}

/// `HEAD`: how far it is. Whoever asks has lost the connection: a part that is still coming in is ended.
async fn look(
    storage: &Arc<Storage>,
    door: Door,
    id: &str,
    parts: &Parts,
) -> Result<Response, Error> {
    version(&parts.headers)?;
    let (unfinished, _) = mine(storage, door, id, parts).await?;
    let _held = storage
        .uploads
        .take_over(unfinished.id)
        .await
        .ok_or_else(Error::locked)?;
    let offset = unfinished.offset_to_go_on(storage).await?;
    let mut headers = state(storage, &unfinished, offset);
    headers.insert(LENGTH, HeaderValue::from(unfinished.info.length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok((StatusCode::OK, headers).into_response())
}

/// `DELETE`: gives it up.
async fn terminate(
    storage: &Arc<Storage>,
    door: Door,
    id: &str,
    parts: &Parts,
) -> Result<Response, Error> {
    version(&parts.headers)?;
    let (unfinished, _) = mine(storage, door, id, parts).await?;
    let _held = storage
        .uploads
        .take_over(unfinished.id)
        .await
        .ok_or_else(Error::locked)?;
    remove(&storage.content, unfinished.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What every answer about an upload says.
fn state(storage: &Storage, unfinished: &Unfinished, offset: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(OFFSET, HeaderValue::from(offset));
    let expires = super::serve::http_date(unfinished.info.expires(storage));
    if let Ok(expires) = HeaderValue::from_str(&expires) {
        headers.insert(EXPIRES, expires);
    }
    headers
}
