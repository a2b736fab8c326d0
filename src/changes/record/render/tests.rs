#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::changes::record::schema::TypeInfo;

const INT4_ARRAY: Oid = 1007;
const TEXT_ARRAY: Oid = 1009;
const FLOAT8_ARRAY: Oid = 1022;
const BYTEA_ARRAY: Oid = 1001;
const BOX: Oid = 603;
const BOX_ARRAY: Oid = 1020;
const PAIR: Oid = 50_000;
const PAIR_ARRAY: Oid = 50_001;
const HSTORE: Oid = 50_002;
const GEOMETRY: Oid = 50_003;
const GEOMETRY_ARRAY: Oid = 50_004;
const POSINT: Oid = 50_005;

fn types() -> Types {
    let mut types = Types::new();
    let mut add = |oid, name: &str, kind, delimiter, has_json_cast| {
        types.insert(TypeInfo {
            oid,
            schema: "public".into(),
            name: name.into(),
            sql_name: name.into(),
            kind,
            delimiter,
            has_json_cast,
        });
    };
    for (oid, element) in [
        (INT4_ARRAY, oids::INT4),
        (TEXT_ARRAY, oids::TEXT),
        (FLOAT8_ARRAY, oids::FLOAT8),
        (BYTEA_ARRAY, oids::BYTEA),
        (BOX_ARRAY, BOX),
        (PAIR_ARRAY, PAIR),
        (GEOMETRY_ARRAY, GEOMETRY),
    ] {
        add(oid, "_x", TypeKind::Array { element }, b',', false);
    }
    add(BOX, "box", TypeKind::Base, b';', false);
    let fields = vec![
        Field {
            name: "x".into(),
            type_oid: oids::INT4,
        },
        Field {
            name: "y".into(),
            type_oid: oids::TEXT,
        },
    ];
    add(PAIR, "pair", TypeKind::Composite { fields }, b',', false);
    add(HSTORE, "hstore", TypeKind::Base, b',', true);
    add(GEOMETRY, "geometry", TypeKind::Base, b':', true);
    add(
        POSINT,
        "posint",
        TypeKind::Domain { base: oids::INT4 },
        b',',
        false,
    );
    types
}

fn json(type_oid: Oid, text: &str) -> String {
    let mut out = b"kept".to_vec();
    render_value(&types(), type_oid, text.as_bytes(), &mut out).unwrap();
    String::from_utf8(out)
        .unwrap()
        .strip_prefix("kept")
        .unwrap()
        .to_owned()
}

#[test]
fn numbers_are_exact_and_without_exponent() {
    assert_eq!(
        json(oids::INT8, "9223372036854775807"),
        "9223372036854775807"
    );
    assert_eq!(
        json(oids::NUMERIC, "12345678901234567890.12345000"),
        "12345678901234567890.12345000"
    );
    assert_eq!(json(oids::FLOAT8, "1e-07"), "0.0000001");
    assert_eq!(json(oids::FLOAT8, "-1.5e+20"), "-150000000000000000000");
    assert_eq!(json(oids::FLOAT8, "1.2345e+2"), "123.45");
    assert_eq!(
        json(oids::FLOAT8, "1e+100"),
        format!("1{}", "0".repeat(100))
    );
    assert_eq!(json(oids::FLOAT4, "-0"), "0");
    assert_eq!(json(oids::NUMERIC, "-0.50"), "-0.50");
    assert_eq!(json(POSINT, "5"), "5");
}

#[test]
fn what_json_cannot_say_is_null_as_a_column_and_a_string_in_an_array() {
    for text in ["NaN", "Infinity", "-Infinity"] {
        assert_eq!(json(oids::FLOAT8, text), "null");
        assert_eq!(json(oids::NUMERIC, text), "null");
        assert_eq!(
            json(FLOAT8_ARRAY, &format!("{{{text},1}}")),
            format!("[\"{text}\",1]")
        );
    }
}

#[test]
fn timestamps_are_iso_in_every_zone() {
    assert_eq!(
        json(oids::TIMESTAMP, "2024-01-02 03:04:05.123456"),
        "\"2024-01-02T03:04:05.123456\""
    );
    assert_eq!(
        json(oids::TIMESTAMP, "0044-03-15 00:00:00 BC"),
        "\"0044-03-15T00:00:00 BC\""
    );
    assert_eq!(json(oids::TIMESTAMP, "-infinity"), "\"-infinity\"");
    assert_eq!(
        json(oids::TIMESTAMPTZ, "2024-01-02 01:04:05.1+00"),
        "\"2024-01-02T01:04:05.1+00:00\""
    );
    assert_eq!(
        json(oids::TIMESTAMPTZ, "2024-01-02 01:04:05+05:30"),
        "\"2024-01-02T01:04:05+05:30\""
    );
    assert_eq!(
        json(oids::TIMESTAMPTZ, "1800-01-02 01:04:05-00:01:15 BC"),
        "\"1800-01-02T01:04:05-00:01:15 BC\""
    );
    assert_eq!(
        json(oids::TIMESTAMPTZ, "0044-03-15 00:00:00+00 BC"),
        "\"0044-03-15T00:00:00+00:00 BC\""
    );
    // Another DateStyle is passed through rather than garbled.
    assert_eq!(
        json(oids::TIMESTAMPTZ, "Tue Jan 02 03:04:05 2024 UTC"),
        "\"Tue Jan 02 03:04:05 2024 UTC\""
    );
}

