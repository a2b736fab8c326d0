//! Rendering: any bytes of any type become one valid JSON value, or the type is left to Postgres.
#![no_main]
use dovetail::changes::record::render_value;
use dovetail::changes::record::schema::{Field, TypeInfo, TypeKind, Types};
use libfuzzer_sys::fuzz_target;

const PAIR: u32 = 50_000;
const HSTORE: u32 = 50_001;
const FIRST_ARRAY: u32 = 60_000;
const BASES: [u32; 16] = [
    16,
    17,
    20,
    22,
    25,
    30,
    114,
    700,
    1114,
    1184,
    1700,
    3802,
    PAIR,
    HSTORE,
    FIRST_ARRAY,
    99,
];

fn types() -> Types {
    let mut types = Types::new();
    let mut add = |oid, name: &str, kind, has_json_cast| {
        types.insert(TypeInfo {
            oid,
            schema: "public".into(),
            name: name.into(),
            sql_name: name.into(),
            kind,
            delimiter: b',',
            has_json_cast,
        });
    };
    let fields = vec![
        Field {
            name: "x".into(),
            type_oid: 20,
        },
        Field {
            name: "\"y\\".into(),
            type_oid: FIRST_ARRAY + 4,
        },
    ];
    add(PAIR, "pair", TypeKind::Composite { fields }, false);
    add(HSTORE, "hstore", TypeKind::Base, true);
    for (oid, element) in (FIRST_ARRAY..).zip(BASES) {
        add(oid, "_array", TypeKind::Array { element }, false);
    }
    types
}

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, text) = input;
    let types = types();
    let base = usize::from(choice) % BASES.len();
    for type_oid in [BASES[base], FIRST_ARRAY + u32::from(choice) % 16] {
        let mut out = Vec::new();
        if render_value(&types, type_oid, text, &mut out).is_ok() {
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&out).is_ok());
        } else {
            assert!(out.is_empty());
        }
    }
});
