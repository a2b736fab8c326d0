//! Smaller versions of images that were sent, and what is known of them (C-403).
//!
//! A trigger queues the images of a message (`chat.thumbnail_jobs`) and says so on the channel `dovetail_chat`. One task
//! claims them, few at a time, and writes what it made beside the original and what it found into the message, whose change
//! reaches its readers like any other. Nothing waits for it: a message without thumbnails is a message. What is claimed and
//! not finished is due again after [`LEASE`], so that a crash loses nothing.

mod blurhash;
mod make;
mod store;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::signer::Signer;
use super::{BUCKET, Settings, database};
use make::{LARGE, Made, SMALL, make};
use store::{Fault, Pass, Store};

/// How long an image may take before somebody else takes it; several times what the slowest takes.
const LEASE: Duration = Duration::from_secs(180);
/// Attempts at an image, such as one that is not there or that ends the process each time.
const ATTEMPTS: i32 = 5;
/// Time from the first attempt to the second; each next one is four times as long.
const FIRST_WAIT: f64 = 2.0;
/// Time until a service that is away is asked again, in seconds.
const AWAY_WAIT: f64 = 30.0;
/// Pauses between connections to the database, the first and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Begins the worker, where there is a Storage API and a way to pass as the service.
pub(super) fn start(settings: &Settings, signer: Option<&Signer>, stop: &CancellationToken) {
    let Some(url) = settings.thumbnails() else {
        tracing::info!("chat: no thumbnails are made: there is no STORAGE_URL");
        return;
    };
    let pass = match (&settings.service_key, signer) {
        (Some(key), _) => Pass::Key(key.clone()),
        (None, Some(signer)) => Pass::Signed(Box::new(signer.clone())),
        (None, None) => {
            tracing::warn!("chat: no thumbnails are made: set SERVICE_KEY or API_JWT_SECRET");
            return;
        }
    };
    let store = match Store::new(url, pass) {
        Ok(store) => store,
        Err(error) => {
            tracing::error!(%error, "chat: no thumbnails are made");
            return;
        }
    };
    let worker = Worker {
        settings: settings.clone(),
        store,
        decoding: Arc::new(Semaphore::new(settings.config.thumbnail_workers)),
    };
    let stop = stop.clone();
    tokio::spawn(async move {
        stop.run_until_cancelled(worker.run()).await;
    });
}

/// Why a session with the database has ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Connect(#[from] crate::postgres::Error),
    #[error(transparent)]
    Query(#[from] tokio_postgres::Error),
    #[error("the connection was closed")]
    Closed,
}

#[derive(Clone)]
struct Worker {
    settings: Settings,
    store: Store,
    /// Images in memory at the same time. Outlives a session: what is being decoded cannot be stopped.
    decoding: Arc<Semaphore>,
}

/// One image.
struct Job {
    id: i64,
    path: String,
    attempts: i32,
}

