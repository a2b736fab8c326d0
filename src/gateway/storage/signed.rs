//! Asking for signed URLs: for reading what the caller may read, for writing what the caller may write.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{self, Bucket, Target};
use super::error::Error;
use super::incoming::{About, content_length, object};
use super::render::Transform;
use super::sign::Grant;
use super::upload::{self, Order};
use super::{Storage, download, objects};
use crate::gateway::database::Access;
use crate::socket::unix_now;

/// Objects of one request.
const MOST: usize = 1000;

/// How long a URL for an upload is good, in seconds.
const UPLOAD_SECONDS: i64 = 2 * 60 * 60;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    #[serde(deserialize_with = "ask::loose")]
    expires_in: i64,
    #[serde(default)]
    transform: Option<Transform>,
    #[serde(default)]
    version_id: Option<Value>,
}

/// `POST /object/sign/{bucket}/{name}`.
pub(super) async fn sign_one(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let asked: One = ask::json(body).await?;
    if asked.version_id.is_some() {
        return Err(Error::unsupported(
            "versionId",
            "objects have one version; leave it out",
        ));
    }
    let transformations = asked.transform.unwrap_or_default().written()?;
    download::of_caller(&storage, &parts, &target, &who, "storage.object.sign").await?;
    let route = if transformations.is_some() {
        "render/image"
    } else {
        "object"
    };
    let grant = Grant::Download { transformations };
    let url = target.url();
    let token = storage
        .signer()?
        .sign(&url, &grant, unix_now(), asked.expires_in)?;
    Ok(Json(
        json!({"signedURL": format!("/{route}/sign/{url}?token={token}")}),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Many {
    #[serde(deserialize_with = "ask::loose")]
    expires_in: i64,
    paths: Vec<String>,
}

/// `POST /object/sign/{bucket}`.
pub(super) async fn sign_many(
    State(storage): State<Arc<Storage>>,
    Bucket(bucket): Bucket,
    request: Request,
) -> Result<Json<Value>, Error> {
    let (parts, body) = request.into_parts();
    let who = ask::caller(&storage, &parts)?;
    let asked: Many = ask::json(body).await?;
    if asked.paths.is_empty() || asked.paths.len() > MOST {
        return Err(Error::invalid("body/paths must have 1 to 1000 items"));
    }
    let operation = "storage.object.sign_many";
    let transaction = storage
        .begin(&who, &ask::facts(&parts), Access::Read, operation)
        .await?;
    let visible = objects::visible(&transaction, &bucket, &asked.paths).await?;
    transaction.commit().await?;
    let visible: HashSet<String> = visible.into_iter().collect();
    let (signer, now) = (storage.signer()?, unix_now());
    let mut answers = Vec::with_capacity(asked.paths.len());
    for path in asked.paths {
        let signed = match visible.contains(&path) {
            true => {
                let url = format!("{bucket}/{path}");
                let grant = Grant::Download {
                    transformations: None,
                };
                let token = signer.sign(&url, &grant, now, asked.expires_in)?;
                Some(format!("/object/sign/{url}?token={token}"))
            }
            false => None,
        };
        let error = "Either the object does not exist or you do not have access to it";
        let error = signed.is_none().then_some(error);
        answers.push(json!({"error": error, "path": path, "signedURL": signed}));
    }
    Ok(Json(Value::Array(answers)))
}

/// `POST /object/upload/sign/{bucket}/{name}`.
pub(super) async fn sign_upload(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let order = Order {
        target: Arc::new(target),
        owner: who.sub().map(str::to_owned),
        who,
        upsert: ask::header(&parts.headers, "x-upsert") == Some("true"),
        facts: ask::facts(&parts),
        operation: "storage.object.sign_upload_url",
    };
    upload::limits(&storage, &order).await?;
    let about = About {
        mime: ask::header(&parts.headers, "content-type")
            .unwrap_or("application/octet-stream")
            .to_owned(),
        cache_control: String::new(),
        user_metadata: object(None)?,
        length: content_length(&parts.headers),
    };
    upload::permit(&storage, &order, &about).await?;
    let url = order.target.url();
    let grant = Grant::Upload {
        owner: order.owner.clone(),
        upsert: order.upsert,
    };
    let token = storage
        .signer()?
        .sign(&url, &grant, unix_now(), UPLOAD_SECONDS)?;
    Ok(Json(
        json!({"url": format!("/object/upload/sign/{url}?token={token}"), "token": token}),
    ))
}
