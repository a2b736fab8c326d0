//! Filters as the original prints them in error messages (postgres.md §2.6).
use std::fmt::Write as _;

use super::grammar::Condition;

/// Beyond this many characters the original's printer puts each filter on a line of its own.
const LINE_WIDTH: usize = 80;

/// `[{"subject", "eq", "hey", false}]`, the `filters` of an error envelope.
#[must_use]
pub fn describe_filters(conditions: &[Condition]) -> String {
    let items: Vec<String> = conditions
        .iter()
        .map(|condition| {
            let mut item = String::from("{");
            push_string(&mut item, &condition.column);
            item.push_str(", ");
            push_string(&mut item, condition.op.as_str());
            item.push_str(", ");
            push_string(&mut item, &condition.value);
            let _ = write!(item, ", {}}}", condition.negate);
            item
        })
        .collect();
    let line = format!("[{}]", items.join(", "));
    if line.chars().count() <= LINE_WIDTH || items.is_empty() {
        return line;
    }
    format!("[\n  {}\n]", items.join(",\n  "))
}

/// `nil` or `["id", "details"]`, the `select` of an error envelope.
#[must_use]
pub fn describe_select(columns: Option<&[String]>) -> String {
    columns.map_or_else(|| "nil".to_owned(), string_list)
}

/// A list of quoted strings.
pub(super) fn string_list(strings: &[String]) -> String {
    let mut list = String::from("[");
    for (index, string) in strings.iter().enumerate() {
        if index > 0 {
            list.push_str(", ");
        }
        push_string(&mut list, string);
    }
    list.push(']');
    list
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // An interpolation would otherwise begin here.
            '#' if characters.peek() == Some(&'{') => out.push_str("\\#"),
            other if other.is_control() => {
                let _ = write!(out, "\\x{:02X}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::filter::parse;

    #[test]
    fn prints_filters_and_selections_as_the_original() {
        let shown = |text: &str| describe_filters(&parse(text).unwrap_or_default());
        assert_eq!(shown(""), "[]");
        assert_eq!(
            shown("subject=eq.hey"),
            r#"[{"subject", "eq", "hey", false}]"#
        );
        assert_eq!(shown("id=not.in.(1,2)"), r#"[{"id", "in", "{1,2}", true}]"#);
        assert_eq!(
            shown("a=eq.x\"\\#{y"),
            r##"[{"a", "eq", "x\"\\\#{y", false}]"##
        );
        assert_eq!(describe_select(None), "nil");
        assert_eq!(
            describe_select(Some(&["id".to_owned(), "details".to_owned()])),
            r#"["id", "details"]"#
        );
    }

    #[test]
    fn puts_long_lists_on_lines_of_their_own() {
        let text = format!("a=eq.{0},b=eq.{0}", "x".repeat(40));
        let shown = describe_filters(&parse(&text).unwrap_or_default());
        assert!(shown.starts_with("[\n  {\"a\", "), "{shown}");
        assert_eq!(shown.lines().count(), 4);
    }
}
