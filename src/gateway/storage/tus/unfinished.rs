//! What there is of an upload that is not complete: `uploads/<id>/info`, and segments named after where they begin.
//!
//! How far it is follows from the segments, each of which appears as a whole; so it is right after a crash, too. An
//! upload that is done keeps its info until it expires, for clients that missed the last answer.

use futures_util::TryStreamExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::gateway::storage::Storage;
use crate::gateway::storage::content::Content;
use crate::gateway::storage::error::Error;
use crate::gateway::storage::incoming::About;
use crate::gateway::storage::upload::Order;
use crate::socket::unix_now;

/// Folder of all of them.
pub(in crate::gateway::storage) const FOLDER: &str = "uploads";

const INFO: &str = "info";
const DONE: &str = "done";

/// Who began it and what for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Info {
    pub(super) bucket: String,
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) mime: String,
    pub(super) cache_control: String,
    pub(super) user_metadata: Value,
    pub(super) upsert: bool,
    /// Whose it is; of a signed URL, whoever has one.
    pub(super) role: String,
    pub(super) sub: Option<String>,
    pub(super) signed: bool,
    /// Seconds since 1970.
    pub(super) created: i64,
}

impl Info {
    pub(super) fn about(&self) -> About {
        About {
            mime: self.mime.clone(),
            cache_control: self.cache_control.clone(),
            user_metadata: self.user_metadata.clone(),
            length: Some(self.length),
        }
    }

    pub(super) fn is_of(&self, order: &Order, signed: bool) -> bool {
        self.signed == signed
            && (signed || (*self.role == *order.who.role && self.sub.as_deref() == order.who.sub()))
    }

    pub(super) fn expires(&self, storage: &Storage) -> i64 {
        let life = storage.gateway.settings.storage.upload_expiry.as_secs();
        self.created
            .saturating_add(i64::try_from(life).unwrap_or(i64::MAX))
    }

    pub(super) fn is_over(&self, storage: &Storage) -> bool {
        self.expires(storage) <= unix_now()
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) id: Uuid,
    pub(super) info: Info,
}

/// A run of bytes that has arrived.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: Path,
    pub(super) start: u64,
    pub(super) size: u64,
}

fn path(id: Uuid, name: &str) -> Path {
    Path::from(format!("{FOLDER}/{id}/{name}"))
}

impl Unfinished {
    /// A new one, which can be continued from now on.
    pub(super) async fn create(storage: &Storage, info: Info) -> Result<Self, Error> {
        let id = Uuid::new_v4();
        let bytes = serde_json::to_vec(&info).map_err(|_| Error::internal())?;
        storage
            .content
            .put(&path(id, INFO), bytes)
            .await
            .map_err(|error| Error::content(&error))?;
        Ok(Self { id, info })
    }

    pub(super) async fn read(storage: &Storage, id: Uuid) -> Result<Option<Self>, Error> {
        let found = storage
            .content
            .get(&path(id, INFO), None)
            .await
            .map_err(|error| Error::content(&error))?;
        let Some(found) = found else { return Ok(None) };
        let bytes = found
            .bytes()
            .await
            .map_err(|error| Error::content(&error))?;
        let info = serde_json::from_slice(&bytes).map_err(|error| {
            tracing::error!(%error, %id, "an unfinished upload cannot be understood");
            Error::internal()
        })?;
        Ok(Some(Self { id, info }))
    }

    pub(super) fn segment(&self, start: u64) -> Path {
        path(self.id, &format!("{start:020}"))
    }

    /// What has arrived without a gap, in order.
    pub(super) async fn segments(&self, storage: &Storage) -> Result<Vec<Segment>, Error> {
        let folder = Path::from(format!("{FOLDER}/{}", self.id));
        let listed = storage
            .content
            .list(&folder)
            .await
            .map_err(|error| Error::content(&error))?;
        let mut segments: Vec<Segment> = listed
            .try_filter_map(|meta| async move {
                let start = meta.location.filename().and_then(|name| name.parse().ok());
                Ok(start.map(|start| Segment {
                    path: meta.location,
                    start,
                    size: meta.size,
                }))
            })
            .try_collect()
            .await
            .map_err(|error| Error::content(&error))?;
        segments.sort_by_key(|segment| segment.start);
        let mut end = 0;
        segments.retain(|segment| {
            let follows = segment.start == end;
            end += if follows { segment.size } else { 0 };
            follows
        });
        Ok(segments)
    }

    pub(super) async fn is_done(&self, storage: &Storage) -> Result<bool, Error> {
        let done = storage
            .content
            .head(&path(self.id, DONE))
            .await
            .map_err(|error| Error::content(&error))?;
        Ok(done.is_some())
    }

    /// Where the client has to go on. All bytes without an object are a completion that was interrupted: the last
    /// segment is asked for again, so that it is made up for.
    pub(super) async fn offset_to_go_on(&self, storage: &Storage) -> Result<u64, Error> {
        if self.is_done(storage).await? {
            return Ok(self.info.length);
        }
        let mut segments = self.segments(storage).await?;
        let is_whole = end(&segments) >= self.info.length;
        if let Some(last) = segments.pop_if(|_| is_whole) {
            let deleted = storage.content.delete(&last.path).await;
            deleted.map_err(|error| Error::content(&error))?;
        }
        Ok(end(&segments))
    }

    /// After its object is there: keeps the info only.
    pub(super) async fn finish(&self, storage: &Storage) -> Result<(), Error> {
        storage
            .content
            .put(&path(self.id, DONE), Vec::new())
            .await
            .map_err(|error| Error::content(&error))?;
        for segment in self.segments(storage).await? {
            storage
                .content
                .delete(&segment.path)
                .await
                .map_err(|error| Error::content(&error))?;
        }
        Ok(())
    }
}

/// How many bytes these are.
pub(super) fn end(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| segment.size).sum()
}

/// The upload that something in the folder belongs to.
pub(in crate::gateway::storage) fn id_of(path: &Path) -> Option<Uuid> {
    let part = path.parts().nth(1)?;
    Uuid::try_parse(part.as_ref()).ok()
}

/// Gives an upload up. The info goes first: without it nobody can go on.
pub(in crate::gateway::storage) async fn remove(content: &Content, id: Uuid) -> Result<(), Error> {
    let failed = |error: object_store::Error| Error::content(&error);
    content.delete(&path(id, INFO)).await.map_err(failed)?;
    let folder = Path::from(format!("{FOLDER}/{id}"));
    let listed = content.list(&folder).await.map_err(failed)?;
    let found: Vec<_> = listed.try_collect().await.map_err(failed)?;
    for meta in found {
        content.delete(&meta.location).await.map_err(failed)?;
    }
    Ok(())
}
