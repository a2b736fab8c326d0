//! Functions that policies call: what they are, as far as it matters for compiling.

use std::collections::HashMap;

use super::body::{self, Typed};
use super::compile::Refusal;
use super::value::Type;

/// A function that did not come with Postgres, as the catalog has it.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct FunctionRow {
    /// Its oid.
    pub(crate) oid: u32,
    /// Schema and name, quoted.
    pub(crate) name: String,
    /// The language of its body.
    pub(crate) language: String,
    /// Its body as a text; empty where it is stored as a tree.
    pub(crate) source: String,
    /// The type of its result.
    pub(crate) returns: u32,
    /// A plain function without arguments, of one value, whose settings change nothing but an empty `search_path`.
    pub(crate) plain: bool,
}

/// The functions of a database that policies may call.
#[derive(Debug, Default)]
pub struct Functions {
    rows: HashMap<u32, FunctionRow>,
    /// Nobody sets `request.jwt.claim`.
    pub(crate) claim_is_unset: bool,
    /// Texts of the database are UTF-8, as ours are.
    pub(crate) utf8: bool,
}

impl Functions {
    /// The functions of a database; whether nobody sets `request.jwt.claim` there, and whether its texts are UTF-8.
    pub fn new(rows: Vec<FunctionRow>, claim_is_unset: bool, utf8: bool) -> Self {
        Self {
            rows: rows.into_iter().map(|row| (row.oid, row)).collect(),
            claim_is_unset,
            utf8,
        }
    }

    /// What a call of the function means.
    pub(super) fn known(&self, oid: u32, without_arguments: bool) -> Result<Typed, Refusal> {
        let Some(row) = self.rows.get(&oid) else {
            return Err(format!("function {oid} is not known"));
        };
        let refusal = || format!("function {} is not one that is understood", row.name);
        if !row.plain || row.language != "sql" || !without_arguments {
            return Err(refusal());
        }
        let (expression, of) = body::read(&row.source, self.claim_is_unset).ok_or_else(refusal)?;
        let returns = Type::of(row.returns);
        // Postgres would cast the result of the body.
        if of != returns || of == Type::Other {
            return Err(refusal());
        }
        Ok((expression, of))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn means(source: &str, returns: u32) -> bool {
        let row = FunctionRow {
            oid: 1,
            name: "auth.uid".into(),
            language: "sql".into(),
            source: source.into(),
            returns,
            plain: true,
        };
        Functions::new(vec![row], true, true).known(1, true).is_ok()
    }

    #[test]
    fn the_usual_functions_are_understood_however_they_are_written() {
        for (source, returns) in [
            (
                "select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid;",
                2950,
            ),
            (
                "\n  select\n  coalesce(\n    nullif(current_setting('request.jwt.claim.sub', true), ''),\n    \
                 (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')\n  )::uuid\n",
                2950,
            ),
            (
                "SELECT coalesce(current_setting('request.jwt.claim.role', TRUE), (current_setting('request.jwt.claims', true)::jsonb ->> 'role'))::text",
                25,
            ),
            (
                "select coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb",
                3802,
            ),
            (
                "/* whose */ select ((pg_catalog.current_setting('request.jwt.claims')::json -> 'app_metadata') ->> 'org')::int8 -- so",
                20,
            ),
        ] {
            assert!(means(source, returns), "{source}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for (source, returns) in [
            (
                "select current_setting('request.jwt.claim.sub', true)",
                2950,
            ),
            (
                "select current_setting('request.jwt.claim.sub', false)::uuid",
                2950,
            ),
            ("select current_setting('request.jwt.claim')::jsonb", 3802),
            ("select current_setting('app.user', true)::uuid", 2950),
            (
                "select current_setting('request.jwt.claim.sub', true)::uuid from users",
                2950,
            ),
            (
                "select current_setting('request.jwt.claim.sub', true)::uuid where random() < 0.5",
                2950,
            ),
            (
                "select current_setting('request.jwt.claim.sub', true)::uuid; select null::uuid",
                2950,
            ),
            (
                "select my.current_setting('request.jwt.claim.sub', true)::uuid",
                2950,
            ),
            (
                "select current_setting(E'request.jwt.claim.sub', true)::uuid",
                2950,
            ),
            (
                "select (current_setting('request.jwt.claims', true)::jsonb ->> 'a' || 'b')",
                25,
            ),
            (
                "select current_setting('request.jwt.claims', true)::jsonb ->> 'sub'::uuid",
                2950,
            ),
            (
                "select distinct current_setting('request.jwt.claim.sub', true)::uuid",
                2950,
            ),
            (
                "/* /* */ select nullif('', '') */ select current_setting('request.jwt.claim.sub', true)",
                25,
            ),
            ("", 25),
        ] {
            assert!(!means(source, returns), "{source}");
        }
    }
}
