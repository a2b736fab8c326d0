//! Reading: one `select` for each level, joined laterally to the one around it.

use super::{Sql, Wish};
use crate::gateway::rest::catalog::{Kind, Link, Way};
use crate::gateway::rest::grammar::Key;
use crate::gateway::rest::media::Form;
use crate::gateway::rest::plan::{By, Embedded, Node, Order, Output, Value};

/// What a function may have said about the answer.
pub(super) const SAID: &str = "pg_catalog.current_setting('response.headers', true), \
     pg_catalog.current_setting('response.status', true)";

/// How results are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// As they are answered.
    Plainly,
    /// `s1`, `s2`, ... for the level around, which gives them their names.
    ByNumber,
}

pub(super) fn statement<'a>(sql: &mut Sql<'a>, node: &Node<'a>, wish: Wish) {
    sql.push("select ");
    total(sql, node, wish);
    sql.push(", pg_catalog.count(*), ");
    body(sql, wish.form);
    sql.push(", ");
    sql.push(SAID);
    sql.push(", null::int8, null::text[] from (");
    rows(sql, node, Named::Plainly);
    sql.push(") r");
}

/// The number of rows there are without a limit.
pub(super) fn total<'a>(sql: &mut Sql<'a>, node: &Node<'a>, wish: Wish) {
    match (wish.count, node.limit.is_some() || node.offset > 0) {
        (false, _) => sql.push("null::int8"),
        (true, false) => sql.push("pg_catalog.count(*)"),
        (true, true) => {
            sql.push("(select pg_catalog.count(*) from (");
            bare(sql, node, None);
            sql.push(") c)");
        }
    }
}

/// All rows as one text.
pub(super) fn body(sql: &mut Sql<'_>, form: Option<Form>) {
    let json = match form {
        None => return sql.push("''"),
        Some(Form::Csv) => {
            return sql.push(
                "coalesce(pg_catalog.string_agg(pg_catalog.substr((r.*)::text, 2, \
                 pg_catalog.length((r.*)::text) - 2), pg_catalog.chr(10)), '')",
            );
        }
        Some(Form::Array { stripped: false }) => "coalesce(pg_catalog.json_agg(r.*)::text, '[]')",
        Some(Form::Array { stripped: true }) => {
            "coalesce(pg_catalog.json_strip_nulls(pg_catalog.json_agg(r.*))::text, '[]')"
        }
        Some(Form::Object { stripped: false }) => {
            "coalesce((pg_catalog.json_agg(r.*)->0)::text, 'null')"
        }
        Some(Form::Object { stripped: true }) => {
            "coalesce((pg_catalog.json_strip_nulls(pg_catalog.json_agg(r.*))->0)::text, 'null')"
        }
    };
    sql.push(json);
}

/// The rows of the outermost level, under the names of the answer.
pub(super) fn outermost<'a>(sql: &mut Sql<'a>, node: &Node<'a>) {
    rows(sql, node, Named::Plainly);
}

/// `select ... from ... where ... order by ... limit ...`
fn rows<'a>(sql: &mut Sql<'a>, node: &Node<'a>, named: Named) {
    sql.push("select ");
    outputs(sql, node, named);
    from(sql, node, None);
    tail(sql, node, None);
}

/// Everything behind the results.
fn tail<'a>(sql: &mut Sql<'a>, node: &Node<'a>, link: Option<(&Embedded<'a>, usize)>) {
    sql.conditions(node, link, false);
    order(sql, node);
    limit(sql, node);
}

fn outputs<'a>(sql: &mut Sql<'a>, node: &Node<'a>, named: Named) {
    let mut written = 0;
    // A separator before, the name behind.
    let mut one = |sql: &mut Sql<'a>, name: Option<&str>, value: &mut dyn FnMut(&mut Sql<'a>)| {
        if written > 0 {
            sql.push(", ");
        }
        written += 1;
        value(sql);
        match (named, name) {
            (_, None) => {}
            (Named::Plainly, Some(name)) => {
                sql.push(" as ");
                sql.name(name);
            }
            (Named::ByNumber, Some(_)) => sql.part(" as s", written),
        }
    };
    for output in &node.outputs {
        match output {
            // Its columns are named where the level around has to name them.
            Output::Star if named == Named::ByNumber => {
                for column in node.scope.columns {
                    one(sql, Some(&column.name), &mut |sql| {
                        sql.part("t", node.number);
                        sql.push(".");
                        sql.name(&column.name);
                    });
                }
            }
            Output::Star => one(sql, None, &mut |sql| {
                sql.part("t", node.number);
                sql.push(".*");
            }),
            Output::Value { value, cast, name } => one(sql, Some(name), &mut |sql| {
                converted(sql, *cast, &mut |sql| sql.column(node, value));
            }),
            Output::Count { cast, name } => one(sql, Some(name), &mut |sql| {
                converted(sql, *cast, &mut |sql| sql.push("pg_catalog.count(*)"));
            }),
            Output::Embed(place) => {
                let Some(embed) = node.embeds.get(*place) else {
                    continue;
                };
                match (embed.hidden, embed.spread) {
                    (true, _) => {}
                    (_, true) => {
                        for (place, name) in embed.node.names().into_iter().enumerate() {
                            one(sql, Some(name), &mut |sql| {
                                sql.part("e", embed.node.number);
                                sql.part(".s", place + 1);
                            });
                        }
                    }
                    (_, false) => one(sql, Some(embed.name), &mut |sql| match embed.to_one() {
                        true => {
                            sql.part("e", embed.node.number);
                            sql.push(".v");
                        }
                        false => {
                            sql.push("coalesce(");
                            sql.part("e", embed.node.number);
                            sql.push(".v, '[]'::json)");
                        }
                    }),
                }
            }
        }
    }
}

