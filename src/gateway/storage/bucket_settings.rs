//! What a bucket can be told: whether it is public, how large its objects may be, and of which types.

use serde::Deserialize;

use super::ask;
use super::error::Error;
use super::kinds;

/// Longest list of types.
const MOST_TYPES: usize = 1000;

/// A limit: bytes, or text such as `20MB`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Limit {
    Bytes(u64),
    Text(String),
}

/// A body about a bucket: what is to be set. A member that is null takes a limit away.
#[derive(Deserialize)]
pub(super) struct Settings {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "ask::perhaps_loose")]
    pub(super) public: Option<bool>,
    #[serde(default, deserialize_with = "there")]
    file_size_limit: Option<Option<Limit>>,
    #[serde(default, deserialize_with = "there")]
    allowed_mime_types: Option<Option<Vec<String>>>,
    r#type: Option<String>,
    versioning_status: Option<String>,
}

/// Tells a member that is null from one that is not there.
fn there<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl Settings {
    /// Whether it asks for nothing that is not there.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self
            .r#type
            .as_deref()
            .is_some_and(|kind| kind != "STANDARD")
        {
            return Err(Error::unsupported(
                "a bucket of another type",
                "leave type out for a bucket of files",
            ));
        }
        if self
            .versioning_status
            .as_deref()
            .is_some_and(|status| status != "DISABLED")
        {
            return Err(Error::unsupported(
                "versioning",
                "objects have one version; leave versioning_status out",
            ));
        }
        Ok(())
    }

    /// As a number, or null.
    pub(super) fn limit(&self, widest: u64) -> Result<Option<Option<String>>, Error> {
        let bytes = match &self.file_size_limit {
            None => return Ok(None),
            Some(None) => return Ok(Some(None)),
            Some(Some(Limit::Bytes(bytes))) => *bytes,
            Some(Some(Limit::Text(text))) => bytes(text).ok_or_else(|| {
                Error::invalid("Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B")
            })?,
        };
        if bytes > widest {
            return Err(Error::too_large("object"));
        }
        Ok(Some(Some(bytes.to_string())))
    }

    /// The types, each of which has to be one, or null.
    pub(super) fn types(&self) -> Result<Option<Option<Vec<String>>>, Error> {
        let Some(Some(types)) = &self.allowed_mime_types else {
            return Ok(self.allowed_mime_types.as_ref().map(|_| None));
        };
        if types.len() > MOST_TYPES {
            return Err(Error::invalid(
                "body/allowed_mime_types must NOT have more than 1000 items",
            ));
        }
        let types: Vec<String> = types
            .iter()
            .filter(|mime| !mime.is_empty())
            .cloned()
            .collect();
        types
            .iter()
            .try_for_each(|mime| kinds::check_allowed(mime))?;
        Ok(Some(Some(types)))
    }
}

/// Powers of ten, as in the original.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (number, factor) = [("gb", 1e9), ("mb", 1e6), ("kb", 1e3), ("b", 1.0)]
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    let is_number = !number.is_empty()
        && number.len() <= 15
        && number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && number.starts_with(|c: char| c.is_ascii_digit());
    let number: f64 = is_number.then(|| number.parse().ok())??;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some((number * factor).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_written_with_units() {
        for (text, size) in [
            ("20MB", 20_000_000),
            ("1.5kb", 1500),
            ("3B", 3),
            ("1gb", 1_000_000_000),
            ("0b", 0),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in [
            "",
            "MB",
            "20",
            "20 MB",
            "-1MB",
            "1e9b",
            "1..2b",
            ".5mb",
            "infb",
            "9999999999999999b",
            "20TB",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
