//! `/render/image`: an object as a smaller image. Made anew each time, few at once; browsers keep it by its tag.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::ask::{self, Query, Target};
use super::error::Error;
use super::image::{self, LONGEST_EDGE, Output, QUALITY, Refusal, Resize, Wanted};
use super::objects::{Object, etag};
use super::serve::{self, Wish};
use super::{Storage, download, names, range};

/// Largest file that is rendered: it is held in memory.
const LARGEST_SOURCE: u64 = 32 * 1024 * 1024;

/// `transform` of a request for a signed URL, and the parameters of the others.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Transform {
    #[serde(deserialize_with = "ask::perhaps_loose")]
    width: Option<u32>,
    #[serde(deserialize_with = "ask::perhaps_loose")]
    height: Option<u32>,
    resize: Option<String>,
    format: Option<String>,
    #[serde(deserialize_with = "ask::perhaps_loose")]
    quality: Option<u32>,
    gravity: Option<String>,
}

impl Transform {
    fn of_query(query: &Query) -> Result<Self, Error> {
        Ok(Self {
            width: query.number("width")?,
            height: query.number("height")?,
            resize: query.get("resize").map(str::to_owned),
            format: query.get("format").map(str::to_owned),
            quality: query.number("quality")?,
            gravity: query.get("gravity").map(str::to_owned),
        })
    }

    /// As it stands in a token: `height:10,width:20,resize:cover,quality:80`. None where nothing is asked for.
    pub(super) fn written(&self) -> Result<Option<String>, Error> {
        self.wanted(0)?;
        let number = |name: &str, value: Option<u32>| value.map(|value| format!("{name}:{value}"));
        let text = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{name}:{value}"))
        };
        let parts: Vec<String> = [
            number("height", self.height.map(clamp)),
            number("width", self.width.map(clamp)),
            text("resize", &self.resize),
            number("quality", self.quality),
            text("format", &self.format),
        ]
        .into_iter()
        .flatten()
        .collect();
        Ok(Some(parts.join(",")).filter(|parts| !parts.is_empty()))
    }

    fn read(written: &str) -> Self {
        let mut transform = Self::default();
        for (name, value) in written.split(',').filter_map(|part| part.split_once(':')) {
            match name {
                "width" => transform.width = value.parse().ok(),
                "height" => transform.height = value.parse().ok(),
                "quality" => transform.quality = value.parse().ok(),
                "resize" => transform.resize = Some(value.to_owned()),
                "format" => transform.format = Some(value.to_owned()),
                _ => {}
            }
        }
        transform
    }

    fn wanted(&self, max_pixels: u64) -> Result<Wanted, Error> {
        if self.gravity.is_some() {
            return Err(Error::unsupported(
                "gravity",
                "the middle of the image is kept; leave gravity out",
            ));
        }
        Ok(Wanted {
            // None is as good as none asked for.
            width: self.width.filter(|width| *width > 0).map(clamp),
            height: self.height.filter(|height| *height > 0).map(clamp),
            resize: match self.resize.as_deref() {
                None | Some("cover") => Resize::Cover,
                Some("contain") => Resize::Contain,
                Some("fill") => Resize::Fill,
                Some(_) => {
                    return Err(Error::invalid(
                        "resize must be equal to one of: cover, contain, fill",
                    ));
                }
            },
            quality: match self.quality {
                None => QUALITY,
                Some(quality @ 20..=100) => u8::try_from(quality).unwrap_or(QUALITY),
                Some(_) => return Err(Error::invalid("quality must be >= 20 and <= 100")),
            },
            output: match self.format.as_deref() {
                None | Some("origin") => Output::Origin,
                Some("webp") => Output::Webp,
                Some("avif") => {
                    return Err(Error::unsupported(
                        "format avif",
                        "use webp, or leave format out",
                    ));
                }
                Some(_) => {
                    return Err(Error::invalid(
                        "format must be equal to one of: origin, avif, webp",
                    ));
                }
            },
            max_pixels,
        })
    }
}

fn clamp(edge: u32) -> u32 {
    edge.clamp(1, LONGEST_EDGE)
}

/// `GET /render/image/public/{bucket}/{name}`.
pub(super) async fn public(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let parts = request.into_parts().0;
    let query = Query::of(&parts);
    let transform = Transform::of_query(&query)?;
    let object =
        download::of_public(&storage, &parts, &target, "storage.render.image_public").await?;
    rendered(&storage, &parts, &object, &transform, None).await
}

