//! `Prefer`: what a client would like, and which of it was done.

use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::errors::{Rejection, shortened};

/// See the module. Of a preference that is there twice the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefer {
    pub(super) returned: Option<Returned>,
    pub(super) count: Option<Count>,
    /// Rows that exist already are overwritten (true) or left as they are.
    pub(super) merge: Option<bool>,
    /// Columns that are missing get their defaults (true) or null.
    pub(super) defaults: Option<bool>,
    /// Nothing is kept.
    pub(super) rollback: Option<bool>,
    /// What is not known is refused.
    pub(super) strict: Option<bool>,
    pub(super) max_affected: Option<i64>,
    unknown: Vec<String>,
}

/// What is answered of rows that were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    Minimal,
    HeadersOnly,
    Representation,
}

/// How rows are counted. What the planner thinks is not asked: all of them count exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Exact,
    Planned,
    Estimated,
}

/// Which preferences an answer speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Reading,
    /// Whether there is something by which rows can be the same.
    Inserting(bool),
    Updating,
    Deleting,
    Calling,
}

impl Prefer {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        let mut prefer = Self::default();
        let values = headers.get_all(HeaderName::from_static("prefer"));
        let values = values.iter().filter_map(|value| value.to_str().ok());
        for text in values.flat_map(|value| value.split(',')).map(str::trim) {
            if !text.is_empty() && !prefer.read(text) {
                prefer.unknown.push(text.to_owned());
            }
        }
        if prefer.strict == Some(true) && !prefer.unknown.is_empty() {
            let list = prefer.unknown.join(", ");
            let message = "Invalid preferences given with handling=strict";
            return Err(Rejection::new(StatusCode::BAD_REQUEST, "PGRST122", message)
                .details(format!("Invalid preferences: {}", shortened(&list))));
        }
        Ok(prefer)
    }

    fn read(&mut self, text: &str) -> bool {
        fn first<T>(place: &mut Option<T>, value: T) {
            place.get_or_insert(value);
        }
        match text {
            "return=minimal" => first(&mut self.returned, Returned::Minimal),
            "return=headers-only" => first(&mut self.returned, Returned::HeadersOnly),
            "return=representation" => first(&mut self.returned, Returned::Representation),
            "count=exact" => first(&mut self.count, Count::Exact),
            "count=planned" => first(&mut self.count, Count::Planned),
            "count=estimated" => first(&mut self.count, Count::Estimated),
            "resolution=merge-duplicates" => first(&mut self.merge, true),
            "resolution=ignore-duplicates" => first(&mut self.merge, false),
            "missing=default" => first(&mut self.defaults, true),
            "missing=null" => first(&mut self.defaults, false),
            "tx=commit" => first(&mut self.rollback, false),
            "tx=rollback" => first(&mut self.rollback, true),
            "handling=strict" => first(&mut self.strict, true),
            "handling=lenient" => first(&mut self.strict, false),
            other => match other.strip_prefix("max-affected=").map(str::parse) {
                Some(Ok(most)) => first(&mut self.max_affected, most),
                _ => return false,
            },
        }
        true
    }

    /// Value of `preference-applied`.
    pub(super) fn applied(&self, about: About) -> Option<String> {
        let changing = !matches!(about, About::Reading | About::Calling);
        let writing = matches!(about, About::Inserting(_) | About::Updating);
        let mut applied: Vec<String> = Vec::new();
        let mut add = |text: Option<&str>| applied.extend(text.map(str::to_owned));
        add(self
            .merge
            .filter(|_| about == About::Inserting(true))
            .map(|merge| match merge {
                true => "resolution=merge-duplicates",
                false => "resolution=ignore-duplicates",
            }));
        add(self
            .defaults
            .filter(|_| writing)
            .map(|defaults| match defaults {
                true => "missing=default",
                false => "missing=null",
            }));
        add(self
            .returned
            .filter(|_| changing)
            .map(|returned| match returned {
                Returned::Minimal => "return=minimal",
                Returned::HeadersOnly => "return=headers-only",
                Returned::Representation => "return=representation",
            }));
        add(self.count.map(|count| match count {
            Count::Exact => "count=exact",
            Count::Planned => "count=planned",
            Count::Estimated => "count=estimated",
        }));
        add(self.rollback.map(|rollback| match rollback {
            true => "tx=rollback",
            false => "tx=commit",
        }));
        add(self.strict.map(|strict| match strict {
            true => "handling=strict",
            false => "handling=lenient",
        }));
        let limited = matches!(about, About::Updating | About::Deleting | About::Calling);
        if let (Some(most), Some(true), true) = (self.max_affected, self.strict, limited) {
            applied.push(format!("max-affected={most}"));
        }
        (!applied.is_empty()).then(|| applied.join(", "))
    }

    /// Most rows that may be changed.
    pub(super) fn most(&self) -> Option<i64> {
        self.max_affected.filter(|_| self.strict == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Result<Prefer, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", HeaderValue::from_static(value));
        }
        Prefer::of(&headers)
    }

    #[test]
    fn the_first_of_each_counts_and_the_answer_says_which() {
        let prefer = of(&[
            "return=representation, count=exact,resolution=merge-duplicates",
            "resolution=ignore-duplicates, missing=default, nonsense, max-affected=3",
        ])
        .expect("it is right");
        let inserted =
            "resolution=merge-duplicates, missing=default, return=representation, count=exact";
        assert_eq!(
            prefer.applied(About::Inserting(true)).as_deref(),
            Some(inserted)
        );
        assert_eq!(
            prefer.applied(About::Reading).as_deref(),
            Some("count=exact")
        );
        assert_eq!(prefer.most(), None);
        assert_eq!(of(&[]).expect("it is right").applied(About::Deleting), None);
    }

    #[test]
    fn strict_handling_refuses_what_is_unknown() {
        assert!(of(&["handling=strict", "max-affected=1, tx=rollback"]).is_ok());
        for unknown in [
            "nonsense",
            "timezone=UTC",
            "params=single-object",
            "max-affected=many",
        ] {
            assert_eq!(
                of(&["handling=strict", unknown]).expect_err("unknown").code,
                "PGRST122"
            );
        }
    }
}
