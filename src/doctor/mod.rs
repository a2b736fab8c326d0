//! Says why changes, broadcasts or logins do not work on a database, and what to run.
//!
//! Reads the catalog and the settings, changes nothing, and sees no row of any user's table. Each check is one question in
//! a file of its own kind: settings of the server, the login, the schema,
//! tables, slots, keys. A check that cannot be made
//! is itself a finding, so that silence means health.

mod keys;
mod login;
pub mod policy;
mod report;
mod schema;
mod server;
mod slots;
mod tables;

use tokio_postgres::Client;

use crate::postgres::{ConnectOptions, connect};

pub use keys::KeysInfo;
pub use report::{Finding, Report, Severity};

/// The publication whose tables clients can subscribe to.
const CHANGES: &str = "supabase_realtime";

/// The publication of `realtime.messages`.
const MESSAGES: &str = "supabase_realtime_messages_publication";

/// Examines the database that `options` reach, and the keys.
pub async fn run(options: &ConnectOptions, keys: KeysInfo<'_>) -> Report {
    let mut report = Report::default();
    keys::check(&keys, &mut report);
    let client = match connect(options, "realtime_doctor").await {
        Ok(client) => client,
        Err(error) => {
            report.error("connection", error.to_string(), None);
            return report.sorted();
        }
    };
    report.check("server", server::check(&client).await);
    report.check("login", login::check(&client).await);
    report.check("schema", schema::check(&client).await);
    report.check("tables", tables::check(&client).await);
    report.check("slots", slots::check(&client).await);
    report.sorted()
}

/// One row with one boolean.
async fn is_true(client: &Client, condition: &str) -> Result<bool, tokio_postgres::Error> {
    let row = client
        .query_one(&format!("select {condition}"), &[])
        .await?;
    Ok(row.get(0))
}