fn converted<'a>(sql: &mut Sql<'a>, cast: Option<&str>, value: &mut dyn FnMut(&mut Sql<'a>)) {
    let Some(cast) = cast else {
        return value(sql);
    };
    sql.push("cast(");
    value(sql);
    sql.push(" as ");
    type_name(sql, cast);
    sql.push(")");
}

/// The relation, what is between it and the one around, and everything embedded.
fn from<'a>(sql: &mut Sql<'a>, node: &Node<'a>, by: Option<&Embedded<'a>>) {
    source(sql, node, by);
    for embed in &node.embeds {
        sql.push(if embed.inner {
            " join lateral ("
        } else {
            " left join lateral ("
        });
        embedded(sql, node, embed);
        sql.push(") ");
        sql.part("e", embed.node.number);
        match embed.inner {
            true => {
                sql.push(" on ");
                sql.part("e", embed.node.number);
                sql.push(".v is not null");
            }
            false => sql.push(" on true"),
        }
    }
}

fn source<'a>(sql: &mut Sql<'a>, node: &Node<'a>, by: Option<&Embedded<'a>>) {
    sql.push(" from ");
    match (node.scope.given, node.scope.relation) {
        (false, Some(relation)) => sql.qualified(&relation.schema, &relation.name),
        _ => sql.push("s"),
    }
    sql.push(" ");
    sql.part("t", node.number);
    if let (Some(Way::ManyToMany { junction, .. }), Some(relation)) =
        (by.map(|by| &by.by.way), node.scope.relation)
    {
        sql.push(" cross join ");
        sql.qualified(&relation.schema, junction);
        sql.push(" ");
        sql.part("j", node.number);
    }
}

/// What is joined for an embedded relation: `v` is what is answered, null where there is nothing.
fn embedded<'a>(sql: &mut Sql<'a>, around: &Node<'a>, embed: &Embedded<'a>) {
    let node = &embed.node;
    let link = Some((embed, around.number));
    if embed.hidden && embed.ordered_by.is_empty() {
        sql.push("select true as v");
        from(sql, node, Some(embed));
        sql.conditions(node, link, false);
        return sql.push(" limit 1");
    }
    match (embed.spread, embed.to_one()) {
        (false, true) => {
            sql.push("select (select pg_catalog.row_to_json(r.*) from (select ");
            outputs(sql, node, Named::Plainly);
            sql.push(") r) as v");
            ordered_by(sql, embed);
            from(sql, node, Some(embed));
            tail(sql, node, link);
        }
        (true, true) => {
            sql.push("select ");
            outputs(sql, node, Named::ByNumber);
            sql.push(if node.names().is_empty() {
                "true as v"
            } else {
                ", true as v"
            });
            ordered_by(sql, embed);
            from(sql, node, Some(embed));
            tail(sql, node, link);
        }
        (false, false) => {
            sql.push("select pg_catalog.json_agg(r.*) as v from (select ");
            outputs(sql, node, Named::Plainly);
            from(sql, node, Some(embed));
            tail(sql, node, link);
            sql.push(") r");
        }
        (true, false) => {
            sql.push("select ");
            for place in 1..=node.names().len() {
                sql.part("coalesce(pg_catalog.json_agg(r.s", place);
                sql.part("), '[]'::json) as s", place);
                sql.push(", ");
            }
            sql.push("nullif(pg_catalog.count(*), 0) as v from (select ");
            outputs(sql, node, Named::ByNumber);
            from(sql, node, Some(embed));
            tail(sql, node, link);
            sql.push(") r");
        }
    }
}

fn ordered_by<'a>(sql: &mut Sql<'a>, embed: &Embedded<'a>) {
    for (place, value) in embed.ordered_by.iter().enumerate() {
        sql.push(", ");
        sql.column(&embed.node, value);
        sql.part(" as o", place);
    }
}

