//! Reads one setting at a time and collects what is wrong instead of stopping.
//!
//! An empty variable is an unset one (postgres.md §6.2 rule 2), the default comes from the table, and
//! a value is repeated in a problem only when the table does not call it a secret.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Secret;
use super::problems::Problem;
use super::settings::{Setting, setting};

/// Finds the raw value of a variable: flags before environment. `Err` means it is not UTF-8.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Result<Option<String>, NotUnicode>;

/// A variable is set to bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnicode;

pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    #[cfg(test)]
    pub(super) asked: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: Lookup<'a>) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
            warnings: Vec::new(),
            #[cfg(test)]
            asked: Vec::new(),
        }
    }

    pub(super) fn problem(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(Problem {
            name,
            what: what.into(),
            fix: fix.into(),
        });
    }

    /// The value as it is, an empty one included.
    pub(super) fn raw(&mut self, name: &'static str) -> Option<String> {
        #[cfg(test)]
        self.asked.push(name);
        match (self.lookup)(name) {
            Ok(value) => value,
            Err(NotUnicode) => {
                self.problem(name, "is not valid UTF-8", "write it in UTF-8");
                None
            }
        }
    }

    /// Whether a value was given that is not empty. Asking is not reading.
    pub(super) fn is_set(&self, name: &str) -> bool {
        (self.lookup)(name).is_ok_and(|value| value.is_some_and(|value| !value.trim().is_empty()))
    }

    /// The value as it is, none when empty. For passwords and secrets, where blanks count.
    pub(super) fn exact(&mut self, name: &'static str) -> Option<String> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.exact(name).map(Secret::new)
    }

    /// The value without surrounding blanks, none when nothing is left.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        let value = self.raw(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The value or the default of the table.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        let given = self.optional(name);
        given.unwrap_or_else(|| default(name).to_owned())
    }

    /// What `parse` makes of the value. A wrong value is a problem and counts as unset.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        fix: impl FnOnce() -> String,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.optional(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            let what = match setting(name) {
                Some(Setting { secret: false, .. }) => format!("is \"{value}\", not {expected}"),
                _ => format!("is not {expected}"),
            };
            self.problem(name, what, fix());
        }
        parsed
    }

    /// The same with the default of the table, which `parse` must accept; `last` is what remains if
    /// the table is wrong, which a test excludes.
    fn defaulted<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        last: T,
        parse: impl Fn(&str) -> Option<T>,
    ) -> T {
        let fix = || format!("write {expected}, or leave it out for {}", default(name));
        self.parsed(name, expected, fix, &parse)
            .or_else(|| parse(default(name)))
            .unwrap_or(last)
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> u64 {
        let expected = whole(&bounds);
        let last = *bounds.start();
        self.defaulted(name, &expected, last, |text| {
            decimal(text).filter(|number| bounds.contains(number))
        })
    }

    /// A whole number that fits memory sizes and counts of this machine.
    pub(super) fn size(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> usize {
        usize::try_from(self.number(name, bounds)).unwrap_or(usize::MAX)
    }

    /// Milliseconds, up to a week.
    pub(super) fn millis(&mut self, name: &'static str, least: u64) -> Duration {
        const WEEK: u64 = 7 * 24 * 3600 * 1000;
        Duration::from_millis(self.number(name, least..=WEEK))
    }

    /// `true`/`1`/`yes`/`on` and their opposites in any case (postgres.md §6.2 rule 1, and more).
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.defaulted(name, "true or false", false, boolean)
    }

    /// One of some words, in any case.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
        last: T,
    ) -> T {
        let expected = one_of(words);
        self.defaulted(name, &expected, last, |text| word(words, text))
    }

    /// One of some words, or nothing.
    pub(super) fn maybe_choice<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let expected = one_of(words);
        let fix = || format!("write {expected}, or leave it out");
        self.parsed(name, &expected, fix, |text| word(words, text))
    }

    /// A whole number within bounds, or nothing.
    pub(super) fn maybe_number(
        &mut self,
        name: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Option<u64> {
        let expected = whole(&bounds);
        let fix = || format!("write {expected}, or leave it out");
        self.parsed(name, &expected, fix, |text| {
            decimal(text).filter(|number| bounds.contains(number))
        })
    }

    /// Words between commas; empty ones are left out.
    pub(super) fn secrets(&mut self, name: &'static str) -> Vec<Secret> {
        let list = self.optional(name).unwrap_or_default();
        list.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(Secret::new)
            .collect()
    }
}

fn default(name: &str) -> &'static str {
    setting(name).map_or("", |setting| setting.default)
}

/// Digits only: no sign, no blanks, no separators.
fn decimal(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "y" | "t" => Some(true),
        "false" | "0" | "no" | "off" | "n" | "f" => Some(false),
        _ => None,
    }
}

fn word<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
}

fn one_of<T>(words: &[(&str, T)]) -> String {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    match words.as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        words => words.concat(),
    }
}

fn whole(bounds: &RangeInclusive<u64>) -> String {
    let (start, end) = (bounds.start(), bounds.end());
    match end {
        &u64::MAX => format!("a whole number from {start}"),
        _ => format!("a whole number from {start} to {end}"),
    }
}
