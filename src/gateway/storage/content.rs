//! Where content is kept: one folder, or one bucket of an S3 service, through the same few calls.
//!
//! Content is written under a name of its own ([`names`](super::names)) and never changed. It appears as a whole or not
//! at all: the local store writes to a file beside it and renames that; S3 makes an object of its parts when all are
//! there. A body is never held as a whole; a [`Writer`] keeps at most a few parts of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
    WriteMultipart,
};
use tokio::sync::OnceCell;

use super::error::Error;
use crate::gateway::settings::StorageBackend;

/// Bytes that are looked at to know what content is.
const HEAD: usize = 8 * 1024;

/// How long a client may send nothing in the middle of a body.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Parts of one upload that are on their way to the store at the same time.
const IN_FLIGHT: usize = 2;

/// See the module. Opened when it is first used, so that a folder that appears later is found.
pub(super) struct Content {
    backend: StorageBackend,
    store: OnceCell<Arc<dyn ObjectStore>>,
}

impl Content {
    pub(super) fn new(backend: StorageBackend) -> Self {
        Self {
            backend,
            store: OnceCell::new(),
        }
    }

    /// The folder of this machine that content lies in.
    pub(super) fn folder(&self) -> Option<&std::path::Path> {
        match &self.backend {
            StorageBackend::File(folder) => Some(folder),
            StorageBackend::S3 { .. } => None,
        }
    }

    async fn store(&self) -> Result<&Arc<dyn ObjectStore>, object_store::Error> {
        self.store
            .get_or_try_init(|| async { open(&self.backend) })
            .await
    }

    /// Bytes of one part. S3 takes no smaller one than 5 MiB, but for the last.
    fn part(&self) -> usize {
        match self.backend {
            StorageBackend::File(_) => 256 * 1024,
            StorageBackend::S3 { .. } => 5 * 1024 * 1024,
        }
    }

    /// Begins to write.
    pub(super) async fn write(&self, path: Path) -> Result<Writer, object_store::Error> {
        Ok(Writer {
            store: Arc::clone(self.store().await?),
            path,
            part: self.part(),
            first: Vec::new(),
            upload: None,
            size: 0,
            head: Vec::new(),
        })
    }

    /// A whole small object at once.
    pub(super) async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), object_store::Error> {
        self.store().await?.put(path, bytes.into()).await.map(drop)
    }

    /// Content, or the part of it; none if it is not there.
    pub(super) async fn get(
        &self,
        path: &Path,
        range: Option<Range<u64>>,
    ) -> Result<Option<GetResult>, object_store::Error> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        there(self.store().await?.get_opts(path, options).await)
    }

    /// What is known of it without reading it.
    pub(super) async fn head(
        &self,
        path: &Path,
    ) -> Result<Option<ObjectMeta>, object_store::Error> {
        there(self.store().await?.head(path).await)
    }

    /// The same content under another name. On a disk it is the same file.
    pub(super) async fn copy(
        &self,
        from: &Path,
        to: &Path,
    ) -> Result<Option<()>, object_store::Error> {
        there(self.store().await?.copy(from, to).await)
    }

    /// Content that is not there is deleted already.
    pub(super) async fn delete(&self, path: &Path) -> Result<(), object_store::Error> {
        there(self.store().await?.delete(path).await).map(drop)
    }

    /// Deletes it on a task of its own.
    pub(super) fn delete_soon(&self, path: Path) {
        let (Some(store), Ok(runtime)) = (
            self.store.get().cloned(),
            tokio::runtime::Handle::try_current(),
        ) else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = there(store.delete(&path).await) {
                tracing::warn!(%error, "content of a failed upload stays until it is swept");
            }
        });
    }

    /// Everything in a folder, in no order.
    pub(super) async fn list(
        &self,
        folder: &Path,
    ) -> Result<
        impl Stream<Item = Result<ObjectMeta, object_store::Error>> + Send + use<>,
        object_store::Error,
    > {
        Ok(self.store().await?.list(Some(folder)))
    }
}

