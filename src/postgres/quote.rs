//! SQL text that carries values.

/// A quoted string. Every connection that uses it pins `standard_conforming_strings`, but it does not rely on that: a
/// policy's function may have changed the setting in the transaction that the text is sent into.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        // The blank keeps it apart from a word in front.
        return format!(" E'{}'", quoted.replace('\\', r"\\"));
    }
    format!("'{quoted}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_end_no_string() {
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal(r"\'; --"), r" E'\\''; --'");
    }
}
