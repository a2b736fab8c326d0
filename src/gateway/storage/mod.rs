//! `/storage/v1`: buckets and objects, as Supabase Storage has them.
//!
//! A request is read ([`ask`], [`incoming`], [`names`], [`range`], [`sign`], [`kinds`]), asks the database under its
//! caller's role whether it may ([`objects`], [`buckets`]), and moves content ([`content`], [`upload`], [`commit`],
//! [`serve`], [`render`], [`tus`]). Policies on `storage.objects` decide everything but what is in a public bucket and what a signed
//! URL names: only for those the service asks for itself, after it has looked at the bucket or the token.
//!
//! Content is written before its row and removed after it, so that no row is ever without content; what a crash leaves
//! without a row is swept ([`sweep`]).

mod ask;
mod bucket_settings;
mod buckets;
mod change;
mod commit;
mod content;
mod disposition;
mod download;
mod error;
pub(crate) mod image;
mod incoming;
mod kinds;
mod list;
mod names;
mod objects;
mod range;
mod remove;
mod render;
mod serve;
mod sign;
mod signed;
mod sweep;
mod tus;
mod unsupported;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;

use super::Gateway;
use super::caller::{Caller, Facts};
use super::database::{Access, Transaction, quoted_path};
use content::Content;
use error::Error;
use sign::Signer;
pub use sweep::sweep_older;

/// Images that are rendered at the same time: each may need several hundred megabytes for a moment.
const RENDERED_AT_ONCE: usize = 2;

/// What the handlers share.
struct Storage {
    gateway: Arc<Gateway>,
    content: Arc<Content>,
    /// None without a secret.
    signer: Option<Signer>,
    rendering: Arc<Semaphore>,
    uploads: tus::Locks,
    /// Of statements, as the original sets it.
    search_path: String,
}

impl Storage {
    fn new(gateway: &Arc<Gateway>) -> Arc<Self> {
        let schemas = ["storage", "public", "extensions"].map(str::to_owned);
        Arc::new(Self {
            gateway: Arc::clone(gateway),
            content: Arc::new(Content::new(gateway.settings.storage.backend.clone())),
            signer: gateway.settings.jwt_secret.as_ref().map(Signer::new),
            rendering: Arc::new(Semaphore::new(RENDERED_AT_ONCE)),
            uploads: tus::Locks::default(),
            search_path: quoted_path(&schemas),
        })
    }

    /// A transaction under the caller's role, in which policies can tell the operation.
    async fn begin(
        &self,
        who: &Caller,
        facts: &Facts,
        access: Access,
        operation: &'static str,
    ) -> Result<Transaction, Error> {
        let database = &self.gateway.database;
        let transaction = database
            .begin_in(&self.search_path, who, facts, access)
            .await?;
        // The second tells the trigger that refuses deletions in SQL that content is taken care of.
        let sql = "select pg_catalog.set_config('storage.operation', $1, true), \
            pg_catalog.set_config('storage.allow_delete_query', 'true', true)";
        transaction.query(sql, &[&operation]).await?;
        Ok(transaction)
    }

    fn signer(&self) -> Result<&Signer, Error> {
        let hint = "signed URLs need a secret: set API_JWT_SECRET";
        self.signer
            .as_ref()
            .ok_or_else(|| Error::unsupported("signing without a secret", hint))
    }
}

/// The service itself, for what it may decide alone.
fn service() -> Caller {
    Caller::service("service_role")
}

/// Its routes, without the prefix.
pub(super) fn router(gateway: &Arc<Gateway>) -> Router {
    let storage = Storage::new(gateway);
    sweep::start(&storage);
    routes()
        .fallback(|| async { Error::no_route() })
        .method_not_allowed_fallback(|| async { Error::no_method() })
        // Bodies are bounded where they are read: a file by the bucket's limit, JSON by its own.
        .layer(DefaultBodyLimit::disable())
        .with_state(storage)
}

fn routes() -> Router<Arc<Storage>> {
    Router::new()
        .route("/status", get(|| async {}))
        .route(
            "/health",
            get(|| async { axum::Json(serde_json::json!({"healthy": true})) }),
        )
        .merge(buckets::routes())
        .merge(objects_routes())
        .merge(tus::routes())
        .merge(unsupported::routes())
}

fn objects_routes() -> Router<Arc<Storage>> {
    Router::new()
        .route("/object/move", post(change::move_object))
        .route("/object/copy", post(change::copy_object))
        .route("/object/list/{bucket}", post(list::list))
        .route("/object/list-v2/{bucket}", post(list::list_v2))
        .route("/object/sign/{bucket}", post(signed::sign_many))
        .route(
            "/object/sign/{bucket}/{*name}",
            post(signed::sign_one).get(download::signed),
        )
        .route(
            "/object/upload/sign/{bucket}/{*name}",
            post(signed::sign_upload).put(upload::signed),
        )
        .route("/object/public/{bucket}/{*name}", get(download::public))
        .route(
            "/object/authenticated/{bucket}/{*name}",
            get(download::authenticated),
        )
        .route(
            "/object/info/public/{bucket}/{*name}",
            get(download::public_info),
        )
        .route(
            "/object/info/authenticated/{bucket}/{*name}",
            get(download::authenticated_info),
        )
        .route("/object/info/{bucket}/{*name}", get(download::info))
        .route("/object/{bucket}", delete(remove::remove_many))
        .route(
            "/object/{bucket}/{*name}",
            get(download::either)
                .post(upload::create)
                .put(upload::replace)
                .delete(remove::remove_one),
        )
        .route("/render/image/public/{bucket}/{*name}", get(render::public))
        .route(
            "/render/image/authenticated/{bucket}/{*name}",
            get(render::authenticated),
        )
        .route("/render/image/sign/{bucket}/{*name}", get(render::signed))
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_routes_are_in_each_others_way() {
        // The router panics otherwise, when the server starts.
        let _ = super::routes();
    }
}
