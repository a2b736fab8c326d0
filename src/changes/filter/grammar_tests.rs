#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use proptest::prelude::*;

use super::*;

fn condition(column: &str, op: Op, value: &str, negate: bool) -> Condition {
    Condition {
        column: column.into(),
        op,
        value: value.into(),
        negate,
    }
}

fn one(text: &str) -> Condition {
    let conditions = parse(text).unwrap();
    assert_eq!(conditions.len(), 1, "{text}");
    conditions.into_iter().next().unwrap()
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn blank_is_no_filter() {
    for text in ["", "  ", "\n\t"] {
        assert_eq!(parse(text), Ok(vec![]));
    }
}

#[test]
fn every_operator_with_and_without_not() {
    for op in [
        Op::Eq,
        Op::Neq,
        Op::Lt,
        Op::Lte,
        Op::Gt,
        Op::Gte,
        Op::Like,
        Op::Ilike,
        Op::Is,
        Op::Match,
        Op::Imatch,
        Op::IsDistinct,
    ] {
        assert_eq!(
            one(&format!("a={}.x", op.as_str())),
            condition("a", op, "x", false)
        );
        assert_eq!(
            one(&format!("a=not.{}.x", op.as_str())),
            condition("a", op, "x", true)
        );
    }
    assert_eq!(one("a=not.in.(1)"), condition("a", Op::In, "{1}", true));
}

#[test]
fn segments_are_split_at_bare_commas_only() {
    let conditions =
        parse("a=gt.1, b=lt.9 ,title=eq.\"x,y\",f=eq.f(a,b),s=in.(active,\"on ) hold\")").unwrap();
    let values: Vec<&str> = conditions
        .iter()
        .map(|condition| condition.value.as_str())
        .collect();
    assert_eq!(
        values,
        ["1", "9", "x,y", "f(a,b)", "{active,\"on ) hold\"}"]
    );
    assert_eq!(conditions[1].column, "b");
}

#[test]
fn a_quote_opens_only_after_dot_parenthesis_or_comma() {
    // In the middle of a value it is a character, so the comma after it splits.
    assert_eq!(
        message("a=eq.x\"y,z\""),
        "Error parsing `filter` params: [\"z\\\"\"]"
    );
    // At the very start of a segment too.
    assert_eq!(one("\"a=eq.1"), condition("\"a", Op::Eq, "1", false));
    assert_eq!(parse("a=eq.1,\"b=eq.2,c=eq.3").unwrap().len(), 3);
    assert_eq!(one("a=in.(\"b,c\",\"d)\")").value, "{\"b,c\",\"d)\"}");
}

#[test]
fn unclosed_quotes_and_parentheses_swallow_the_rest() {
    assert_eq!(one("a=eq.\"x,b=eq.1").value, "\"x,b=eq.1");
    assert_eq!(one("a=eq.(x,b=eq.1").value, "(x,b=eq.1");
    assert_eq!(parse("a=eq.x),b=eq.1").unwrap().len(), 2);
}

#[test]
fn scalars_are_unquoted_only_as_a_whole() {
    assert_eq!(one(r#"a=eq."x""#).value, "x");
    assert_eq!(one(r#"a=eq."x\"\\y\n""#).value, r#"x"\yn"#);
    assert_eq!(one(r#"a=eq."x"y"#).value, r#""x"y"#);
    assert_eq!(one(r#"a=eq."x\""#).value, r#""x\""#);
    assert_eq!(one(r#"a=eq.""#).value, r#"""#);
    assert_eq!(one(r#"a=eq."""#).value, "");
    assert_eq!(one("a=eq.").value, "");
    assert_eq!(one("a=eq.null").value, "null");
}

#[test]
fn the_first_equals_sign_and_dot_split() {
    assert_eq!(one("a=eq.b=c.d"), condition("a", Op::Eq, "b=c.d", false));
    assert_eq!(one("a.b c=eq.1"), condition("a.b c", Op::Eq, "1", false));
    assert_eq!(one("=eq.1"), condition("", Op::Eq, "1", false));
    assert_eq!(
        one("a=not.eq.not.eq.1"),
        condition("a", Op::Eq, "not.eq.1", true)
    );
}

#[test]
fn messages_are_those_of_the_original() {
    let prefix = "Error parsing `filter` params: ";
    for (text, tail) in [
        ("subject=foo.hey", r#"["foo", "hey"]"#),
        ("undefined", r#"["undefined"]"#),
        ("id=eq", r#"["eq"]"#),
        ("n=EQ.1", r#"["EQ", "1"]"#),
        ("n=not.foo.1", r#"["foo", "1"]"#),
        ("title=eq.a,b", r#"["b"]"#),
        (
            "a=eq.1,",
            "filter must not contain empty segments (check for extra commas)",
        ),
        (
            ",",
            "filter must not contain empty segments (check for extra commas)",
        ),
        (
            "n=eq.1,,n=eq.2",
            "filter must not contain empty segments (check for extra commas)",
        ),
        (
            "id=in.1,2",
            "`in` filter value must be wrapped by parentheses",
        ),
        (
            "id=in.(1",
            "`in` filter value must be wrapped by parentheses",
        ),
        (
            "id=in.(",
            "`in` filter value must be wrapped by parentheses",
        ),
    ] {
        assert_eq!(message(text), format!("{prefix}{tail}"), "{text}");
    }
}

/// What the JS builder does with a value (postgres.md §2.3.18).
fn js_quoted(value: &str) -> String {
    let special = value.contains([',', '(', ')', '"', '\\']) || value.trim() != value;
    if special {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        value.to_owned()
    }
}

proptest! {
    #[test]
    fn never_panics_and_names_what_it_found(text in "\\PC{0,40}") {
        if let Ok(conditions) = parse(&text) {
            prop_assert_eq!(conditions.is_empty(), text.trim().is_empty());
        }
    }

    #[test]
    fn accepts_dense_mixtures_of_special_characters_without_panic(text in "[a,.=()\"\\\\ {}éno-t]{0,30}") {
        let _ = parse(&text);
    }

    #[test]
    fn scalars_of_the_js_builder_round_trip(value in "[a-z,.=()\"\\\\ é]{0,12}", other in "[a-z0-9]{1,5}") {
        let text = format!("a=eq.{},b=neq.{other}", js_quoted(&value));
        let conditions = parse(&text).unwrap();
        prop_assert_eq!(&conditions, &vec![condition("a", Op::Eq, &value, false), condition("b", Op::Neq, &other, false)]);
    }

    #[test]
    fn lists_of_the_js_builder_round_trip(values in prop::collection::vec("[a-z,.=()\"\\\\ é]{1,8}", 1..5)) {
        // Braces and the word null are not quoted by the builder; they mean what they mean to Postgres.
        prop_assume!(values.iter().all(|value| !value.eq_ignore_ascii_case("null")));
        let text = format!("a=in.({}),b=is.null", values.iter().map(|value| js_quoted(value)).collect::<Vec<_>>().join(","));
        let conditions = parse(&text).unwrap();
        prop_assert_eq!(conditions.len(), 2);
        let elements: Vec<String> =
            crate::changes::filter::parse_array(&conditions[0].value).unwrap().into_iter().flatten().collect();
        prop_assert_eq!(elements, values);
    }
}
