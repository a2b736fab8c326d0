//! Makes the tables of the metadata where the original has not been yet (postgres.md §1.10).
//!
//! What the original made is left as it is, newer versions included. Older ones, back to August 2023, are brought
//! forward; before that migrations of the original changed stored values, which is left to it.

use tokio_postgres::Client;

/// The advisory lock of this, so that several servers may start at once.
const LOCK: i64 = 0x646f_7665_7461_696d;

/// Since this version everything that follows can be added without touching a value.
const OLDEST: i64 = 20_230_810_220_924;
/// The newest version whose state the files establish.
const NEWEST: i64 = 20_260_805_000_000;

/// In order; each can be run again.
const FILES: [(&str, &str); 4] = [
    (
        "metadata/001_tenants.sql",
        include_str!("../../sql/metadata/001_tenants.sql"),
    ),
    (
        "metadata/002_extensions.sql",
        include_str!("../../sql/metadata/002_extensions.sql"),
    ),
    (
        "metadata/003_feature_flags.sql",
        include_str!("../../sql/metadata/003_feature_flags.sql"),
    ),
    (
        "metadata/004_versions.sql",
        include_str!("../../sql/metadata/004_versions.sql"),
    ),
];

/// Why the metadata cannot be used; nothing has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// No schema to look in.
    #[error(
        "the search path of the metadata database names no schema; set DB_AFTER_CONNECT_QUERY=SET search_path TO _realtime"
    )]
    NoSchema,
    /// The tables are there in a state before August 2023.
    #[error(
        "the tables in schema {0} are older than August 2023; start the original server once to bring them forward"
    )]
    TooOld(String),
    /// Postgres refused a file.
    #[error("{file} failed in schema {schema}: {source}")]
    Apply {
        /// Name of the file below `sql/`.
        file: &'static str,
        /// The schema of the metadata.
        schema: String,
        /// What Postgres said.
        source: tokio_postgres::Error,
    },
    /// The state could not be read.
    #[error("the state of the metadata could not be read")]
    State(#[from] tokio_postgres::Error),
}

/// Makes or completes the tables in the schema of the session's search path. `true`: something had to be done.
///
/// # Errors
///
/// See [`SchemaError`].
pub async fn prepare(client: &mut Client) -> Result<bool, SchemaError> {
    if is_whole(client).await? {
        return Ok(false);
    }
    let schema = schema(client).await?;
    let work = client.transaction().await?;
    work.execute("select pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    // The original resolves names without a schema as well, so this is where it will look.
    let create = work
        .query_one(
            "select pg_catalog.format('set local search_path to %I', $1::text),
                    case when pg_catalog.to_regnamespace(pg_catalog.quote_ident($1)) is null
                         then pg_catalog.format('create schema %I', $1) end",
            &[&schema],
        )
        .await?;
    if let Some(sql) = create.get::<_, Option<String>>(1) {
        work.batch_execute(&sql).await?;
    }
    work.batch_execute(&create.get::<_, String>(0)).await?;
    if is_whole(&work).await? {
        return Ok(false);
    }
    if is_too_old(&work).await? {
        return Err(SchemaError::TooOld(schema));
    }
    work.batch_execute("set local client_min_messages = warning; set local lock_timeout = '10s'")
        .await?;
    for (file, sql) in FILES {
        let applied = work.batch_execute(sql).await;
        applied.map_err(|source| SchemaError::Apply {
            file,
            schema: schema.clone(),
            source,
        })?;
    }
    work.commit().await?;
    Ok(true)
}

/// The first schema of the search path, whether it exists or not.
async fn schema(client: &Client) -> Result<String, SchemaError> {
    let row = client
        .query_one(
            "select coalesce(pg_catalog.current_schema(),
               case when pg_catalog.current_setting('search_path') <> ''
                    then (pg_catalog.parse_ident(pg_catalog.split_part(pg_catalog.current_setting('search_path'), ',', 1)))[1]
               end)::text",
            &[],
        )
        .await?;
    let name: Option<String> = row.get(0);
    match name {
        Some(name) if !matches!(name.as_str(), "" | "$user" | "pg_catalog") => Ok(name),
        _ => Err(SchemaError::NoSchema),
    }
}

async fn is_whole(
    client: &impl tokio_postgres::GenericClient,
) -> Result<bool, tokio_postgres::Error> {
    let there = "select count(*) from unnest(array['tenants', 'extensions', 'feature_flags', 'schema_migrations']) name
                 where pg_catalog.to_regclass(name) is not null";
    let there: i64 = client.query_one(there, &[]).await?.get(0);
    Ok(there == 4 && is_recorded(client, NEWEST).await?)
}

/// Tables that others made, in a state we do not bring forward.
async fn is_too_old(
    client: &impl tokio_postgres::GenericClient,
) -> Result<bool, tokio_postgres::Error> {
    let there = "select pg_catalog.to_regclass('tenants') is not null,
                        pg_catalog.to_regclass('schema_migrations') is not null";
    let row = client.query_one(there, &[]).await?;
    Ok(match (row.get(0), row.get(1)) {
        (true, true) => !is_recorded(client, OLDEST).await?,
        (tenants, _) => tenants,
    })
}

async fn is_recorded(
    client: &impl tokio_postgres::GenericClient,
    version: i64,
) -> Result<bool, tokio_postgres::Error> {
    let recorded = "select exists (select from schema_migrations where version = $1)";
    Ok(client.query_one(recorded, &[&version]).await?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_in_order() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/metadata");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("metadata/{}", entry.unwrap().file_name().to_str().unwrap()))
            .collect();
        there.sort();
        let listed: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, there);
    }
}
