//! Claims as Postgres sees them through `json` and `jsonb`, read so strictly that both agree with us: a text that they would
//! refuse, or read differently from each other, is not read at all.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value of the claims.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// Of which all writings agree.
    Integer(String),
    /// Any other number: how it is written depends on who writes it.
    Number,
    Text(String),
    Array,
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The text as an object; `None` if it is none, or if there could be two opinions about it.
    pub(super) fn object(text: &str) -> Option<Self> {
        let value: Self = serde_json::from_str(text).ok()?;
        matches!(value, Self::Object(_)).then_some(value)
    }

    /// The member of that name, of an object that has it.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let found = members.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

/// Postgres has no text with a NUL in it.
fn plain<E: Error>(text: String) -> Result<String, E> {
    match text.contains('\0') {
        true => Err(E::custom("a NUL")),
        false => Ok(text),
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.to_string()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        plain(value.to_owned()).map(Json::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        while items.next_element::<Json>()?.is_some() {}
        Ok(Json::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some((name, value)) = entries.next_entry::<String, Json>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a name twice"));
            }
            members.push((plain(name)?, value));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_json_and_jsonb_may_see_differently_is_not_read() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e400}"#,
            r#"[1]"#,
            r#""text""#,
            "{",
        ] {
            assert_eq!(Json::object(text), None, "{text}");
        }
    }

    #[test]
    fn members_are_found() {
        let claims = Json::object(r#"{"sub":"a","n":-5,"f":1.50,"o":{"k":null},"l":[1]}"#).unwrap();
        assert_eq!(claims.member("sub"), Some(&Json::Text("a".into())));
        assert_eq!(claims.member("n"), Some(&Json::Integer("-5".into())));
        assert_eq!(claims.member("f"), Some(&Json::Number));
        assert_eq!(claims.member("l"), Some(&Json::Array));
        assert_eq!(claims.member("o").unwrap().member("k"), Some(&Json::Null));
        assert_eq!(claims.member("none"), None);
    }
}
