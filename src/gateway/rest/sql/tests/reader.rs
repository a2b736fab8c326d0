//! A reader of SQL that knows what a statement of ours may consist of, and nothing else.

use std::collections::HashSet;

use super::Checked;
use crate::gateway::rest::catalog::Catalog;

/// Every word that may stand outside quotes.
const WORDS: &str = "select from where and or not as with on join left lateral cross inner order by asc desc nulls first \
    last limit offset null true false is any all exists distinct unknown coalesce nullif cast case when then else end \
    insert into default values do nothing conflict update set excluded delete returning array materialized variadic in \
    like ilike text int4 int8 json jsonb regconfig integer boolean int double precision tsvector \
    pg_catalog count json_agg json_strip_nulls row_to_json to_jsonb string_agg substr length chr current_setting \
    set_config to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery json_to_record \
    json_to_recordset jsonb_to_record jsonb_array_elements json_array_elements jsonb_exists";

/// Every text in single quotes.
const LITERALS: [&str; 7] = [
    "",
    "[]",
    "null",
    "0",
    "response.headers",
    "response.status",
    "dovetail.updated",
];

/// Everything else.
const SIGNS: &str = "(),.:*=<>@&|-~+[]";

/// What is known beforehand.
pub(super) struct Known {
    words: HashSet<&'static str>,
    names: HashSet<String>,
}

impl Known {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut names = HashSet::new();
        for (schema, all) in &catalog.schemas {
            names.insert(schema.clone());
            for relation in all.relations.values() {
                names.insert(relation.name.clone());
                names.extend(relation.columns.iter().map(|column| column.name.clone()));
                for (name, computed) in &relation.computed {
                    names.extend([name.clone(), computed.schema.clone()]);
                }
            }
            for function in all.functions.values().flatten() {
                names.insert(function.name.clone());
                names.extend(
                    function
                        .arguments
                        .iter()
                        .map(|argument| argument.name.clone()),
                );
            }
        }
        Self {
            words: WORDS.split_whitespace().collect(),
            names,
        }
    }
}

/// Whether the statement consists of nothing else.
pub(super) fn check(known: &Known, sql: &Checked) -> Result<(), String> {
    let mut rest = sql.text.as_str();
    let mut before = "";
    while let Some(first) = rest.chars().next() {
        let start = rest;
        match first {
            ' ' => rest = &rest[1..],
            '"' | '\'' => {
                let (text, after) = quoted(rest, first).ok_or("quotes that do not end")?;
                rest = after;
                match first {
                    '\'' if !LITERALS.contains(&&*text) => return Err(format!("literal {text:?}")),
                    // An alias, or the name of a type behind `as`.
                    '"' if before != "as" && !known.names.contains(&text) => {
                        return Err(format!("name {text:?} behind {before:?}"));
                    }
                    _ => {}
                }
                before = "a name";
            }
            '$' => {
                let digits: String = rest[1..].chars().take_while(char::is_ascii_digit).collect();
                let number: usize = digits.parse().map_err(|_| "a dollar without a number")?;
                if number == 0 || number > sql.values {
                    return Err(format!("parameter {number} of {}", sql.values));
                }
                rest = &rest[1 + digits.len()..];
                before = "a parameter";
            }
            'a'..='z' | '_' => {
                let word: &str = start
                    .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .next()
                    .unwrap_or("");
                rest = &rest[word.len()..];
                let numbered = word.len() > 1
                    && "tejso".contains(first)
                    && word[1..].bytes().all(|byte| byte.is_ascii_digit());
                let short = ["t", "e", "j", "s", "m", "b", "r", "c", "v"].contains(&word);
                if !numbered && !short && !known.words.contains(word) {
                    return Err(format!("word {word:?}"));
                }
                before = word;
            }
            '0'..='9' => {
                // Our own few numbers; those of requests are parameters.
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if !["0", "1", "2", "10"].contains(&&*digits) {
                    return Err(format!("number {digits}"));
                }
                rest = &rest[digits.len()..];
                before = "a number";
            }
            sign if SIGNS.contains(sign) => {
                if rest.starts_with("--") || rest.starts_with("/*") {
                    return Err("a comment".to_owned());
                }
                rest = &rest[1..];
                before = "a sign";
            }
            other => return Err(format!("character {other:?}")),
        }
    }
    Ok(())
}

/// What is between quotes, where two of them stand for one, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut inside = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((place, character)) = characters.next() {
        if character != quote {
            inside.push(character);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            inside.push(quote);
            characters.next();
        } else {
            return Some((inside, &text[place + 1..]));
        }
    }
    None
}

#[test]
fn the_reader_sees_what_must_not_be_there() {
    let known = Known::of(&super::made::catalog());
    let check = |text: &str| {
        check(
            &known,
            &Checked {
                text: text.to_owned(),
                values: 1,
            },
        )
    };
    assert_eq!(
        check(r#"select t0."id" as "x ""; y" from "public"."todos" t0 where t0."id" = $1"#),
        Ok(())
    );
    for bad in [
        "select 1; select 1",
        "select \"nope\"",
        "select 'x'",
        "select 1 --",
        "select /* */ 1",
        "select $2",
        "select mArK",
        "select \"id",
        "drop table canary",
        "select 77",
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}
