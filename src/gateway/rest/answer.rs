//! Answers: status, headers and body, from the one row that a statement gives.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tokio_postgres::Row;

use super::errors::Rejection;
use super::media::Form;
use super::prefer::{About, Prefer, Returned};

/// What a statement says.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Rows there are without a limit, where that was asked.
    pub(super) total: Option<i64>,
    /// Rows that are answered.
    pub(super) rows: i64,
    pub(super) body: String,
    headers: Option<String>,
    status: Option<String>,
    /// Rows that existed already, of an upsert.
    updated: Option<i64>,
    /// The key of the first row.
    key: Option<Vec<Option<String>>>,
}

/// What an answer is made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) about: About,
    pub(super) prefer: &'a Prefer,
    pub(super) form: Form,
    /// `HEAD`.
    pub(super) head: bool,
    /// The schema, where it was named or could have been another.
    pub(super) profile: Option<&'a str>,
    /// First row that was asked for.
    pub(super) offset: u64,
    /// The function answers nothing.
    pub(super) void: bool,
    /// The relation and its key, where the place of a new row is told.
    pub(super) location: Option<(&'a str, &'a [String])>,
    /// Names of columns, for CSV.
    pub(super) columns: &'a [&'a str],
}

impl Reply {
    /// From the row, as `sql` orders its columns.
    pub(super) fn of(row: Option<&Row>) -> Result<Self, tokio_postgres::Error> {
        let Some(row) = row else {
            return Ok(Self::default());
        };
        Ok(Self {
            total: row.try_get(0)?,
            rows: row.try_get(1)?,
            body: row.try_get::<_, Option<String>>(2)?.unwrap_or_default(),
            headers: row.try_get(3)?,
            status: row.try_get(4)?,
            updated: row.try_get(5)?,
            key: row.try_get(6)?,
        })
    }

    /// No rows, shown so.
    pub(super) fn nothing(body: String) -> Self {
        Self {
            body,
            ..Self::default()
        }
    }

    pub(super) fn into_response(mut self, asked: &Asked<'_>) -> Result<Response, Rejection> {
        let shown = self.shown(asked);
        let (status, range) = self.status_and_range(asked, shown)?;
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::CONTENT_RANGE, &range);
        if let Some(applied) = asked.prefer.applied(asked.about) {
            set(HeaderName::from_static("preference-applied"), &applied);
        }
        if let Some(location) = self.location(asked) {
            set(header::LOCATION, &location);
        }
        if shown {
            headers.insert(header::CONTENT_TYPE, asked.form.content_type());
            let name = HeaderName::from_static("content-profile");
            if let Some(Ok(profile)) = asked.profile.map(HeaderValue::from_str) {
                headers.insert(name, profile);
            }
        }
        let status = self.said(headers, status)?;
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        *response.status_mut() = status;
        if shown && !asked.head && !bodiless {
            if asked.form == Form::Csv {
                self.body.insert_str(0, &csv_head(asked.columns));
            }
            *response.body_mut() = Body::from(self.body);
        }
        Ok(response)
    }

    /// Whether there is anything to show.
    fn shown(&self, asked: &Asked<'_>) -> bool {
        match asked.about {
            About::Reading => true,
            About::Calling => !asked.void,
            About::Inserting(_) | About::Updating | About::Deleting => {
                asked.prefer.returned == Some(Returned::Representation)
            }
        }
    }

    fn status_and_range(
        &self,
        asked: &Asked<'_>,
        shown: bool,
    ) -> Result<(StatusCode, String), Rejection> {
        let counted = asked.prefer.count.map(|_| self.rows);
        match asked.about {
            About::Reading | About::Calling => {
                let first = i64::try_from(asked.offset).unwrap_or(i64::MAX);
                let last = first.saturating_add(self.rows).saturating_sub(1);
                if let Some(total) = self.total.filter(|total| first > *total) {
                    return Err(Rejection::out_of_range(format!(
                        "An offset of {first} was requested, but there are only {total} rows."
                    )));
                }
                let partial = self.total.is_some_and(|total| self.rows < total);
                let status = match (asked.void, partial) {
                    (true, _) => StatusCode::NO_CONTENT,
                    (_, true) => StatusCode::PARTIAL_CONTENT,
                    (_, false) => StatusCode::OK,
                };
                Ok((status, range(first, last, self.total)))
            }
            About::Inserting(_) => {
                let all_updated = self.updated.is_some_and(|updated| updated >= self.rows);
                let status = match all_updated {
                    true => StatusCode::OK,
                    false => StatusCode::CREATED,
                };
                Ok((status, range(1, 0, counted)))
            }
            About::Updating => Ok((done(shown), range(0, self.rows - 1, counted))),
            About::Deleting => Ok((done(shown), range(1, 0, counted))),
        }
    }

    /// The address of the one new row.
    fn location(&self, asked: &Asked<'_>) -> Option<String> {
        let (relation, names) = asked.location?;
        let key = self.key.as_ref().filter(|_| self.rows == 1)?;
        let mut location = String::from("/");
        encode(&mut location, relation);
        for (place, (name, value)) in names.iter().zip(key).enumerate() {
            location.push(if place == 0 { '?' } else { '&' });
            encode(&mut location, name);
            match value {
                Some(value) => {
                    location.push_str("=eq.");
                    encode(&mut location, value);
                }
                None => location.push_str("=is.null"),
            }
        }
        Some(location)
    }

    /// What a function has set: `response.headers` and `response.status`.
    fn said(
        &self,
        headers: &mut axum::http::HeaderMap,
        status: StatusCode,
    ) -> Result<StatusCode, Rejection> {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(text) = said(&self.headers) {
            for (name, value) in said_headers(&text).ok_or_else(bad_headers)? {
                // Those are between the server and the client.
                let ours = [
                    header::CONTENT_LENGTH,
                    header::TRANSFER_ENCODING,
                    header::CONNECTION,
                ];
                if !ours.contains(&name) {
                    headers.insert(name, value);
                }
            }
        }
        match said(&self.status) {
            None => Ok(status),
            Some(text) => {
                let number = text.trim().parse::<u16>().ok();
                let number = number.filter(|number| (200..600).contains(number));
                number
                    .and_then(|number| StatusCode::from_u16(number).ok())
                    .ok_or_else(|| {
                        Rejection::new(
                            StatusCode::INTERNAL_SERVER_ERROR,
                            "PGRST112",
                            "response.status guc must be a valid status code",
                        )
                    })
            }
        }
    }
}

