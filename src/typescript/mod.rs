//! Types of a schema for TypeScript, in the form that supabase-js takes: `createClient<Database>(...)`.
//!
//! Read from the catalog of a real database, so that they are never ahead of or behind it.

mod write;

use serde::Deserialize;
use tokio_postgres::Client;

/// The types of one schema as a module of TypeScript; the same text for the same schema.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn types(client: &Client, schema: &str) -> Result<String, tokio_postgres::Error> {
    let row = client
        .query_one(include_str!("read.sql"), &[&schema])
        .await?;
    let read: tokio_postgres::types::Json<Schema> = row.try_get(0)?;
    Ok(write::module(schema, &read.0))
}

/// What the catalog says of a schema.
#[derive(Deserialize)]
struct Schema {
    /// Columns, by relation and position.
    fields: Vec<Field>,
    /// Foreign keys, by relation and name.
    links: Vec<Link>,
    functions: Vec<Function>,
    enums: Vec<Enum>,
}

#[derive(Deserialize)]
struct Field {
    relation: String,
    is_table: bool,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    required: bool,
    has_default: bool,
    /// No value can be given.
    is_generated: bool,
}

#[derive(Deserialize)]
struct Link {
    relation: String,
    name: String,
    target: String,
    columns: Vec<String>,
    target_columns: Vec<String>,
    is_one: bool,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    is_set: bool,
    returns: String,
    returns_rows_of: Option<String>,
    arguments: Vec<Argument>,
    /// Of `returns table (...)`.
    columns: Vec<Argument>,
}

#[derive(Deserialize)]
struct Argument {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize)]
struct Enum {
    name: String,
    /// As columns name it.
    #[serde(rename = "type")]
    kind: String,
    labels: Vec<String>,
}
