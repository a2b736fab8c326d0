//! Rows of `storage.objects`, and what a bucket says about them. Every statement runs under the role of the transaction.

use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::Error;
use crate::gateway::database::{Text, Transaction};

/// What is read of an object. Times are written as JavaScript writes them, and the last as HTTP does.
macro_rules! columns {
    ($alias:literal) => {
        concat!(
            $alias,
            ".id::text, ",
            $alias,
            ".name, ",
            $alias,
            ".bucket_id, ",
            $alias,
            ".version, ",
            $alias,
            ".metadata, ",
            $alias,
            ".user_metadata, ",
            "to_char(",
            $alias,
            ".created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), ",
            "to_char(",
            $alias,
            ".updated_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), ",
            "to_char(",
            $alias,
            ".updated_at at time zone 'UTC', 'Dy, DD Mon YYYY HH24:MI:SS \"GMT\"')"
        )
    };
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) bucket: String,
    pub(super) version: String,
    /// What the service wrote: size, type, tag.
    pub(super) metadata: Value,
    /// What the user wrote.
    pub(super) user_metadata: Value,
    pub(super) created: Option<String>,
    pub(super) updated: Option<String>,
    pub(super) modified: Option<String>,
}

impl Object {
    fn read(row: &Row) -> Result<Self, Error> {
        // A type that is not as expected: another schema than ours.
        let wrong = |error: tokio_postgres::Error| {
            tracing::error!(%error, "storage.objects has a column of another type");
            Error::internal()
        };
        let text = |at: usize| row.try_get::<_, Option<String>>(at).map_err(wrong);
        let value = |at: usize| row.try_get::<_, Option<Value>>(at).map_err(wrong);
        Ok(Self {
            id: text(0)?.unwrap_or_default(),
            name: text(1)?.unwrap_or_default(),
            bucket: text(2)?.unwrap_or_default(),
            version: text(3)?.unwrap_or_default(),
            metadata: value(4)?.unwrap_or_default(),
            user_metadata: value(5)?.unwrap_or_default(),
            created: text(6)?,
            updated: text(7)?,
            modified: text(8)?,
        })
    }

    pub(super) fn mime(&self) -> &str {
        let mime = self.metadata.get("mimetype").and_then(Value::as_str);
        mime.unwrap_or("application/octet-stream")
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.metadata.get("size").and_then(Value::as_u64)
    }

    pub(super) fn cache_control(&self) -> &str {
        let cache = self.metadata.get("cacheControl").and_then(Value::as_str);
        cache.unwrap_or("no-cache")
    }

    /// Changes with every upload, and with nothing else.
    pub(super) fn etag(&self) -> String {
        etag(&self.version)
    }
}

/// The tag of content of this version.
pub(super) fn etag(version: &str) -> String {
    let letters: String = version
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect();
    format!("\"{letters}\"")
}

/// The object as far as the role sees it.
pub(super) async fn find(
    transaction: &Transaction,
    bucket: &str,
    name: &str,
) -> Result<Option<Object>, Error> {
    let sql = concat!(
        "select ",
        columns!("o"),
        " from storage.objects o where o.bucket_id = $1 and o.name = $2"
    );
    let row = transaction
        .query_opt(sql, &[&Text::from(bucket), &Text::from(name)])
        .await?;
    row.as_ref().map(Object::read).transpose()
}

/// The object of a public bucket, and whether there is such a bucket. For the service only.
pub(super) async fn find_public(
    transaction: &Transaction,
    bucket: &str,
    name: &str,
) -> Result<(Option<bool>, Option<Object>), Error> {
    let sql = concat!(
        "select ",
        columns!("o"),
        ", coalesce(b.public, false) from storage.buckets b ",
        "left join storage.objects o on b.public and o.bucket_id = b.id and o.name = $2 where b.id = $1"
    );
    let row = transaction
        .query_opt(sql, &[&Text::from(bucket), &Text::from(name)])
        .await?;
    let Some(row) = row else {
        return Ok((None, None));
    };
    let object = match row.try_get::<_, Option<String>>(0) {
        Ok(Some(_)) => Some(Object::read(&row)?),
        _ => None,
    };
    Ok((Some(row.try_get(9).unwrap_or(false)), object))
}

