#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use proptest::prelude::*;

use super::*;
use crate::changes::filter::{key_of, parse};
use crate::changes::record::Value;
use crate::changes::record::schema::TypeInfo;

const MOOD: Oid = 50_000;
const POSINT: Oid = 50_001;
const CITEXT: Oid = 50_002;
const INT4_ARRAY: Oid = 1007;
const INET: Oid = 869;

fn types() -> Types {
    let mut types = Types::new();
    let mut add = |oid, schema: &str, name: &str, sql_name: &str, kind| {
        types.insert(TypeInfo {
            oid,
            schema: schema.into(),
            name: name.into(),
            sql_name: sql_name.into(),
            kind,
            delimiter: b',',
            has_json_cast: false,
        });
    };
    for (oid, name, sql_name) in [
        (oids::BOOL, "bool", "boolean"),
        (oids::INT4, "int4", "integer"),
        (oids::TEXT, "text", "text"),
        (oids::VARCHAR, "varchar", "character varying"),
        (oids::BPCHAR, "bpchar", "character"),
        (oids::NAME, "name", "name"),
        (oids::BYTEA, "bytea", "bytea"),
        (oids::JSON, "json", "json"),
        (oids::JSONB, "jsonb", "jsonb"),
        (oids::NUMERIC, "numeric", "numeric"),
        (oids::FLOAT8, "float8", "double precision"),
        (oids::TIMESTAMPTZ, "timestamptz", "timestamp with time zone"),
        (INET, "inet", "inet"),
    ] {
        add(oid, "pg_catalog", name, sql_name, TypeKind::Base);
    }
    add(MOOD, "public", "mood", "mood", TypeKind::Enum);
    add(
        POSINT,
        "public",
        "posint",
        "posint",
        TypeKind::Domain { base: oids::INT4 },
    );
    add(CITEXT, "ext", "citext", "citext", TypeKind::Base);
    add(
        INT4_ARRAY,
        "pg_catalog",
        "_int4",
        "integer[]",
        TypeKind::Array {
            element: oids::INT4,
        },
    );
    types
}

fn column(type_oid: Oid) -> Column {
    Column {
        name: "c".into(),
        type_oid,
        typmod: -1,
        attnum: 1,
        in_identity: false,
        generated: false,
        not_null: false,
    }
}

fn compiled(filter: &str, type_oid: Oid) -> Result<Compiled, Refusal> {
    compile(
        &parse(&format!("c={filter}")).unwrap()[0],
        &column(type_oid),
        &types(),
    )
}

fn native(filter: &str, type_oid: Oid) -> Native {
    match compiled(filter, type_oid).unwrap() {
        Compiled::Native(native) => native,
        Compiled::Postgres(filter) => panic!("went to Postgres: {}", filter.expression(None)),
    }
}

fn expression(filter: &str, type_oid: Oid) -> String {
    match compiled(filter, type_oid).unwrap() {
        Compiled::Native(_) => panic!("{filter} was native"),
        Compiled::Postgres(filter) => filter.expression(Some("r")),
    }
}

fn refusal(filter: &str, type_oid: Oid) -> String {
    compiled(filter, type_oid).unwrap_err().to_string()
}

#[test]
fn null_follows_the_table_of_the_specification() {
    let answer = |filter: &str, value: Value<'_>| native(filter, oids::INT4).evaluate(value);
    for filter in ["eq.1", "neq.1", "not.eq.1", "lt.1", "in.(1)", "not.in.(1)"] {
        assert_eq!(answer(filter, Value::Null), None, "{filter}");
    }
    assert_eq!(answer("is.null", Value::Null), Some(true));
    assert_eq!(answer("not.is.null", Value::Null), Some(false));
    assert_eq!(answer("isdistinct.1", Value::Null), Some(true));
    assert_eq!(answer("not.isdistinct.1", Value::Null), Some(false));
    let five = Value::Text(b"5");
    assert_eq!(answer("not.eq.6", five), Some(true));
    assert_eq!(answer("in.(6,NULL)", five), None);
    assert_eq!(answer("in.(5,NULL)", five), Some(true));
    assert_eq!(answer("not.in.(6,NULL)", five), None);
    assert_eq!(answer("in.()", five), Some(false));
    assert_eq!(answer("not.in.()", five), Some(true));
    for filter in ["is.true", "not.is.false", "not.is.unknown", "not.is.null"] {
        assert!(
            native(filter, oids::BOOL).matches(Value::Text(b"t")),
            "{filter}"
        );
    }
}

