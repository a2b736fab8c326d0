//! Reading: content and what is known of it, for everybody (public buckets), for a caller, or for who has a signed URL.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ask::{self, Query, Target};
use super::error::Error;
use super::objects::{self, Object};
use super::serve::{self, Wish};
use super::sign::Grant;
use super::{Storage, service};
use crate::gateway::caller::Caller;
use crate::gateway::database::Access;
use crate::socket::unix_now;

/// `GET /object/public/{bucket}/{name}`.
pub(super) async fn public(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let parts = request.into_parts().0;
    let find = || of_public(&storage, &parts, &target, "storage.object.get_public");
    serve(&storage, &parts, wish(&parts), find).await
}

/// `GET /object/authenticated/{bucket}/{name}`.
pub(super) async fn authenticated(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let find = || {
        of_either(
            &storage,
            &parts,
            &target,
            Some(&who),
            "storage.object.get_authenticated",
        )
    };
    serve(&storage, &parts, wish(&parts), find).await
}

/// `GET /object/{bucket}/{name}`: also without a token where the bucket is public.
pub(super) async fn either(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let parts = request.into_parts().0;
    let who = ask::perhaps(&storage, &parts);
    let find = || {
        of_either(
            &storage,
            &parts,
            &target,
            who.as_ref(),
            "storage.object.get_authenticated",
        )
    };
    serve(&storage, &parts, wish(&parts), find).await
}

/// `GET /object/sign/{bucket}/{name}?token=`.
pub(super) async fn signed(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let parts = request.into_parts().0;
    let (_, expires) = granted(&storage, &parts, &target)?;
    let wish = Wish {
        expires: Some(expires),
        ..wish(&parts)
    };
    let find = || of_service(&storage, &parts, &target, "storage.object.get_signed");
    serve(&storage, &parts, wish, find).await
}

/// `GET /object/info/public/{bucket}/{name}`.
pub(super) async fn public_info(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    refuse_versions(&parts)?;
    let object = of_public(&storage, &parts, &target, "storage.object.info_public").await?;
    Ok(Json(about(&object)))
}

/// `GET /object/info/authenticated/{bucket}/{name}`.
pub(super) async fn authenticated_info(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    refuse_versions(&parts)?;
    let who = ask::caller(&storage, &parts)?;
    let operation = "object.get_authenticated_info";
    let object = of_either(&storage, &parts, &target, Some(&who), operation).await?;
    Ok(Json(about(&object)))
}

/// `GET /object/info/{bucket}/{name}`.
pub(super) async fn info(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Json<Value>, Error> {
    let parts = request.into_parts().0;
    refuse_versions(&parts)?;
    let who = ask::perhaps(&storage, &parts);
    let operation = "object.get_authenticated_info";
    let object = of_either(&storage, &parts, &target, who.as_ref(), operation).await?;
    Ok(Json(about(&object)))
}

fn about(object: &Object) -> Value {
    json!({
        "id": object.id,
        "name": object.name,
        "version": object.version,
        "bucket_id": object.bucket,
        "size": object.size(),
        "content_type": object.metadata.get("mimetype"),
        "cache_control": object.metadata.get("cacheControl"),
        "etag": object.etag(),
        "metadata": object.user_metadata,
        "last_modified": object.updated,
        "created_at": object.created,
    })
}

fn wish(parts: &Parts) -> Wish {
    Wish {
        download: Query::of(parts).get("download").map(str::to_owned),
        expires: None,
    }
}

/// Serves what is found. Content that was replaced between the row and its opening is looked for once more.
async fn serve<F, R>(
    storage: &Storage,
    parts: &Parts,
    wish: Wish,
    find: F,
) -> Result<Response, Error>
where
    F: Fn() -> R,
    R: Future<Output = Result<Object, Error>>,
{
    refuse_versions(parts)?;
    let object = find().await?;
    match serve::object(storage, parts, &object, &wish).await {
        Err(error) if error == Error::no_object() => {
            let again = find().await?;
            if again.version == object.version {
                return Err(error);
            }
            serve::object(storage, parts, &again, &wish)
                .await
                .map(IntoResponse::into_response)
        }
        served => served,
    }
}

/// Old versions are not kept.
pub(super) fn refuse_versions(parts: &Parts) -> Result<(), Error> {
    match Query::of(parts).get("versionId") {
        Some(_) => Err(Error::unsupported(
            "versionId",
            "objects have one version; leave it out",
        )),
        None => Ok(()),
    }
}

/// What the token of a signed URL allows with this object.
pub(super) fn granted(
    storage: &Storage,
    parts: &Parts,
    target: &Target,
) -> Result<(Option<String>, i64), Error> {
    let query = Query::of(parts);
    let token = query
        .get("token")
        .ok_or_else(|| Error::invalid("querystring must have required property 'token'"))?;
    match storage.signer()?.verify(token, &target.url(), unix_now())? {
        (Grant::Download { transformations }, expires) => Ok((transformations, expires)),
        (Grant::Upload { .. }, _) => Err(Error::signature("Token is not scoped for download")),
    }
}

/// An object of a public bucket, whoever asks.
pub(super) async fn of_public(
    storage: &Storage,
    parts: &Parts,
    target: &Target,
    operation: &'static str,
) -> Result<Object, Error> {
    let transaction = storage
        .begin(&service(), &ask::facts(parts), Access::Read, operation)
        .await?;
    let (public, object) = objects::find_public(&transaction, &target.bucket, &target.name).await?;
    transaction.commit().await?;
    match public {
        Some(true) => object.ok_or_else(Error::no_object),
        _ => Err(Error::no_bucket()),
    }
}

/// An object of a public bucket, or one that the caller may see.
async fn of_either(
    storage: &Storage,
    parts: &Parts,
    target: &Target,
    who: Option<&Caller>,
    operation: &'static str,
) -> Result<Object, Error> {
    let transaction = storage
        .begin(&service(), &ask::facts(parts), Access::Read, operation)
        .await?;
    let (public, object) = objects::find_public(&transaction, &target.bucket, &target.name).await?;
    transaction.commit().await?;
    match (public, who) {
        (Some(true), _) => object.ok_or_else(Error::no_object),
        (Some(false), Some(who)) => of_caller(storage, parts, target, who, operation).await,
        (Some(false), None) | (None, _) => Err(Error::no_bucket()),
    }
}

/// An object that the caller may see.
pub(super) async fn of_caller(
    storage: &Storage,
    parts: &Parts,
    target: &Target,
    who: &Caller,
    operation: &'static str,
) -> Result<Object, Error> {
    let transaction = storage
        .begin(who, &ask::facts(parts), Access::Read, operation)
        .await?;
    let object = objects::find(&transaction, &target.bucket, &target.name).await?;
    transaction.commit().await?;
    object.ok_or_else(Error::no_object)
}

/// An object, whoever may see it: the right to it was shown otherwise.
pub(super) async fn of_service(
    storage: &Storage,
    parts: &Parts,
    target: &Target,
    operation: &'static str,
) -> Result<Object, Error> {
    of_caller(storage, parts, target, &service(), operation).await
}
