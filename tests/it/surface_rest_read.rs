//! `/rest/v1`: reading of tables and views, through the server.

use serde_json::{Value, json};

use crate::surface_rest_support::{Pairs, refusal, shared};

#[tokio::test]
async fn columns_aliases_casts_and_paths_are_selected() {
    let at = shared().await;
    let first = ("id", "eq.1");
    let cases: [(&str, Value); 12] = [
        ("id,title", json!({"id": 1, "title": "Notes"})),
        ("n:id,t:title", json!({"n": 1, "t": "Notes"})),
        ("id::text", json!({"id": "1"})),
        ("price::int", json!({"price": 11})),
        ("price::double precision", json!({"price": 10.5})),
        ("data->a->b->2", json!({"b": "x"})),
        ("x:data->a->b->>0", json!({"x": "1"})),
        ("data->>n", json!({"n": "1"})),
        ("data->a->b->-1", json!({"b": "x"})),
        ("tags->0", json!({"tags": "math"})),
        ("label", json!({"label": "Notes (1843)"})),
        ("\"id\",\"a b\":title", json!({"id": 1, "a b": "Notes"})),
    ];
    for (select, wanted) in cases {
        let rows = at.rows("books", &[("select", select), first]).await;
        assert_eq!(rows, json!([wanted]), "{select}");
    }
}

#[tokio::test]
async fn odd_names_are_names_like_others() {
    let at = shared().await;
    let row = json!([{"a b": 1, "c\"d": "x", "r": 2, "s": 3, "select": "y"}]);
    let path = "odd%20%22table";
    assert_eq!(at.rows(path, &[]).await, row);
    assert_eq!(
        at.rows(path, &[("a b", "eq.1"), ("\"c\\\"d\"", "eq.x")])
            .await,
        row
    );
    let rows = at
        .rows(
            path,
            &[
                ("select", "r,s,\"c\\\"d\",select"),
                ("order", "\"a b\".desc"),
            ],
        )
        .await;
    assert_eq!(rows, json!([{"r": 2, "s": 3, "c\"d": "x", "select": "y"}]));
}

#[tokio::test]
async fn every_operator_filters_as_postgres_does() {
    let at = shared().await;
    let cases: [(&str, &str, &[i64]); 46] = [
        ("id", "eq.1", &[1]),
        ("id", "neq.1", &[2, 3, 4]),
        ("id", "gt.2", &[3, 4]),
        ("id", "gte.2", &[2, 3, 4]),
        ("id", "lt.2", &[1]),
        ("id", "lte.2", &[1, 2]),
        ("id", "not.lte.2", &[3, 4]),
        ("title", "like.*ote*", &[1, 2]),
        ("title", "like.%ote%", &[1, 2]),
        ("title", "like.NOTE%", &[]),
        ("title", "ilike.NOTE*", &[1]),
        ("title", "like(any).{Note*,Lat*}", &[1, 3]),
        ("title", "ilike(all).{N*,*S}", &[1]),
        ("title", "match.^N.t", &[1]),
        ("title", "imatch.^n", &[1]),
        ("title", "in.(Notes,\"More, \\\"notes\\\"\")", &[1, 2]),
        ("title", "not.in.(Notes)", &[2, 3, 4]),
        ("id", "in.()", &[]),
        ("id", "eq(any).{1,3}", &[1, 3]),
        ("year", "is.null", &[4]),
        ("year", "not.is.null", &[1, 2, 3]),
        ("year", "is.not_null", &[1, 2, 3]),
        ("year", "isdistinct.1843", &[2, 3, 4]),
        ("tags", "cs.{old}", &[1]),
        ("tags", "cd.{math,old,new}", &[1, 2, 3, 4]),
        ("tags", "ov.{old,new}", &[1, 3]),
        ("data", "cs.{\"n\":1}", &[1]),
        ("data->>n", "eq.2", &[2]),
        ("data->n", "gt.1", &[2]),
        ("data->a->b->>0", "eq.1", &[1]),
        ("data->>n", "is.null", &[3, 4]),
        ("pages", "cs.[60,70)", &[1, 2]),
        ("pages", "sl.[200,300)", &[1, 2]),
        ("pages", "sr.[0,120)", &[3]),
        ("pages", "nxr.[0,120)", &[1]),
        ("pages", "nxl.[50,60)", &[2, 3]),
        ("pages", "adj.[100,120)", &[1]),
        ("pages", "ov.[90,210)", &[1, 2, 3]),
        ("words", "fts.cat", &[1]),
        ("words", "fts(english).cats", &[1]),
        ("words", "plfts(english).fat cat", &[1]),
        ("words", "phfts(english).fat cats", &[1]),
        ("words", "wfts(english).rat or cat", &[1, 2]),
        ("title", "fts(english).note", &[1, 2]),
        ("label", "like.Notes*", &[1]),
        ("price", "eq.10.5", &[1]),
    ];
    for (column, filter, wanted) in cases {
        let rows = at
            .rows(
                "books",
                &[("select", "id"), (column, filter), ("order", "id")],
            )
            .await;
        let ids: Vec<i64> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, wanted, "{column}={filter}");
    }
}