fn there<T>(result: Result<T, object_store::Error>) -> Result<Option<T>, object_store::Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(backend: &StorageBackend) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    match backend {
        StorageBackend::File(folder) => {
            use std::os::unix::fs::DirBuilderExt;
            // Nobody else on the machine reads what policies hide.
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder);
            made.map_err(|source| object_store::Error::Generic {
                store: "file",
                source: source.into(),
            })?;
            let store = object_store::local::LocalFileSystem::new_with_prefix(folder)?;
            // A row that is committed is there after a crash of the machine; so is its content.
            Ok(Arc::new(store.with_fsync(true)))
        }
        StorageBackend::S3 {
            bucket,
            region,
            endpoint,
            path_style,
            access_key,
            secret_key,
        } => {
            let mut builder = object_store::aws::AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region(region)
                .with_virtual_hosted_style_request(!path_style);
            if let Some(endpoint) = endpoint {
                builder = builder
                    .with_endpoint(endpoint)
                    .with_allow_http(endpoint.starts_with("http://"));
            }
            if let (Some(id), Some(secret)) = (access_key, secret_key) {
                builder = builder
                    .with_access_key_id(id)
                    .with_secret_access_key(secret.expose());
            }
            Ok(Arc::new(builder.build()?))
        }
    }
}

/// Content while it is written. Dropped before [`Writer::finish`], nothing of it stays.
pub(super) struct Writer {
    store: Arc<dyn ObjectStore>,
    path: Path,
    part: usize,
    /// What there is of the first part: content that is no longer is written at once.
    first: Vec<Bytes>,
    upload: Option<WriteMultipart>,
    size: u64,
    head: Vec<u8>,
}

impl Writer {
    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes, for [`kinds`](super::kinds).
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), object_store::Error> {
        let missing = HEAD.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(missing));
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.upload.is_none() {
            self.first.push(bytes);
            if self.size < self.part as u64 {
                return Ok(());
            }
            let upload = self.store.put_multipart(&self.path).await?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, self.part);
            for bytes in self.first.drain(..) {
                upload.put(bytes);
            }
            self.upload = Some(upload);
        } else if let Some(upload) = &mut self.upload {
            upload.wait_for_capacity(IN_FLIGHT).await?;
            upload.put(bytes);
        }
        Ok(())
    }

    /// Makes it appear.
    pub(super) async fn finish(mut self) -> Result<(), object_store::Error> {
        match self.upload.take() {
            Some(upload) => upload.finish().await.map(drop),
            None => {
                let payload = PutPayload::from_iter(self.first.drain(..));
                self.store.put(&self.path, payload).await.map(drop)
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "parts of content that was given up may stay");
                }
            });
        }
    }
}

/// The next bytes of a body, if they come in time.
pub(super) async fn next<S, E>(body: &mut S) -> Result<Option<Bytes>, Error>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    match tokio::time::timeout(PATIENCE, body.next()).await {
        Err(_) => Err(Error::stalled()),
        Ok(None) => Ok(None),
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Ok(Some(Err(_))) => Err(Error::aborted()),
    }
}

/// A stream of it for a response.
pub(super) fn stream(
    found: GetResult,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    found.into_stream().map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Secret;

    #[test]
    fn a_bucket_of_an_s3_service_is_opened_without_asking_it() {
        let backend = |endpoint: Option<&str>| StorageBackend::S3 {
            bucket: "b".to_owned(),
            region: "eu-central-1".to_owned(),
            endpoint: endpoint.map(str::to_owned),
            path_style: endpoint.is_some(),
            access_key: Some("id".to_owned()),
            secret_key: Some(Secret::new("secret")),
        };
        for endpoint in [
            None,
            Some("http://127.0.0.1:9000"),
            Some("https://127.0.0.1:9000"),
        ] {
            open(&backend(endpoint)).unwrap();
        }
    }

    #[tokio::test]
    async fn content_appears_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let content = Content::new(StorageBackend::File(folder.path().join("new")));
        let path = Path::from("content/aa/x");
        for size in [0, 10, 300_000, 5_000_000] {
            let mut writer = content.write(path.clone()).await.unwrap();
            for part in vec![7u8; size].chunks(70_000) {
                writer.write(Bytes::copy_from_slice(part)).await.unwrap();
                assert!(content.head(&path).await.unwrap().is_none());
            }
            assert_eq!(writer.size(), size as u64);
            assert_eq!(writer.head().len(), size.min(HEAD));
            writer.finish().await.unwrap();
            assert_eq!(
                content.head(&path).await.unwrap().unwrap().size,
                size as u64
            );
            if size > 0 {
                let part = content.get(&path, Some(0..3)).await.unwrap().unwrap();
                assert_eq!(part.bytes().await.unwrap().as_ref(), [7, 7, 7]);
            }
            content.delete(&path).await.unwrap();
        }
        content.delete(&path).await.unwrap();
        assert!(content.get(&path, None).await.unwrap().is_none());
    }
}