/// Which of these names the role sees.
pub(super) async fn visible(
    transaction: &Transaction,
    bucket: &str,
    names: &[String],
) -> Result<Vec<String>, Error> {
    let sql =
        "select o.name from storage.objects o where o.bucket_id = $1 and o.name = any($2::text[])";
    let rows = transaction
        .query(sql, &[&Text::from(bucket), &names])
        .await?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

/// A row that is to be.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) bucket: &'a str,
    pub(super) name: &'a str,
    /// Who will own it: claim `sub`.
    pub(super) owner: Option<&'a str>,
    pub(super) version: &'a str,
    pub(super) metadata: &'a Value,
    pub(super) user_metadata: &'a Value,
}

/// Writes a row; over an old one only with `upsert`. Gives its id.
pub(super) async fn write(
    transaction: &Transaction,
    draft: &Draft<'_>,
    upsert: bool,
) -> Result<String, Error> {
    // Not returned by a plain insertion: that would ask the policies for reading, too.
    let id = Uuid::new_v4().to_string();
    let metadata = draft.metadata.to_string();
    let user_metadata = draft.user_metadata.to_string();
    // The old column takes what looks like an id of a user only.
    let owner_uuid = draft.owner.filter(|owner| Uuid::try_parse(owner).is_ok());
    let params: [Text<'_>; 8] = [
        Text::from(id.as_str()),
        Text::from(draft.bucket),
        Text::from(draft.name),
        Text(owner_uuid),
        Text(draft.owner),
        Text::from(metadata.as_str()),
        Text::from(user_metadata.as_str()),
        Text::from(draft.version),
    ];
    let params: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
        params.iter().map(|param| param as _).collect();
    if !upsert {
        let sql = "insert into storage.objects \
            (id, bucket_id, name, owner, owner_id, metadata, user_metadata, version) \
            values ($1, $2, $3, $4, $5, $6, $7, $8)";
        return match transaction.query(sql, &params).await {
            Ok(_) => Ok(id),
            Err(error) if error.code() == Some("23505") => {
                Err(Error::duplicate("KeyAlreadyExists"))
            }
            Err(error) => Err(error.into()),
        };
    }
    let sql = "insert into storage.objects as old \
        (id, bucket_id, name, owner, owner_id, metadata, user_metadata, version) \
        values ($1, $2, $3, $4, $5, $6, $7, $8) \
        on conflict (bucket_id, name) do update set \
        owner = coalesce(excluded.owner, old.owner), owner_id = coalesce(excluded.owner_id, old.owner_id), \
        metadata = excluded.metadata, user_metadata = excluded.user_metadata, version = excluded.version \
        returning id::text";
    let row = transaction
        .query_opt(sql, &params)
        .await?
        .ok_or_else(Error::by_policy)?;
    row.try_get(0).map_err(|_| Error::internal())
}

/// Holds the row until the transaction ends, if the role may change it. Gives the version it has.
pub(super) async fn lock(
    transaction: &Transaction,
    bucket: &str,
    name: &str,
) -> Result<Option<String>, Error> {
    let sql = "select coalesce(o.version, '') from storage.objects o where o.bucket_id = $1 and o.name = $2 for update";
    let row = transaction
        .query_opt(sql, &[&Text::from(bucket), &Text::from(name)])
        .await?;
    Ok(row.and_then(|row| row.try_get(0).ok()))
}

/// What a bucket allows.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) size: Option<u64>,
    pub(super) types: Vec<String>,
}

/// Of a bucket, whoever asks. For the service only.
pub(super) async fn rules(transaction: &Transaction, bucket: &str) -> Result<Option<Rules>, Error> {
    let sql = "select b.file_size_limit::bigint, b.allowed_mime_types from storage.buckets b where b.id = $1";
    let row = transaction.query_opt(sql, &[&Text::from(bucket)]).await?;
    Ok(row.map(|row| Rules {
        size: row
            .try_get::<_, Option<i64>>(0)
            .ok()
            .flatten()
            .and_then(|size| u64::try_from(size).ok()),
        types: row
            .try_get::<_, Option<Vec<String>>>(1)
            .ok()
            .flatten()
            .unwrap_or_default(),
    }))
}