#[test]
fn a_value_that_was_not_sent_matches_nothing() {
    for filter in [
        "eq.1",
        "not.eq.1",
        "is.null",
        "not.is.null",
        "isdistinct.1",
        "not.isdistinct.1",
        "in.()",
        "not.in.()",
    ] {
        assert!(
            !native(filter, oids::INT4).matches(Value::Missing),
            "{filter}"
        );
    }
}

#[test]
fn numbers_that_clients_see_as_null_are_null() {
    for type_oid in [oids::NUMERIC, oids::FLOAT8] {
        for text in [&b"NaN"[..], b"Infinity", b"-Infinity"] {
            assert!(native("is.null", type_oid).matches(Value::Text(text)));
            assert_eq!(native("neq.1", type_oid).evaluate(Value::Text(text)), None);
            assert_eq!(key_of(&types(), type_oid, text), None);
        }
    }
    assert!(native("is.null", oids::JSONB).matches(Value::Text(b"null")));
    assert!(native("is.null", oids::JSON).matches(Value::Text(b" null\n")));
    assert!(!native("is.null", oids::JSONB).matches(Value::Text(b"\"null\"")));
}

#[test]
fn bytea_is_compared_by_its_hex_text() {
    let matches = |filter: &str| native(filter, oids::BYTEA).matches(Value::Text(b"\\xdeadbeef"));
    assert!(matches("eq.deadbeef"));
    assert!(matches("in.(00,deadbeef)"));
    assert!(!matches("eq.\\xdeadbeef"));
    assert!(!matches("eq.DEADBEEF"));
    assert!(matches("neq.zz"));
    assert_eq!(
        expression("like.dead%", oids::BYTEA),
        "(pg_catalog.encode(\"r\".\"c\", 'hex') LIKE 'dead%'::pg_catalog.text)"
    );
}

#[test]
fn is_null_works_on_every_type_and_is_true_on_booleans_only() {
    for type_oid in [
        oids::JSON,
        oids::JSONB,
        INT4_ARRAY,
        MOOD,
        POSINT,
        INET,
        CITEXT,
    ] {
        assert!(native("is.null", type_oid).matches(Value::Null));
        assert!(native("not.is.null", type_oid).matches(Value::Text(b"{}")));
    }
    assert_eq!(
        refusal("is.true", oids::TEXT),
        "ERROR P0001 (raise_exception) is true filter requires a boolean column, got text"
    );
    assert_eq!(
        refusal("is.unknown", oids::VARCHAR),
        "ERROR P0001 (raise_exception) is unknown filter requires a boolean column, got character varying"
    );
    assert_eq!(
        refusal("is.maybe", oids::TEXT),
        "ERROR P0001 (raise_exception) invalid value for is filter: must be null, true, false, or unknown"
    );
    assert_eq!(
        refusal("is.NULL", oids::TEXT),
        refusal("is.maybe", oids::TEXT)
    );
}

