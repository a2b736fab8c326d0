//! The embedded Supabase surface: `/rest/v1`, `/auth/v1` and `/storage/v1`, for installations without PostgREST, Auth
//! and Storage beside the server (`SURFACE`).
//!
//! Owns what those three have in common: who asks ([`caller`]), the one way to the database under a caller's role and
//! claims ([`database`]), and what every request passes ([`edge`]). Nothing here opens a connection as an owner or a
//! superuser: requests use a pool that logs in as `authenticator`, and what is the service's own (users, sessions) one
//! that logs in as `supabase_auth_admin`.

mod auth;
mod caller;
mod database;
mod direct;
mod edge;
mod rest;
mod settings;
mod storage;
mod unread;

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use axum::Router;
use axum::routing::options;
use tokio::sync::watch;

use crate::tenant::Tenant;
use database::Database;
pub use direct::Direct;
pub(crate) use edge::{counted, guarded};
pub use settings::{Parts, Settings};
pub(crate) use storage::image;
pub use storage::sweep_older as sweep_storage;

/// The address at the other end of a request's connection, among its extensions. That of a proxy, where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Everything the surface stands on. One for each process: the surface serves the tenant of the environment.
pub struct Gateway {
    /// Whose keys verify tokens, and whose database is served.
    tenant: Arc<Tenant>,
    /// Logs in as `authenticator` and becomes the role of the caller for each transaction.
    database: Database,
    /// Logs in as `supabase_auth_admin`, which may read and write `auth.users` and its kin; used by [`auth`] alone.
    auth_database: Database,
    /// What [`rest`] keeps between requests.
    rest: rest::Rest,
    /// What it was told.
    settings: Settings,
}

impl Gateway {
    /// Opens nothing yet: connections are made when requests come.
    pub fn new(tenant: Arc<Tenant>, settings: Settings) -> Arc<Self> {
        let database = Database::new(settings.login("authenticator"), &settings);
        let gateway = Arc::new(Self {
            rest: rest::Rest::new(&database, &settings),
            database,
            auth_database: Database::new(settings.login("supabase_auth_admin"), &settings),
            tenant,
            settings,
        });
        tokio::spawn(follow(
            gateway.tenant.catalog.subscribe(),
            Arc::downgrade(&gateway),
        ));
        gateway
    }
}

/// Forgets what was known of the schema each time that the stream says it has changed.
async fn follow(mut word: watch::Receiver<u64>, gateway: Weak<Gateway>) {
    while word.changed().await.is_ok() {
        let Some(gateway) = gateway.upgrade() else {
            return;
        };
        gateway.rest.invalidate();
        gateway.database.forget_statements();
        gateway.auth_database.forget_statements();
    }
}

/// The routes of the parts that are served, but for what [`Direct`] takes.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    let parts = gateway.settings.parts;
    let mut router = Router::new();
    if parts.auth {
        let auth = edge::counted("auth", auth::router(gateway));
        router = router.nest("/auth/v1", auth);
    }
    if parts.storage {
        let storage = edge::counted("storage", storage::router(gateway));
        router = router.nest("/storage/v1", storage);
    }
    // Broadcasts over HTTP are sent by pages of other origins too, and no gateway answers for them here.
    let mut preflights = vec![
        "/realtime/v1/api/broadcast",
        "/realtime/v1/api/broadcast/{topic}/events/{event}",
    ];
    if parts.rest {
        preflights.extend([direct::PREFIX, "/rest/v1/", "/rest/v1/{*below}"]);
    }
    for path in preflights {
        router = router.route(path, options(|| async {}));
    }
    edge::guarded(router)
}