#[test]
fn bytea_loses_its_prefix_only_as_a_column() {
    assert_eq!(json(oids::BYTEA, "\\xdeadbeef"), "\"deadbeef\"");
    assert_eq!(json(oids::BYTEA, "\\x"), "\"\"");
    assert_eq!(
        json(BYTEA_ARRAY, r#"{"\\xdead",NULL}"#),
        r#"["\\xdead",null]"#
    );
}

#[test]
fn json_is_passed_through_when_it_is_json() {
    assert_eq!(
        json(oids::JSONB, r#"{"a": [1.50, null]}"#),
        r#"{"a": [1.50, null]}"#
    );
    assert_eq!(json(oids::JSON, " null "), "null");
    assert_eq!(json(oids::JSON, "{broken"), "\"{broken\"");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(json(oids::JSON, &deep), deep);
}

#[test]
fn arrays_keep_their_shape() {
    assert_eq!(json(INT4_ARRAY, "{}"), "[]");
    assert_eq!(json(INT4_ARRAY, "{1,NULL,3}"), "[1,null,3]");
    assert_eq!(
        json(INT4_ARRAY, "[2:3][0:1]={{1,2},{3,4}}"),
        "[[1,2],[3,4]]"
    );
    assert_eq!(
        json(TEXT_ARRAY, r#"{a,"b c","d\"e","f,g","NULL",NULL,""}"#),
        r#"["a","b c","d\"e","f,g","NULL",null,""]"#
    );
    assert_eq!(
        json(BOX_ARRAY, "{(1,1),(0,0);(2,2),(0,0)}"),
        r#"["(1,1),(0,0)","(2,2),(0,0)"]"#
    );
    assert_eq!(json(oids::INT2VECTOR, "1 2"), "[1,2]");
    assert_eq!(json(oids::OIDVECTOR, "1 2"), r#"["1","2"]"#);
    assert_eq!(json(oids::OIDVECTOR, ""), "[]");
}

#[test]
fn composites_are_objects() {
    assert_eq!(json(PAIR, "(1,)"), r#"{"x":1,"y":null}"#);
    assert_eq!(
        json(PAIR, r#"(1,"y ""z"" \\")"#),
        r#"{"x":1,"y":"y \"z\" \\"}"#
    );
    assert_eq!(json(PAIR, r#"(,"")"#), r#"{"x":null,"y":""}"#);
    assert_eq!(
        json(PAIR_ARRAY, r#"{"(1,a)","(2,\"b c\")"}"#),
        r#"[{"x":1,"y":"a"},{"x":2,"y":"b c"}]"#
    );
}

#[test]
fn hstore_is_an_object() {
    assert_eq!(
        json(HSTORE, r#""a"=>"1", "b\"c"=>NULL, "n"=>"NULL""#),
        r#"{"a":"1","b\"c":null,"n":"NULL"}"#
    );
    assert_eq!(json(HSTORE, ""), "{}");
}

#[test]
fn malformed_text_becomes_a_string() {
    for (type_oid, text) in [
        (oids::BOOL, "x"),
        (oids::INT4, "1_0"),
        (oids::INT4, "01"),
        (oids::FLOAT8, "1e999999"),
        (INT4_ARRAY, "{1,{2}"),
        (INT4_ARRAY, "{1,}"),
        (INT4_ARRAY, "{,1}"),
        (INT4_ARRAY, "1"),
        (INT4_ARRAY, "{1}2"),
        (PAIR, "(1)"),
        (PAIR, "(1,2,3)"),
        (HSTORE, "\"a\"=>"),
    ] {
        assert_eq!(
            json(type_oid, text),
            serde_json::to_string(text).unwrap(),
            "{text}"
        );
    }
}

#[test]
fn types_with_a_foreign_cast_to_json_are_left_to_postgres() {
    let types = types();
    let mut out = b"kept".to_vec();
    assert_eq!(
        render_value(&types, GEOMETRY, b"x", &mut out),
        Err(NeedsPostgres { type_oid: GEOMETRY })
    );
    assert_eq!(
        render_value(&types, GEOMETRY_ARRAY, b"{NULL,x}", &mut out),
        Err(NeedsPostgres { type_oid: GEOMETRY })
    );
    assert_eq!(
        render_value(&types, 99_999, b"x", &mut out),
        Err(NeedsPostgres { type_oid: 99_999 })
    );
    assert_eq!(out, b"kept");
    assert!(!can_render(&types, GEOMETRY_ARRAY));
    assert!(can_render(&types, PAIR_ARRAY));
    assert_eq!(
        render_sql(&types, GEOMETRY).unwrap(),
        "pg_catalog.to_jsonb(($1::pg_catalog.text)::\"public\".\"geometry\")::pg_catalog.text"
    );
}

#[test]
fn a_type_that_contains_itself_ends() {
    let mut types = types();
    types.insert(TypeInfo {
        oid: 60_000,
        schema: "s".into(),
        name: "loop".into(),
        sql_name: "loop".into(),
        kind: TypeKind::Array { element: 60_000 },
        delimiter: b',',
        has_json_cast: false,
    });
    assert!(!can_render(&types, 60_000));
}

proptest! {
    #[test]
    fn any_bytes_of_any_type_give_valid_json(
        text in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"{}()[]\",\\ =>-+.:0123456789NULLeTtf"[..])], 0..40),
        type_oid in prop::sample::select(vec![
            oids::BOOL, oids::INT4, oids::FLOAT8, oids::NUMERIC, oids::TEXT, oids::BYTEA, oids::JSON, oids::TIMESTAMP, oids::TIMESTAMPTZ,
            oids::INT2VECTOR, oids::OIDVECTOR, INT4_ARRAY, TEXT_ARRAY, BYTEA_ARRAY, BOX_ARRAY, PAIR, PAIR_ARRAY, HSTORE, POSINT,
        ]),
    ) {
        let mut out = Vec::new();
        render_value(&types(), type_oid, &text, &mut out).unwrap();
        prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
    }
}
