//! The head of a request: what it is about, which schema, which parameters, which rows. Decoded once, and strictly.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

use super::errors::{Rejection, shortened};
use super::plan::Range;

/// Longest query string in bytes; a URL of 64 KiB is refused before it comes here.
const QUERY: usize = 60_000;
/// Most parameters of it.
const PARAMETERS: usize = 2000;

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Root,
    Relation(String),
    Function(String),
}

impl Target {
    /// By the path below the prefix of the service.
    pub(super) fn of(path: &str) -> Result<Self, Rejection> {
        let unknown = || {
            let message = "Invalid path specified in request URL";
            Rejection::new(StatusCode::NOT_FOUND, "PGRST125", message)
        };
        let path = path.trim_start_matches('/');
        let mut segments = path.strip_suffix('/').unwrap_or(path).split('/');
        let first = decoded(segments.next().unwrap_or_default(), false)?;
        match (first.as_str(), segments.next(), segments.next()) {
            ("", None, _) => Ok(Self::Root),
            ("rpc", Some(name), None) => match decoded(name, false)? {
                name if name.is_empty() => Err(unknown()),
                name => Ok(Self::Function(name)),
            },
            (_, None, _) => Ok(Self::Relation(first)),
            _ => Err(unknown()),
        }
    }
}

/// Names and values of a query string, in their order.
pub(super) fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Rejection> {
    let query = uri.query().unwrap_or_default();
    if query.len() > QUERY {
        let message = "The query string is too long";
        return Err(
            Rejection::new(StatusCode::URI_TOO_LONG, "PGRST100", message)
                .details(format!("At most {QUERY} bytes are taken"))
                .hint("Put long lists into the body of a function call"),
        );
    }
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == PARAMETERS {
            return Err(Rejection::too_much("parameters", PARAMETERS));
        }
        // A name without a value says nothing.
        if let Some((name, value)) = pair.split_once('=') {
            pairs.push((decoded(name, true)?, decoded(value, true)?));
        }
    }
    Ok(pairs)
}

/// Text of a URL. What is not UTF-8, or has a byte of zero, cannot be text in Postgres.
fn decoded(text: &str, plus_is_blank: bool) -> Result<String, Rejection> {
    let refused = |what: &str| {
        let message = format!("The URL contains {what}");
        Rejection::new(StatusCode::BAD_REQUEST, "PGRST100", message)
            .details(shortened(text).to_owned())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' if plus_is_blank => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(refused("an invalid percent encoding"));
                };
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            byte => bytes.push(byte),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(refused("a NUL character")),
        Ok(text) => Ok(text),
        Err(_) => Err(refused("bytes that are not UTF-8")),
    }
}

/// The schema that is asked for, and whether it was named (or could have been another).
pub(super) fn schema<'s>(
    method: &Method,
    headers: &HeaderMap,
    exposed: &'s [String],
) -> Result<(&'s str, bool), Rejection> {
    let name = match *method {
        Method::GET | Method::HEAD => HeaderName::from_static("accept-profile"),
        _ => HeaderName::from_static("content-profile"),
    };
    let none = || {
        Rejection::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST106",
            "No schema is exposed",
        )
    };
    let mut values = headers.get_all(name).iter();
    let Some(profile) = values.next() else {
        let default = exposed.first().ok_or_else(none)?;
        return Ok((default, exposed.len() > 1));
    };
    let asked = profile.to_str().unwrap_or_default();
    match exposed.iter().find(|schema| *schema == asked) {
        Some(schema) if values.next().is_none() => Ok((schema, true)),
        _ => {
            let message = format!("Invalid schema: {}", shortened(asked));
            Err(
                Rejection::new(StatusCode::NOT_ACCEPTABLE, "PGRST106", message).hint(format!(
                    "Only the following schemas are exposed: {}",
                    exposed.join(", ")
                )),
            )
        }
    }
}

/// Header `Range` of a GET; what is no range of rows is as if it were not there.
pub(super) fn range(method: &Method, headers: &HeaderMap) -> Option<Range> {
    if method != Method::GET {
        return None;
    }
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    let (first, last) = text.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let last = match last {
        "" => None,
        last => Some(last.parse().ok().filter(|last| *last < i64::MAX as u64)?),
    };
    let first = first
        .parse()
        .ok()
        .filter(|first| *first < i64::MAX as u64)?;
    Some(Range { first, last })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> Result<Vec<(String, String)>, String> {
        let uri: Uri = format!("/x?{text}").parse().expect("a URI");
        pairs(&uri).map_err(|rejection| rejection.message)
    }

    #[test]
    fn paths_are_relations_or_functions() {
        let relation = |name: &str| Ok(Target::Relation(name.to_owned()));
        assert_eq!(Target::of("/"), Ok(Target::Root));
        assert_eq!(Target::of(""), Ok(Target::Root));
        assert_eq!(Target::of("/todos"), relation("todos"));
        assert_eq!(Target::of("/a%20b%2Fc"), relation("a b/c"));
        assert_eq!(Target::of("/a+b"), relation("a+b"));
        assert_eq!(Target::of("/rpc/f"), Ok(Target::Function("f".to_owned())));
        assert_eq!(Target::of("/rpc"), relation("rpc"));
        for path in [
            "/a/b", "/rpc/a/b", "/rpc//", "/a%", "/a%0", "/a%00", "/a%ff",
        ] {
            assert!(Target::of(path).is_err(), "{path}");
        }
    }

    #[test]
    fn query_strings_are_decoded_strictly() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            query("a=eq.1+2&b%3d=%C3%A9&c&d=&&e=f=g"),
            Ok(vec![
                pair("a", "eq.1 2"),
                pair("b=", "é"),
                pair("d", ""),
                pair("e", "f=g")
            ])
        );
        for text in ["a=%", "a=%zz", "a=%ff", "a=%00", "%00=a"] {
            assert!(query(text).is_err(), "{text}");
        }
        assert!(query(&"a=b&".repeat(2001)).is_err());
        assert!(query(&"a".repeat(QUERY + 1)).is_err());
    }

    #[test]
    fn only_exposed_schemas_can_be_asked_for() {
        let exposed = ["public".to_owned(), "api".to_owned()];
        let asked = |method: Method, name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            schema(&method, &headers, &exposed).map(|(schema, _)| schema.to_owned())
        };
        assert_eq!(
            asked(Method::GET, "accept-profile", "api"),
            Ok("api".to_owned())
        );
        assert_eq!(
            asked(Method::POST, "accept-profile", "api"),
            Ok("public".to_owned())
        );
        assert_eq!(
            asked(Method::POST, "content-profile", "api"),
            Ok("api".to_owned())
        );
        for other in ["auth", "API", "public, api", "", "\"public\""] {
            assert!(
                asked(Method::GET, "accept-profile", other).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn ranges_are_two_numbers_and_a_dash() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(text));
            range(&Method::GET, &headers)
        };
        assert_eq!(
            of("0-9"),
            Some(Range {
                first: 0,
                last: Some(9)
            })
        );
        assert_eq!(
            of("5-"),
            Some(Range {
                first: 5,
                last: None
            })
        );
        for text in [
            "-5",
            "a-b",
            "bytes=0-9",
            "1-2;drop",
            "99999999999999999999-",
            "0-+5",
            "",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in "[/a-z%0-9+]{0,20}") {
            let _ = Target::of(&path);
        }
    }
}
