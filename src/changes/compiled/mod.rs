//! Policies that need not be asked about: where every node of the stored expression is one whose meaning is known, it is
//! evaluated here, over the row's image and what the claims say.
//!
//! A compiled policy is a shortcut, never another opinion. Whatever is not certain is [`Unsure`] and Postgres is asked: a
//! value in an unusual form, a column that the stream did not carry, anything that might raise an error. And some of the
//! answers are asked for all the same and compared ([`super::visibility`]).

mod body;
mod compile;
mod expression;
mod functions;
mod json;
mod readers;
mod tree;
mod value;

pub(crate) use compile::called_in_bodies;
pub use functions::{FunctionRow, Functions};
pub use readers::Readers;

use compile::Compiler;
use expression::{Expression, Scope, Settings};
use json::Json;
use value::{Type, Value};

use super::catalog::Table;
use super::image::{Cell, Image};
use crate::auth::Claims;

/// Postgres has to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsure;

/// The policies of one table that apply to one role.
#[derive(Debug)]
pub struct Compiled {
    /// True for the rows that may be seen.
    condition: Expression,
    /// What of it depends on the audience alone.
    known: Vec<Expression>,
    /// Columns that it reads, as indexes into those of the table, with their types.
    columns: Vec<(usize, Type)>,
    /// See [`Readers`].
    keys: Option<Vec<readers::Key>>,
}

/// What a compiled policy needs to know of an audience.
#[derive(Debug)]
pub struct Bound(Vec<Result<Value<'static>, Unsure>>);

/// What a compiled policy needs to know of a row.
pub struct Columns<'a>(Vec<Result<Value<'a>, Unsure>>);

impl Compiled {
    /// Compiles the stored trees of policies: any of `permissive` and all of `restrictive` must be true. `callable`: may the
    /// role call that function? Otherwise why not, in words that follow "because".
    pub fn new(
        table: &Table,
        permissive: &[&str],
        restrictive: &[&str],
        functions: &Functions,
        callable: &dyn Fn(u32) -> bool,
    ) -> Result<Self, String> {
        if !functions.utf8 {
            return Err("the database is not in UTF-8".to_owned());
        }
        let mut columns: Vec<(usize, Type)> = Vec::new();
        let mut one = |tree: &&str| {
            let item = tree::read(tree).ok_or_else(|| "it is not understood".to_owned())?;
            let mut column = |number: i16, of: Type| {
                let index = table
                    .columns
                    .iter()
                    .position(|column| column.number == number)?;
                let known = columns.iter().position(|(column, _)| *column == index);
                Some(known.unwrap_or_else(|| {
                    columns.push((index, of));
                    columns.len() - 1
                }))
            };
            let mut compiler = Compiler {
                functions,
                callable,
                column: &mut column,
            };
            match compiler.item(&item)? {
                (expression, Type::Bool) => Ok(expression),
                _ => Err("it is no truth value".to_owned()),
            }
        };
        let any: Vec<Expression> = permissive
            .iter()
            .map(&mut one)
            .collect::<Result<_, String>>()?;
        let mut all: Vec<Expression> = restrictive
            .iter()
            .map(&mut one)
            .collect::<Result<_, String>>()?;
        all.push(Expression::Or(any));
        let mut condition = Expression::And(all);
        let mut known = Vec::new();
        condition.split(&mut known);
        let keys = readers::keys(&mut condition);
        Ok(Self {
            condition,
            known,
            columns,
            keys,
        })
    }

    /// What of an audience matters, evaluated once.
    pub fn bind(&self, claims: &Claims) -> Bound {
        let document = Json::object(&claims.json);
        let settings = Settings {
            claims: &claims.json,
            document: document.as_ref(),
            sub: claims.sub.as_deref().unwrap_or_default(),
            role: &claims.role,
        };
        let scope = Scope {
            columns: &[],
            known: &[],
            settings: Some(&settings),
        };
        let known = self.known.iter();
        Bound(known.map(|one| one.evaluate(&scope)?.owned()).collect())
    }

    /// What of a row matters.
    pub fn columns<'a>(&self, table: &Table, image: &'a Image) -> Columns<'a> {
        let columns = self.columns.iter().map(|(index, of)| {
            let column = table.columns.get(*index).ok_or(Unsure)?;
            match image.cell(&column.name) {
                Cell::Missing => Err(Unsure),
                Cell::Null => Ok(Value::Null),
                Cell::Text(text) => Value::of_row(text, *of),
            }
        });
        Columns(columns.collect())
    }

    /// May the audience see the row?
    pub fn sees(&self, bound: &Bound, columns: &Columns<'_>) -> Result<bool, Unsure> {
        let scope = Scope {
            columns: &columns.0,
            known: &bound.0,
            settings: None,
        };
        Ok(self.condition.evaluate(&scope)? == Value::Bool(true))
    }
}
