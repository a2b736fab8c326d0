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
