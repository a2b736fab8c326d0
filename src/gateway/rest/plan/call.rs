//! Plans a call: which of a function's overloads the arguments mean, and how they are handed over.

use std::collections::BTreeSet;

use axum::http::StatusCode;

use crate::gateway::rest::catalog::{Argument, Catalog, Function};
use crate::gateway::rest::errors::{Rejection, shortened};
use crate::gateway::rest::hints;

/// A function and its arguments.
#[derive(Debug)]
pub(in crate::gateway::rest) struct Call<'a> {
    pub(in crate::gateway::rest) function: &'a Function,
    pub(in crate::gateway::rest) given: Given<'a>,
}

/// Arguments.
#[derive(Debug)]
pub(in crate::gateway::rest) enum Given<'a> {
    /// Each as text.
    Values(Vec<(&'a Argument, String)>),
    /// These members of an object.
    Members(&'a str, Vec<&'a Argument>),
    /// The body itself is the one argument.
    Whole(&'a str, &'a Argument),
}

/// What a request gives: names and values of a URL, or a body.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway::rest) enum Offered<'a> {
    Pairs(&'a [(String, String)]),
    /// Not an `object`: it can only be the one argument.
    Body {
        text: &'a str,
        keys: &'a [String],
        object: bool,
    },
}

/// See the module.
pub(in crate::gateway::rest) fn call<'a>(
    catalog: &'a Catalog,
    schema: &str,
    name: &str,
    offered: Offered<'a>,
) -> Result<Call<'a>, Rejection> {
    let names: BTreeSet<&str> = match offered {
        Offered::Pairs(pairs) => pairs.iter().map(|(name, _)| &**name).collect(),
        Offered::Body { keys, .. } => keys.iter().map(|key| &**key).collect(),
    };
    let overloads = catalog.functions(schema, name);
    let by_name = !matches!(offered, Offered::Body { object: false, .. });
    let fitting: Vec<&Function> = overloads
        .iter()
        .filter(|function| by_name && takes(function, &names))
        .collect();
    let function = match fitting.as_slice() {
        [one] => *one,
        [] => match offered {
            Offered::Pairs(_) => return Err(none(catalog, schema, name, &names, false)),
            Offered::Body { text, .. } => {
                let whole: Vec<(&Function, &Argument)> =
                    overloads.iter().filter_map(takes_whole).collect();
                return match whole.as_slice() {
                    [(function, argument)] => Ok(Call {
                        function,
                        given: Given::Whole(text, argument),
                    }),
                    [] => Err(none(catalog, schema, name, &names, true)),
                    several => Err(ambiguous(several.iter().map(|(function, _)| *function))),
                };
            }
        },
        several => return Err(ambiguous(several.iter().copied())),
    };
    let wanted = function
        .arguments
        .iter()
        .filter(|argument| names.contains(&*argument.name));
    let given = match offered {
        Offered::Body { text, .. } => Given::Members(text, wanted.collect()),
        Offered::Pairs(pairs) => Given::Values(
            wanted
                .map(|argument| (argument, value(argument, pairs)))
                .collect(),
        ),
    };
    Ok(Call { function, given })
}

/// The last value of the name; of an argument that takes any number all of them.
fn value(argument: &Argument, pairs: &[(String, String)]) -> String {
    let mut values = pairs
        .iter()
        .filter(|(name, _)| *name == argument.name)
        .map(|(_, value)| value);
    match argument.variadic {
        true => array(values),
        false => values.next_back().cloned().unwrap_or_default(),
    }
}

/// An array as Postgres reads it.
pub(in crate::gateway::rest) fn array<'a>(values: impl Iterator<Item = &'a String>) -> String {
    let mut array = String::from("{");
    for (place, value) in values.enumerate() {
        if place > 0 {
            array.push(',');
        }
        array.push('"');
        for letter in value.chars() {
            if matches!(letter, '"' | '\\') {
                array.push('\\');
            }
            array.push(letter);
        }
        array.push('"');
    }
    array.push('}');
    array
}

