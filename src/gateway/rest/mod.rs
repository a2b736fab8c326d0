//! `/rest/v1`.

use std::sync::Arc;

use axum::Router;

use super::Gateway;

/// Its routes, without the prefix.
pub(super) fn router(_gateway: &Arc<Gateway>) -> Router {
    Router::new()
}
