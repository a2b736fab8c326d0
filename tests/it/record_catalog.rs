//! A private Postgres with types of every kind, and what rendering and filtering need to know about them.
use std::sync::Arc;

use dovetail::changes::filter::{Condition, parse};
use dovetail::changes::record::schema::{Column, Field, TypeInfo, TypeKind, Types};
use dovetail::postgres::connect;
use dovetail::postgres::embedded::Embedded;
use proptest::strategy::{BoxedStrategy, Just, Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tokio_postgres::Client;

/// A server of its own, with a connection to it and its types.
pub(crate) struct Database {
    pub(crate) client: Client,
    pub(crate) types: Types,
    server: Arc<Embedded>,
}

impl Database {
    /// Starts a server, runs `setup`, reads the types.
    pub(crate) async fn start(setup: &str) -> Self {
        let server = Embedded::start_ephemeral().await.unwrap();
        let client = connect_to(&server).await;
        client.batch_execute(setup).await.unwrap();
        let types = load_types(&client).await;
        Self {
            client,
            types,
            server: Arc::new(server),
        }
    }

    /// The same server with a new connection, after more types were made.
    pub(crate) async fn reloaded(&self) -> Self {
        let server = Arc::clone(&self.server);
        let client = connect_to(&server).await;
        let types = load_types(&client).await;
        Self {
            client,
            types,
            server,
        }
    }

    /// The oid of a type by its SQL name.
    pub(crate) async fn oid(&self, sql_name: &str) -> u32 {
        // The text form, because a modifier is no part of a type's oid.
        let row = self
            .client
            .query_one(&format!("select pg_typeof(null::{sql_name})::oid"), &[])
            .await
            .unwrap();
        row.get(0)
    }

    /// A column `c` of that type.
    pub(crate) async fn column(&self, sql_name: &str) -> Column {
        Column {
            name: "c".to_owned(),
            type_oid: self.oid(sql_name).await,
            typmod: -1,
            attnum: 1,
            in_identity: false,
            generated: false,
            not_null: false,
        }
    }
}

async fn connect_to(server: &Embedded) -> Client {
    let client = connect(&server.connect_options(), "record test")
        .await
        .unwrap();
    client
        .batch_execute("set datestyle to iso; set intervalstyle to postgres; set timezone to utc")
        .await
        .unwrap();
    client
}

async fn load_types(client: &Client) -> Types {
    let rows = client
        .query(
            "select t.oid, n.nspname::text, t.typname::text, format_type(t.oid, null), t.typtype::text, t.typelem, t.typbasetype, t.typdelim::text,
                    t.typsubscript = 'array_subscript_handler'::regproc and t.typelem <> 0 and t.typname not in ('int2vector', 'oidvector'),
                    exists (select from pg_cast c where c.castsource = t.oid and c.casttarget = 'json'::regtype and c.castmethod = 'f'),
                    array(select a.attname::text from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum),
                    array(select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum)
             from pg_type t join pg_namespace n on n.oid = t.typnamespace",
            &[],
        )
        .await
        .unwrap();
    let mut types = Types::new();
    for row in rows {
        let typtype: String = row.get(4);
        let names: Vec<String> = row.get(10);
        let field_types: Vec<u32> = row.get(11);
        let kind = match typtype.as_str() {
            _ if row.get::<_, bool>(8) => TypeKind::Array {
                element: row.get(5),
            },
            "d" => TypeKind::Domain { base: row.get(6) },
            "e" => TypeKind::Enum,
            "c" => TypeKind::Composite {
                fields: names
                    .into_iter()
                    .zip(field_types)
                    .map(|(name, type_oid)| Field { name, type_oid })
                    .collect(),
            },
            "r" => TypeKind::Range,
            "m" => TypeKind::Multirange,
            _ => TypeKind::Base,
        };
        types.insert(TypeInfo {
            oid: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            sql_name: row.get(3),
            kind,
            delimiter: row.get::<_, String>(7).as_bytes()[0],
            has_json_cast: row.get(9),
        });
    }
    types
}

/// The filter `op.value` or `not.op.value` on column `c`, with the value quoted as the JS builder does.
pub(crate) fn filter_on_c(filter: &str) -> Condition {
    let split = if filter.starts_with("not.") { 4 } else { 0 };
    let dot = split + filter[split..].find('.').unwrap();
    let (op, value) = (&filter[..dot], &filter[dot + 1..]);
    let text = if value.contains(',') && !op.ends_with("in") {
        format!(
            "c={op}.\"{}\"",
            value.replace('\\', "\\\\").replace('"', "\\\"")
        )
    } else {
        format!("c={filter}")
    };
    parse(&text).unwrap().remove(0)
}

/// `count` values of a strategy.
pub(crate) fn samples(strategy: &BoxedStrategy<String>, count: usize) -> Vec<String> {
    let mut runner = TestRunner::default();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

fn one_of(values: &[&str]) -> BoxedStrategy<String> {
    proptest::sample::select(
        values
            .iter()
            .map(|value| (*value).to_owned())
            .collect::<Vec<_>>(),
    )
    .boxed()
}

fn mostly(common: BoxedStrategy<String>, special: &[&str]) -> BoxedStrategy<String> {
    proptest::prop_oneof![4 => common, 1 => one_of(special)].boxed()
}

fn text_of<T: std::fmt::Debug + std::fmt::Display>(
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<String> {
    strategy.prop_map(|value| value.to_string()).boxed()
}

fn dates() -> BoxedStrategy<String> {
    let common =
        (1..9_999_u32, 1..13_u32, 1..29_u32).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let ancient = (1..4_712_u32, 1..13_u32, 1..29_u32)
        .prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02} BC"));
    let far = (10_000..290_000_u32).prop_map(|y| format!("{y}-12-31"));
    proptest::prop_oneof![5 => common, 1 => ancient, 1 => far, 1 => Just("infinity".to_owned()), 1 => Just("-infinity".to_owned())].boxed()
}

fn times() -> BoxedStrategy<String> {
    (0..86_400_u32, 0..1_000_000_u32, 0..7_u32)
        .prop_map(|(second, micros, digits)| {
            let micros = micros / 10_u32.pow(digits.min(6)) * 10_u32.pow(digits.min(6));
            format!(
                "{:02}:{:02}:{:02}.{micros:06}",
                second / 3_600,
                second / 60 % 60,
                second % 60
            )
        })
        .boxed()
}

fn timestamps(zone: &'static [&'static str]) -> BoxedStrategy<String> {
    (dates(), times(), one_of(zone))
        .prop_map(|(date, time, zone)| match date.strip_suffix(" BC") {
            Some(date) => format!("{date} {time}{zone} BC"),
            None if date.ends_with("infinity") => date,
            None => format!("{date} {time}{zone}"),
        })
        .boxed()
}

fn json_texts() -> BoxedStrategy<String> {
    let leaf = proptest::prop_oneof![
        one_of(&[
            "null",
            "true",
            "false",
            "1.50",
            "-0",
            "1e5",
            "12345678901234567890.5",
            "\"\"",
            "\"null\""
        ]),
        "[ -~é]{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        proptest::prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            proptest::collection::vec(("[a-c]{1,2}", inner), 0..4).prop_map(|items| {
                let members: Vec<String> = items
                    .into_iter()
                    .map(|(key, value)| format!("\"{key}\": {value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .boxed()
}

/// Literals of a type, valid as input.
pub(crate) fn literals(sql_name: &str) -> BoxedStrategy<String> {
    match sql_name {
        "bool" => one_of(&["t", "f"]),
        "int2" => mostly(text_of(proptest::num::i16::ANY), &["0", "-32768", "1", "2"]),
        "int4" => mostly(
            text_of(proptest::num::i32::ANY),
            &["0", "-2147483648", "1", "2"],
        ),
        "int8" => mostly(
            text_of(proptest::num::i64::ANY),
            &["0", "9223372036854775807", "1", "2"],
        ),
        "oid" => mostly(
            text_of(proptest::num::u32::ANY),
            &["0", "4294967295", "1", "2"],
        ),
        "float4" => mostly(
            proptest::num::f32::NORMAL
                .prop_map(|value| format!("{value:e}"))
                .boxed(),
            &[
                "NaN",
                "Infinity",
                "-Infinity",
                "-0",
                "0",
                "1",
                "1.5",
                "1e-7",
                "3.4e38",
                "1e-45",
                "1e20",
                "-2.5e-5",
            ],
        ),
        "float8" => mostly(
            proptest::num::f64::NORMAL
                .prop_map(|value| format!("{value:e}"))
                .boxed(),
            &[
                "NaN",
                "Infinity",
                "-Infinity",
                "-0",
                "0",
                "1",
                "1.5",
                "1e-7",
                "1e100",
                "5e-324",
                "1e15",
                "1e16",
                "0.1",
                "-2.5e-5",
            ],
        ),
        "numeric" => mostly(
            "-?[0-9]{1,25}(\\.[0-9]{1,15})?"
                .prop_map(String::from)
                .boxed(),
            &[
                "NaN",
                "Infinity",
                "-Infinity",
                "0",
                "-0.00",
                "1",
                "1.0",
                "1.50",
                "1.5",
                "-1.5",
                "0.05",
                "0.5",
                "00012.300",
            ],
        ),
        "text" | "varchar" | "citext" => mostly(
            "\\PC{0,12}".prop_map(String::from).boxed(),
            &[
                "",
                " ",
                "a",
                "A",
                "a ",
                "b",
                "null",
                "NULL",
                "\t\n\r\u{8}\u{c}\u{1f}\u{7f}",
                "\"\\/",
                "{a,b}",
                "(1,\"x\")",
                "é",
                "🦀",
                "\u{2028}",
            ],
        ),
        "char(8)" => mostly(
            "[a-c é\\\\\"]{0,8}".prop_map(String::from).boxed(),
            &["", "a", "a ", "abcdefgh"],
        ),
        "name" => mostly(
            "[a-zA-Z0-9 \"\\\\é]{0,20}".prop_map(String::from).boxed(),
            &["", "a", "A", "pg_class"],
        ),
        "uuid" => mostly(
            proptest::num::u128::ANY
                .prop_map(|value| uuid::Uuid::from_u128(value).to_string().to_uppercase())
                .boxed(),
            &[
                "00000000-0000-0000-0000-000000000000",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            ],
        ),
        "date" => mostly(
            dates(),
            &["2000-01-01", "1999-12-31", "5874897-12-31", "4713-01-01 BC"],
        ),
        "time" => mostly(times(), &["00:00:00", "24:00:00", "12:00:00"]),
        "timetz" => (times(), one_of(&["+00", "-03:30", "+05:45", "+00:19:32"]))
            .prop_map(|(time, zone)| format!("{time}{zone}"))
            .boxed(),
        "timestamp" => mostly(
            timestamps(&[""]),
            &[
                "2000-01-01 00:00:00",
                "2024-02-29 23:59:59.999999",
                "4713-11-24 00:00:00 BC",
            ],
        ),
        "timestamptz" => mostly(
            timestamps(&["+00", "-03:30", "+05:45", "+00:19:32"]),
            &[
                "2000-01-01 00:00:00+00",
                "2000-01-01 02:00:00+02",
                "1850-06-01 12:00:00+00",
                "2024-07-01 12:00:00.5+00",
            ],
        ),
        "interval" => one_of(&[
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 day",
            "0",
            "-00:00:01",
            "1 mon",
            "30 days",
            "24:00:00",
            "1 day",
            "-1 year -2 mons +3 days -04:05:06",
        ]),
        "bytea" => mostly(
            "([0-9a-f]{2}){0,8}"
                .prop_map(|hex| format!("\\x{hex}"))
                .boxed(),
            &["\\x", "\\xdeadbeef", "\\x00ff"],
        ),
        "json" | "jsonb" => json_texts(),
        "mood" => one_of(&["sad", "ok", "happy", "over the \"moon\", \\o/"]),
        other => panic!("no literals for {other}"),
    }
}
