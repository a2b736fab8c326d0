//! The JSON of every type equals what Postgres makes of it (postgres.md §2.15).
use dovetail::changes::record::{can_render, render_sql, render_value};

use crate::record_catalog::{Database, literals, samples};

const SETUP: &str = r#"
    create extension hstore; create extension citext;
    create type mood as enum ('sad', 'ok', 'happy', 'over the "moon", \o/');
    create type pair as (x int, "odd ""name" text);
    create domain posint as int check (value > 0);
    create domain posint2 as posint;
    create domain words as text[];
    create type cased as (a int);
    create type lens as enum ('wide', 'long');
    create function lens_json(lens) returns json language sql immutable as $$ select json_build_object('lens', $1::text) $$;
    create cast (lens as json) with function lens_json(lens);
"#;

/// Types with generated values.
const GENERATED: [&str; 24] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "text",
    "varchar",
    "citext",
    "char(8)",
    "name",
    "uuid",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "bytea",
    "json",
    "jsonb",
    "mood",
];

/// Types with values chosen by hand.
const CHOSEN: [(&str, &[&str]); 43] = [
    ("\"char\"", &["a", "\"", "\\\\", ""]),
    ("bit(4)", &["1010"]),
    ("varbit", &["101", ""]),
    ("money", &["1234.5", "-0.01"]),
    ("xml", &["<a b=\"c\">1 &amp; 2</a>"]),
    ("tsvector", &["'big':2 'it''s':1", ""]),
    ("tsquery", &["'a' & !'b'"]),
    ("jsonpath", &["$.\"a\"[*] ? (@ > 1)"]),
    ("pg_lsn", &["16/B374D848"]),
    ("tid", &["(0,1)"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("inet", &["10.0.0.1/8", "::1"]),
    ("cidr", &["10.0.0.0/8"]),
    ("point", &["(1.5,-2)"]),
    ("line", &["{1,2,3}"]),
    ("lseg", &["[(0,0),(1,1)]"]),
    ("box", &["(1,1),(0,0)"]),
    ("path", &["((0,0),(1,1))", "[(0,0),(1,1)]"]),
    ("polygon", &["((0,0),(1,1),(1,0))"]),
    ("circle", &["<(0,0),1>"]),
    ("int4range", &["[1,10)", "empty", "(,)"]),
    ("numrange", &["[1.50,2.0]"]),
    ("tstzrange", &["[2026-01-01 00:00:00+00,)"]),
    ("tsrange", &["[2024-01-01,2024-01-02)"]),
    ("daterange", &["[2024-01-01,infinity]"]),
    ("int4multirange", &["{[1,3),[5,7)}", "{}"]),
    ("xid", &["42"]),
    ("xid8", &["18446744073709551615"]),
    ("cid", &["7"]),
    ("regclass", &["pg_class"]),
    ("regtype", &["integer"]),
    ("regproc", &["now"]),
    ("int2vector", &["1 2 3", ""]),
    ("oidvector", &["1 2 4294967295", ""]),
    (
        "hstore",
        &["a=>1, b=>NULL, \"c d\"=>\"e\\\"f\\\\\", \"\"=>\"\"", ""],
    ),
    ("posint", &["5"]),
    ("posint2", &["5"]),
    ("words", &["{a,NULL,\"b c\"}"]),
    (
        "pair",
        &["(1,a)", "(,)", "(1,\"b \"\"c\"\" \\\\ (d),\")", "(1,\"\")"],
    ),
    (
        "text[]",
        &[
            "{}",
            "{{a,NULL},{\"c,d\",\"\"}}",
            "[2:3]={a,b}",
            "{\"null\",NULL}",
        ],
    ),
    ("box[]", &["{(1,1),(0,0);(2,2),(0,0)}"]),
    ("pair[]", &["{\"(1,a)\",NULL,\"(2,\\\"b c\\\")\"}"]),
];

/// Renders every value of `select v` here and lets Postgres compare it with `expected` (SQL over `v`). Compared as jsonb
/// text: exact numbers with their scale.
async fn compare(
    database: &Database,
    what: &str,
    type_oid: u32,
    source: &str,
    values: &[String],
    expected: &str,
) {
    // format() prints with the type's output function, as the stream does; a cast to text does not always.
    let query = format!(
        "select case when v is null then null else format('%s', v) end from ({source}) s(v, o) order by o"
    );
    let rows = database
        .client
        .query(&query, &[&values])
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let rendered: Vec<Option<String>> = rows
        .iter()
        .map(|row| {
            row.get::<_, Option<String>>(0).map(|text| {
                let mut out = Vec::new();
                render_value(&database.types, type_oid, text.as_bytes(), &mut out)
                    .unwrap_or_else(|error| panic!("{what} {text}: {error}"));
                String::from_utf8(out).unwrap()
            })
        })
        .collect();
    let query = format!(
        "select format('%s', v), mine, ({expected})::text
         from (select v, row_number() over (order by o) as o from ({source}) s(v, o)) s join unnest($2::text[]) with ordinality m(mine, n) on n = s.o
         where v is not null and mine::jsonb::text is distinct from ({expected})::text"
    );
    let wrong = database
        .client
        .query(&query, &[&values, &rendered])
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?} {rendered:?}"));
    if let Some(row) = wrong.first() {
        let shown: (String, String, Option<String>) = (row.get(0), row.get(1), row.get(2));
        panic!(
            "{what}: {} of {} differ, the first (text, ours, Postgres): {shown:?}",
            wrong.len(),
            rendered.len()
        );
    }
    assert!(!rendered.is_empty(), "{what}: nothing was compared");
}

/// `to_jsonb` with the exceptions a column's own value has.
fn expected_of_column(sql_name: &str) -> String {
    match sql_name {
        "bytea" => "to_jsonb(encode(v, 'hex'))".to_owned(),
        "float4" | "float8" | "numeric" => {
            "case when v in ('NaN', 'Infinity', '-Infinity') then 'null'::jsonb else to_jsonb(v) end".to_owned()
        }
        _ => "to_jsonb(v)".to_owned(),
    }
}

async fn compare_in_every_shape(
    database: &Database,
    sql_name: &str,
    index: usize,
    values: &[String],
) {
    let scalars =
        format!("select x::{sql_name}, o from unnest($1::text[]) with ordinality u(x, o)");
    let oid = database.oid(sql_name).await;
    compare(
        database,
        sql_name,
        oid,
        &scalars,
        values,
        &expected_of_column(sql_name),
    )
    .await;

    // Arrays of two, with a NULL; and two dimensions with lower bounds.
    let arrays = format!(
        "select array[x, null, x]::{sql_name}[], o from unnest($1::text[]) with ordinality u(x, o)"
    );
    let array_oid = database.oid(&format!("{sql_name}[]")).await;
    compare(
        database,
        &format!("{sql_name}[]"),
        array_oid,
        &arrays,
        values,
        "to_jsonb(v)",
    )
    .await;
    let matrices = format!(
        "select array_fill(x::{sql_name}, array[2, 3], array[0, 5]), o from unnest($1::text[]) with ordinality u(x, o)"
    );
    compare(
        database,
        &format!("{sql_name}[][]"),
        array_oid,
        &matrices,
        values,
        "to_jsonb(v)",
    )
    .await;

    // A composite that holds the value, an array of it, and another composite; and an array of those.
    database
        .client
        .batch_execute(&format!(
            "create type inner_{index} as (n text, v {sql_name}); create type outer_{index} as (\"a b\" {sql_name}, list {sql_name}[], deep inner_{index})"
        ))
        .await
        .unwrap();
    let database = database.reloaded().await;
    let row = format!(
        "row(x::{sql_name}, array[x::{sql_name}, null], row('q\"', x::{sql_name})::inner_{index})::outer_{index}"
    );
    let composites = format!("select {row}, o from unnest($1::text[]) with ordinality u(x, o)");
    let oid = database.oid(&format!("outer_{index}")).await;
    compare(
        &database,
        &format!("composite of {sql_name}"),
        oid,
        &composites,
        values,
        "to_jsonb(v)",
    )
    .await;
    let composites =
        format!("select array[{row}], o from unnest($1::text[]) with ordinality u(x, o)");
    let oid = database.oid(&format!("outer_{index}[]")).await;
    compare(
        &database,
        &format!("array of composites of {sql_name}"),
        oid,
        &composites,
        values,
        "to_jsonb(v)",
    )
    .await;
}

#[tokio::test]
async fn json_of_generated_values_equals_that_of_postgres() {
    let database = Database::start(SETUP).await;
    for (index, sql_name) in GENERATED.into_iter().enumerate() {
        let values = samples(&literals(sql_name), 200);
        // Postgres itself refuses to print some JSON numbers and NULs; the generator makes none of them.
        compare_in_every_shape(&database, sql_name, index, &values).await;
    }
}

#[tokio::test]
async fn json_of_chosen_values_equals_that_of_postgres() {
    let database = Database::start(SETUP).await;
    for (sql_name, values) in CHOSEN {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let source =
            format!("select x::{sql_name}, o from unnest($1::text[]) with ordinality u(x, o)");
        let oid = database.oid(sql_name).await;
        compare(&database, sql_name, oid, &source, &values, "to_jsonb(v)").await;
        if !sql_name.ends_with(']') {
            let source = format!(
                "select array[x::{sql_name}], o from unnest($1::text[]) with ordinality u(x, o)"
            );
            let oid = database.oid(&format!("{sql_name}[]")).await;
            compare(
                &database,
                &format!("{sql_name}[]"),
                oid,
                &source,
                &values,
                "to_jsonb(v)",
            )
            .await;
        }
    }
}

#[tokio::test]
async fn timestamps_follow_the_zone_of_the_session() {
    let database = Database::start(SETUP).await;
    let values = samples(&literals("timestamptz"), 200);
    for zone in [
        "UTC",
        "Asia/Kolkata",
        "America/St_Johns",
        "Europe/Amsterdam",
        "Africa/Monrovia",
        "Pacific/Apia",
    ] {
        database
            .client
            .batch_execute(&format!("set timezone to '{zone}'"))
            .await
            .unwrap();
        let source = "select x::timestamptz, o from unnest($1::text[]) with ordinality u(x, o)";
        compare(&database, zone, 1184, source, &values, "to_jsonb(v)").await;
        let source =
            "select array[x::timestamptz], o from unnest($1::text[]) with ordinality u(x, o)";
        compare(&database, zone, 1185, source, &values, "to_jsonb(v)").await;
    }
}

#[tokio::test]
async fn fewer_float_digits_are_rendered_as_they_come() {
    let database = Database::start(SETUP).await;
    database
        .client
        .batch_execute("set extra_float_digits to 0")
        .await
        .unwrap();
    for sql_name in ["float4", "float8"] {
        let values = samples(&literals(sql_name), 200);
        let source =
            format!("select x::{sql_name}, o from unnest($1::text[]) with ordinality u(x, o)");
        let oid = database.oid(sql_name).await;
        compare(
            &database,
            sql_name,
            oid,
            &source,
            &values,
            &expected_of_column(sql_name),
        )
        .await;
    }
}

#[tokio::test]
async fn a_type_with_its_own_cast_to_json_is_rendered_by_postgres() {
    let database = Database::start(SETUP).await;
    let oid = database.oid("lens").await;
    assert!(!can_render(&database.types, oid));
    assert!(can_render(&database.types, database.oid("hstore").await));
    let sql = render_sql(&database.types, oid).unwrap();
    let json: String = database
        .client
        .query_one(&format!("select {sql}"), &[&"wide"])
        .await
        .unwrap()
        .get(0);
    assert_eq!(json, r#"{"lens": "wide"}"#);
}
