//! Parts of a resumable upload, and the end of it.
//!
//! A part is taken in on a task of its own: a client that goes away in the middle (a pause, a tunnel) does not take with
//! it what has arrived. With the last byte the segments become the content of the object, as any upload does.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;

use super::lock::Held;
use super::unfinished::{Unfinished, end, remove};
use super::{Door, OFFSET, PART, mine, number, state};
use crate::gateway::storage::Storage;
use crate::gateway::storage::ask;
use crate::gateway::storage::commit::{self, Fresh};
use crate::gateway::storage::content::next;
use crate::gateway::storage::error::Error;
use crate::gateway::storage::incoming::content_length;
use crate::gateway::storage::upload::{self, Order};

/// Bytes of a segment: what a crash costs at most.
const SEGMENT: u64 = 16 * 1024 * 1024;

/// `PATCH`.
pub(super) async fn patch(
    storage: &Arc<Storage>,
    door: Door,
    id: &str,
    parts: Parts,
    body: Body,
) -> Result<Response, Error> {
    let checked = async {
        if ask::header(&parts.headers, "content-type") != Some(PART) {
            return Err(Error::tus(
                415,
                "Content-Type has to be application/offset+octet-stream",
            ));
        }
        let offset = number(
            &parts.headers,
            &OFFSET,
            "Upload-Offset header is required and has to be a number",
        )?;
        let (unfinished, order) = mine(storage, door, id, &parts).await?;
        let held = storage
            .uploads
            .take(unfinished.id)
            .ok_or_else(Error::locked)?;
        let done = unfinished.is_done(storage).await?;
        let is = match done {
            true => unfinished.info.length,
            false => end(&unfinished.segments(storage).await?),
        };
        if offset != is {
            return Err(Error::tus(409, "Upload-Offset conflict"));
        }
        let coming = content_length(&parts.headers).unwrap_or_default();
        if offset.saturating_add(coming) > unfinished.info.length {
            return Err(Error::too_large("upload"));
        }
        if !done {
            upload::permit(storage, &order, &unfinished.info.about()).await?;
        }
        Ok((unfinished, order, offset, held, done))
    };
    let (unfinished, order, offset, held, done) = match checked.await {
        Ok(checked) => checked,
        Err(error) => return Err(upload::refuse(body, error).await),
    };
    // There is nothing to add to an object that is there.
    let offset = match done {
        true => offset,
        false => go_on(storage, &unfinished, order, offset, body, held).await?,
    };
    Ok((StatusCode::NO_CONTENT, state(storage, &unfinished, offset)).into_response())
}

/// Takes the body in from this offset, and completes the upload if that was all. Gives the new offset.
pub(super) async fn go_on(
    storage: &Arc<Storage>,
    unfinished: &Unfinished,
    order: Order,
    offset: u64,
    body: Body,
    held: Held,
) -> Result<u64, Error> {
    let (storage, unfinished) = (Arc::clone(storage), unfinished.clone());
    let working = tokio::spawn(async move {
        let offset = take_in(&storage, &unfinished, offset, body, &held).await?;
        if offset == unfinished.info.length {
            complete(&storage, &unfinished, &order).await?;
        }
        Ok(offset)
    });
    working.await.unwrap_or_else(|_| Err(Error::internal()))
}

async fn take_in(
    storage: &Storage,
    unfinished: &Unfinished,
    mut offset: u64,
    body: Body,
    held: &Held,
) -> Result<u64, Error> {
    let failed = |error: object_store::Error| Error::content(&error);
    let mut body = body.into_data_stream();
    let mut writer = storage
        .content
        .write(unfinished.segment(offset))
        .await
        .map_err(failed)?;
    let ended = loop {
        let bytes = tokio::select! {
            bytes = next(&mut body) => bytes,
            () = held.stopped() => break Err(Error::locked()),
        };
        let bytes = match bytes {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let size = writer.size().saturating_add(bytes.len() as u64);
        if offset.saturating_add(size) > unfinished.info.length {
            // Who sends more than was said cannot be trusted about what came before, either: this segment is dropped.
            upload::drain(&mut body).await;
            return Err(Error::too_large("upload"));
        }
        writer.write(bytes).await.map_err(failed)?;
        if size >= SEGMENT {
            writer.finish().await.map_err(failed)?;
            offset = offset.saturating_add(size);
            writer = storage
                .content
                .write(unfinished.segment(offset))
                .await
                .map_err(failed)?;
        }
    };
    let size = writer.size();
    if size > 0 {
        writer.finish().await.map_err(failed)?;
        offset = offset.saturating_add(size);
    }
    ended.map(|()| offset)
}

/// Makes the segments the content of the object. What is refused now will be refused again: the upload is given up.
async fn complete(storage: &Storage, unfinished: &Unfinished, order: &Order) -> Result<(), Error> {
    match assemble(storage, unfinished, order).await {
        Ok(()) => {
            // The object is there; what is left over goes when the upload expires.
            if unfinished.finish(storage).await.is_err() {
                tracing::warn!(id = %unfinished.id, "segments of a complete upload stay until it expires");
            }
            Ok(())
        }
        Err(error) => {
            if error.status < 500 {
                remove(&storage.content, unfinished.id).await?;
            }
            Err(error)
        }
    }
}

async fn assemble(storage: &Storage, unfinished: &Unfinished, order: &Order) -> Result<(), Error> {
    let failed = |error: object_store::Error| Error::content(&error);
    let about = unfinished.info.about();
    // The bucket may have become narrower meanwhile.
    upload::limits(storage, order).await?.check(&about)?;
    let fresh = Fresh::new(storage, &order.target)?;
    let mut writer = storage
        .content
        .write(fresh.path.clone())
        .await
        .map_err(failed)?;
    for segment in unfinished.segments(storage).await? {
        let found = storage
            .content
            .get(&segment.path, None)
            .await
            .map_err(failed)?;
        let mut bytes = found.ok_or_else(Error::internal)?.into_stream();
        while let Some(bytes) = bytes.try_next().await.map_err(failed)? {
            writer.write(bytes).await.map_err(failed)?;
        }
    }
    if writer.size() != unfinished.info.length {
        return Err(Error::internal());
    }
    commit::commit(storage, order, &about, writer, fresh)
        .await
        .map(drop)
}
