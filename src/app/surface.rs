//! From the settings to the embedded Supabase surface.

use std::sync::Arc;

use crate::config::{Config, Parts, Secret};
use crate::gateway::{Gateway, Settings};
use crate::tenants::Directory;

/// What is served; nothing where nothing is said.
pub(super) fn parts(config: &Config) -> Parts {
    config.surface.parts.unwrap_or_default()
}

/// The password of the roles that the surface logs in as; that of the database login, as in the stack, where none is set.
pub(super) fn password(config: &Config) -> Option<Secret> {
    let login = config.database.as_ref();
    let login = login.and_then(|database| database.password.as_deref().map(Secret::new));
    config.surface.password.clone().or(login)
}

/// None when nothing is to be served, or many databases are.
pub(super) fn gateway(config: &Config, directory: &Directory) -> Option<Arc<Gateway>> {
    let (parts, surface) = (parts(config), &config.surface);
    let tenant = directory.only()?;
    if !parts.any() {
        return None;
    }
    let settings = Settings {
        parts,
        connect: config.database.clone()?,
        password: password(config),
        connections: surface.connections,
        statement_timeout: config.statement_timeout,
        jwt_secret: config.api_jwt_secret.clone(),
        external_url: surface.external_url.clone(),
        rest: surface.rest.clone(),
        auth: surface.auth.clone(),
        storage: surface.storage.clone(),
    };
    Some(Gateway::new(Arc::clone(tenant), settings))
}
