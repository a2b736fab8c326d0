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

use super::content::Content;
use super::error::Error;
use super::tus::{self, Locks};
use super::{Storage, names, service};
use crate::gateway::Settings;
use crate::gateway::caller::Facts;
use crate::gateway::database::{Access, Database};

/// Between two runs.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Before the first: many servers do not live for an hour at a time.
const FIRST: Duration = Duration::from_secs(5 * 60);

/// Content that is younger may still get its row.
const AGE: Duration = Duration::from_secs(60 * 60);

/// Contents that are asked about at once.
const AT_ONCE: usize = 1000;

/// Between two questions: nobody waits for this task, but everybody waits for the database.
const PAUSE: Duration = Duration::from_millis(100);

/// What a sweep needs.
struct Sweeper {
    database: Database,
    content: Arc<Content>,
    /// Uploads that are being worked on.
    uploads: Locks,
}

/// Sweeps as long as the storage is used.
pub(super) fn start(storage: &Arc<Storage>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let life = storage.gateway.settings.storage.upload_expiry;
    let storage: Weak<Storage> = Arc::downgrade(storage);
    runtime.spawn(async move {
        let mut pause = FIRST;
        loop {
            tokio::time::sleep(pause).await;
            pause = EVERY;
            let Some(storage) = storage.upgrade() else {
                return;
            };
            let sweeper = Sweeper {
                database: storage.gateway.database.clone(),
                content: Arc::clone(&storage.content),
                uploads: storage.uploads.clone(),
            };
            match sweeper.sweep(AGE, life).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "content without a row was removed"),
                Err(error) => {
                    tracing::warn!(message = %error.message, "content without a row cannot be swept");
                }
            }
        }
    });
}

/// Removes content without a row of this age, and unfinished uploads that were begun so long ago, once. Gives how many.
///
/// # Errors
/// What the database or the store said, in words.
pub async fn sweep_older(
    settings: &Settings,
    age: Duration,
    life: Duration,
) -> Result<usize, String> {
    let sweeper = Sweeper {
        database: Database::new(settings.login("authenticator"), settings),
        content: Arc::new(Content::new(settings.storage.backend.clone())),
        uploads: Locks::default(),
    };
    let swept = sweeper.sweep(age, life).await;
    swept.map_err(|error| error.message.into_owned())
}

impl Sweeper {
    async fn sweep(&self, age: Duration, life: Duration) -> Result<usize, Error> {
        let now = SystemTime::now();
        let mut removed = self.content_without_row(now, age).await?;
        removed += self.forgotten_uploads(now, life).await?;
        if let Some(folder) = self.content.folder() {
            let folder = folder.to_owned();
            let partial = tokio::task::spawn_blocking(move || {
                remove_empty(&folder.join(tus::FOLDER), now, age);
                remove_partial(&folder, now, age)
            });
            removed += partial.await.unwrap_or_default();
        }
        Ok(removed)
    }

    async fn content_without_row(&self, now: SystemTime, age: Duration) -> Result<usize, Error> {
        let mut removed = 0;
        let listed = list(&self.content, names::CONTENT).await?;
        let old = listed.try_filter(|meta| std::future::ready(is_older(meta, now, age)));
        let mut old = std::pin::pin!(old.try_chunks(AT_ONCE));
        while let Some(chunk) = old.next().await {
            let chunk = chunk.map_err(|error| Error::content(&error.1))?;
            let paths: Vec<Path> = chunk.into_iter().map(|meta| meta.location).collect();
            for path in self.without_row(&paths).await? {
                self.content
                    .delete(&path)
                    .await
                    .map_err(|error| Error::content(&error))?;
                removed += 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(removed)
    }

    async fn forgotten_uploads(&self, now: SystemTime, life: Duration) -> Result<usize, Error> {
        let mut removed = 0;
        let mut listed = std::pin::pin!(list(&self.content, tus::FOLDER).await?);
        while let Some(meta) = listed
            .try_next()
            .await
            .map_err(|error| Error::content(&error))?
        {
            let Some(id) = tus::id_of(&meta.location) else {
                continue;
            };
            // The info is as old as the upload; what lies beside it is younger, and goes by itself only where the info
            // is gone already.
            let is_info = meta.location.filename() == Some("info");
            let enough = if is_info {
                life
            } else {
                life.saturating_mul(2)
            };
            if is_older(&meta, now, enough) && !self.uploads.is_held(id) {
                tus::remove(&self.content, id).await?;
                removed += usize::from(is_info);
            }
        }
        Ok(removed)
    }

    /// Those of the contents that no object has.
    async fn without_row(&self, paths: &[Path]) -> Result<Vec<Path>, Error> {
        let versions = paths.iter().filter_map(names::version_of);
        let versions: Vec<String> = versions.map(|version| version.to_string()).collect();
        let facts = Facts::of(&Method::GET, "/", &HeaderMap::new());
        let transaction = self
            .database
            .begin(&service(), &facts, Access::Read)
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
        let unused = paths
            .iter()
            .filter(|path| names::version_of(path).is_some() && !used.contains(*path));
        Ok(unused.cloned().collect())
    }
}

async fn list(
    content: &Content,
    folder: &str,
) -> Result<impl futures_util::Stream<Item = Result<ObjectMeta, object_store::Error>> + use<>, Error>
{
    content
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

/// Folders of uploads that are over; the local store leaves them. An old one gets nothing new: each is named once.
fn remove_empty(folder: &std::path::Path, now: SystemTime, age: Duration) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
        let since = modified.and_then(|modified| now.duration_since(modified).ok());
        if since.is_some_and(|since| since >= age) {
            // Refused by the system as long as something is in it.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}