/// `GET /render/image/authenticated/{bucket}/{name}`.
pub(super) async fn authenticated(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let parts = request.into_parts().0;
    let who = ask::caller(&storage, &parts)?;
    let transform = Transform::of_query(&Query::of(&parts))?;
    let operation = "storage.render.image_authenticated";
    let object = download::of_caller(&storage, &parts, &target, &who, operation).await?;
    rendered(&storage, &parts, &object, &transform, None).await
}

/// `GET /render/image/sign/{bucket}/{name}?token=`: as the token says, whatever the parameters say.
pub(super) async fn signed(
    State(storage): State<Arc<Storage>>,
    target: Target,
    request: Request,
) -> Result<Response, Error> {
    let parts = request.into_parts().0;
    let (written, expires) = download::granted(&storage, &parts, &target)?;
    let transform = Transform::read(written.as_deref().unwrap_or_default());
    let object =
        download::of_service(&storage, &parts, &target, "storage.render.image_sign").await?;
    rendered(&storage, &parts, &object, &transform, Some(expires)).await
}

async fn rendered(
    storage: &Storage,
    parts: &Parts,
    object: &Object,
    transform: &Transform,
    expires: Option<i64>,
) -> Result<Response, Error> {
    download::refuse_versions(parts)?;
    let wanted = transform.wanted(storage.gateway.settings.storage.max_pixels)?;
    // Another wish is another content.
    let tag = etag(&format!("{}{wanted:?}", object.version.replace('-', "")).replace(' ', ""));
    let tag = format!("{}-{}\"", object.etag().trim_end_matches('"'), short(&tag));
    let wish = Wish {
        download: Query::of(parts).get("download").map(str::to_owned),
        expires,
    };
    let mut headers = HeaderMap::new();
    let modified = object.modified.as_deref();
    serve::describe(
        &mut headers,
        object.mime(),
        &tag,
        modified,
        &wish,
        object.cache_control(),
    );
    if range::is_fresh(&parts.headers, &tag, modified) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // Before the source is read: that, too, is held in memory.
    let permit = Arc::clone(&storage.rendering)
        .acquire_owned()
        .await
        .map_err(|_| Error::internal())?;
    let source = source(storage, object).await?;
    let done = tokio::task::spawn_blocking(move || {
        let rendered = image::render(&source, &wanted);
        drop(permit);
        rendered
    });
    let rendered = done
        .await
        .map_err(|_| Error::internal())?
        .map_err(|refusal| match refusal {
            Refusal::Unsupported => {
                Error::image("The source image is invalid or unsupported for rendering")
            }
            Refusal::TooLarge => {
                Error::image("The source image resolution is too large to process")
            }
        })?;
    serve::describe(
        &mut headers,
        rendered.mime,
        &tag,
        modified,
        &wish,
        object.cache_control(),
    );
    if let Ok(Some(written)) = transform
        .written()
        .map(|written| written.and_then(|text| text.parse().ok()))
    {
        headers.insert(HeaderName::from_static("x-transformations"), written);
    }
    headers.insert(
        header::CONTENT_LENGTH,
        HeaderValue::from(rendered.bytes.len()),
    );
    let body = if parts.method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(rendered.bytes)
    };
    Ok((StatusCode::OK, headers, body).into_response())
}

/// Sixteen letters that differ where the texts do.
fn short(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn source(storage: &Storage, object: &Object) -> Result<bytes::Bytes, Error> {
    let path = names::content_path(&object.bucket, &object.name, &object.version)
        .ok_or_else(Error::no_object)?;
    let found = storage
        .content
        .get(&path, None)
        .await
        .map_err(|error| Error::content(&error))?;
    let found = found.ok_or_else(Error::no_object)?;
    if found.meta.size > LARGEST_SOURCE {
        return Err(Error::image(
            "The source image file is too large to process",
        ));
    }
    found.bytes().await.map_err(|error| Error::content(&error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wish_survives_the_token() {
        let transform = Transform {
            width: Some(100),
            height: Some(20),
            resize: Some("contain".to_owned()),
            quality: Some(30),
            format: Some("webp".to_owned()),
            gravity: None,
        };
        let written = transform.written().unwrap().unwrap();
        assert_eq!(
            written,
            "height:20,width:100,resize:contain,quality:30,format:webp"
        );
        assert_eq!(Transform::read(&written), transform);
        assert_eq!(Transform::default().written().unwrap(), None);
        for bad in ["resize:x", "format:bmp", "quality:5", "format:avif"] {
            assert!(Transform::read(bad).wanted(1).is_err(), "{bad}");
        }
        assert_eq!(
            Transform::read("width:99999,,:,x:y,height:")
                .wanted(1)
                .unwrap()
                .width,
            Some(2000)
        );
    }
}
