//! The grammar by examples, and that nothing makes it panic.

use proptest::prelude::*;

use super::*;

fn query(pairs: &[(&str, &str)]) -> Query {
    parsed(pairs, Plain::Refused).expect("it is right")
}

fn parsed(pairs: &[(&str, &str)], plain: Plain) -> Parsed<Query> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    parse(&pairs.iter().map(owned).collect::<Vec<_>>(), plain)
}

fn select(text: &str) -> Vec<Item> {
    query(&[("select", text)]).select.expect("items")
}

fn refused(key: &str, value: &str) -> String {
    parsed(&[(key, value)], Plain::Refused)
        .expect_err("it is wrong")
        .code
}

fn test_of(text: &str) -> Test {
    let query = query(&[("a", text)]);
    match query.filters.into_iter().next().expect("a filter").1 {
        Condition::Filter(filter) => filter.test,
        Condition::Tree { .. } => panic!("a tree"),
    }
}

fn value_of(text: &str) -> String {
    match test_of(text).operation {
        Operation::Compare { value, .. } | Operation::Search { value, .. } => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn columns_have_aliases_paths_and_casts() {
    let [Item::Star, Item::Column(plain), Item::Column(full)] =
        &select("*,id,x:data->a-b->>-1::int8")[..]
    else {
        panic!("three items")
    };
    assert_eq!(
        (&*plain.field.name, &plain.alias, &plain.cast),
        ("id", &None, &None)
    );
    assert_eq!(full.alias.as_deref(), Some("x"));
    assert_eq!(full.cast.as_deref(), Some("int8"));
    let step = |text, key| Step { text, key };
    assert_eq!(
        full.field.path,
        [
            step(false, Key::Name("a-b".into())),
            step(true, Key::Index("-1".into())),
        ]
    );
}

#[test]
fn the_last_key_names_what_has_no_alias() {
    for (text, name) in [
        ("data", "data"),
        ("data->a->0", "a"),
        ("data->3", "data"),
        ("data->>a", "a"),
    ] {
        let [Item::Column(column)] = &select(text)[..] else {
            panic!("one column")
        };
        assert_eq!(column.field.answered_as(), name);
    }
}

#[test]
fn embedding_has_hints_joins_spreads_and_levels() {
    let items = select("id,who:users!todos_user_fkey!inner(name,...teams!left(title)),empty()");
    let [_, Item::Embed(who), Item::Embed(empty)] = &items[..] else {
        panic!("two embedded")
    };
    assert_eq!((&*who.name, who.alias.as_deref()), ("users", Some("who")));
    assert_eq!(who.hint.as_deref(), Some("todos_user_fkey"));
    assert!(who.inner && !who.spread && empty.items.is_empty());
    let [_, Item::Embed(teams)] = &who.items[..] else {
        panic!("a spread")
    };
    assert!(teams.spread && !teams.inner);
}

#[test]
fn names_may_be_quoted() {
    let [Item::Column(column)] = &select(r#""a "":\"(b)""#.replace("\"\"", "").as_str())[..] else {
        panic!("one column")
    };
    assert_eq!(column.field.name, "a :\"(b)");
    assert_eq!(query(&[("\"a.b\".c", "eq.1")]).filters[0].0, ["a.b"]);
}

#[test]
fn values_reach_to_the_end_of_a_parameter() {
    assert_eq!(value_of("eq.1,2)\"(.x"), "1,2)\"(.x");
    assert_eq!(value_of("eq."), "");
    assert_eq!(value_of("eq(any).{1,2}"), "{1,2}");
    assert_eq!(value_of("wfts(english).a b"), "a b");
    assert!(test_of("not.eq.1").negated);
    assert_eq!(test_of("is.NULL").operation, Operation::Is(Is::Null));
    assert_eq!(test_of("is.not_null").operation, Operation::Is(Is::NotNull));
}

#[test]
fn lists_have_quoted_elements_and_may_be_empty() {
    let list = |text| match test_of(text).operation {
        Operation::In(list) => list,
        other => panic!("{other:?}"),
    };
    assert_eq!(list(r#"in.(a,"b,(c)","d\"e")"#), ["a", "b,(c)", "d\"e"]);
    assert_eq!(list(r#"in.("a"b,c)"#), ["\"a\"b", "c"]);
    assert_eq!(list("in.()"), Vec::<String>::new());
    assert_eq!(list("in.(,)"), ["", ""]);
}

#[test]
fn trees_nest_and_their_values_end_at_commas() {
    let query = query(&[(
        "or",
        r#"(a.eq.1,not.and(b.gt."x,)",c.ov.{1,2}),d->>e.is.null,or.eq.1)"#,
    )]);
    let (
        path,
        Condition::Tree {
            negated,
            any,
            members,
        },
    ) = &query.filters[0]
    else {
        panic!("a tree")
    };
    assert!(path.is_empty() && !negated && *any && members.len() == 4);
    let Condition::Tree {
        negated: true,
        any: false,
        members,
    } = &members[1]
    else {
        panic!("a tree inside")
    };
    let values: Vec<_> = members
        .iter()
        .map(|member| match member {
            Condition::Filter(Filter {
                test:
                    Test {
                        operation: Operation::Compare { value, .. },
                        ..
                    },
                ..
            }) => value.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(values, ["x,)", "{1,2}"]);
}

#[test]
fn trees_of_embedded_relations_and_negated_ones() {
    let query = query(&[
        ("not.or", "(a.eq.1)"),
        ("authors.and", "(b.eq.1)"),
        ("authors.not.or", "(b.eq.1)"),
    ]);
    let heads: Vec<_> = query
        .filters
        .iter()
        .map(|(path, tree)| match tree {
            Condition::Tree { negated, any, .. } => (path.join("."), *negated, *any),
            Condition::Filter(_) => panic!("no tree"),
        })
        .collect();
    assert_eq!(
        heads,
        [
            ("".into(), true, true),
            ("authors".into(), false, false),
            ("authors".into(), true, true)
        ]
    );
}

#[test]
fn order_has_directions_nulls_and_related_columns() {
    let query = query(&[
        ("order", "a.desc.nullslast,b,c->>d.nullsfirst,e(f).asc"),
        ("r.order", "x"),
    ]);
    let terms: Vec<_> = query.order[0]
        .1
        .iter()
        .map(|term| (term.relation.as_deref(), term.descending, term.nulls_first))
        .collect();
    assert_eq!(
        terms,
        [
            (None, Some(true), Some(false)),
            (None, None, None),
            (None, None, Some(true)),
            (Some("e"), Some(false), None),
        ]
    );
    assert_eq!(query.order[1].0, ["r"]);
}

#[test]
fn arguments_are_what_has_no_operator_in_a_call() {
    let query = parsed(
        &[
            ("a", "1"),
            ("b", "eq.1"),
            ("not a name!", "x"),
            ("limit", "3"),
        ],
        Plain::Argument,
    )
    .expect("it is right");
    assert_eq!(query.arguments.len(), 2);
    assert_eq!(query.filters.len(), 1);
    assert_eq!(query.ranges.len(), 1);
}

#[test]
fn mistakes_are_told_as_such() {
    for (key, value) in [
        ("a", "1"),
        ("a", "nope.1"),
        ("a", "eq(some).1"),
        ("a", "neq(any).1"),
        ("a", "is.maybe"),
        ("a", "is.null or true"),
        ("a", "in.1,2"),
        ("a", "in.(1"),
        ("a", "fts().x"),
        ("a;drop", "eq.1"),
        ("select", "a b)"),
        ("select", "a::"),
        ("select", "a::int)--"),
        ("select", "a::text;drop"),
        ("select", "a(b"),
        ("select", "a!b!c!d(e)"),
        ("select", "a->"),
        ("order", "a.down"),
        ("order", "a.asc.desc"),
        ("order", "a.nullsfirst.nullslast"),
        ("order", "a(b,c)"),
        ("order", ""),
        ("or", "()"),
        ("or", "(a.eq.1"),
        ("or", "(a.eq.1)x"),
        ("limit", "ten"),
        ("columns", "a,,b"),
        ("on_conflict", "a)"),
        (&"n".repeat(64), "eq.1"),
    ] {
        assert_eq!(refused(key, value), "PGRST100", "{key}={value}");
    }
    assert_eq!(refused("limit", "-1"), "PGRST103");
    for aggregate in [
        "count()",
        "a.sum()",
        "x:a::int.max()",
        "r(count())",
        "a.avg()::int",
    ] {
        assert_eq!(refused("select", aggregate), "PGRST123", "{aggregate}");
    }
}

#[test]
fn everything_is_bounded() {
    let many = vec![("a", "eq.1"); 501];
    assert!(parsed(&many, Plain::Refused).is_err());
    let tree = format!("({})", vec!["a.eq.1"; 501].join(","));
    assert_eq!(refused("or", &tree), "PGRST100");
    let deep = format!(
        "{}{}",
        "(a.eq.1,or".repeat(100),
        "(a.eq.1)".to_owned() + &")".repeat(100)
    );
    assert_eq!(refused("or", &deep), "PGRST100");
    let deep = format!("{}*{}", "a(".repeat(1000), ")".repeat(1000));
    assert_eq!(refused("select", &deep), "PGRST100");
    assert_eq!(refused("select", &vec!["a"; 501].join(",")), "PGRST100");
    assert_eq!(refused("select", &vec!["a()"; 41].join(",")), "PGRST100");
    assert_eq!(
        refused("select", &format!("a{}", "->b".repeat(33))),
        "PGRST100"
    );
    assert_eq!(refused("order", &vec!["a"; 51].join(",")), "PGRST100");
    assert_eq!(refused(&"a.".repeat(20), "eq.1"), "PGRST100");
}

/// Pieces of the language in any order: close to what is right, so that the far ends of the grammar are reached.
fn language() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("a".to_owned()),
        Just("not.".to_owned()),
        Just("and".to_owned()),
        Just("or".to_owned()),
        Just("eq.".to_owned()),
        Just("in.".to_owned()),
        Just("is.null".to_owned()),
        Just("count()".to_owned()),
        Just(".desc".to_owned()),
        Just("...".to_owned()),
        "[-(),.:!*\"\\\\>{} ]{1,3}",
        "\\PC{0,4}",
    ];
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        key in prop_oneof![
            Just("select".to_owned()), Just("or".to_owned()), Just("order".to_owned()),
            Just("columns".to_owned()), Just("limit".to_owned()), language(), ".*",
        ],
        value in prop_oneof![language(), ".*"],
        argument in any::<bool>(),
    ) {
        let plain = if argument { Plain::Argument } else { Plain::Refused };
        let pairs = [(key, value)];
        if let Err(rejection) = parse(&pairs, plain) {
            prop_assert!(rejection.code.starts_with("PGRST1"));
        }
    }

    #[test]
    fn quoted_values_come_back_as_they_were(values in prop::collection::vec(".*", 2..6)) {
        let quoted = |value: &String| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let list: Vec<String> = values.iter().map(quoted).collect();
        let test = test_of(&format!("in.({})", list.join(",")));
        prop_assert_eq!(test.operation, Operation::In(values.clone()));
        let tree = format!("({})", list.iter().map(|value| format!("a.eq.{value}")).collect::<Vec<_>>().join(","));
        let query = query(&[("or", &tree)]);
        let Condition::Tree { members, .. } = &query.filters[0].1 else { panic!("a tree") };
        for (member, wanted) in members.iter().zip(&values) {
            let Condition::Filter(Filter { test: Test { operation: Operation::Compare { value, .. }, .. }, .. }) = member
            else { panic!("a filter") };
            prop_assert_eq!(value, wanted);
        }
    }
}
