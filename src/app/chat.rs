//! From the settings to the messaging system.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::surface;
use crate::chat::{Chat, Settings, Workers, push};
use crate::config::Config;
use crate::pages;
use crate::tenants::Directory;

/// It, begun; none when it is not wanted, or many databases are served. `address` is where this server listens.
pub(super) fn start(
    config: &Config,
    directory: &Directory,
    address: SocketAddr,
    stop: &CancellationToken,
) -> Option<Arc<Chat>> {
    if !config.chat.enabled.unwrap_or_default() {
        return None;
    }
    if directory.only().is_none() {
        tracing::warn!(
            "chat: it serves one database; it is off where tenants come from the metadata"
        );
        return None;
    }
    let settings = Settings {
        connect: config.database.clone()?,
        statement_timeout: config.statement_timeout,
        jwt_secret: config.api_jwt_secret.clone(),
        claim_validators: config.claim_validators.clone(),
        service_key: config.service_key.clone(),
        external_url: config.surface.external_url.clone(),
        own_storage: surface::parts(config)
            .storage
            .then(|| format!("http://{}/storage/v1", reachable(address))),
        max_pixels: config.surface.storage.max_pixels,
        config: config.chat.clone(),
    };
    Some(Chat::start(settings, stop))
}

/// Its workers; none when it is not wanted, or many databases are served.
pub(super) fn workers(config: &Config, directory: &Directory) -> Option<Workers> {
    let tenant = directory.only()?;
    if !config.chat.enabled.unwrap_or_default() {
        return None;
    }
    let database = config.database.as_ref()?;
    Some(Workers::start(&config.chat, database, &tenant.presence))
}

/// The pages of the chat, beside it.
pub(super) fn pages(config: &Config) -> Router {
    // Kept for the server of the stack that was given the wrong one: that key opens everything.
    let anon_key = config.anon_key.as_ref().map(|key| key.expose());
    let anon_key = anon_key.filter(|key| !key.starts_with("sb_secret_"));
    pages::router(pages::Settings {
        url: config.surface.external_url.clone(),
        anon_key: anon_key.map(str::to_owned),
        vapid_public_key: push::vapid_public_key(&config.chat),
        demo: config.chat.demo,
    })
}

/// The same address as one that can be connected to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}
