//! Buckets: rows of `storage.buckets`, under the caller's role. By default only the key of servers may change them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ask::{self, Bucket, Query};
use super::bucket_settings::Settings;
use super::error::Error;
use super::{Storage, names, remove};
use crate::gateway::database::{Access, Text};

/// A bucket as clients see it. Not every database has every column.
const SHOWN: &str = "jsonb_build_object('id', b.id, 'name', b.name, 'owner', coalesce(b.owner_id, b.owner::text, ''), \
    'public', b.public, 'type', coalesce(to_jsonb(b) ->> 'type', 'STANDARD'), 'file_size_limit', b.file_size_limit, \
    'allowed_mime_types', b.allowed_mime_types, \
    'created_at', to_char(b.created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
    'updated_at', to_char(b.updated_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'))";

pub(super) fn routes() -> Router<Arc<Storage>> {
    Router::new()
        .route("/bucket", get(list).post(create))
        .route("/bucket/", get(list).post(create))
        .route("/bucket/{bucket}", get(one).put(update).delete(delete))
        .route("/bucket/{bucket}/empty", post(empty))
}

/// `GET /bucket`.
async fn list(State(storage): State<Arc<Storage>>, request: Request) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let query = Query::of(&parts);
    let column = match query.get("sortColumn") {
        None => "id",
        Some(wanted) => ["id", "name", "created_at", "updated_at"]
            .into_iter()
            .find(|column| *column == wanted)
            .ok_or_else(|| {
                Error::invalid("querystring/sortColumn must be equal to one of the allowed values")
            })?,
    };
    let order = match query.get("sortOrder") {
        None | Some("asc") => "asc",
        Some("desc") => "desc",
        Some(_) => {
            return Err(Error::invalid(
                "querystring/sortOrder must be equal to one of the allowed values",
            ));
        }
    };
    let limit = query.number("limit")?.map(|limit| limit.to_string());
    if limit.as_deref() == Some("0") {
        return Err(Error::invalid("querystring/limit must be >= 1"));
    }
    let offset = query.number("offset")?.unwrap_or(0).to_string();
    let search = query.get("search").unwrap_or_default();
    let sql = format!(
        "select coalesce(jsonb_agg({SHOWN} order by b.{column} {order}, b.id), '[]') from (\
         select * from storage.buckets b where $1 = '' or strpos(lower(b.name), lower($1)) > 0 \
         order by b.{column} {order}, b.id limit $2 offset $3) b"
    );
    let facts = ask::facts(&parts);
    let transaction = storage
        .begin(&who, &facts, Access::Read, "storage.bucket.list")
        .await?;
    let params = [
        Text::from(search),
        Text(limit.as_deref()),
        Text::from(offset.as_str()),
    ];
    let row = transaction
        .query_opt(&sql, &[&params[0], &params[1], &params[2]])
        .await?;
    transaction.commit().await?;
    let buckets: Option<Value> = row.and_then(|row| row.try_get(0).ok());
    buckets.map(Json).ok_or_else(Error::internal)
}

/// `GET /bucket/{bucket}`.
async fn one(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let sql = format!("select {SHOWN} from storage.buckets b where b.id = $1");
    let transaction = storage
        .begin(
            &who,
            &ask::facts(&parts),
            Access::Read,
            "storage.bucket.get",
        )
        .await?;
    let row = transaction
        .query_opt(&sql, &[&Text::from(bucket.as_str())])
        .await?;
    transaction.commit().await?;
    let found: Option<Value> = row.and_then(|row| row.try_get(0).ok());
    found.map(Json).ok_or_else(Error::no_bucket)
}

