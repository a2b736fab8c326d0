//! `/rest/v1`: tables, views and functions over HTTP, as PostgREST answers them to supabase-js.
//!
//! A request goes one way: its head is decoded ([`request`], [`prefer`], [`media`]), its parameters are read
//! ([`grammar`]), names are found in the [`catalog`] ([`plan`]), one statement is written ([`sql`]) and run under the
//! caller's role, and its one row is the answer ([`answer`]). Nothing of a URL is part of a statement except quoted
//! aliases; who may see or change what is decided by Postgres alone.

mod answer;
mod asking;
mod body;
mod catalog;
mod errors;
mod grammar;
mod hints;
mod media;
mod plan;
mod prefer;
mod request;
mod serve;
mod sql;

use std::collections::HashMap;

use axum::extract::Request;
use axum::response::Response;

use super::database::{Database, quoted_path};
use super::{Gateway, Settings};
use catalog::Cache;

/// What outlives a request.
pub(super) struct Rest {
    catalog: Cache,
    /// Values of `search_path`, by the schema that is asked for.
    paths: HashMap<String, String>,
}

impl Rest {
    /// Reads nothing yet.
    pub(super) fn new(database: &Database, settings: &Settings) -> Self {
        let (schemas, extra) = (&settings.rest.schemas, &settings.rest.extra_search_path);
        let path = |schema: &String| quoted_path(std::iter::once(schema).chain(extra));
        Self {
            catalog: Cache::new(database.clone(), schemas.clone(), extra.clone()),
            paths: schemas
                .iter()
                .map(|schema| (schema.clone(), path(schema)))
                .collect(),
        }
    }

    /// Something of the database's schema has changed: the next request reads the catalog anew.
    pub(in crate::gateway) fn invalidate(&self) {
        self.catalog.invalidate();
    }

    fn search_path(&self, schema: &str) -> &str {
        self.paths.get(schema).map_or("", String::as_str)
    }
}

/// The answer to a request whose path is without the prefix.
pub(super) async fn answer(gateway: &Gateway, request: Request) -> Response {
    match serve::answer(gateway, request).await {
        Ok(response) => response,
        Err(rejection) => rejection.into_response(),
    }
}
