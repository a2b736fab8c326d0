//! Filters answer as SQL does (postgres.md §2.10.4).
use dovetail::changes::filter::{Compiled, Condition, Op, compile, key_of, validation_sql};
use dovetail::changes::record::Value;
use dovetail::changes::record::schema::Column;

use crate::record_catalog::{Database, filter_on_c, literals, samples};

const SETUP: &str = r#"
    create extension citext;
    create type mood as enum ('sad', 'ok', 'happy', 'over the "moon", \o/');
    create domain amount as numeric;
"#;

/// Every type compared without Postgres, the name of its literals, and whether its order is, too.
const NATIVE: [(&str, &str, bool); 20] = [
    ("bool", "bool", true),
    ("int2", "int2", true),
    ("int4", "int4", true),
    ("int8", "int8", true),
    ("oid", "oid", true),
    ("numeric", "numeric", true),
    ("amount", "numeric", true),
    ("float4", "float4", true),
    ("float8", "float8", true),
    ("uuid", "uuid", true),
    ("text", "text", false),
    ("varchar", "text", false),
    ("char(8)", "char(8)", false),
    ("name", "name", true),
    ("date", "date", true),
    ("time", "time", true),
    ("timestamp", "timestamp", true),
    ("timestamptz", "timestamptz", true),
    ("mood", "mood", false),
    ("bytea", "bytea", true),
];

const COMPARISONS: [(Op, &str); 6] = [
    (Op::Eq, "="),
    (Op::Neq, "<>"),
    (Op::Lt, "<"),
    (Op::Lte, "<="),
    (Op::Gt, ">"),
    (Op::Gte, ">="),
];

fn condition(op: Op, value: &str, negate: bool) -> Condition {
    Condition {
        column: "c".to_owned(),
        op,
        value: value.to_owned(),
        negate,
    }
}

