//! What Supabase Storage has and this does not: said at once, with what to do instead.

use std::sync::Arc;

use axum::Router;
use axum::routing::any;

use super::Storage;
use super::error::Error;

const S3: &str =
    "use the routes under /storage/v1/object, or run Supabase Storage beside this server";
const BUCKETS: &str =
    "buckets of files are supported; for others run Supabase Storage beside this server";
const CACHE: &str =
    "nothing stands between this server and its clients; there is no cache to purge";
const LIFECYCLE: &str = "objects have one version and stay until they are removed";

pub(super) fn routes() -> Router<Arc<Storage>> {
    let refuse = |what: &'static str, hint: &'static str| {
        any(move || async move { Error::unsupported(what, hint) })
    };
    Router::new()
        .route("/s3", refuse("the S3 protocol", S3))
        .route("/s3/{*path}", refuse("the S3 protocol", S3))
        .route("/vector/{*path}", refuse("vector buckets", BUCKETS))
        .route("/iceberg/{*path}", refuse("analytics buckets", BUCKETS))
        .route("/cdn/{*path}", refuse("purging a cache", CACHE))
        .route(
            "/bucket/{bucket}/lifecycle",
            refuse("the lifecycle of a bucket", LIFECYCLE),
        )
}
