//! SQL text that carries values.

/// A quoted string; correct under `standard_conforming_strings = on`, which every connection that uses it pins.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
