//! Reads the bodies of functions like `auth.uid()`: one expression over settings. Whatever the function is called, its
//! meaning is what counts; and whatever is not understood to the last sign is not compiled.
//!
//! ```text
//! body    = "select" value [ ";" ]
//! value   = cast { ( "->>" | "->" ) cast }
//! cast    = atom { "::" type }
//! atom    = text | "(" value ")" | name "(" value { "," value } ")"
//! ```

use super::expression::{Expression, Setting};
use super::value::{Type, Value};

/// An expression and its type.
pub(super) type Typed = (Expression, Type);

/// The value of a setting, if it is known.
pub(super) fn setting(name: &str, claim_is_unset: bool) -> Option<Expression> {
    let setting = match name.to_ascii_lowercase().as_str() {
        "request.jwt.claims" => Setting::Claims,
        "request.jwt.claim.sub" => Setting::Sub,
        "request.jwt.claim.role" => Setting::Role,
        "request.jwt.claim" if claim_is_unset => Setting::Unset,
        _ => return None,
    };
    Some(Expression::Setting(setting))
}

/// The expression that `body` selects; `None` if it is anything else.
pub(super) fn read(body: &str, claim_is_unset: bool) -> Option<Typed> {
    let mut reader = Reader {
        rest: body,
        claim_is_unset,
        depth: 0,
    };
    if reader.name()? != "select" {
        return None;
    }
    let value = reader.value()?;
    reader.eat(";");
    reader.skip();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    claim_is_unset: bool,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Past spaces and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self
                .rest
                .trim_start_matches(|sign: char| sign.is_ascii_whitespace());
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*")
                && let Some((inside, rest)) = comment.split_once("*/")
                // Comments nest.
                && !inside.contains("/*")
            {
                self.rest = rest;
            } else {
                return;
            }
        }
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A name without quotes, in lower case.
    fn name(&mut self) -> Option<String> {
        self.skip();
        let end = self
            .rest
            .find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        let begins = name.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_');
        if !begins || rest.starts_with(['"', '\'', '$']) {
            return None;
        }
        self.rest = rest;
        Some(name.to_ascii_lowercase())
    }

    /// A name that may be qualified with `pg_catalog`, in which everything here lives.
    fn known_name(&mut self) -> Option<String> {
        let name = self.name()?;
        if name == "pg_catalog" && self.eat(".") {
            return self.name();
        }
        Some(name)
    }

    fn text(&mut self) -> Option<String> {
        if !self.eat("'") {
            return None;
        }
        let mut text = String::new();
        loop {
            let (part, rest) = self.rest.split_once('\'')?;
            text.push_str(part);
            match rest.strip_prefix('\'') {
                Some(rest) => {
                    text.push('\'');
                    self.rest = rest;
                }
                None => {
                    self.rest = rest;
                    return Some(text);
                }
            }
        }
    }

    fn value(&mut self) -> Option<Typed> {
        self.depth += 1;
        if self.depth > 20 {
            return None;
        }
        let (mut value, mut of) = self.cast()?;
        loop {
            let text = if self.eat("->>") {
                true
            } else if self.eat("->") {
                false
            } else {
                break;
            };
            if of != Type::Json {
                return None;
            }
            value = Expression::Member {
                of: Box::new(value),
                name: self.text()?.into(),
                text,
            };
            of = if text { Type::Text } else { Type::Json };
        }
        self.depth -= 1;
        Some((value, of))
    }

    fn cast(&mut self) -> Option<Typed> {
        let (mut value, mut of) = self.atom()?;
        while self.eat("::") {
            let to = match self.known_name()?.as_str() {
                "uuid" => Type::Uuid,
                "text" => Type::Text,
                "json" | "jsonb" => Type::Json,
                "int4" | "integer" | "int" => Type::Int4,
                "int8" | "bigint" => Type::Int8,
                "bool" | "boolean" => Type::Bool,
                _ => return None,
            };
            // From text only: other casts are functions, of which some round or refuse.
            if of != Type::Text && of != to {
                return None;
            }
            value = Expression::Cast(Box::new(value), to);
            of = to;
        }
        Some((value, of))
    }

    fn atom(&mut self) -> Option<Typed> {
        self.skip();
        if self.rest.starts_with('\'') {
            return Some((
                Expression::Constant(Value::Text(self.text()?.into())),
                Type::Text,
            ));
        }
        if self.eat("(") {
            let value = self.value()?;
            return self.eat(")").then_some(value);
        }
        let name = self.known_name()?;
        if !self.eat("(") {
            return None;
        }
        let value = match name.as_str() {
            "current_setting" => {
                let setting = setting(&self.text()?, self.claim_is_unset)?;
                let missing_ok = self.eat(",");
                if missing_ok && self.name()? != "true" {
                    return None;
                }
                // Otherwise a setting that nobody set is an error.
                if !missing_ok && setting == Expression::Setting(Setting::Unset) {
                    return None;
                }
                (setting, Type::Text)
            }
            "nullif" => {
                let (one, of) = self.value()?;
                if !self.eat(",") {
                    return None;
                }
                let (other, other_of) = self.value()?;
                if of != Type::Text || other_of != Type::Text {
                    return None;
                }
                (Expression::NullIf(Box::new(one), Box::new(other)), of)
            }
            "coalesce" => {
                let (first, of) = self.value()?;
                let mut parts = vec![first];
                while self.eat(",") {
                    let (part, part_of) = self.value()?;
                    if part_of != of {
                        return None;
                    }
                    parts.push(part);
                }
                (Expression::Coalesce(parts), of)
            }
            _ => return None,
        };
        self.eat(")").then_some(value)
    }
}
