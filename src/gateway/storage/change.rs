//! Moving and copying objects. The row decides, under the caller's role; content follows it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ask::{self, Target};
use super::commit::{Fresh, forget};
use super::error::Error;
use super::objects::{self, Draft, Object};
use super::{Storage, incoming, kinds, names};
use crate::gateway::caller::{Caller, Facts};
use crate::gateway::database::{Access, Text, Transaction};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Places {
    bucket_id: String,
    source_key: String,
    destination_bucket: Option<String>,
    destination_key: String,
    source_version_id: Option<Value>,
    copy_metadata: Option<bool>,
    metadata: Option<Described>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    cache_control: Option<String>,
    mimetype: Option<String>,
}

impl Places {
    fn targets(self) -> Result<(Target, Target), Error> {
        if self.source_version_id.is_some() {
            return Err(Error::unsupported(
                "sourceVersionId",
                "objects have one version; leave it out",
            ));
        }
        let to_bucket = self.destination_bucket.filter(|bucket| !bucket.is_empty());
        let to_bucket = to_bucket.unwrap_or_else(|| self.bucket_id.clone());
        let to = Target::new(to_bucket, self.destination_key)?;
        Ok((Target::new(self.bucket_id, self.source_key)?, to))
    }
}

/// `POST /object/move`.
pub(super) async fn move_object(
    State(storage): State<Arc<Storage>>,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let places: Places = ask::json(body).await?;
    let (from, to) = places.targets()?;
    let facts = ask::facts(&parts);
    let begin = || storage.begin(&who, &facts, Access::Write, "storage.object.move");
    let transaction = begin().await?;
    let object = objects::find(&transaction, &from.bucket, &from.name)
        .await?
        .ok_or_else(Error::no_object)?;
    if from.url() == to.url() {
        transaction.rollback().await?;
        return Ok(Json(moved(&object.id, &to)));
    }
    // Asked before content is copied, and again afterwards: copying may take a while.
    relocate(&transaction, &object, &to, &who, &Uuid::nil().to_string()).await?;
    transaction.rollback().await?;
    if from.bucket != to.bucket {
        within_limits(&storage, &facts, &to, &object.metadata, &object).await?;
    }
    let mut fresh = copied(&storage, &object, &to).await?;
    let transaction = begin().await?;
    let version = objects::lock(&transaction, &from.bucket, &from.name)
        .await?
        .ok_or_else(Error::no_object)?;
    if version != object.version {
        return Err(Error::locked());
    }
    relocate(&transaction, &object, &to, &who, &fresh.version).await?;
    fresh.settle(transaction.commit().await)?;
    forget(&storage, &from.bucket, &from.name, &object.version).await;
    Ok(Json(moved(&object.id, &to)))
}

fn moved(id: &str, to: &Target) -> Value {
    json!({"message": "Successfully moved", "Id": id, "Key": to.name})
}

/// Gives the row another name. Whoever moves an object owns it, as in the original.
async fn relocate(
    transaction: &Transaction,
    object: &Object,
    to: &Target,
    who: &Caller,
    version: &str,
) -> Result<(), Error> {
    let mut metadata = object.metadata.clone();
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("eTag".to_owned(), objects::etag(version).into());
    }
    let metadata = metadata.to_string();
    let owner = who.sub();
    let owner_uuid = owner.filter(|owner| Uuid::try_parse(owner).is_ok());
    let sql = "update storage.objects as o set bucket_id = $3, name = $4, version = $5, metadata = $6, \
        owner = coalesce($7, o.owner), owner_id = coalesce($8, o.owner_id) \
        where o.bucket_id = $1 and o.name = $2 returning o.id::text";
    let row = transaction
        .query_opt(
            sql,
            &[
                &Text::from(object.bucket.as_str()),
                &Text::from(object.name.as_str()),
                &Text::from(to.bucket.as_str()),
                &Text::from(to.name.as_str()),
                &Text::from(version),
                &Text::from(metadata.as_str()),
                &Text(owner_uuid),
                &Text(owner),
            ],
        )
        .await;
    match row {
        Ok(Some(_)) => Ok(()),
        // Seen, but not for changing.
        Ok(None) => Err(Error::no_object()),
        Err(error) if error.code() == Some("23505") => Err(Error::duplicate("KeyAlreadyExists")),
        Err(error) => Err(error.into()),
    }
}

