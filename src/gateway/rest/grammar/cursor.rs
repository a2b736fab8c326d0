//! A place in a text that is being read; moves forwards only, and never leaves a character's boundary.

use crate::gateway::rest::errors::Rejection;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    /// What the text is called in errors.
    what: &'static str,
    whole: &'a str,
    rest: &'a str,
}

/// What a grammar answers.
pub(super) type Parsed<T> = Result<T, Rejection>;

impl<'a> Cursor<'a> {
    pub(super) fn new(what: &'static str, whole: &'a str) -> Self {
        Self {
            what,
            whole,
            rest: whole,
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// The next character, behind which it is afterwards.
    pub(super) fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next()?;
        self.rest = characters.as_str();
        Some(next)
    }

    /// Moves behind this if it comes next.
    pub(super) fn eat(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Moves behind this or says that it is missing.
    pub(super) fn expect(&mut self, wanted: &str) -> Parsed<()> {
        match self.eat(wanted) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("\"{wanted}\""))),
        }
    }

    /// As many characters as are accepted, perhaps none.
    pub(super) fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'a str {
        let taken = self.rest.trim_start_matches(accepts);
        let length = self.rest.len() - taken.len();
        let text = self.rest.get(..length).unwrap_or_default();
        self.rest = taken;
        text
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// A value between double quotes, in which a backslash makes the next character stand for itself.
    ///
    /// None, and no move, where it does not begin or end so.
    pub(super) fn quoted(&mut self) -> Option<String> {
        let mut ahead = self.clone();
        if !ahead.eat("\"") {
            return None;
        }
        let mut text = String::new();
        loop {
            match ahead.next()? {
                '"' => break,
                '\\' => text.push(ahead.next()?),
                other => text.push(other),
            }
        }
        *self = ahead;
        Some(text)
    }

    /// The refusal of what comes next.
    pub(super) fn unexpected(&self, expected: &str) -> Rejection {
        let next = match self.peek() {
            Some(next) => format!("\"{next}\""),
            None => "end of input".to_owned(),
        };
        let details = format!("unexpected {next} expecting {expected}");
        let read = self.whole.len() - self.rest.len();
        let read = self.whole.get(..read).unwrap_or_default();
        Rejection::grammar(self.what, self.whole, read.chars().count() + 1, details)
    }
}
