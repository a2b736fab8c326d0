//! Calling: the result of a function as `s`, and a reading of it.

use super::read::{SAID, body, outermost, total};
use super::{Sql, Wish};
use crate::gateway::rest::catalog::{Argument, Shape};
use crate::gateway::rest::media::Form;
use crate::gateway::rest::plan::{Call, Given, Node};

pub(super) fn statement<'a>(sql: &mut Sql<'a>, call: &Call<'a>, node: &Node<'a>, wish: Wish) {
    let returns = &call.function.returns;
    match returns.shape {
        Shape::Void | Shape::Scalar => {
            // Whatever is answered of it, it is called, and once.
            sql.push("with s as materialized (select ");
            if returns.set {
                sql.push("c.v from ");
                arguments(sql, call, true);
                sql.push(" as c (v)");
            } else {
                arguments_of_one(sql, call);
            }
            sql.push(") select ");
            let count = if wish.count {
                "pg_catalog.count(*)"
            } else {
                "null::int8"
            };
            sql.push(count);
            sql.push(", pg_catalog.count(*), ");
            values(sql, wish.form, returns.set);
            sql.push(", ");
            sql.push(SAID);
            sql.push(", null::int8, null::text[] from s");
        }
        Shape::Relation(_) | Shape::Columns(_) => {
            sql.push("with s as (select c.*");
            for (name, computed) in &node.needs().computed {
                sql.push(", ");
                sql.qualified(&computed.schema, name);
                sql.push("(c.*) as ");
                sql.name(name);
            }
            sql.push(" from ");
            arguments(sql, call, true);
            sql.push(" as c) select ");
            total(sql, node, wish);
            sql.push(", pg_catalog.count(*), ");
            let form = match (wish.form, returns.set) {
                // One row is an object by itself.
                (Some(Form::Array { stripped }), false) => Some(Form::Object { stripped }),
                (form, _) => form,
            };
            body(sql, form);
            sql.push(", ");
            sql.push(SAID);
            sql.push(", null::int8, null::text[] from (");
            outermost(sql, node);
            sql.push(") r");
        }
    }
}

/// Values that are no rows as one text.
fn values(sql: &mut Sql<'_>, form: Option<Form>, set: bool) {
    sql.push(match (form, set) {
        (None, _) => "''",
        (Some(Form::Csv), _) => {
            "coalesce(pg_catalog.string_agg(pg_catalog.substr((s.*)::text, 2, \
             pg_catalog.length((s.*)::text) - 2), pg_catalog.chr(10)), '')"
        }
        (Some(Form::Array { stripped: false }), true) => {
            "coalesce(pg_catalog.json_agg(s.v)::text, '[]')"
        }
        (Some(Form::Array { stripped: true }), true) => {
            "coalesce(pg_catalog.json_strip_nulls(pg_catalog.json_agg(s.v))::text, '[]')"
        }
        (Some(Form::Array { stripped: true } | Form::Object { stripped: true }), _) => {
            "coalesce((pg_catalog.json_strip_nulls(pg_catalog.json_agg(s.v))->0)::text, 'null')"
        }
        (Some(Form::Array { .. } | Form::Object { .. }), _) => {
            "coalesce((pg_catalog.json_agg(s.v)->0)::text, 'null')"
        }
    });
}

/// `f(...) as v from ...`, where the body is what arguments come from.
fn arguments_of_one<'a>(sql: &mut Sql<'a>, call: &Call<'a>) {
    function(sql, call);
    sql.push(" as v");
    if let Given::Members(text, arguments) = &call.given
        && !arguments.is_empty()
    {
        sql.push(" from ");
        members(sql, text, arguments);
    }
}

/// The function among relations, behind the body where arguments come from there.
fn arguments<'a>(sql: &mut Sql<'a>, call: &Call<'a>, lateral: bool) {
    if let Given::Members(text, arguments) = &call.given
        && !arguments.is_empty()
    {
        members(sql, text, arguments);
        sql.push(if lateral {
            " cross join lateral "
        } else {
            ", "
        });
    }
    function(sql, call);
}

/// The body as a record of the arguments.
fn members<'a>(sql: &mut Sql<'a>, text: &'a str, arguments: &[&'a Argument]) {
    sql.push("pg_catalog.json_to_record(");
    sql.value(text);
    sql.push("::json) as b (");
    for (place, argument) in arguments.iter().enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        sql.name(&argument.name);
        sql.push(" ");
        sql.push(&argument.type_name);
    }
    sql.push(")");
}

fn function<'a>(sql: &mut Sql<'a>, call: &Call<'a>) {
    sql.qualified(&call.function.schema, &call.function.name);
    sql.push("(");
    match &call.given {
        Given::Members(_, arguments) => {
            for (place, argument) in arguments.iter().enumerate() {
                named(sql, place, argument);
                sql.push("b.");
                sql.name(&argument.name);
            }
        }
        Given::Values(arguments) => {
            for (place, (argument, value)) in arguments.iter().enumerate() {
                named(sql, place, argument);
                sql.value(value.clone());
                sql.push("::");
                sql.push(&argument.type_name);
            }
        }
        Given::Whole(text, argument) => {
            sql.value(*text);
            sql.push("::");
            sql.push(&argument.type_name);
        }
    }
    sql.push(")");
}

fn named<'a>(sql: &mut Sql<'a>, place: usize, argument: &'a Argument) {
    sql.push(if place > 0 { ", " } else { "" });
    sql.push(if argument.variadic { "variadic " } else { "" });
    sql.name(&argument.name);
    sql.push(" := ");
}
