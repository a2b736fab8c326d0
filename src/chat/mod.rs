//! The messaging system's room of the server: `/chat/v1`, and the workers that do for conversations what SQL cannot.
//!
//! Owns sessions of guests ([`guest`], C-401, C-402), thumbnails of attachments ([`thumbnails`], C-403), push notifications
//! ([`push`], C-404), writing down who is online ([`presence`], C-105), and the connections to Postgres that these use. Everything that decides who may see what is in `sql/chat`; here nothing is read or written
//! but through functions of schema `chat` that only the service may call. It serves the tenant of the environment.
//!
//! Runs: one task for each worker, from [`Chat::start`] until the token it was given is cancelled. Requests wait for
//! Postgres only.

mod database;
mod error;
mod guest;
mod link;
mod presence;
pub mod push;
mod settings;
mod signer;
mod thumbnails;
mod workers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::gateway;
use crate::limits::AddressLimiter;
use database::Database;
use error::Error;
pub use settings::Settings;
use signer::Signer;
pub use workers::Workers;

/// The bucket of attachments (`sql/chat/016_attachments.sql`).
pub const BUCKET: &str = "chat-attachments";

/// How long limits of clients are remembered: a changed setting is told after so long at the latest.
const KEPT: Duration = Duration::from_secs(10);

/// Largest body of a request in bytes: a token and its braces.
const BODY: usize = 4 * 1024;

/// See the module.
pub struct Chat {
    settings: Settings,
    /// For requests; each worker has a connection of its own.
    database: Database,
    /// None where there is neither a secret nor a key to sign with.
    signer: Option<Signer>,
    /// What the database said to [`config`], and when: anybody may ask as often as they like.
    limits: Mutex<Option<(Instant, Value)>>,
    /// Requests for tokens of guests, by address.
    limiter: AddressLimiter<guest::Kind>,
}

impl Chat {
    /// Begins its workers. Connections are made when they are needed, so nothing here fails or waits.
    ///
    /// `stop` ends the workers; what they had claimed is done by whoever runs next.
    pub fn start(settings: Settings, stop: &CancellationToken) -> Arc<Self> {
        let signer = Signer::of(&settings);
        if signer.is_none() {
            tracing::warn!("chat: {}", guest::NO_KEY);
        }
        thumbnails::start(&settings, signer.as_ref(), stop);
        Arc::new(Self {
            database: Database::new(settings.connect.clone(), settings.statement_timeout),
            limiter: AddressLimiter::new(settings.config.guest_rate_limit),
            limits: Mutex::default(),
            signer,
            settings,
        })
    }

    /// What `chat.client_limits()` says, asked once in a while. Who asks meanwhile waits for the same answer.
    async fn limits(&self) -> Result<Value, Error> {
        let mut kept = self.limits.lock().await;
        if let Some((asked, limits)) = &*kept
            && asked.elapsed() < KEPT
        {
            return Ok(limits.clone());
        }
        let limits = self.database.value("select chat.client_limits()", &[]);
        let limits = limits.await?;
        *kept = Some((Instant::now(), limits.clone()));
        Ok(limits)
    }

    /// Its routes, with their prefix. Any origin may ask: the widget runs on pages of others (C-515).
    pub fn router(self: &Arc<Self>) -> Router {
        let routes = Router::new()
            .route("/guest-token", get(guest::open))
            .route("/guest-token/refresh", post(guest::refresh))
            .route("/config", get(config))
            .fallback(|| async { Error::no_route() })
            .method_not_allowed_fallback(|| async { Error::no_method() })
            .layer(DefaultBodyLimit::max(BODY))
            .layer(SetResponseHeaderLayer::if_not_present(
                header::CACHE_CONTROL,
                HeaderValue::from_static("no-store"),
            ))
            .with_state(Arc::clone(self));
        gateway::guarded(Router::new().nest("/chat/v1", gateway::counted("chat", routes)))
    }
}

/// `GET /chat/v1/config`: what a client has to know before it signs in. No secrets.
async fn config(State(chat): State<Arc<Chat>>) -> Result<Response, Error> {
    let limits = chat.limits().await?;
    let answer = json!({
        // None: nothing is pushed.
        "vapidPublicKey": push::vapid_public_key(&chat.settings.config),
        "storageBucket": BUCKET,
        "guests": chat.signer.is_some(),
        "thumbnails": chat.settings.thumbnails().is_some(),
        "limits": limits,
    });
    Ok(Json(answer).into_response())
}