impl Worker {
    /// Works for as long as it is polled.
    async fn run(self) {
        let mut pause = PAUSE.0;
        loop {
            let mut worked = false;
            let Err(end) = self.session(&mut worked).await;
            if worked {
                pause = PAUSE.0;
            }
            tracing::warn!(error = %end, "chat: thumbnails wait for the database");
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Works over one connection until it is lost. `worked`: whether the queue could be asked.
    async fn session(&self, worked: &mut bool) -> Result<std::convert::Infallible, End> {
        let word = Arc::new(Notify::new());
        let heard = Arc::clone(&word);
        let hear = move |notification: tokio_postgres::Notification| {
            if notification.payload() == "thumbnails" {
                heard.notify_one();
            }
        };
        let settings = &self.settings;
        let (client, mut driver) =
            database::worker(&settings.connect, settings.statement_timeout, hear).await?;
        let client = Arc::new(client);
        client.batch_execute("listen dovetail_chat").await?;
        let mut running: JoinSet<Result<(), End>> = JoinSet::new();
        loop {
            let free = settings.config.thumbnail_workers - running.len();
            for job in claim(&client, free).await? {
                running.spawn(self.clone().work(Arc::clone(&client), job));
            }
            *worked = true;
            let has_room = running.len() < settings.config.thumbnail_workers;
            let due = match has_room {
                true => next(&client).await?,
                // Whoever finishes makes room.
                false => None,
            };
            tokio::select! {
                () = word.notified(), if has_room => {}
                () = sleep(due.unwrap_or_default()), if due.is_some() => {}
                Some(finished) = running.join_next() => {
                    if let Ok(finished) = finished { finished?; }
                }
                _ = &mut driver => return Err(End::Closed),
            }
        }
    }

    async fn work(self, client: Arc<Client>, job: Job) -> Result<(), End> {
        // It was claimed as often and never finished: perhaps it ends the process.
        let result = match job.attempts > ATTEMPTS {
            true => Ok(error("the image cannot be processed")),
            false => self.facts(&job.path).await,
        };
        let facts = match result {
            Ok(facts) => facts,
            Err(Fault::TooLarge) => error("the image is too large"),
            Err(Fault::Refused(_)) if job.attempts >= ATTEMPTS => {
                error("the image cannot be fetched")
            }
            Err(fault) => {
                let counts = matches!(fault, Fault::Refused(_));
                tracing::warn!(error = %fault, job = job.id, "chat: a thumbnail has to wait");
                let wait = match counts {
                    true => FIRST_WAIT * 4_f64.powi(job.attempts - 1),
                    false => AWAY_WAIT,
                };
                let sql = "select chat.delay_thumbnail($1, make_interval(secs => $2), $3)";
                client.execute(sql, &[&job.id, &wait, &counts]).await?;
                return Ok(());
            }
        };
        let sql = "select chat.finish_thumbnail($1, $2)";
        client.execute(sql, &[&job.id, &facts]).await?;
        Ok(())
    }

    /// Makes and stores the smaller versions; gives what the message should say of the image.
    async fn facts(&self, path: &str) -> Result<Value, Fault> {
        // Before the content is fetched: it is held in memory too.
        let permit = Arc::clone(&self.decoding).acquire_owned().await;
        let source = self.store.get(path).await?;
        let max_pixels = self.settings.max_pixels;
        let made = tokio::task::spawn_blocking(move || {
            let made = make(&source, max_pixels);
            drop(permit);
            made
        });
        let (mime, width, height, blurhash, small, large) = match made.await {
            Ok(Made::Image {
                mime,
                width,
                height,
                blurhash,
                small,
                large,
            }) => (mime, width, height, blurhash, small, large),
            Ok(Made::Undecoded { mime }) => return Ok(json!({ "mime_type": mime })),
            Ok(Made::Refused { mime, why }) => {
                return Ok(json!({ "mime_type": mime, "error": why }));
            }
            // A decoder that panics.
            Err(_) => return Ok(error("the image cannot be processed")),
        };
        let (thumbnail, preview) = (
            beside(path, SMALL, small.mime),
            beside(path, LARGE, large.mime),
        );
        self.store.put(&thumbnail, small).await?;
        self.store.put(&preview, large).await?;
        Ok(json!({
            "mime_type": mime, "width": width, "height": height, "blurhash": blurhash,
            "thumbnail_url": format!("/storage/v1/object/authenticated/{BUCKET}/{thumbnail}"),
            "thumbnail_path": thumbnail, "preview_path": preview,
        }))
    }
}

fn error(why: &str) -> Value {
    json!({ "error": why })
}

/// The name of a smaller version.
fn beside(path: &str, edge: u32, mime: &str) -> String {
    let ending = if mime == "image/png" { "png" } else { "jpg" };
    format!("{path}.thumb-{edge}.{ending}")
}

async fn claim(client: &Client, most: usize) -> Result<Vec<Job>, End> {
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    if most == 0 {
        return Ok(Vec::new());
    }
    let sql = "select id, path, attempts from chat.claim_thumbnails($1, make_interval(secs => $2))";
    let rows = client.query(sql, &[&most, &LEASE.as_secs_f64()]).await?;
    let jobs = rows.iter().map(|row| {
        Ok(Job {
            id: row.try_get("id")?,
            path: row.try_get("path")?,
            attempts: row.try_get("attempts")?,
        })
    });
    jobs.collect()
}

/// Time until the next image is due, if there is one.
async fn next(client: &Client) -> Result<Option<Duration>, End> {
    let row = client
        .query_one("select chat.next_thumbnail()", &[])
        .await?;
    let seconds: Option<f64> = row.try_get(0)?;
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}
