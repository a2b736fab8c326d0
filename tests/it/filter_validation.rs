//! What is refused when a filter is subscribed to, and in which words (postgres.md §2.6).
use dovetail::changes::filter::{Op, Refusal, compile, validation_sql};

use crate::record_catalog::{Database, filter_on_c};

const SETUP: &str = "
    create type mood as enum ('sad', 'ok', 'happy');
    create type pair as (x int, y json);
    create domain posint as int check (value > 0);
";

/// The whole of a subscription's check of one filter: `Ok` holds the value it ends with.
async fn subscribe(database: &Database, sql_name: &str, filter: &str) -> Result<String, String> {
    let column = database.column(sql_name).await;
    let mut condition = filter_on_c(filter);
    if let Some(sql) = validation_sql(&condition, &column, &database.types) {
        condition.value = match database.client.query_one(&sql, &[]).await {
            Ok(row) => row.get(0),
            Err(error) => {
                let error = error.as_db_error().unwrap();
                let refusal = match condition.op {
                    Op::Match | Op::Imatch => Refusal::invalid_regex(condition.op, error.message()),
                    _ => Refusal::from_database(error.code().code(), error.message()),
                };
                return Err(refusal.to_string());
            }
        };
    }
    compile(&condition, &column, &database.types).map_err(|refusal| refusal.to_string())?;
    Ok(condition.value)
}

#[tokio::test]
async fn refusals_have_the_words_of_the_original() {
    let database = Database::start(SETUP).await;
    for (sql_name, filter, expected) in [
        (
            "int4",
            "eq.abc",
            "ERROR 22P02 (invalid_text_representation) invalid input syntax for type integer: \"abc\"",
        ),
        (
            "int4",
            "isdistinct.abc",
            "ERROR 22P02 (invalid_text_representation) invalid input syntax for type integer: \"abc\"",
        ),
        (
            "int4",
            "in.(1,abc)",
            "ERROR 22P02 (invalid_text_representation) invalid input syntax for type integer: \"abc\"",
        ),
        (
            "int4",
            "eq.99999999999",
            "ERROR 22003 (numeric_value_out_of_range) value \"99999999999\" is out of range for type integer",
        ),
        (
            "date",
            "gt.2024-13-01",
            "ERROR 22008 (datetime_field_overflow) date/time field value out of range: \"2024-13-01\"",
        ),
        (
            "date",
            "gt.x",
            "ERROR 22007 (invalid_datetime_format) invalid input syntax for type date: \"x\"",
        ),
        (
            "mood",
            "eq.angry",
            "ERROR 22P02 (invalid_text_representation) invalid input value for enum mood: \"angry\"",
        ),
        (
            "text",
            "in.(a,,b)",
            "ERROR 22P02 (invalid_text_representation) malformed array literal: \"{a,,b}\"",
        ),
        (
            "varchar",
            "in.(a,,b)",
            "ERROR 22P02 (invalid_text_representation) malformed array literal: \"{a,,b}\"",
        ),
        (
            "text",
            "match.(",
            "ERROR P0001 (raise_exception) invalid regular expression for match filter: invalid regular expression: parentheses () not balanced",
        ),
        (
            "text",
            "is.true",
            "ERROR P0001 (raise_exception) is true filter requires a boolean column, got text",
        ),
        (
            "timestamptz",
            "like.a",
            "ERROR P0001 (raise_exception) operator like requires a text-compatible column type, got timestamp with time zone",
        ),
        (
            "json",
            "eq.{}",
            "ERROR 42883 (undefined_function) operator does not exist: json = json",
        ),
        (
            "xml",
            "neq.a",
            "ERROR 42883 (undefined_function) operator does not exist: xml <> xml",
        ),
        (
            "point",
            "eq.(1,2)",
            "ERROR 42883 (undefined_function) operator does not exist: point = point",
        ),
        (
            "polygon",
            "eq.((1,2),(3,4))",
            "ERROR 42883 (undefined_function) operator does not exist: polygon = polygon",
        ),
        (
            "json[]",
            "eq.{1}",
            "ERROR 42883 (undefined_function) could not identify an equality operator for type json",
        ),
        (
            "pair",
            "eq.(1,2)",
            "ERROR 42883 (undefined_function) could not identify an equality operator for type json",
        ),
        (
            "polygon",
            "in.(\"((1,2),(3,4))\")",
            "ERROR 42883 (undefined_function) operator does not exist: polygon = polygon",
        ),
    ] {
        assert_eq!(
            subscribe(&database, sql_name, filter).await,
            Err(expected.to_owned()),
            "{sql_name} {filter}"
        );
    }
}

#[tokio::test]
async fn values_are_stored_as_postgres_prints_them() {
    let database = Database::start(SETUP).await;
    for (sql_name, filter, value) in [
        ("int4", "eq. 007 ", "7"),
        ("bool", "eq.yes", "t"),
        ("bool", "in.(yes,off)", "{t,f}"),
        ("numeric", "eq.1.50e1", "15.0"),
        (
            "timestamptz",
            "gt.2026-01-01T00:00:00+02:00",
            "2025-12-31 22:00:00+00",
        ),
        (
            "uuid",
            "eq.6F9619FF-8B86-D011-B42D-00CF4FC964FF",
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        ),
        ("posint", "eq.-5", "-5"),
        ("jsonb", "eq.{\"b\":1,\"a\":2}", "{\"a\": 2, \"b\": 1}"),
        ("text", "eq. x ", " x"),
        ("bytea", "eq.anything", "anything"),
        ("bytea", "in.(00ff,x)", "{00ff,x}"),
        ("text", "in.( a , \"b c\" ,NULL)", "{a,\"b c\",NULL}"),
    ] {
        assert_eq!(
            subscribe(&database, sql_name, filter).await,
            Ok(value.to_owned()),
            "{sql_name} {filter}"
        );
    }
}
