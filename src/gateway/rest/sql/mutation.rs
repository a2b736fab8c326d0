//! Changing: the change as `s`, and a reading of what it gives.

use super::read::{SAID, body, outermost};
use super::{Sql, Wish};
use crate::gateway::rest::catalog::{Column, Relation};
use crate::gateway::rest::plan::{Change, Conflict, Mutation, Needs, Node, Payload};

/// Counts rows that existed already. The setting ends with the transaction.
const COUNTED: &str = "pg_catalog.set_config('dovetail.updated', (coalesce(nullif(pg_catalog.current_setting(\
     'dovetail.updated', true), ''), '0')::int8 + 1)::text, true) is not null";
/// How many those were.
const UPDATED: &str =
    "coalesce(nullif(pg_catalog.current_setting('dovetail.updated', true), ''), '0')::int8";

pub(super) fn statement<'a>(
    sql: &mut Sql<'a>,
    mutation: &Mutation<'a>,
    node: &Node<'a>,
    wish: Wish,
    location: bool,
) {
    let needs = wish.form.map(|_| node.needs());
    sql.push("with s as (");
    let merged = match &mutation.change {
        Change::Insert { payload, conflict } => {
            insert(sql, mutation.relation, payload);
            if let Some(conflict) = conflict {
                on_conflict(sql, conflict, payload);
            }
            conflict.as_ref().is_some_and(|conflict| conflict.merge)
        }
        Change::Update(payload) => {
            update(sql, mutation, payload);
            false
        }
        Change::Delete => {
            sql.push("delete from ");
            sql.qualified(&mutation.relation.schema, &mutation.relation.name);
            sql.push(" as m");
            sql.conditions_of_changed(&mutation.conditions);
            false
        }
    };
    let key = if location {
        mutation.relation.key.as_slice()
    } else {
        &[]
    };
    returning(sql, needs.as_ref(), key);
    sql.push(") select null::int8, pg_catalog.count(*), ");
    body(sql, wish.form);
    sql.push(", ");
    sql.push(SAID);
    sql.push(", ");
    sql.push(if merged { UPDATED } else { "null::int8" });
    sql.push(", ");
    match key.is_empty() {
        true => sql.push("null::text[]"),
        false => {
            sql.push("(select array[");
            for (place, name) in key.iter().enumerate() {
                sql.push(if place > 0 { ", s." } else { "s." });
                sql.name(name);
                sql.push("::text");
            }
            sql.push("] from s limit 1)");
        }
    }
    match needs {
        Some(_) => {
            sql.push(" from (");
            outermost(sql, node);
            sql.push(") r");
        }
        None => sql.push(" from s"),
    }
}

fn insert<'a>(sql: &mut Sql<'a>, relation: &'a Relation, payload: &Payload<'a>) {
    sql.push("insert into ");
    sql.qualified(&relation.schema, &relation.name);
    sql.push(" as m");
    match (payload.columns.is_empty(), payload.object) {
        (true, true) => return sql.push(" default values"),
        (true, false) => {
            sql.push(" select from pg_catalog.json_array_elements(");
            sql.value(payload.text);
            return sql.push("::json)");
        }
        (false, _) => {}
    }
    sql.push(" (");
    sql.names(payload.columns.iter().map(|column| &*column.name));
    sql.push(") select ");
    for (place, column) in payload.columns.iter().enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        written(sql, column, payload);
    }
    rows_of(sql, payload);
}

/// The value of a column in the body, or its default.
fn written<'a>(sql: &mut Sql<'a>, column: &'a Column, payload: &Payload<'a>) {
    let default = column.default.as_deref().filter(|_| payload.defaults);
    if let Some(default) = default {
        sql.push("case when pg_catalog.jsonb_exists(e.j, ");
        sql.value(&*column.name);
        sql.push(") then b.");
        sql.name(&column.name);
        sql.push(" else cast(");
        sql.push(default);
        sql.push(" as ");
        sql.push(&column.type_name);
        return sql.push(") end");
    }
    sql.push("b.");
    sql.name(&column.name);
}

/// The rows of the body as `b`; where defaults count also as they are, as `e`.
fn rows_of<'a>(sql: &mut Sql<'a>, payload: &Payload<'a>) {
    sql.push(" from ");
    match (payload.defaults, payload.object) {
        (true, object) => {
            sql.push(if object {
                "(select "
            } else {
                "pg_catalog.jsonb_array_elements("
            });
            sql.value(payload.text);
            sql.push(if object {
                "::jsonb as j) e"
            } else {
                "::jsonb) e (j)"
            });
            sql.push(" cross join lateral pg_catalog.jsonb_to_record(e.j)");
        }
        (false, object) => {
            sql.push("pg_catalog.json_to_record");
            sql.push(if object { "(" } else { "set(" });
            sql.value(payload.text);
            sql.push("::json)");
        }
    }
    sql.push(" as b (");
    for (place, column) in payload.columns.iter().enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        sql.name(&column.name);
        sql.push(" ");
        sql.push(&column.type_name);
    }
    sql.push(")");
}

fn on_conflict<'a>(sql: &mut Sql<'a>, conflict: &Conflict<'a>, payload: &Payload<'a>) {
    sql.push(" on conflict (");
    sql.names(conflict.columns.iter().copied());
    sql.push(")");
    if !conflict.merge || payload.columns.is_empty() {
        return sql.push(" do nothing");
    }
    sql.push(" do update set ");
    for (place, column) in payload.columns.iter().enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        sql.name(&column.name);
        sql.push(" = excluded.");
        sql.name(&column.name);
    }
    sql.push(" where ");
    sql.push(COUNTED);
}

fn update<'a>(sql: &mut Sql<'a>, mutation: &Mutation<'a>, payload: &Payload<'a>) {
    sql.push("update ");
    sql.qualified(&mutation.relation.schema, &mutation.relation.name);
    sql.push(" as m set ");
    for (place, column) in payload.columns.iter().enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        sql.name(&column.name);
        sql.push(" = ");
        written(sql, column, payload);
    }
    rows_of(sql, payload);
    sql.conditions_of_changed(&mutation.conditions);
}

/// What is needed of the rows that were changed: rights to read are asked for nothing else.
fn returning<'a>(sql: &mut Sql<'a>, needs: Option<&Needs<'a>>, key: &'a [String]) {
    sql.push(" returning ");
    let mut written = 0;
    let mut next = |sql: &mut Sql<'a>| {
        if written > 0 {
            sql.push(", ");
        }
        written += 1;
    };
    let none = Needs::default();
    let needs = needs.unwrap_or(&none);
    if needs.star {
        next(sql);
        sql.push("m.*");
    } else {
        let keys = key.iter().map(String::as_str);
        let keys = keys.filter(|name| !needs.columns.contains(name));
        for name in needs.columns.iter().copied().chain(keys) {
            next(sql);
            sql.push("m.");
            sql.name(name);
        }
    }
    for (name, computed) in &needs.computed {
        next(sql);
        sql.qualified(&computed.schema, name);
        sql.push("(m.*) as ");
        sql.name(name);
    }
    if written == 0 {
        sql.push("1");
    }
}
