//! `Accept`: in which form rows are answered.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::errors::{Rejection, shortened};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Without members that are null where `stripped`.
    Array {
        stripped: bool,
    },
    /// The one row there must be.
    Object {
        stripped: bool,
    },
    Csv,
}

impl Form {
    /// The first of the forms asked for that there is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        let asked = headers.get_all(header::ACCEPT);
        let asked: Vec<&str> = asked
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        if asked.is_empty() {
            return Ok(Self::Array { stripped: false });
        }
        let mut types = asked
            .iter()
            .flat_map(|value| value.split(','))
            .map(str::trim);
        types.find_map(named).ok_or_else(|| {
            let list = asked.join(", ");
            let message =
                format!("None of these media types are available: {}", shortened(&list));
            Rejection::new(StatusCode::NOT_ACCEPTABLE, "PGRST107", message).hint(
                "application/json, application/vnd.pgrst.object+json, application/vnd.pgrst.array+json and text/csv are",
            )
        })
    }

    /// Value of `content-type`.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Array { stripped: false } => "application/json; charset=utf-8",
            Self::Array { stripped: true } => {
                "application/vnd.pgrst.array+json; nulls=stripped; charset=utf-8"
            }
            Self::Object { stripped: false } => "application/vnd.pgrst.object+json; charset=utf-8",
            Self::Object { stripped: true } => {
                "application/vnd.pgrst.object+json; nulls=stripped; charset=utf-8"
            }
            Self::Csv => "text/csv; charset=utf-8",
        })
    }
}

fn named(text: &str) -> Option<Form> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let stripped = parts.any(|part| part.replace(' ', "").eq_ignore_ascii_case("nulls=stripped"));
    match name.as_str() {
        "application/json" | "*/*" | "application/*" => Some(Form::Array { stripped: false }),
        "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => {
            Some(Form::Array { stripped })
        }
        "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => {
            Some(Form::Object { stripped })
        }
        "text/csv" => Some(Form::Csv),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Result<Form, Rejection> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_str(accept).expect("a value"),
        );
        Form::of(&headers)
    }

    #[test]
    fn the_first_form_there_is_counts() {
        let array = Form::Array { stripped: false };
        assert_eq!(Form::of(&HeaderMap::new()), Ok(array));
        assert_eq!(of("text/html, */*;q=0.8"), Ok(array));
        assert_eq!(of("text/csv,application/json"), Ok(Form::Csv));
        assert_eq!(
            of("application/vnd.pgrst.object+json;nulls=stripped"),
            Ok(Form::Object { stripped: true })
        );
        for other in [
            "application/geo+json",
            "application/vnd.pgrst.plan+text",
            "image/png",
            "",
        ] {
            assert_eq!(
                of(other).expect_err("nothing fits").code,
                "PGRST107",
                "{other}"
            );
        }
    }
}
