//! Array literals of Postgres, `{a,"b c",NULL}`: the values of an `in` filter (postgres.md §2.3.9).
//!
//! Reads what `array_in` reads, for elements separated by commas: blanks around elements, quotes, backslashes,
//! NULL in any case, sub-arrays and explicit bounds. The literal has usually been validated by Postgres already,
//! so this only has to agree on what it accepts; it never panics on anything else.

/// The text is not an array literal; Postgres says `malformed array literal: "…"` (22P02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed array literal")]
pub struct ArrayError;

/// The elements of an array literal, sub-arrays flattened as `= any` does; `None` is a NULL element.
///
/// # Errors
/// [`ArrayError`] when braces, quotes or commas do not fit.
pub fn parse_array(literal: &str) -> Result<Vec<Option<String>>, ArrayError> {
    let mut reader = Reader {
        rest: skip_bounds(literal.trim_matches(is_blank))?,
    };
    let mut elements = Vec::new();
    let mut level = 0_usize;
    let mut expects_value = true;
    let mut just_opened = false;
    loop {
        reader.skip_blanks();
        match reader.peek().ok_or(ArrayError)? {
            '}' if level > 0 && (!expects_value || just_opened) => {
                reader.advance();
                level -= 1;
                expects_value = false;
                just_opened = false;
                if level == 0 {
                    reader.skip_blanks();
                    return if reader.rest.is_empty() {
                        Ok(elements)
                    } else {
                        Err(ArrayError)
                    };
                }
            }
            ',' if level > 0 && !expects_value => {
                reader.advance();
                expects_value = true;
            }
            '{' if expects_value => {
                reader.advance();
                level += 1;
                just_opened = true;
            }
            _ if level > 0 && expects_value => {
                elements.push(reader.element()?);
                expects_value = false;
                just_opened = false;
            }
            _ => return Err(ArrayError),
        }
    }
}

/// `[1:2]={…}`.
fn skip_bounds(literal: &str) -> Result<&str, ArrayError> {
    if !literal.starts_with('[') {
        return Ok(literal);
    }
    let (bounds, rest) = literal.split_once('=').ok_or(ArrayError)?;
    let plain = bounds
        .chars()
        .all(|c| c.is_ascii_digit() || is_blank(c) || matches!(c, '[' | ']' | ':' | '+' | '-'));
    if plain { Ok(rest) } else { Err(ArrayError) }
}

/// What Postgres' scanner takes for white space.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(is_blank);
    }

    fn element(&mut self) -> Result<Option<String>, ArrayError> {
        if self.peek() == Some('"') {
            self.advance();
            return self.quoted().map(Some);
        }
        let mut value = String::new();
        // Blanks at the end are dropped unless a backslash made them part of the value.
        let mut kept = 0;
        let mut escaped = false;
        loop {
            match self.peek().ok_or(ArrayError)? {
                ',' | '}' => break,
                '{' | '"' => return Err(ArrayError),
                '\\' => {
                    self.advance();
                    value.push(self.advance().ok_or(ArrayError)?);
                    kept = value.len();
                    escaped = true;
                }
                other => {
                    self.advance();
                    value.push(other);
                    if !is_blank(other) {
                        kept = value.len();
                    }
                }
            }
        }
        value.truncate(kept);
        if value.is_empty() {
            return Err(ArrayError);
        }
        let is_null = !escaped && value.eq_ignore_ascii_case("null");
        Ok((!is_null).then_some(value))
    }

    fn quoted(&mut self) -> Result<String, ArrayError> {
        let mut value = String::new();
        loop {
            match self.advance().ok_or(ArrayError)? {
                '"' => return Ok(value),
                '\\' => value.push(self.advance().ok_or(ArrayError)?),
                other => value.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(literal: &str) -> Option<Vec<Option<String>>> {
        parse_array(literal).ok()
    }

    fn some(values: &[&str]) -> Option<Vec<Option<String>>> {
        Some(
            values
                .iter()
                .map(|value| Some((*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn reads_plain_quoted_and_escaped_elements() {
        assert_eq!(elements("{}"), some(&[]));
        assert_eq!(elements("{ }"), some(&[]));
        assert_eq!(elements("{a, b c ,d}"), some(&["a", "b c", "d"]));
        assert_eq!(
            elements(r#"{"a,b","c\"d","",e\,f}"#),
            some(&["a,b", "c\"d", "", "e,f"])
        );
        assert_eq!(elements(r"{a\ }"), some(&["a "]));
    }

    #[test]
    fn null_is_null_in_any_case_unless_quoted_or_escaped() {
        assert_eq!(elements("{NULL,null,nUlL}"), Some(vec![None, None, None]));
        assert_eq!(elements(r#"{"NULL",\null}"#), some(&["NULL", "null"]));
    }

    #[test]
    fn flattens_sub_arrays_and_skips_bounds() {
        assert_eq!(elements("{{1,2},{3,4}}"), some(&["1", "2", "3", "4"]));
        assert_eq!(elements("[2:3]={1,2}"), some(&["1", "2"]));
    }

    #[test]
    fn refuses_what_postgres_calls_malformed() {
        for literal in [
            "", "{", "}", "{a,,b}", "{a,}", "{,a}", "{a}b", "a", "{a\"b\"}", "{\"a\"b}", "{a\\",
            "[x]={1}", "{}{}",
        ] {
            assert_eq!(elements(literal), None, "{literal}");
        }
    }
}
