//! Evaluation: any filter on any value of any built-in type is answered or refused, and `not` inverts the answer.
#![no_main]
use dovetail::changes::filter::{Compiled, compile, key_of, parse, validation_sql};
use dovetail::changes::record::Value;
use dovetail::changes::record::schema::{Column, TypeInfo, TypeKind, Types};
use libfuzzer_sys::fuzz_target;

const OIDS: [u32; 20] = [
    16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1700,
    2950,
];

fuzz_target!(|input: (u8, &str, &[u8])| {
    let (choice, filter, value) = input;
    let type_oid = OIDS[usize::from(choice) % OIDS.len()];
    let mut types = Types::new();
    types.insert(TypeInfo {
        oid: type_oid,
        schema: "pg_catalog".into(),
        name: "t".into(),
        sql_name: "t".into(),
        kind: TypeKind::Base,
        delimiter: b',',
        has_json_cast: false,
    });
    let column = Column {
        name: "c".into(),
        type_oid,
        typmod: -1,
        attnum: 1,
        in_identity: false,
        generated: false,
        not_null: false,
    };
    for condition in parse(filter).unwrap_or_default() {
        let _ = validation_sql(&condition, &column, &types);
        let Ok(Compiled::Native(native)) = compile(&condition, &column, &types) else {
            continue;
        };
        let answer = native.evaluate(Value::Text(value));
        let mut opposite = condition.clone();
        opposite.negate = !opposite.negate;
        if let Ok(Compiled::Native(opposite)) = compile(&opposite, &column, &types) {
            assert_eq!(
                opposite.evaluate(Value::Text(value)),
                answer.map(|answer| !answer)
            );
        }
        if let Some(keys) = native.index_keys() {
            let found = key_of(&types, type_oid, value).is_some_and(|key| keys.contains(&key));
            assert_eq!(found, answer == Some(true));
        }
    }
});