/// Every argument that is required is there, and there is none that it does not have.
fn takes(function: &Function, names: &BTreeSet<&str>) -> bool {
    let has = |name: &&str| {
        function
            .arguments
            .iter()
            .any(|argument| argument.name == **name)
    };
    let mut required = function
        .arguments
        .iter()
        .filter(|argument| argument.required);
    required.all(|argument| names.contains(&*argument.name))
        && names.iter().all(has)
        // A name that is empty stands for none.
        && !names.contains("")
}

/// It takes one JSON value without a name.
fn takes_whole(function: &Function) -> Option<(&Function, &Argument)> {
    match function.arguments.as_slice() {
        [argument]
            if argument.name.is_empty() && matches!(&*argument.type_name, "json" | "jsonb") =>
        {
            Some((function, argument))
        }
        _ => None,
    }
}

fn none(
    catalog: &Catalog,
    schema: &str,
    name: &str,
    names: &BTreeSet<&str>,
    body: bool,
) -> Rejection {
    let shown = shortened(name);
    let list = names.iter().copied().collect::<Vec<_>>().join(", ");
    let list = shortened(&list);
    let function = format!("{schema}.{shown}");
    let (with, searched) = match names.len() {
        0 => (
            " without parameters".to_owned(),
            " without parameters".to_owned(),
        ),
        1 => (format!("({list})"), format!(" with parameter {list}")),
        _ => (format!("({list})"), format!(" with parameters {list}")),
    };
    let or = match body {
        true => " or with a single unnamed json/jsonb parameter",
        false => "",
    };
    let message = format!("Could not find the function {function}{with} in the schema cache");
    let rejection = Rejection::new(StatusCode::NOT_FOUND, "PGRST202", message).details(format!(
        "Searched for the function {function}{searched}{or}, but no matches were found in the schema cache."
    ));
    let overloads = catalog.functions(schema, name);
    let near = match overloads.is_empty() {
        true => {
            let names = catalog
                .schemas
                .get(schema)
                .into_iter()
                .flat_map(|schema| schema.functions.keys());
            hints::nearest(name, names.map(String::as_str)).map(str::to_owned)
        }
        false => nearest_arguments(overloads, names).map(|list| format!("{shown}({list})")),
    };
    match near {
        Some(near) => rejection.hint(format!(
            "Perhaps you meant to call the function {schema}.{near}"
        )),
        None => rejection,
    }
}

/// The overload that has the most of these arguments, as text.
fn nearest_arguments(overloads: &[Function], names: &BTreeSet<&str>) -> Option<String> {
    let alike = |function: &&Function| {
        let known: Vec<&str> = function
            .arguments
            .iter()
            .map(|argument| &*argument.name)
            .collect();
        names
            .iter()
            .filter(|name| hints::nearest(name, known.iter().copied()).is_some())
            .count()
    };
    let best = overloads.iter().max_by_key(alike)?;
    if alike(&best) == 0 && !names.is_empty() {
        return None;
    }
    let mut list: Vec<&str> = best
        .arguments
        .iter()
        .map(|argument| &*argument.name)
        .collect();
    list.sort_unstable();
    Some(list.join(", "))
}

fn ambiguous<'a>(several: impl Iterator<Item = &'a Function>) -> Rejection {
    let listed: Vec<String> = several
        .map(|function| {
            let arguments: Vec<String> = function
                .arguments
                .iter()
                .map(|argument| format!("{} => {}", argument.name, argument.type_name))
                .collect();
            format!(
                "{}.{}({})",
                function.schema,
                function.name,
                arguments.join(", ")
            )
        })
        .collect();
    let message = format!(
        "Could not choose the best candidate function between: {}",
        listed.join(", ")
    );
    Rejection::new(StatusCode::MULTIPLE_CHOICES, "PGRST203", message).hint(
        "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    )
}