fn order<'a>(sql: &mut Sql<'a>, node: &Node<'a>) {
    for (
        place,
        Order {
            by,
            descending,
            nulls_first,
        },
    ) in node.order.iter().enumerate()
    {
        sql.push(if place == 0 { " order by " } else { ", " });
        match by {
            By::Value(value) => sql.column(node, value),
            By::Related(place, value) => {
                let number = node
                    .embeds
                    .get(*place)
                    .map_or(node.number, |embed| embed.node.number);
                sql.part("e", number);
                sql.part(".o", *value);
            }
        }
        sql.push(match descending {
            Some(true) => " desc",
            Some(false) => " asc",
            None => "",
        });
        sql.push(match nulls_first {
            Some(true) => " nulls first",
            Some(false) => " nulls last",
            None => "",
        });
    }
}

fn limit<'a>(sql: &mut Sql<'a>, node: &Node<'a>) {
    if let Some(limit) = node.limit {
        sql.push(" limit ");
        sql.value(limit.to_string());
        sql.push("::int8");
    }
    if node.offset > 0 {
        sql.push(" offset ");
        sql.value(node.offset.to_string());
        sql.push("::int8");
    }
}

/// Rows that fit, without anything of them: for counting, and for asking whether there are any.
pub(super) fn bare<'a>(sql: &mut Sql<'a>, node: &Node<'a>, link: Option<(&Embedded<'a>, usize)>) {
    sql.push("select 1");
    source(sql, node, link.map(|(embed, _)| embed));
    sql.conditions(node, link, true);
}

/// What joins the rows of an embedded relation to those around: pairs of columns that are equal.
pub(super) fn pairs<'a>(embed: &Embedded<'a>, around: usize) -> Vec<Pair<'a>> {
    let inside = embed.node.number;
    // Columns of `from` are on the near side of the link.
    let along =
        |link: &'a Link, (from, near): (&'static str, usize), (to, far): (&'static str, usize)| {
            link.columns.iter().map(move |(here, there)| Pair {
                left: (to, far, there),
                right: (from, near, here),
            })
        };
    match &embed.by.way {
        Way::ManyToOne(link) | Way::OneToMany(link) | Way::OneToOne(link) => {
            along(link, ("t", around), ("t", inside)).collect()
        }
        Way::ManyToMany { near, far, .. } => along(near, ("t", around), ("j", inside))
            .chain(along(far, ("t", inside), ("j", inside)))
            .collect(),
    }
}

/// Two columns: letter and number of their relation, and their names.
pub(super) struct Pair<'a> {
    pub(super) left: (&'static str, usize, &'a str),
    pub(super) right: (&'static str, usize, &'a str),
}

impl<'a> Sql<'a> {
    /// A column of a node's relation, with the way into it.
    pub(super) fn column(&mut self, node: &Node<'a>, value: &Value<'a>) {
        self.column_of("t", Some(node.number), node.scope.given, value);
    }

    /// The same of a relation that is called so. In what a statement before has given, functions are columns.
    pub(super) fn column_of(
        &mut self,
        letter: &str,
        number: Option<usize>,
        given: bool,
        value: &Value<'a>,
    ) {
        let convert = !value.path.is_empty() && value.kind != Kind::Json;
        if convert {
            self.push("pg_catalog.to_jsonb(");
        }
        let relation = |sql: &mut Self| match number {
            Some(number) => sql.part(letter, number),
            None => sql.push(letter),
        };
        match value.computed {
            Some(computed) if !given => {
                self.qualified(&computed.schema, value.name);
                self.push("(");
                relation(self);
                self.push(".*)");
            }
            _ => {
                relation(self);
                self.push(".");
                self.name(value.name);
            }
        }
        if convert {
            self.push(")");
        }
        for step in value.path {
            self.push(if step.text { "->>" } else { "->" });
            match &step.key {
                Key::Name(name) => {
                    self.value(name);
                    self.push("::text");
                }
                Key::Index(index) => {
                    self.value(index);
                    self.push("::int4");
                }
            }
        }
    }
}

/// Names of types that are words of SQL rather than names of objects.
const WORDS: [&str; 20] = [
    "int",
    "integer",
    "smallint",
    "bigint",
    "real",
    "float",
    "double precision",
    "decimal",
    "dec",
    "boolean",
    "bit",
    "bit varying",
    "char",
    "character",
    "character varying",
    "time",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
];

/// A word of SQL, or a quoted name.
fn type_name(sql: &mut Sql<'_>, name: &str) {
    let lower = name.to_ascii_lowercase();
    match WORDS.iter().find(|word| **word == lower) {
        Some(word) => sql.push(word),
        None => sql.name(&lower),
    }
}