/// `POST /bucket`.
async fn create(
    State(storage): State<Arc<Storage>>,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let settings: Settings = ask::json(body).await?;
    settings.check()?;
    let name = settings.name.as_deref();
    let name = name.ok_or_else(|| Error::invalid("body must have required property 'name'"))?;
    let id = settings
        .id
        .as_deref()
        .filter(|id| !id.is_empty())
        .unwrap_or(name);
    names::check_bucket(name)?;
    names::check_bucket(id)?;
    let limit = settings
        .limit(storage.gateway.settings.storage.file_size_limit)?
        .flatten();
    let types = settings.types()?.flatten();
    let owner = who.sub();
    let owner_uuid = owner.filter(|owner| Uuid::try_parse(owner).is_ok());
    let public = if settings.public.unwrap_or(false) {
        "true"
    } else {
        "false"
    };
    let sql = "insert into storage.buckets \
        (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types) values ($1, $2, $3, $4, $5, $6, $7)";
    let transaction = storage
        .begin(
            &who,
            &ask::facts(&parts),
            Access::Write,
            "storage.bucket.create",
        )
        .await?;
    let inserted = transaction
        .query(
            sql,
            &[
                &Text::from(id),
                &Text::from(name),
                &Text(owner_uuid),
                &Text(owner),
                &Text::from(public),
                &Text(limit.as_deref()),
                &types,
            ],
        )
        .await;
    match inserted {
        Ok(_) => transaction.commit().await?,
        Err(error) if error.code() == Some("23505") => {
            return Err(Error::duplicate("BucketAlreadyExists"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Json(json!({"name": name})))
}

/// `PUT /bucket/{bucket}`.
async fn update(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let settings: Settings = ask::json(body).await?;
    settings.check()?;
    let limit = settings.limit(storage.gateway.settings.storage.file_size_limit)?;
    let types = settings.types()?;
    if settings.public.is_none() && limit.is_none() && types.is_none() {
        return Err(Error::invalid("No content provided"));
    }
    let flag = |there: bool| Text::from(if there { "true" } else { "false" });
    let public = settings.public.map(flag).unwrap_or(Text(None));
    let sql = "update storage.buckets as b set public = coalesce($2, b.public), \
        file_size_limit = case when $3::boolean then $4 else b.file_size_limit end, \
        allowed_mime_types = case when $5::boolean then $6 else b.allowed_mime_types end, updated_at = now() \
        where b.id = $1 returning b.id";
    let (has_limit, has_types) = (flag(limit.is_some()), flag(types.is_some()));
    let (limit, types) = (limit.flatten(), types.flatten());
    let transaction = storage
        .begin(
            &who,
            &ask::facts(&parts),
            Access::Write,
            "storage.bucket.update",
        )
        .await?;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [
        &Text::from(bucket.as_str()),
        &public,
        &has_limit,
        &Text(limit.as_deref()),
        &has_types,
        &types,
    ];
    let row = transaction.query_opt(sql, &params).await?;
    row.ok_or_else(Error::no_bucket)?;
    transaction.commit().await?;
    Ok(Json(json!({"message": "Successfully updated"})))
}

/// `POST /bucket/{bucket}/empty`.
async fn empty(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let facts = ask::facts(&parts);
    let transaction = storage
        .begin(&who, &facts, Access::Read, "storage.bucket.empty")
        .await?;
    let sql = "select 1 from storage.buckets b where b.id = $1";
    let row = transaction
        .query_opt(sql, &[&Text::from(bucket.as_str())])
        .await?;
    transaction.commit().await?;
    row.ok_or_else(Error::no_bucket)?;
    remove::remove_all(&storage, &bucket, &who, &facts).await?;
    Ok(Json(json!({"message": "Successfully emptied"})))
}

/// `DELETE /bucket/{bucket}`. That it is empty is seen to by the foreign key, whatever the caller may see.
async fn delete(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let transaction = storage
        .begin(
            &who,
            &ask::facts(&parts),
            Access::Write,
            "storage.bucket.delete",
        )
        .await?;
    let sql = "with gone as (delete from storage.buckets b where b.id = $1 returning 1) select count(*) from gone";
    let gone = transaction
        .query_opt(sql, &[&Text::from(bucket.as_str())])
        .await;
    let gone: i64 = match gone {
        Ok(row) => row.and_then(|row| row.try_get(0).ok()).unwrap_or_default(),
        Err(error) if error.code() == Some("23503") => return Err(Error::not_empty()),
        Err(error) => return Err(error.into()),
    };
    if gone == 0 {
        return Err(Error::no_bucket());
    }
    transaction.commit().await?;
    Ok(Json(json!({"message": "Successfully deleted"})))
}