/// The object's content at the other place, without a row yet.
async fn copied<'a>(
    storage: &'a Storage,
    object: &Object,
    to: &Target,
) -> Result<Fresh<'a>, Error> {
    let from = names::content_path(&object.bucket, &object.name, &object.version)
        .ok_or_else(Error::no_object)?;
    let mut fresh = Fresh::new(storage, to)?;
    let copied = storage
        .content
        .copy(&from, &fresh.path)
        .await
        .map_err(|error| Error::content(&error))?;
    copied.ok_or_else(Error::no_object)?;
    fresh.written = true;
    Ok(fresh)
}

/// `POST /object/copy`.
pub(super) async fn copy_object(
    State(storage): State<Arc<Storage>>,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let places: Places = ask::json(body).await?;
    let keep = places.copy_metadata.unwrap_or(true);
    let described = places.metadata.clone();
    let upsert = ask::header(&parts.headers, "x-upsert") == Some("true");
    let user_metadata = incoming::plain_metadata(&parts.headers)?;
    let (from, to) = places.targets()?;
    let facts = ask::facts(&parts);
    let begin = || storage.begin(&who, &facts, Access::Write, "storage.object.copy");

    let transaction = begin().await?;
    let object = objects::find(&transaction, &from.bucket, &from.name)
        .await?
        .ok_or_else(Error::no_object)?;
    let mut metadata = object.metadata.clone();
    if let (false, Some(map), Some(described)) = (keep, metadata.as_object_mut(), described) {
        if let Some(cache) = described.cache_control {
            map.insert(
                "cacheControl".to_owned(),
                incoming::cache_control(&cache)?.into(),
            );
        }
        if let Some(mime) = described.mimetype {
            map.insert("mimetype".to_owned(), kinds::declared(&mime)?.into());
        }
    }
    let user_metadata = if keep {
        object.user_metadata.clone()
    } else {
        user_metadata
    };
    let mut draft = Draft {
        bucket: &to.bucket,
        name: &to.name,
        owner: who.sub(),
        version: "1",
        metadata: &metadata,
        user_metadata: &user_metadata,
    };
    objects::write(&transaction, &draft, upsert).await?;
    transaction.rollback().await?;
    within_limits(&storage, &facts, &to, &metadata, &object).await?;

    let mut fresh = copied(&storage, &object, &to).await?;
    let version = fresh.version.clone();
    let mut metadata = metadata.clone();
    if let Some(map) = metadata.as_object_mut() {
        map.insert("eTag".to_owned(), objects::etag(&version).into());
        let now = chrono::Utc::now()
            .format("%Y-%m-%dT%H:%M:%S%.3fZ")
            .to_string();
        map.insert("lastModified".to_owned(), now.into());
    }
    (draft.metadata, draft.version) = (&metadata, &version);
    let transaction = begin().await?;
    let old = match upsert {
        true => objects::lock(&transaction, &to.bucket, &to.name).await?,
        false => None,
    };
    let id = objects::write(&transaction, &draft, upsert).await?;
    fresh.settle(transaction.commit().await)?;
    if let Some(old) = old {
        forget(&storage, &to.bucket, &to.name, &old).await;
    }
    Ok(Json(json!({
        "Id": id,
        "Key": to.url(),
        "id": id,
        "name": to.name,
        "bucket_id": to.bucket,
        "owner": who.sub().unwrap_or_default(),
        "owner_id": who.sub().unwrap_or_default(),
        "version": version,
        "metadata": metadata,
        "user_metadata": user_metadata,
    })))
}

/// Whether the other bucket takes content of this size and type: neither copy nor move is a way around its limits.
async fn within_limits(
    storage: &Storage,
    facts: &Facts,
    to: &Target,
    metadata: &Value,
    object: &Object,
) -> Result<(), Error> {
    let transaction = storage
        .begin(
            &super::service(),
            facts,
            Access::Read,
            "storage.object.copy",
        )
        .await?;
    let rules = objects::rules(&transaction, &to.bucket)
        .await?
        .ok_or_else(Error::no_bucket)?;
    transaction.commit().await?;
    let mime = metadata
        .get("mimetype")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !kinds::is_allowed(mime, &rules.types) {
        return Err(Error::mime(mime));
    }
    match (rules.size, object.size()) {
        (Some(limit), Some(size)) if size > limit => Err(Error::too_large("object")),
        _ => Ok(()),
    }
}
