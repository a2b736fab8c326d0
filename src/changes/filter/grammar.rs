//! The text of a `filter` (postgres.md §2.3).
//!
//! Parsing is byte-wise over UTF-8: every character with a meaning is ASCII, so no character is ever cut.

/// An operator, in the order of the original's enum `realtime.equality_op`, by which filters are sorted (§1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `=`
    Eq,
    /// `<>`
    Neq,
    /// `<`
    Lt,
    /// `<=`
    Lte,
    /// `>`
    Gt,
    /// `>=`
    Gte,
    /// `= any`
    In,
    /// `LIKE`
    Like,
    /// `ILIKE`
    Ilike,
    /// `IS` null, true, false, unknown
    Is,
    /// `~`
    Match,
    /// `~*`
    Imatch,
    /// `IS DISTINCT FROM`
    IsDistinct,
}

impl Op {
    /// The word in the grammar.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::In => "in",
            Self::Like => "like",
            Self::Ilike => "ilike",
            Self::Is => "is",
            Self::Match => "match",
            Self::Imatch => "imatch",
            Self::IsDistinct => "isdistinct",
        }
    }

    /// Exact, lower case (§2.3.7).
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "in" => Self::In,
            "like" => Self::Like,
            "ilike" => Self::Ilike,
            "is" => Self::Is,
            "match" => Self::Match,
            "imatch" => Self::Imatch,
            "isdistinct" => Self::IsDistinct,
            _ => return None,
        })
    }
}

/// One segment of a filter. Ordered as the original sorts them: column, operator, value, negation (§2.5.8).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    /// Column name, verbatim.
    pub column: String,
    /// Operator.
    pub op: Op,
    /// The value; for [`Op::In`] the text of a Postgres array literal, `{…}`.
    pub value: String,
    /// Prefix `not.` was there.
    pub negate: bool,
}

/// A filter that does not follow the grammar. Displays the whole message (§2.3.13).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No `=`, no dot, or an unknown operator: the parts that were found.
    #[error("Error parsing `filter` params: {}", super::describe::string_list(.0))]
    Malformed(Vec<String>),
    /// Two commas in a row, or one at an end.
    #[error(
        "Error parsing `filter` params: filter must not contain empty segments (check for extra commas)"
    )]
    EmptySegment,
    /// `in` without parentheses.
    #[error("Error parsing `filter` params: `in` filter value must be wrapped by parentheses")]
    InWithoutParentheses,
}

/// Parses the text of a `filter`. A blank text is no filter.
///
/// # Errors
/// [`FilterError`] for the first bad segment.
pub fn parse(text: &str) -> Result<Vec<Condition>, FilterError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    split_segments(text)
        .map(|segment| parse_segment(segment.trim()))
        .collect()
}

/// Splits at commas outside parentheses and quotes (§2.3.2–4).
fn split_segments(text: &str) -> impl Iterator<Item = &str> {
    let mut splitter = Splitter::default();
    text.split(move |character| splitter.is_boundary(character))
}

#[derive(Default)]
struct Splitter {
    depth: usize,
    quoted: bool,
    escaped: bool,
    previous: Option<char>,
}

impl Splitter {
    fn is_boundary(&mut self, character: char) -> bool {
        if self.escaped {
            self.escaped = false;
        } else if self.quoted {
            match character {
                '\\' => self.escaped = true,
                '"' => self.quoted = false,
                _ => {}
            }
        } else {
            match character {
                '"' if matches!(self.previous, Some('.' | '(' | ',')) => self.quoted = true,
                '(' => self.depth += 1,
                ')' => self.depth = self.depth.saturating_sub(1),
                ',' if self.depth == 0 => {
                    self.previous = None;
                    return true;
                }
                _ => {}
            }
        }
        self.previous = Some(character);
        false
    }
}

fn parse_segment(segment: &str) -> Result<Condition, FilterError> {
    if segment.is_empty() {
        return Err(FilterError::EmptySegment);
    }
    let (column, rest) = segment
        .split_once('=')
        .ok_or_else(|| FilterError::Malformed(vec![segment.to_owned()]))?;
    let (negate, rest) = match rest.strip_prefix("not.") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (word, value) = rest
        .split_once('.')
        .ok_or_else(|| FilterError::Malformed(vec![rest.to_owned()]))?;
    let op = Op::from_word(word)
        .ok_or_else(|| FilterError::Malformed(vec![word.to_owned(), value.to_owned()]))?;
    let value = if op == Op::In {
        let inside = value
            .strip_prefix('(')
            .and_then(|value| value.strip_suffix(')'))
            .ok_or(FilterError::InWithoutParentheses)?;
        format!("{{{inside}}}")
    } else {
        unquote(value)
    };
    Ok(Condition {
        column: column.to_owned(),
        op,
        value,
        negate,
    })
}

/// Takes the quotes off a value that is quoted as a whole; any other value is meant verbatim (§2.3.10).
fn unquote(value: &str) -> String {
    unquoted(value).unwrap_or_else(|| value.to_owned())
}

fn unquoted(value: &str) -> Option<String> {
    let mut characters = value.strip_prefix('"')?.chars();
    let mut inside = String::with_capacity(value.len());
    while let Some(character) = characters.next() {
        match character {
            '"' => return characters.as_str().is_empty().then_some(inside),
            '\\' => inside.push(characters.next()?),
            other => inside.push(other),
        }
    }
    None
}

#[cfg(test)]
#[path = "grammar_tests.rs"]
mod tests;
