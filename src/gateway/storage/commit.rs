//! The end of every upload: content that was written becomes that of an object.
//!
//! The order is what keeps rows and content together: content first, under a version nobody knows; then the row, in one
//! transaction under the caller's role; then the old content goes. Whatever fails on the way takes the new content with it.

use object_store::path::Path;
use serde_json::{Value, json};

use super::ask::Target;
use super::content::Writer;
use super::error::Error;
use super::incoming::About;
use super::objects::{self, Draft};
use super::upload::Order;
use super::{Storage, kinds, names};
use crate::gateway::database::{self, Access};

/// Makes what was written the content of the object.
pub(super) async fn commit(
    storage: &Storage,
    order: &Order,
    about: &About,
    writer: Writer,
    mut fresh: Fresh<'_>,
) -> Result<String, Error> {
    kinds::check_content(&about.mime, writer.head())?;
    let size = writer.size();
    writer
        .finish()
        .await
        .map_err(|error| Error::content(&error))?;
    fresh.written = true;
    let metadata = metadata(about, size, &fresh.version);
    let draft = Draft {
        bucket: &order.target.bucket,
        name: &order.target.name,
        owner: order.owner.as_deref(),
        version: &fresh.version,
        metadata: &metadata,
        user_metadata: &about.user_metadata,
    };
    let transaction = storage
        .begin(&order.who, &order.facts, Access::Write, order.operation)
        .await?;
    let old = match order.upsert {
        true => objects::lock(&transaction, draft.bucket, draft.name).await?,
        false => None,
    };
    let id = objects::write(&transaction, &draft, order.upsert).await?;
    fresh.settle(transaction.commit().await)?;
    if let Some(old) = old {
        forget(storage, &order.target.bucket, &order.target.name, &old).await;
    }
    Ok(id)
}

/// What the service knows of content, in the words of the original.
fn metadata(about: &About, size: u64, version: &str) -> Value {
    json!({
        "eTag": objects::etag(version),
        "size": size,
        "mimetype": about.mime,
        "cacheControl": about.cache_control,
        "lastModified": chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "contentLength": size,
        "httpStatusCode": 200,
    })
}

/// Removes content that no row has any more. What cannot be removed now is swept later.
pub(super) async fn forget(storage: &Storage, bucket: &str, name: &str, version: &str) {
    let Some(path) = names::content_path(bucket, name, version) else {
        return;
    };
    if let Err(error) = storage.content.delete(&path).await {
        tracing::warn!(%error, "content of a removed object stays until it is swept");
    }
}

/// A version that no row has yet. Dropped, it takes its content along.
pub(super) struct Fresh<'a> {
    storage: &'a Storage,
    pub(super) version: String,
    pub(super) path: Path,
    /// Whether there is content that a row does not have.
    pub(super) written: bool,
}

impl<'a> Fresh<'a> {
    pub(super) fn new(storage: &'a Storage, target: &Target) -> Result<Self, Error> {
        let now = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or_default();
        let version = names::new_version(now).to_string();
        let path = names::content_path(&target.bucket, &target.name, &version)
            .ok_or_else(Error::internal)?;
        Ok(Self {
            storage,
            version,
            path,
            written: false,
        })
    }

    /// After its row was committed, or was not. Where nobody can say, the sweeper finds out.
    pub(super) fn settle(&mut self, committed: Result<(), database::Error>) -> Result<(), Error> {
        let undone = committed.as_ref().is_err_and(|error| error.db().is_some());
        self.written = undone;
        Ok(committed?)
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.written {
            return;
        }
        self.storage.content.delete_soon(self.path.clone());
    }
}