#[test]
fn patterns_need_a_text_type() {
    for type_oid in [
        oids::TEXT,
        oids::VARCHAR,
        oids::BPCHAR,
        oids::NAME,
        oids::BYTEA,
        CITEXT,
    ] {
        assert!(matches!(
            compiled("like.a%", type_oid),
            Ok(Compiled::Postgres(_))
        ));
        assert!(matches!(
            compiled("ilike.a%", type_oid),
            Ok(Compiled::Postgres(_))
        ));
    }
    for type_oid in [oids::TEXT, oids::VARCHAR, CITEXT] {
        assert!(matches!(
            compiled("match.a", type_oid),
            Ok(Compiled::Postgres(_))
        ));
    }
    assert_eq!(
        refusal("like.5%", oids::INT4),
        "ERROR P0001 (raise_exception) operator like requires a text-compatible column type, got integer"
    );
    assert_eq!(
        refusal("imatch.a", oids::BPCHAR),
        "ERROR P0001 (raise_exception) operator imatch requires a text-compatible column type, got character"
    );
    assert_eq!(
        refusal("ilike.a", MOOD),
        "ERROR P0001 (raise_exception) operator ilike requires a text-compatible column type, got mood"
    );
    assert_eq!(
        refusal("like.a\\", oids::TEXT),
        "ERROR 22025 (invalid_escape_sequence) LIKE pattern must not end with escape character"
    );
    assert!(compiled("like.a\\\\", oids::TEXT).is_ok());
}

#[test]
fn types_without_comparison_are_refused() {
    assert_eq!(
        refusal("eq.{}", oids::JSON),
        "ERROR 42883 (undefined_function) operator does not exist: json = json"
    );
    assert_eq!(
        refusal("lt.{}", oids::JSON),
        "ERROR 42883 (undefined_function) operator does not exist: json < json"
    );
    assert_eq!(
        refusal("in.({1})", INT4_ARRAY),
        "ERROR 42883 (undefined_function) operator does not exist: integer[] = integer[]"
    );
}

