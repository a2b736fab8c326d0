//! Content that no row has: left behind by a crash between content and row, or by rows that were deleted in SQL. And
//! resumable uploads that nobody came back to.
//!
//! Young content is left alone: its row may be about to be written. If the database cannot say for sure what has a row
//! (row security in the way, another database than yesterday), nothing is removed.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, Method};
use futures_util::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::error::Error;
use super::{Storage, names, service, tus};
use crate::gateway::Gateway;
use crate::gateway::caller::Facts;
use crate::gateway::database::Access;

/// Between two runs.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Content that is younger may still get its row.
const AGE: Duration = Duration::from_secs(60 * 60);

/// Contents that are asked about at once.
const AT_ONCE: usize = 1000;

/// Between two questions: nobody waits for this task, but everybody waits for the database.
const PAUSE: Duration = Duration::from_millis(100);

/// Sweeps as long as the storage is used.
pub(super) fn start(storage: &Arc<Storage>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let storage: Weak<Storage> = Arc::downgrade(storage);
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(storage) = storage.upgrade() else { return };
            let life = storage.gateway.settings.storage.upload_expiry;
            match sweep(&storage, AGE, life).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "content without a row was removed"),
                Err(error) => tracing::warn!(message = %error.message, "content without a row cannot be swept"),
            }
        }
    });
}

/// Removes content without a row of this age, and unfinished uploads that were begun so long ago. Gives how many.
///
/// # Errors
/// What the database or the store said, in words.
pub async fn sweep_older(
    gateway: &Arc<Gateway>,
    age: Duration,
    life: Duration,
) -> Result<usize, String> {
    sweep(&Storage::new(gateway), age, life)
        .await
        .map_err(|error| error.message.into_owned())
}

async fn sweep(storage: &Storage, age: Duration, life: Duration) -> Result<usize, Error> {
    let now = SystemTime::now();
    let mut removed = 0;
    let listed = list(storage, names::CONTENT).await?;
    let mut old = listed
        .try_filter(|meta| std::future::ready(is_older(meta, now, age)))
        .try_chunks(AT_ONCE);
    while let Some(chunk) = old.next().await {
        let chunk = chunk.map_err(|error| Error::content(&error.1))?;
        let paths: Vec<Path> = chunk.into_iter().map(|meta| meta.location).collect();
        for path in without_row(storage, &paths).await? {
            storage
                .content
                .delete(&path)
                .await
                .map_err(|error| Error::content(&error))?;
            removed += 1;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut listed = std::pin::pin!(list(storage, tus::FOLDER).await?);
    while let Some(meta) = listed
        .try_next()
        .await
        .map_err(|error| Error::content(&error))?
    {
        let Some(id) = tus::id_of(&meta.location) else {
            continue;
        };
        if is_older(&meta, now, life) && !storage.uploads.is_held(id) {
            // The info is as old as the upload; segments are younger.
            let is_info = meta.location.filename() == Some("info");
            if is_info || is_older(&meta, now, life.saturating_mul(2)) {
                tus::remove(storage, id).await?;
                removed += usize::from(is_info);
            }
        }
    }
    if let Some(folder) = storage.content.folder() {
        let folder = folder.to_owned();
        let partial = tokio::task::spawn_blocking(move || remove_partial(&folder, now, age));
        removed += partial.await.unwrap_or_default();
    }
    Ok(removed)
}

async fn list(
    storage: &Storage,
    folder: &str,
) -> Result<impl futures_util::Stream<Item = Result<ObjectMeta, object_store::Error>> + use<>, Error>
{
    storage
        .content
        .list(&Path::from(folder))
        .await
        .map_err(|error| Error::content(&error))
}

/// By the later of two times: a copy is the same file on a disk, as old as what it is a copy of, but its name is new.
fn is_older(meta: &ObjectMeta, now: SystemTime, age: Duration) -> bool {
    let written = SystemTime::from(meta.last_modified);
    let named = names::version_of(&meta.location)
        .and_then(|version| names::version_millis(&version))
        .and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)))
        .unwrap_or(SystemTime::UNIX_EPOCH);
    now.duration_since(written.max(named))
        .is_ok_and(|since| since >= age)
}

/// Those of the contents that no object has.
async fn without_row(storage: &Storage, paths: &[Path]) -> Result<Vec<Path>, Error> {
    let versions: Vec<String> = paths
        .iter()
        .filter_map(names::version_of)
        .map(|version| version.to_string())
        .collect();
    let facts = Facts::of(&Method::GET, "/", &HeaderMap::new());
    let transaction = storage
        .begin(&service(), &facts, Access::Read, "storage.sweep")
        .await?;
    // Rows that policies hide have content, too: with this, a statement that would not see them fails.
    transaction
        .query(
            "select pg_catalog.set_config('row_security', $1, true)",
            &[&"off"],
        )
        .await?;
    let sql = "select o.bucket_id, o.name, o.version from storage.objects o where o.version = any($1::text[])";
    let rows = transaction.query(sql, &[&versions]).await?;
    let any = transaction
        .query("select from storage.objects limit $1::bigint", &[&1i64])
        .await?;
    transaction.commit().await?;
    if any.is_empty() {
        // A new database over old content is more likely than that every row was deleted.
        return Ok(Vec::new());
    }
    let used: HashSet<Path> = rows
        .iter()
        .filter_map(|row| {
            let text = |at: usize| row.try_get::<_, Option<String>>(at).ok().flatten();
            names::content_path(&text(0)?, &text(1)?, &text(2)?)
        })
        .collect();
    Ok(paths
        .iter()
        .filter(|path| names::version_of(path).is_some() && !used.contains(*path))
        .cloned()
        .collect())
}

/// Files that the local store was writing when the server was killed; it does not list them itself.
fn remove_partial(folder: &std::path::Path, now: SystemTime, age: Duration) -> usize {
    let mut removed = 0;
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    for entry in entries.filter_map(Result::ok) {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            removed += remove_partial(&entry.path(), now, age);
            continue;
        }
        let is_partial = entry.file_name().to_string_lossy().contains('#');
        let since = meta
            .modified()
            .ok()
            .and_then(|written| now.duration_since(written).ok());
        if is_partial
            && since.is_some_and(|since| since >= age)
            && std::fs::remove_file(entry.path()).is_ok()
        {
            removed += 1;
        }
    }
    removed
}