/// What a subscription does: the value as Postgres writes it, then the evaluator.
async fn prepare(database: &Database, column: &Column, mut condition: Condition) -> Compiled {
    if let Some(sql) = validation_sql(&condition, column, &database.types) {
        condition.value = database
            .client
            .query_one(&sql, &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .get(0);
    }
    compile(&condition, column, &database.types)
        .unwrap_or_else(|error| panic!("{condition:?}: {error}"))
}

/// The row's side of a comparison: numbers that clients see as null are null, bytea is its hex text, the rest is itself.
fn row_side(sql_name: &str) -> String {
    match sql_name {
        "float4" | "float8" | "numeric" | "amount" => format!(
            "(case when v::{sql_name} in ('NaN', 'Infinity', '-Infinity') then null else v::{sql_name} end)"
        ),
        "bytea" => "convert_to(encode(v::bytea, 'hex'), 'UTF8')".to_owned(),
        "text" | "varchar" => "v".to_owned(),
        _ => format!("v::{sql_name}"),
    }
}

/// A literal without modifier.
fn literal_type(sql_name: &str) -> &str {
    if sql_name == "char(8)" {
        "bpchar"
    } else {
        sql_name
    }
}

/// The same values as filters; those of bytea are written as clients see them.
fn filter_literals(sql_name: &str, rows: &[String]) -> Vec<String> {
    if sql_name == "bytea" {
        rows.iter()
            .map(|value| value.trim_start_matches("\\x").to_owned())
            .chain(["\\xdeadbeef".to_owned(), "a\\\\b\\142".to_owned()])
            .collect()
    } else {
        rows.to_vec()
    }
}

/// Everything that can be asked of the type, with the SQL that answers it (row `v`, literal `l`, another literal `m`).
fn questions(sql_name: &str, ordered: bool) -> Vec<(Op, bool, String)> {
    let side = row_side(sql_name);
    let as_type = literal_type(sql_name);
    let mut questions = Vec::new();
    for (negate, not) in [(false, ""), (true, "not ")] {
        for (op, symbol) in COMPARISONS {
            if ordered || matches!(op, Op::Eq | Op::Neq) {
                questions.push((op, negate, format!("{not}({side} {symbol} l::{as_type})")));
            }
        }
        questions.push((
            Op::IsDistinct,
            negate,
            format!("{not}({side} is distinct from l::{as_type})"),
        ));
        questions.push((
            Op::In,
            negate,
            format!("{not}({side} = any(array[l, m]::{as_type}[]))"),
        ));
    }
    questions
}

/// An array literal of these texts.
fn array_of(values: &[&str]) -> String {
    let quoted: Vec<String> = values
        .iter()
        .map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", quoted.join(","))
}

#[tokio::test]
async fn native_comparisons_equal_those_of_postgres() {
    let database = Database::start(SETUP).await;
    let mut compared = 0;
    for (sql_name, literal_name, ordered) in NATIVE {
        let column = database.column(sql_name).await;
        let rows = samples(&literals(literal_name), 24);
        let filters = filter_literals(sql_name, &rows);
        let other = filters.first().unwrap();
        for (op, negate, expression) in questions(sql_name, ordered) {
            let sql = format!(
                "select case when v is null then null else format('%s', v::{sql_name}) end, {expression}
                 from (select $1::text as l, $2::text as m) f cross join unnest($3::text[] || null::text) v"
            );
            let statement = database
                .client
                .prepare(&sql)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            for literal in &filters {
                let value = if op == Op::In {
                    array_of(&[literal, other])
                } else {
                    literal.clone()
                };
                let Compiled::Native(native) =
                    prepare(&database, &column, condition(op, &value, negate)).await
                else {
                    panic!("{sql_name} {op:?} is not native")
                };
                let answers = database
                    .client
                    .query(&statement, &[literal, other, &rows])
                    .await
                    .unwrap();
                for answer in answers {
                    let (text, expected): (Option<String>, Option<bool>) =
                        (answer.get(0), answer.get(1));
                    let value = text
                        .as_ref()
                        .map_or(Value::Null, |text| Value::Text(text.as_bytes()));
                    assert_eq!(
                        native.evaluate(value),
                        expected,
                        "{sql_name}: {text:?} {op:?} {literal:?} negate {negate}"
                    );
                    compared += 1;
                    if let (Some(keys), Some(text)) = (native.index_keys(), &text) {
                        let found = key_of(&database.types, column.type_oid, text.as_bytes())
                            .is_some_and(|key| keys.contains(&key));
                        assert_eq!(
                            found,
                            expected == Some(true),
                            "{sql_name}: key of {text:?} for {literal:?}"
                        );
                    }
                }
            }
        }
    }
    assert!(compared > 100_000, "{compared}");
}

#[tokio::test]
async fn text_order_under_a_bytewise_collation_equals_that_of_postgres() {
    let mut database = Database::start(SETUP).await;
    database.types.bytewise_text_order = true;
    for sql_name in ["text", "varchar", "char(8)"] {
        let column = database.column(sql_name).await;
        let as_type = literal_type(sql_name);
        let values = samples(
            &literals(if sql_name == "varchar" {
                "text"
            } else {
                sql_name
            }),
            40,
        );
        for (op, symbol) in COMPARISONS {
            let sql = format!(
                "select format('%s', v::{sql_name}), v::{sql_name}::{as_type} collate \"C\" {symbol} $1::text::{as_type} from unnest($2::text[]) v"
            );
            for literal in &values {
                let Compiled::Native(native) =
                    prepare(&database, &column, condition(op, literal, false)).await
                else {
                    panic!()
                };
                for answer in database
                    .client
                    .query(&sql, &[literal, &values])
                    .await
                    .unwrap()
                {
                    let (text, expected): (String, Option<bool>) = (answer.get(0), answer.get(1));
                    assert_eq!(
                        native.evaluate(Value::Text(text.as_bytes())),
                        expected,
                        "{sql_name}: {text:?} {op:?} {literal:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn empty_lists_and_nulls_in_lists_answer_as_in_sql() {
    let database = Database::start(SETUP).await;
    let column = database.column("int4").await;
    for list in ["{}", "{5}", "{6,NULL}", "{NULL}", "{5,NULL}"] {
        for negate in [false, true] {
            let Compiled::Native(native) =
                prepare(&database, &column, condition(Op::In, list, negate)).await
            else {
                panic!()
            };
            for row in [None, Some("5")] {
                let not = if negate { "not " } else { "" };
                let sql = format!("select {not}($1::text::int4 = any('{list}'::int4[]))");
                let expected: Option<bool> = database
                    .client
                    .query_one(&sql, &[&row])
                    .await
                    .unwrap()
                    .get(0);
                let value = row.map_or(Value::Null, |row| Value::Text(row.as_bytes()));
                assert_eq!(native.evaluate(value), expected, "{row:?} {list} {negate}");
            }
        }
    }
}

/// What Postgres says about one value when it evaluates the filter.
async fn ask(database: &Database, sql_name: &str, filter: &str, value: &str) -> Option<bool> {
    let column = database.column(sql_name).await;
    let condition = filter_on_c(filter);
    let Compiled::Postgres(filter) = prepare(database, &column, condition).await else {
        panic!("{filter} is native")
    };
    let sql = format!(
        "select {} from (select $1::text::{sql_name} as c) \"r\"",
        filter.expression(Some("r"))
    );
    database
        .client
        .query_one(&sql, &[&value])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .get(0)
}

#[tokio::test]
async fn what_is_left_to_postgres_is_asked_correctly() {
    let database = Database::start(SETUP).await;
    for (sql_name, filter, value, expected) in [
        ("text", "lt.b", "a", Some(true)),
        ("text", "not.lt.b", "a", Some(false)),
        ("text", "like.%f\\_o%", "xf_oy", Some(true)),
        ("text", "like.%f\\_o%", "xfaoy", Some(false)),
        ("varchar", "ilike.A%", "abc", Some(true)),
        ("varchar", "match.^a.*c$", "abc", Some(true)),
        ("text", "imatch.^A", "abc", Some(true)),
        ("text", "not.imatch.^A", "abc", Some(false)),
        ("char(4)", "like.a%", "abc", Some(true)),
        ("name", "like.a%", "abc", Some(true)),
        ("citext", "eq.ABC", "abc", Some(true)),
        ("citext", "in.(X,ABC)", "abc", Some(true)),
        ("citext", "match.^A", "abc", Some(true)),
        ("bytea", "like.de%ef", "\\xdeadbeef", Some(true)),
        ("bytea", "ilike.DE%", "\\xdeadbeef", Some(true)),
        ("mood", "lt.happy", "sad", Some(true)),
        ("mood", "gte.happy", "sad", Some(false)),
        (
            "jsonb",
            "eq.{\"b\":1.0,\"a\":2}",
            "{\"a\":2,\"b\":1}",
            Some(true),
        ),
        ("jsonb", "eq.1", "null", None),
        ("jsonb", "isdistinct.1", "null", Some(true)),
        ("inet", "lt.10.0.0.2", "10.0.0.1", Some(true)),
        ("interval", "eq.30 days", "1 mon", Some(true)),
        ("money", "gt.10", "11.5", Some(true)),
        ("int4[]", "eq.{1,2}", "{1,2}", Some(true)),
        ("int4range", "eq.[1,3]", "[1,4)", Some(true)),
        ("bit(4)", "eq.1010", "1010", Some(true)),
        ("\"char\"", "eq.a", "a", Some(true)),
        ("timetz", "lt.12:00:00+00", "12:00:00+02", Some(true)),
    ] {
        assert_eq!(
            ask(&database, sql_name, filter, value).await,
            expected,
            "{sql_name} {filter} {value}"
        );
    }
}

#[tokio::test]
async fn the_same_expression_is_safe_without_standard_strings() {
    let database = Database::start(SETUP).await;
    database
        .client
        .batch_execute("set standard_conforming_strings to off; set escape_string_warning to off")
        .await
        .unwrap();
    assert_eq!(
        ask(&database, "text", "gte.a\\' or true --", "a").await,
        Some(false)
    );
    assert_eq!(
        ask(&database, "text", "like.a\\\\b'%", "a\\b'c").await,
        Some(true)
    );
}