#[test]
fn a_list_holds_a_hundred_values() {
    let list = |count: usize| {
        format!(
            "in.({})",
            (0..count)
                .map(|i| i.to_string())
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    assert!(compiled(&list(100), oids::INT4).is_ok());
    assert_eq!(
        refusal(&list(101), oids::INT4),
        "ERROR P0001 (raise_exception) too many values for `in` filter. Maximum 100"
    );
}

#[test]
fn expressions_quote_everything_and_pin_the_collation() {
    assert_eq!(
        expression("lt.O'Brien\\", oids::VARCHAR),
        "((\"r\".\"c\"::pg_catalog.text COLLATE pg_catalog.\"default\") < E'O''Brien\\\\'::pg_catalog.text)"
    );
    assert_eq!(
        expression("not.eq.{\"a\": 1}", oids::JSONB),
        "(NOT (nullif(\"r\".\"c\", 'null'::\"pg_catalog\".\"jsonb\") = '{\"a\": 1}'::\"pg_catalog\".\"jsonb\"))"
    );
    assert_eq!(
        expression("isdistinct.10.0.0.1", INET),
        "((\"r\".\"c\"::\"pg_catalog\".\"inet\") IS DISTINCT FROM '10.0.0.1'::\"pg_catalog\".\"inet\")"
    );
    assert_eq!(
        expression("in.(a,b)", CITEXT),
        "((\"r\".\"c\"::\"ext\".\"citext\") = ANY ('{a,b}'::\"ext\".\"citext\"[]))"
    );
    assert_eq!(
        expression("eq.{1}", INT4_ARRAY),
        "((\"r\".\"c\"::\"pg_catalog\".\"int4\"[]) = '{1}'::\"pg_catalog\".\"int4\"[])"
    );
}

#[test]
fn order_of_text_and_enums_is_left_to_postgres() {
    let mut types = types();
    let lt = &parse("c=lt.b").unwrap()[0];
    assert!(matches!(
        compile(lt, &column(oids::TEXT), &types),
        Ok(Compiled::Postgres(_))
    ));
    assert!(matches!(
        compile(lt, &column(MOOD), &types),
        Ok(Compiled::Postgres(_))
    ));
    assert!(matches!(
        compile(lt, &column(oids::NAME), &types),
        Ok(Compiled::Native(_))
    ));
    types.bytewise_text_order = true;
    assert!(matches!(
        compile(lt, &column(oids::TEXT), &types),
        Ok(Compiled::Native(_))
    ));
}

#[test]
fn keys_are_equal_exactly_when_values_are() {
    let types = types();
    let key = |type_oid, text: &str| key_of(&types, type_oid, text.as_bytes()).unwrap();
    assert_eq!(key(oids::NUMERIC, "1.50"), key(oids::NUMERIC, "1.5"));
    assert_ne!(key(oids::NUMERIC, "15"), key(oids::NUMERIC, "1.5"));
    assert_eq!(key(oids::FLOAT8, "-0"), key(oids::FLOAT8, "0"));
    assert_eq!(key(oids::BPCHAR, "a  "), key(oids::BPCHAR, "a"));
    assert_eq!(
        key(oids::TIMESTAMPTZ, "2024-01-02 03:04:05+00"),
        key(oids::TIMESTAMPTZ, "2024-01-02 05:04:05+02")
    );
    assert_eq!(
        native("eq.7", POSINT).index_keys().unwrap(),
        &[key(oids::INT4, "7")]
    );
    assert_eq!(
        native("in.(1,NULL,2)", oids::INT4)
            .index_keys()
            .unwrap()
            .len(),
        2
    );
    assert!(native("not.eq.7", oids::INT4).index_keys().is_none());
    assert!(native("neq.7", oids::INT4).index_keys().is_none());
    assert!(native("isdistinct.7", oids::INT4).index_keys().is_none());
}

#[test]
fn nothing_is_asked_where_any_value_is_valid() {
    let asks = |filter: &str, type_oid| {
        validation_sql(
            &parse(&format!("c={filter}")).unwrap()[0],
            &column(type_oid),
            &types(),
        )
    };
    assert_eq!(asks("eq.x", oids::TEXT), None);
    assert_eq!(asks("eq.zz", oids::BYTEA), None);
    assert_eq!(asks("is.null", oids::INT4), None);
    assert_eq!(asks("like.5%", oids::INT4), None);
    assert_eq!(
        asks("eq.1", POSINT).unwrap(),
        "SELECT pg_catalog.format('%s', '1'::\"pg_catalog\".\"int4\")"
    );
}

#[test]
fn a_nul_never_reaches_the_database() {
    let mut condition = parse("c=eq.a").unwrap().remove(0);
    condition.value.push('\0');
    assert!(compile(&condition, &column(oids::TEXT), &types()).is_err());
    assert_eq!(
        validation_sql(&condition, &column(oids::INT4), &types()),
        None
    );
}

proptest! {
    #[test]
    fn any_value_is_answered_and_not_inverts_the_answer(
        type_oid in prop::sample::select(vec![
            oids::BOOL, oids::INT4, oids::NUMERIC, oids::FLOAT8, oids::TEXT, oids::BPCHAR, oids::BYTEA, oids::TIMESTAMPTZ, MOOD, POSINT,
        ]),
        op in prop::sample::select(vec!["eq", "neq", "lt", "gte", "isdistinct", "in"]),
        // Short texts of the characters these types are made of, so that some are valid and some are equal.
        literal in "[0-9tf.:+ -]{0,6}|NaN|Infinity|2024-01-0[1-3] 0[0-9]:00:00[+]0[0-2]",
        value in "[0-9tf.:+ -]{0,6}|NaN|Infinity|2024-01-0[1-3] 0[0-9]:00:00[+]0[0-2]",
    ) {
        let literal = if op == "in" { format!("({literal})") } else { literal };
        let Ok(Compiled::Native(plain)) = compiled(&format!("{op}.{literal}"), type_oid) else { return Ok(()) };
        let opposite = native(&format!("not.{op}.{literal}"), type_oid);
        let answer = plain.evaluate(Value::Text(value.as_bytes()));
        prop_assert_eq!(opposite.evaluate(Value::Text(value.as_bytes())), answer.map(|answer| !answer));
        if let Some(keys) = plain.index_keys() {
            let found = key_of(&types(), type_oid, value.as_bytes()).is_some_and(|key| keys.contains(&key));
            prop_assert_eq!(found, answer == Some(true));
        }
    }
}
