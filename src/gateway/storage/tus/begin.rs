//! The beginning of a resumable upload: is there room, may the caller, and where it goes on.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::unfinished::{Info, Unfinished};
use super::{Door, LENGTH, OFFSET, PART, metadata, number, order, receive, state};
use crate::gateway::storage::ask::{self, Target};
use crate::gateway::storage::error::Error;
use crate::gateway::storage::incoming::{self, About};
use crate::gateway::storage::upload::{self, Order};
use crate::gateway::storage::{Storage, kinds};
use crate::socket::unix_now;

/// `POST`.
pub(super) async fn begin(
    storage: &Arc<Storage>,
    door: Door,
    parts: Parts,
    body: Body,
) -> Result<Response, Error> {
    let (order, about) = match check(storage, door, &parts).await {
        Ok(checked) => checked,
        Err(error) => return Err(upload::refuse(body, error).await),
    };
    let info = Info {
        bucket: order.target.bucket.clone(),
        name: order.target.name.clone(),
        length: about.length.unwrap_or_default(),
        mime: about.mime.clone(),
        cache_control: about.cache_control.clone(),
        user_metadata: about.user_metadata.clone(),
        upsert: order.upsert,
        role: order.who.role.to_string(),
        sub: order.who.sub().map(str::to_owned),
        signed: door == Door::Signature,
        created: unix_now(),
    };
    let unfinished = Unfinished::create(storage, info).await?;
    let location = location(storage, door, &unfinished)?;
    let carries = ask::header(&parts.headers, "content-type") == Some(PART);
    let offset = if unfinished.info.length == 0 || carries {
        let held = storage
            .uploads
            .take(unfinished.id)
            .ok_or_else(Error::locked)?;
        receive::go_on(storage, &unfinished, order, 0, body, held).await?
    } else {
        0
    };
    let mut headers = state(storage, &unfinished, offset);
    if !carries {
        headers.remove(OFFSET);
    }
    headers.insert(header::LOCATION, location);
    Ok((StatusCode::CREATED, headers).into_response())
}

async fn check(storage: &Storage, door: Door, parts: &Parts) -> Result<(Order, About), Error> {
    if door == Door::Token {
        ask::caller(storage, parts)?;
    }
    if parts.headers.contains_key("upload-defer-length") {
        return Err(Error::unsupported(
            "Upload-Defer-Length",
            "say the length when the upload begins",
        ));
    }
    let length = number(
        &parts.headers,
        &LENGTH,
        "Upload-Length header is required and has to be a number",
    )?;
    let header = ask::header(&parts.headers, "upload-metadata");
    let header = header.ok_or_else(|| Error::invalid("Metadata header is required"))?;
    let pairs = metadata::parse(header)
        .ok_or_else(|| Error::parameter("Invalid Upload-Metadata header"))?;
    let value = |name| metadata::get(&pairs, name);
    let target = Target::new(
        value("bucketName").unwrap_or_default().to_owned(),
        value("objectName").unwrap_or_default().to_owned(),
    )?;
    let upsert = ask::header(&parts.headers, "x-upsert") == Some("true");
    let order = Order {
        operation: "storage.tus.upload.create",
        ..order(storage, door, parts, target, upsert)?
    };
    let seconds = value("cacheControl")
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let about = About {
        mime: kinds::declared(value("contentType").unwrap_or("application/octet-stream"))?
            .to_owned(),
        cache_control: match seconds {
            Some(seconds) => incoming::cache_control(&format!("max-age={seconds}"))?,
            None => "no-cache".to_owned(),
        },
        user_metadata: incoming::object(value("metadata"))?,
        length: Some(length),
    };
    upload::limits(storage, &order).await?.check(&about)?;
    upload::permit(storage, &order, &about).await?;
    Ok((order, about))
}

/// Where it goes on: below the address that was asked for, whatever this server is called from outside.
fn location(storage: &Storage, door: Door, unfinished: &Unfinished) -> Result<HeaderValue, Error> {
    let outside = storage
        .gateway
        .settings
        .external_url
        .as_deref()
        .unwrap_or_default()
        .trim_end_matches('/');
    let door = if door == Door::Signature { "sign/" } else { "" };
    let location = format!(
        "{outside}/storage/v1/upload/resumable/{door}{}",
        unfinished.id
    );
    HeaderValue::try_from(location).map_err(|_| Error::internal())
}