fn done(shown: bool) -> StatusCode {
    match shown {
        true => StatusCode::OK,
        false => StatusCode::NO_CONTENT,
    }
}

fn range(first: i64, last: i64, total: Option<i64>) -> String {
    let rows = match total != Some(0) && first <= last {
        true => format!("{first}-{last}"),
        false => "*".to_owned(),
    };
    match total {
        Some(total) => format!("{rows}/{total}"),
        None => format!("{rows}/*"),
    }
}

fn said_headers(text: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let list: Vec<serde_json::Map<String, Value>> = serde_json::from_str(text).ok()?;
    let mut headers = Vec::with_capacity(list.len());
    for object in list {
        let mut members = object.into_iter();
        let (name, value) = members.next()?;
        if members.next().is_some() {
            return None;
        }
        let name = HeaderName::try_from(name).ok()?;
        headers.push((name, HeaderValue::from_str(value.as_str()?).ok()?));
    }
    Some(headers)
}

fn bad_headers() -> Rejection {
    Rejection::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "PGRST111",
        "response.headers guc must be a JSON array composed of objects with a single key and a string value",
    )
}

/// Names of columns, and the end of their line.
fn csv_head(columns: &[&str]) -> String {
    let mut head = String::new();
    for (place, name) in columns.iter().enumerate() {
        if place > 0 {
            head.push(',');
        }
        match name.contains([',', '"', '\n', '\r']) {
            true => {
                head.push('"');
                head.push_str(&name.replace('"', "\"\""));
                head.push('"');
            }
            false => head.push_str(name),
        }
    }
    head.push('\n');
    head
}

/// Text as a part of a URL.
fn encode(url: &mut String, text: &str) {
    use std::fmt::Write;
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(url, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_postgrest_writes_them() {
        assert_eq!(range(0, 9, None), "0-9/*");
        assert_eq!(range(5, 9, Some(20)), "5-9/20");
        assert_eq!(range(0, -1, Some(0)), "*/0");
        assert_eq!(range(0, -1, None), "*/*");
        assert_eq!(range(1, 0, Some(3)), "*/3");
    }

    #[test]
    fn headers_of_functions_are_lists_of_single_members() {
        let headers = said_headers(r#"[{"X-A":"1"},{"Cache-Control":"no-store"}]"#).expect("two");
        assert_eq!(headers.len(), 2);
        for text in [
            "{}",
            "[1]",
            r#"[{"a":1}]"#,
            r#"[{"a":"1","b":"2"}]"#,
            r#"[{"a b":"1"}]"#,
            r#"[{"a":"1\n2"}]"#,
        ] {
            assert!(said_headers(text).is_none(), "{text}");
        }
    }

    #[test]
    fn names_in_csv_and_in_addresses_are_escaped() {
        assert_eq!(csv_head(&["a", "b,c", "d\"e"]), "a,\"b,c\",\"d\"\"e\"\n");
        let mut url = String::new();
        encode(&mut url, "a b/é&=");
        assert_eq!(url, "a%20b%2F%C3%A9%26%3D");
    }
}
