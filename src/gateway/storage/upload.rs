//! Uploads: who may is asked before the content is read, and again when its row is written ([`commit`]).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};

use super::ask::{self, Query, Target};
use super::commit::{Fresh, commit};
use super::content::next;
use super::error::Error;
use super::incoming::{self, About, Fields};
use super::objects::{self, Draft, Rules};
use super::sign::Grant;
use super::{Storage, kinds, service};
use crate::gateway::caller::{Caller, Facts};
use crate::gateway::database::Access;
use crate::socket::unix_now;

/// How much of a refused body is still read, so that the client sees the answer rather than a broken connection.
const DRAINED: u64 = 16 * 1024 * 1024;

/// And how long.
const DRAINING: Duration = Duration::from_secs(5);

/// Folders that are empty are kept by an object of this name, which has no content.
const PLACEHOLDER: &str = ".emptyFolderPlaceholder";

/// Who puts content where, and on whose behalf.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) target: Arc<Target>,
    /// Under whose role and claims.
    pub(super) who: Caller,
    /// Who will own it.
    pub(super) owner: Option<String>,
    /// Also over what is there.
    pub(super) upsert: bool,
    pub(super) facts: Facts,
    /// For policies.
    pub(super) operation: &'static str,
}

/// `POST /object/{bucket}/{name}`.
pub(super) async fn create(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let upsert = ask::header(&parts.headers, "x-upsert") == Some("true");
    by_caller(
        &storage,
        target,
        parts,
        body,
        upsert,
        "storage.object.upload",
    )
    .await
}

/// `PUT /object/{bucket}/{name}`.
pub(super) async fn replace(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    by_caller(
        &storage,
        target,
        parts,
        body,
        true,
        "storage.object.upload_update",
    )
    .await
}

async fn by_caller(
    storage: &Storage,
    target: Target,
    parts: Parts,
    body: Body,
    upsert: bool,
    operation: &'static str,
) -> Result<Json<Value>, Error> {
    let who = match ask::caller(storage, &parts) {
        Ok(who) => who,
        Err(error) => return Err(refuse(body, error).await),
    };
    let order = Order {
        owner: who.sub().map(str::to_owned),
        who,
        upsert,
        facts: ask::facts(&parts),
        operation,
        target: Arc::new(target),
    };
    let id = accept(storage, &order, &parts, body).await?;
    Ok(Json(json!({"Id": id, "Key": order.target.url()})))
}

/// `PUT /object/upload/sign/{bucket}/{name}?token=`: whoever has the token may, as whoever asked for it could.
pub(super) async fn signed(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let order = match granted(
        &storage,
        target,
        Query::of(&parts).get("token"),
        ask::facts(&parts),
    ) {
        Ok(order) => order,
        Err(error) => return Err(refuse(body, error).await),
    };
    accept(&storage, &order, &parts, body).await?;
    Ok(Json(json!({"Key": order.target.url()})))
}

/// What a token of an upload allows.
pub(super) fn granted(
    storage: &Storage,
    target: Target,
    token: Option<&str>,
    facts: Facts,
) -> Result<Order, Error> {
    let token =
        token.ok_or_else(|| Error::invalid("querystring must have required property 'token'"))?;
    match storage
        .signer()?
        .verify(token, &target.url(), unix_now())?
        .0
    {
        Grant::Upload { owner, upsert } => Ok(Order {
            target: Arc::new(target),
            who: service(),
            owner,
            upsert,
            facts,
            operation: "storage.object.upload_signed",
        }),
        Grant::Download { .. } => Err(Error::signature("Token is not scoped for upload")),
    }
}