#[tokio::test]
async fn filters_are_joined_by_logic() {
    let at = shared().await;
    let cases: [(Pairs, &[i64]); 8] = [
        (&[("id", "gt.1"), ("id", "lt.4")], &[2, 3]),
        (&[("or", "(id.eq.1,title.eq.Late)")], &[1, 3]),
        (
            &[("or", "(id.eq.1,and(year.gt.1900,price.is.null))")],
            &[1, 3],
        ),
        (&[("not.or", "(id.eq.1,id.eq.2)")], &[3, 4]),
        (&[("and", "(id.gt.1,not.and(id.gt.2,id.lt.4))")], &[2, 4]),
        (
            &[(
                "or",
                "(title.eq.\"More, \\\"notes\\\"\",tags.cs.{old,math})",
            )],
            &[1, 2],
        ),
        (
            &[("or", "(id.in.(1,2),data->>n.eq.x)"), ("year", "lt.1850")],
            &[1],
        ),
        (&[("or", "(title.not.like.N*,id.not.gt.1)")], &[1, 2, 3, 4]),
    ];
    for (filters, wanted) in cases {
        let mut pairs = filters.to_vec();
        pairs.extend([("select", "id"), ("order", "id")]);
        let rows = at.rows("books", &pairs).await;
        let ids: Vec<i64> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, wanted, "{filters:?}");
    }
}

#[tokio::test]
async fn order_and_ranges_choose_rows() {
    let at = shared().await;
    let cases: [(Pairs, &[i64]); 9] = [
        (&[("order", "year")], &[1, 2, 3, 4]),
        (&[("order", "year.desc")], &[4, 3, 2, 1]),
        (&[("order", "year.desc.nullslast")], &[3, 2, 1, 4]),
        (&[("order", "year.nullsfirst")], &[4, 1, 2, 3]),
        (
            &[("order", "author_id.desc.nullslast,id.desc")],
            &[3, 2, 1, 4],
        ),
        (&[("order", "data->n.desc.nullslast,id")], &[2, 1, 3, 4]),
        (&[("order", "id"), ("limit", "2"), ("offset", "1")], &[2, 3]),
        (&[("order", "id"), ("limit", "0")], &[]),
        (&[("order", "id"), ("offset", "9")], &[]),
    ];
    for (parts, wanted) in cases {
        let mut pairs = parts.to_vec();
        pairs.push(("select", "id"));
        let rows = at.rows("books", &pairs).await;
        let ids: Vec<i64> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, wanted, "{parts:?}");
    }
}

#[tokio::test]
async fn the_answer_says_which_rows_of_how_many() {
    let at = shared().await;
    let cases: [(Pairs, Pairs, u16, &str); 9] = [
        (&[], &[], 200, "0-3/*"),
        (&[("id", "eq.9")], &[], 200, "*/*"),
        (&[], &[("Prefer", "count=exact")], 200, "0-3/4"),
        (
            &[("limit", "2")],
            &[("Prefer", "count=exact")],
            206,
            "0-1/4",
        ),
        (
            &[("limit", "2"), ("offset", "2")],
            &[("Prefer", "count=planned")],
            206,
            "2-3/4",
        ),
        (
            &[("id", "eq.9")],
            &[("Prefer", "count=estimated")],
            200,
            "*/0",
        ),
        (
            &[],
            &[("Range", "1-2"), ("Range-Unit", "items")],
            200,
            "1-2/*",
        ),
        (
            &[("offset", "1")],
            &[("Range", "0-1"), ("Prefer", "count=exact")],
            206,
            "1-1/4",
        ),
        (&[], &[("Range", "nonsense")], 200, "0-3/*"),
    ];
    for (pairs, headers, status, range) in cases {
        let answer = at
            .rest_as("GET", "books", pairs, &at.anon, headers, None)
            .await;
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (status, Some(range)),
            "{pairs:?} {headers:?}"
        );
    }
    let count = ("Prefer", "count=exact");
    let far = at
        .rest_as("GET", "books", &[("offset", "9")], &at.anon, &[count], None)
        .await;
    assert_eq!(refusal(&far), (416, "PGRST103".into()));
    let empty = at
        .rest_as("GET", "books", &[], &at.anon, &[("Range", "5-2")], None)
        .await;
    assert_eq!(refusal(&empty), (416, "PGRST103".into()));
    let head = at
        .rest_as("HEAD", "books", &[], &at.anon, &[count], None)
        .await;
    assert_eq!(
        (head.status, head.header("content-range")),
        (200, Some("0-3/4"))
    );
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn the_form_of_the_answer_is_negotiated() {
    let at = shared().await;
    let get = async |pairs: &[(&str, &str)], accept: &str| {
        at.rest_as("GET", "books", pairs, &at.anon, &[("Accept", accept)], None)
            .await
    };
    let object = "application/vnd.pgrst.object+json";
    let one = [("select", "id,year"), ("id", "eq.4")];
    let answer = get(&one, object).await;
    assert_eq!(answer.json(), json!({"id": 4, "year": null}));
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.pgrst.object+json; charset=utf-8")
    );
    assert_eq!(
        get(&one, "application/vnd.pgrst.object+json;nulls=stripped")
            .await
            .json(),
        json!({"id": 4})
    );
    assert_eq!(
        get(&one, "application/vnd.pgrst.array+json;nulls=stripped")
            .await
            .json(),
        json!([{"id": 4}])
    );
    for (id, rows) in [("gt.0", 4), ("eq.99", 0)] {
        let answer = get(&[("id", id)], object).await;
        assert_eq!(refusal(&answer), (406, "PGRST116".into()));
        assert_eq!(
            answer.json()["details"],
            format!("The result contains {rows} rows")
        );
    }
    let csv = get(
        &[("select", "id,title"), ("id", "lt.3"), ("order", "id")],
        "text/csv",
    )
    .await;
    assert_eq!(csv.text(), "id,title\n1,Notes\n2,\"More, \"\"notes\"\"\"");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    for accept in [
        "application/geo+json",
        "application/vnd.pgrst.plan+text",
        "image/png",
    ] {
        assert_eq!(
            refusal(&get(&[], accept).await),
            (406, "PGRST107".into()),
            "{accept}"
        );
    }
}
