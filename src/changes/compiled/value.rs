//! Values of the few types whose text output and equality are known, and the casts between them.

use std::borrow::Cow;

use super::Unsure;
use super::json::Json;

/// A type of Postgres that compiled policies know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    /// `int2`, `int4`, `int8`: the largest and smallest value is what they differ in.
    Int2,
    Int4,
    Int8,
    /// `text`, and `varchar`, which is `text` with another name.
    Text,
    Uuid,
    /// `json` and `jsonb`: what is read of claims is the same in both.
    Json,
    /// Anything else: only whether it is NULL can be said.
    Other,
}

impl Type {
    pub(super) fn of(oid: u32) -> Self {
        match oid {
            16 => Self::Bool,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            25 | 1043 => Self::Text,
            2950 => Self::Uuid,
            114 | 3802 => Self::Json,
            _ => Self::Other,
        }
    }

    fn range(self) -> std::ops::RangeInclusive<i64> {
        match self {
            Self::Int2 => i64::from(i16::MIN)..=i64::from(i16::MAX),
            Self::Int4 => i64::from(i32::MIN)..=i64::from(i32::MAX),
            _ => i64::MIN..=i64::MAX,
        }
    }
}

/// A value. Two of one type are equal when Postgres says so, under any deterministic collation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uuid(u128),
    Text(Cow<'a, str>),
    Json(Document<'a>),
    /// Of a type that is not known, not NULL.
    Opaque,
}

/// A part of the claims; they are never compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a>(pub(super) &'a Json);

impl PartialEq for Document<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Document<'_> {}

impl std::hash::Hash for Document<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.0, state);
    }
}

impl<'a> Value<'a> {
    /// A value of a row, from the text that Postgres writes for it.
    pub(super) fn of_row(text: &'a str, of: Type) -> Result<Self, Unsure> {
        match of {
            Type::Text => Ok(Self::Text(Cow::Borrowed(text))),
            Type::Bool => match text {
                "t" => Ok(Self::Bool(true)),
                "f" => Ok(Self::Bool(false)),
                _ => Err(Unsure),
            },
            Type::Uuid => uuid(text).map(Self::Uuid).ok_or(Unsure),
            Type::Int2 | Type::Int4 | Type::Int8 => integer(text, of).map(Self::Int).ok_or(Unsure),
            Type::Json | Type::Other => Ok(Self::Opaque),
        }
    }

    /// `value::type` where the result is known for sure. What Postgres may refuse, or read in a way of its own, is not.
    pub(super) fn cast(self, to: Type) -> Result<Self, Unsure> {
        match (self, to) {
            (Self::Null, _) => Ok(Self::Null),
            (Self::Text(text), Type::Text) => Ok(Self::Text(text)),
            (Self::Text(text), Type::Uuid) => uuid(&text).map(Self::Uuid).ok_or(Unsure),
            (Self::Text(text), Type::Int2 | Type::Int4 | Type::Int8) => {
                integer(&text, to).map(Self::Int).ok_or(Unsure)
            }
            (Self::Text(text), Type::Bool) => match &*text {
                "true" | "t" => Ok(Self::Bool(true)),
                "false" | "f" => Ok(Self::Bool(false)),
                _ => Err(Unsure),
            },
            (Self::Int(number), Type::Int2 | Type::Int4 | Type::Int8) => {
                let fits = to.range().contains(&number);
                fits.then_some(Self::Int(number)).ok_or(Unsure)
            }
            (Self::Int(number), Type::Text) => Ok(Self::Text(number.to_string().into())),
            (Self::Uuid(number), Type::Text) => Ok(Self::Text(
                uuid::Uuid::from_u128(number)
                    .hyphenated()
                    .to_string()
                    .into(),
            )),
            (Self::Uuid(number), Type::Uuid) => Ok(Self::Uuid(number)),
            (Self::Bool(value), Type::Bool) => Ok(Self::Bool(value)),
            (Self::Json(part), Type::Json) => Ok(Self::Json(part)),
            _ => Err(Unsure),
        }
    }

    /// The same, not borrowed from anything; parts of the claims are not kept.
    pub(super) fn owned(self) -> Result<Value<'static>, Unsure> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(number) => Value::Int(number),
            Self::Uuid(number) => Value::Uuid(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Json(_) | Self::Opaque => return Err(Unsure),
        })
    }
}

/// A UUID in the form in which Postgres writes it; upper case is the same. Other forms are Postgres' to read.
fn uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    uuid::Uuid::try_parse(text).ok().map(|uuid| uuid.as_u128())
}

/// An integer in the form in which Postgres writes it.
fn integer(text: &str, of: Type) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    let canonical = number.to_string() == text;
    (canonical && of.range().contains(&number)).then_some(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    #[test]
    fn only_the_plain_form_of_a_value_is_cast() {
        let id = "c28eb51b-b6ad-b460-f09b-e83290547d03";
        let value = text(id).cast(Type::Uuid).unwrap();
        assert_eq!(text(&id.to_uppercase()).cast(Type::Uuid), Ok(value.clone()));
        assert_eq!(value.cast(Type::Text), Ok(text(id)));
        for odd in [
            "",
            "x",
            "c28eb51bb6adb460f09be83290547d03",
            "{c28eb51b-b6ad-b460-f09b-e83290547d03}",
            "c28eb51b-b6ad-b460-f09b-e83290547d0 ",
            "c28eb51bb-6ad-b460-f09b-e83290547d03",
        ] {
            assert_eq!(text(odd).cast(Type::Uuid), Err(Unsure), "{odd}");
        }
        for odd in [
            "", " 1", "1 ", "+1", "01", "-0", "1.0", "0x1", "1_0", "32768",
        ] {
            assert_eq!(text(odd).cast(Type::Int2), Err(Unsure), "{odd}");
        }
        assert_eq!(text("-32768").cast(Type::Int2), Ok(Value::Int(-32768)));
        for odd in ["TRUE", "yes", "1", " true", ""] {
            assert_eq!(text(odd).cast(Type::Bool), Err(Unsure), "{odd}");
        }
    }
}
