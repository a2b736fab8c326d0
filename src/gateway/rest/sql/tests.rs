//! No text of a request becomes SQL: 100,000 random requests over a fixed catalog, each made of what is right and what
//! is hostile, and a reader of SQL of its own that knows every word that may stand there.

mod made;
mod reader;

use made::Dice;

use super::super::grammar::{self, Plain};
use super::super::media::Form;
use super::super::plan::{self, Offered, Scope, Wanted, Written};
use super::{Sql, Wish};

const CASES: usize = 100_000;

/// What became of a case.
#[derive(Debug, Default)]
struct Outcome {
    refused: usize,
    written: usize,
    /// Statements in which a hostile text was an alias.
    aliased: usize,
}

#[test]
fn nothing_of_a_request_is_sql_but_quoted_names() {
    let catalog = made::catalog();
    let known = reader::Known::of(&catalog);
    let mut outcome = Outcome::default();
    let mut dice = Dice(0x005e_ed0f_d1ce);
    for case in 0..CASES {
        let request = made::request(&mut dice);
        let sql = match statement(&catalog, &request) {
            Ok(sql) => sql,
            Err(()) => {
                outcome.refused += 1;
                continue;
            }
        };
        outcome.written += 1;
        if let Err(why) = reader::check(&known, &sql) {
            panic!("case {case}: {why}\n{request:?}\n{}", sql.text);
        }
        outcome.aliased += usize::from(sql.text.contains(made::MARK));
    }
    // Otherwise the cases would say nothing.
    assert!(outcome.written > CASES / 5, "{outcome:?}");
    assert!(outcome.refused > CASES / 20, "{outcome:?}");
    assert!(outcome.aliased > CASES / 100, "{outcome:?}");
}

fn statement(
    catalog: &super::super::catalog::Catalog,
    request: &made::Request,
) -> Result<Checked, ()> {
    let refused = |_| ();
    let plain = if request.call {
        Plain::Argument
    } else {
        Plain::Refused
    };
    let query = grammar::parse(&request.pairs, plain).map_err(refused)?;
    let wish = Wish {
        form: request.form,
        count: request.count,
    };
    let taken = |sql: Sql<'_>| Checked {
        text: sql.text,
        values: sql.values.len(),
    };
    if request.call {
        let offered = match request.body {
            true => Offered::Body {
                text: "{}",
                keys: &request.keys,
                object: true,
            },
            false => Offered::Pairs(&query.arguments),
        };
        let call = plan::call(catalog, "public", &request.name, offered).map_err(refused)?;
        let relation = catalog.relation("public", "todos").ok_or(())?;
        let scope = Scope {
            given: true,
            ..Scope::of(relation)
        };
        let node = plan::read(catalog, "public", scope, &query, false).map_err(refused)?;
        return Ok(taken(super::call(&call, &node, wish)));
    }
    let relation = catalog.relation("public", &request.name).ok_or(())?;
    let written = Written {
        text: "[]",
        object: request.body,
        keys: query.columns.as_deref().unwrap_or(&request.keys),
        defaults: request.count,
    };
    let wanted = match request.change {
        0 => {
            let node = plan::read(catalog, "public", Scope::of(relation), &query, false);
            return Ok(taken(super::read(&node.map_err(refused)?, wish)));
        }
        1 => Wanted::Insert {
            written,
            merge: Some(request.body),
        },
        2 => Wanted::Update(written),
        _ => Wanted::Delete,
    };
    let mutation = plan::mutation(relation, &query, wanted).map_err(refused)?;
    let scope = Scope {
        given: true,
        ..Scope::of(relation)
    };
    let node = plan::read(catalog, "public", scope, &query, true).map_err(refused)?;
    Ok(taken(super::mutation(
        &mutation,
        &node,
        wish,
        request.count,
    )))
}

/// A statement without what it borrows.
#[derive(Debug)]
struct Checked {
    text: String,
    values: usize,
}

#[test]
fn a_statement_depends_on_the_shape_of_a_request_only() {
    let catalog = made::catalog();
    let text = |value: &str, limit: &str| {
        let pairs = [
            ("select", "id,users(title)"),
            ("title", &*format!("eq.{value}")),
            (
                "or",
                &*format!("(id.gt.{value},data->>a.in.({value},{value}))"),
            ),
            ("limit", limit),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let query = grammar::parse(&pairs, Plain::Refused).expect("it is right");
        let relation = catalog.relation("public", "todos").expect("a relation");
        let node = plan::read(&catalog, "public", Scope::of(relation), &query, false);
        let wish = Wish {
            form: Some(Form::Array { stripped: false }),
            count: true,
        };
        super::read(&node.expect("a plan"), wish).text
    };
    assert_eq!(text("1", "1"), text("something else", "20"));
}
