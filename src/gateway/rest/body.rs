//! Bodies of requests: which members their objects have. Values are left to Postgres.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::errors::Rejection;

/// What a body of JSON is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// One object rather than an array of them.
    pub(super) object: bool,
    /// Members of every object, in the order of their names.
    pub(super) keys: Vec<String>,
    pub(super) rows: usize,
}

/// Reads an object, or an array of objects that all have the same members; with `columns` any members will do.
pub(super) fn read(text: &str, columns: Option<&[String]>) -> Result<Body, Rejection> {
    let mut found = Found {
        same: columns.is_none(),
        ..Found::default()
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Whole(&mut found)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    if let Err(error) = read {
        return Err(Rejection::body(
            match error.to_string().starts_with(UNEQUAL) {
                true => UNEQUAL,
                false => "Empty or invalid json",
            },
        ));
    }
    let keys = match columns {
        Some(columns) => {
            let mut columns = columns.to_vec();
            columns.sort_unstable();
            columns
        }
        None => found.keys.unwrap_or_default().into_iter().collect(),
    };
    if keys.len() > COLUMNS {
        return Err(Rejection::too_much("columns", COLUMNS));
    }
    Ok(Body {
        object: found.object,
        keys,
        rows: found.rows,
    })
}

/// Postgres has no more in a table.
const COLUMNS: usize = 1600;
const UNEQUAL: &str = "All object keys must match";

#[derive(Default)]
struct Found {
    object: bool,
    rows: usize,
    keys: Option<BTreeSet<String>>,
    /// Objects with other members than the first one's are refused.
    same: bool,
}

/// The whole body.
struct Whole<'f>(&'f mut Found);
/// One object.
struct Row<'f>(&'f mut Found);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object = true;
        Row(self.0).visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while rows.next_element_seed(Row(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.rows += 1;
        if !self.0.same {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut keys = BTreeSet::new();
        while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
            keys.insert(key);
        }
        match &self.0.keys {
            Some(first) if *first != keys => Err(A::Error::custom(UNEQUAL)),
            Some(_) => Ok(()),
            None => {
                self.0.keys = Some(keys);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &str) -> Result<Body, String> {
        read(text, None).map_err(|rejection| rejection.message)
    }

    #[test]
    fn objects_and_arrays_of_like_objects_are_read() {
        let body = |object, keys: &[&str], rows| Body {
            object,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            rows,
        };
        assert_eq!(
            keys(r#" {"b":{"x":[1]},"a":null} "#),
            Ok(body(true, &["a", "b"], 1))
        );
        assert_eq!(keys(r#"[{"a":1},{"a":2}]"#), Ok(body(false, &["a"], 2)));
        assert_eq!(keys("[]"), Ok(body(false, &[], 0)));
        assert_eq!(keys("{}"), Ok(body(true, &[], 1)));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(keys(r#"[{"a":1},{"b":2}]"#), Err(UNEQUAL.to_owned()));
        for text in [
            "", "1", "null", "\"x\"", "[1]", "[[{}]]", "{\"a\":}", "{} {}", "{'a':1}",
        ] {
            assert_eq!(
                keys(text),
                Err("Empty or invalid json".to_owned()),
                "{text}"
            );
        }
        assert!(keys(&"[".repeat(100_000)).is_err());
        assert!(keys(&format!("{{\"a\":{}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn columns_that_are_named_count_rather_than_those_of_the_body() {
        let columns = ["b".to_owned(), "a".to_owned()];
        let body = read(r#"[{"a":1},{"c":2}]"#, Some(&columns)).expect("it is right");
        assert_eq!(body.keys, ["a", "b"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\":,a0 ]{0,40}|.*") {
            let _ = read(&text, None);
        }
    }
}
