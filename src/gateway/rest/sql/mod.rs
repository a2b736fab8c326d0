//! Writes one statement for a plan. Pure.
//!
//! Its text depends on the shape of a request only: every value is a parameter. Names come from the catalog, or are
//! aliases of results; all of them are quoted ([`Sql::name`]). Everything else is written in this folder. Names of
//! relations inside a statement are made of a letter and a number: `t` of a node's relation, `j` of one between two,
//! `e` of what is embedded; `s` is the result of a change or a call, `m` what is changed, `b` the body, `r` a row.

mod call;
mod condition;
mod mutation;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write;

use super::media::Form;
use super::plan::{Call, Mutation, Node};

/// A statement and its parameters, which Postgres reads as text.
#[derive(Debug, Default)]
pub(super) struct Sql<'a> {
    pub(super) text: String,
    pub(super) values: Vec<Cow<'a, str>>,
}

/// What is to be answered of the rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// None: nothing but their number.
    pub(super) form: Option<Form>,
    /// How many there are without a limit.
    pub(super) count: bool,
}

impl<'a> Sql<'a> {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A name between double quotes.
    fn name(&mut self, name: &str) {
        self.text.push('"');
        for letter in name.chars() {
            if letter == '"' {
                self.text.push('"');
            }
            self.text.push(letter);
        }
        self.text.push('"');
    }

    /// A statement without a parameter would get a plan that is kept, for other callers too.
    fn finished(mut self) -> Self {
        if self.values.is_empty() {
            self.push(" where ");
            self.value("");
            self.push("::text is not null");
        }
        self
    }

    fn names(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for (place, name) in names.into_iter().enumerate() {
            if place > 0 {
                self.push(", ");
            }
            self.name(name);
        }
    }

    fn qualified(&mut self, schema: &str, name: &str) {
        self.name(schema);
        self.push(".");
        self.name(name);
    }

    /// A letter and a number.
    fn part(&mut self, letter: &str, number: usize) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{letter}{number}");
    }

    /// A parameter with this value.
    fn value(&mut self, value: impl Into<Cow<'a, str>>) {
        self.values.push(value.into());
        self.part("$", self.values.len());
    }
}

/// Reads rows.
pub(super) fn read<'a>(node: &Node<'a>, wish: Wish) -> Sql<'a> {
    let mut sql = Sql::default();
    read::statement(&mut sql, node, wish);
    sql.finished()
}

/// Changes rows, and reads what they have become.
pub(super) fn mutation<'a>(
    mutation: &Mutation<'a>,
    node: &Node<'a>,
    wish: Wish,
    location: bool,
) -> Sql<'a> {
    let mut sql = Sql::default();
    mutation::statement(&mut sql, mutation, node, wish, location);
    sql.finished()
}

/// Calls a function, and reads its result.
pub(super) fn call<'a>(call: &Call<'a>, node: &Node<'a>, wish: Wish) -> Sql<'a> {
    let mut sql = Sql::default();
    call::statement(&mut sql, call, node, wish);
    sql.finished()
}
