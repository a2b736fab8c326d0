//! The schema of `postgres.md` 1.1 to 1.7 as a fresh database gets it, and what its functions do.

use dovetail::postgres::embedded::Embedded;
use dovetail::postgres::migrate::{Report, Set, migrate};
use dovetail::postgres::{connect, partitions};
use tokio_postgres::Client;

/// A server with a migrated database; the client is a superuser.
pub async fn fresh() -> (Embedded, Client, Report) {
    let server = Embedded::start_ephemeral().await.unwrap();
    let client = connect(&server.connect_options(), "realtime_test")
        .await
        .unwrap();
    // The roles of the Supabase image that the server does not make.
    client
        .batch_execute("create role dashboard_user nologin createrole createdb replication")
        .await
        .unwrap();
    migrate(&client, Set::Supabase).await.unwrap();
    let report = migrate(&client, Set::Realtime).await.unwrap();
    partitions::maintain(&client, true).await.unwrap();
    (server, client, report)
}

#[tokio::test]
async fn smoke() {
    let (_server, _client, report) = fresh().await;
    println!("{report:?}");
}