/// Takes the content in. Gives the id of the object.
async fn accept(
    storage: &Storage,
    order: &Order,
    parts: &Parts,
    body: Body,
) -> Result<String, Error> {
    if !incoming::is_form(&parts.headers) {
        let mut content = body.into_data_stream();
        let result = match incoming::plain(&parts.headers) {
            Ok(about) => receive(storage, order, &about, &mut content).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            drain(&mut content).await;
        }
        return result;
    }
    let mut form = incoming::form(&parts.headers, body).await?;
    let mut fields = Fields::default();
    loop {
        let mut field = Fields::next(&mut form).await?;
        let result = match incoming::is_file(&field) {
            true => match fields.about(&field) {
                Ok(about) => receive(storage, order, &about, &mut field).await,
                Err(error) => Err(error),
            },
            false => match fields.read(&mut field).await {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
        };
        if result.is_err() {
            drain(&mut field).await;
        }
        return result;
    }
}

async fn receive<S, E>(
    storage: &Storage,
    order: &Order,
    about: &About,
    content: &mut S,
) -> Result<String, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let limits = limits(storage, order).await?;
    limits.check(about)?;
    permit(storage, order, about).await?;
    let fresh = Fresh::new(storage, &order.target)?;
    let mut writer = storage
        .content
        .write(fresh.path.clone())
        .await
        .map_err(|error| Error::content(&error))?;
    while let Some(bytes) = next(content).await? {
        let size = writer.size().saturating_add(bytes.len() as u64);
        if size > limits.size {
            return Err(Error::too_large("object"));
        }
        writer
            .write(bytes)
            .await
            .map_err(|error| Error::content(&error))?;
    }
    if about.length.is_some_and(|length| length != writer.size()) {
        return Err(Error::aborted());
    }
    commit(storage, order, about, writer, fresh).await
}

/// What may come in.
pub(super) struct Limits {
    pub(super) size: u64,
    types: Vec<String>,
}

impl Limits {
    /// Whether what is said about the content is within them.
    pub(super) fn check(&self, about: &About) -> Result<(), Error> {
        if !kinds::is_allowed(&about.mime, &self.types) {
            return Err(Error::mime(&about.mime));
        }
        if about.length.is_some_and(|length| length > self.size) {
            return Err(Error::too_large("object"));
        }
        Ok(())
    }
}

/// The limits of the bucket, where they are narrower than the server's.
pub(super) async fn limits(storage: &Storage, order: &Order) -> Result<Limits, Error> {
    let target = &order.target;
    let transaction = storage
        .begin(&service(), &order.facts, Access::Read, order.operation)
        .await?;
    let rules = objects::rules(&transaction, &target.bucket).await?;
    transaction.commit().await?;
    let Rules { size, types } = rules.ok_or_else(Error::no_bucket)?;
    let widest = storage.gateway.settings.storage.file_size_limit;
    if target.name.rsplit('/').next() == Some(PLACEHOLDER) {
        return Ok(Limits {
            size: 0,
            types: Vec::new(),
        });
    }
    Ok(Limits {
        size: size.map_or(widest, |size| size.min(widest)),
        types,
    })
}

/// Whether the caller may, as far as that can be said before there is content: the statement is run and undone.
pub(super) async fn permit(storage: &Storage, order: &Order, about: &About) -> Result<(), Error> {
    let metadata = match about.length {
        Some(length) => json!({"mimetype": about.mime, "contentLength": length}),
        None => json!({"mimetype": about.mime}),
    };
    let transaction = storage
        .begin(&order.who, &order.facts, Access::Write, order.operation)
        .await?;
    let draft = Draft {
        bucket: &order.target.bucket,
        name: &order.target.name,
        owner: order.owner.as_deref(),
        version: "1",
        metadata: &metadata,
        user_metadata: &about.user_metadata,
    };
    objects::write(&transaction, &draft, order.upsert).await?;
    transaction.rollback().await?;
    Ok(())
}

/// Reads what is left of a body that is not wanted, up to a point: closed at once, the connection would be reset under
/// the client's hands, and the answer with it.
pub(super) async fn drain<S, E>(content: &mut S)
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let reading = async {
        let mut read = 0u64;
        while let Some(Ok(bytes)) = content.next().await {
            read = read.saturating_add(bytes.len() as u64);
            if read > DRAINED {
                return;
            }
        }
    };
    // Whoever is slower than that is cut off.
    let _ = tokio::time::timeout(DRAINING, reading).await;
}

/// The refusal, after the body was drained.
pub(super) async fn refuse(body: Body, error: Error) -> Error {
    drain(&mut body.into_data_stream()).await;
    error
}
