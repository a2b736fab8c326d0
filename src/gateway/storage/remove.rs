//! Removing objects. What the caller may not remove is not there, for this caller; content goes after its row.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Storage;
use super::ask::{self, Bucket, Target};
use super::commit::forget;
use super::error::Error;
use crate::gateway::caller::{Caller, Facts};
use crate::gateway::database::{Access, Text, Transaction};

/// Rows that are removed in one transaction.
const AT_ONCE: usize = 500;

/// `DELETE /object/{bucket}/{name}`.
pub(super) async fn remove_one(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let facts = ask::facts(&parts);
    let transaction = storage
        .begin(&who, &facts, Access::Write, "storage.object.delete")
        .await?;
    let removed = remove(&transaction, &target.bucket, &[target.name]).await?;
    transaction.commit().await?;
    if removed.is_empty() {
        return Err(Error::no_object());
    }
    forget_all(&storage, &target.bucket, &removed).await;
    Ok(Json(json!({"message": "Successfully deleted"})))
}

#[derive(Deserialize)]
struct Prefixes {
    prefixes: Vec<Value>,
}

/// `DELETE /object/{bucket}`: those of the named objects that the caller may remove.
pub(super) async fn remove_many(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let Prefixes { prefixes } = ask::json(body).await?;
    if prefixes.is_empty() {
        return Err(Error::invalid(
            "body/prefixes must NOT have fewer than 1 items",
        ));
    }
    let mut names = Vec::with_capacity(prefixes.len());
    for prefix in prefixes {
        match prefix {
            Value::String(name) => names.push(name),
            _ => {
                return Err(Error::unsupported(
                    "removing one version of an object",
                    "name the object by its path",
                ));
            }
        }
    }
    let facts = ask::facts(&parts);
    let mut answer = Vec::new();
    for names in names.chunks(AT_ONCE) {
        let transaction = storage
            .begin(&who, &facts, Access::Write, "storage.object.delete_many")
            .await?;
        let removed = remove(&transaction, &bucket, names).await?;
        transaction.commit().await?;
        forget_all(&storage, &bucket, &removed).await;
        answer.extend(removed);
    }
    Ok(Json(Value::Array(answer)))
}

async fn remove(
    transaction: &Transaction,
    bucket: &str,
    names: &[String],
) -> Result<Vec<Value>, Error> {
    let sql = "with removed as (\
            delete from storage.objects as o where o.bucket_id = $1 and o.name = any($2::text[]) returning o.*) \
        select jsonb_build_object('name', o.name, 'bucket_id', o.bucket_id, 'owner', coalesce(o.owner::text, ''), \
            'owner_id', coalesce(o.owner_id, ''), 'version', o.version, 'id', o.id, \
            'updated_at', to_char(o.updated_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
            'created_at', to_char(o.created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
            'last_accessed_at', to_char(o.last_accessed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
            'metadata', o.metadata, 'user_metadata', o.user_metadata) from removed o";
    let rows = transaction
        .query(sql, &[&Text::from(bucket), &names])
        .await?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

async fn forget_all(storage: &Storage, bucket: &str, removed: &[Value]) {
    for row in removed {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        forget(storage, bucket, text("name"), text("version")).await;
    }
}

/// Removes everything in a bucket that the caller may remove, in steps.
pub(super) async fn remove_all(
    storage: &Storage,
    bucket: &str,
    who: &Caller,
    facts: &Facts,
) -> Result<(), Error> {
    loop {
        let transaction = storage
            .begin(who, facts, Access::Write, "storage.bucket.empty")
            .await?;
        let sql =
            "select o.name from storage.objects o where o.bucket_id = $1 order by o.name limit $2";
        let limit = AT_ONCE.to_string();
        let rows = transaction
            .query(sql, &[&Text::from(bucket), &Text::from(limit.as_str())])
            .await?;
        let names: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        let removed = remove(&transaction, bucket, &names).await?;
        transaction.commit().await?;
        forget_all(storage, bucket, &removed).await;
        // What is seen and not removed would be seen for ever.
        if removed.len() < AT_ONCE {
            return if removed.len() < names.len() {
                Err(Error::denied("Access denied"))
            } else {
                Ok(())
            };
        }
    }
}
