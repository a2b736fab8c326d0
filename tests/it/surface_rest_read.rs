//! `/rest/v1`: reading of tables and views, through the server.

use serde_json::{Value, json};

use crate::support::token;
use crate::surface_rest_support::{refusal, shared, user};

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
    let cases: [(&[(&str, &str)], &[i64]); 8] = [
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
    let cases: [(&[(&str, &str)], &[i64]); 9] = [
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
    let cases: [(&[(&str, &str)], &[(&str, &str)], u16, &str); 9] = [
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
async fn related_rows_are_embedded() {
    let at = shared().await;
    let cases: [(&str, &str, &str, Value); 15] = [
        (
            "books",
            "id,authors(name)",
            "eq.1",
            json!({"id": 1, "authors": {"name": "Ada"}}),
        ),
        (
            "books",
            "id,authors(name)",
            "eq.4",
            json!({"id": 4, "authors": null}),
        ),
        (
            "books",
            "by:author_id(name)",
            "eq.1",
            json!({"by": {"name": "Ada"}}),
        ),
        (
            "books",
            "by:books_author_id_fkey(name)",
            "eq.1",
            json!({"by": {"name": "Ada"}}),
        ),
        (
            "books",
            "w:authors!books_author_id_fkey(name)",
            "eq.1",
            json!({"w": {"name": "Ada"}}),
        ),
        (
            "books",
            "w:authors!author_id(name)",
            "eq.1",
            json!({"w": {"name": "Ada"}}),
        ),
        (
            "authors",
            "name,books(id)",
            "eq.1",
            json!({"name": "Ada", "books": [{"id": 1}, {"id": 2}]}),
        ),
        (
            "authors",
            "name,books(id)",
            "eq.3",
            json!({"name": "Cleo", "books": []}),
        ),
        (
            "books",
            "shops(name)",
            "eq.1",
            json!({"shops": [{"name": "North"}, {"name": "South"}]}),
        ),
        (
            "books",
            "stock(amount,shops(name))",
            "eq.2",
            json!({"stock": [{"amount": 1, "shops": {"name": "North"}}]}),
        ),
        (
            "books",
            "details(text)",
            "eq.1",
            json!({"details": {"text": "first"}}),
        ),
        (
            "details",
            "books(title,authors(name,books(id)))",
            "1",
            json!({"books": {"title": "Notes", "authors": {"name": "Ada", "books": [{"id": 1}, {"id": 2}]}}}),
        ),
        (
            "books",
            "id,...authors(writer:name,born)",
            "eq.1",
            json!({"id": 1, "writer": "Ada", "born": "1815-12-10"}),
        ),
        (
            "authors",
            "...books(ids:id)",
            "eq.1",
            json!({"ids": [1, 2]}),
        ),
        (
            "shops",
            "owner:authors!shops_owner_id_fkey(name),keeper:authors!shops_keeper_fkey(name)",
            "eq.1",
            json!({"owner": {"name": "Ada"}, "keeper": {"name": "Ben"}}),
        ),
    ];
    for (table, select, id, wanted) in cases {
        let filter = match table {
            "details" => ("book_id", format!("eq.{id}")),
            _ => ("id", id.to_owned()),
        };
        let rows = at
            .rows(table, &[("select", select), (filter.0, &filter.1)])
            .await;
        assert_eq!(rows, json!([wanted]), "{table} {select}");
    }
}

#[tokio::test]
async fn relations_to_themselves_and_through_views_are_embedded() {
    let at = shared().await;
    let rows = at
        .rows(
            "tree",
            &[
                ("select", "name,parent_id(name),tree(name)"),
                ("id", "eq.1"),
            ],
        )
        .await;
    assert_eq!(
        rows,
        json!([{"name": "root", "parent_id": null, "tree": [{"name": "left"}, {"name": "right"}]}])
    );
    let rows = at
        .rows("tree", &[("select", "up:parent_id(name)"), ("id", "eq.2")])
        .await;
    assert_eq!(rows, json!([{"up": {"name": "root"}}]));
    for view in ["old_books", "older_books"] {
        let rows = at
            .rows(view, &[("select", "title,authors(name)"), ("id", "eq.1")])
            .await;
        assert_eq!(
            rows,
            json!([{"title": "Notes", "authors": {"name": "Ada"}}]),
            "{view}"
        );
    }
    let rows = at
        .rows("authors", &[("select", "older_books(id)"), ("id", "eq.1")])
        .await;
    assert_eq!(rows, json!([{"older_books": [{"id": 1}, {"id": 2}]}]));
}

#[tokio::test]
async fn embedded_rows_are_filtered_ordered_and_limited() {
    let at = shared().await;
    let embedded = ("select", "id,books(id)");
    let one = ("id", "eq.1");
    let cases: [(&[(&str, &str)], Value); 6] = [
        (
            &[embedded, one, ("books.id", "gt.1")],
            json!([{"id": 1, "books": [{"id": 2}]}]),
        ),
        (
            &[embedded, one, ("books.order", "id.desc")],
            json!([{"id": 1, "books": [{"id": 2}, {"id": 1}]}]),
        ),
        (
            &[
                embedded,
                one,
                ("books.limit", "1"),
                ("books.offset", "1"),
                ("books.order", "id"),
            ],
            json!([{"id": 1, "books": [{"id": 2}]}]),
        ),
        (
            &[embedded, one, ("books.or", "(id.eq.1,title.eq.x)")],
            json!([{"id": 1, "books": [{"id": 1}]}]),
        ),
        (
            &[("select", "id,b:books(id)"), one, ("b.id", "eq.1")],
            json!([{"id": 1, "b": [{"id": 1}]}]),
        ),
        (
            &[
                ("select", "id,books(id,stock(shop_id))"),
                one,
                ("books.stock.shop_id", "eq.2"),
                ("books.order", "id"),
            ],
            json!([{"id": 1, "books": [{"id": 1, "stock": [{"shop_id": 2}]}, {"id": 2, "stock": []}]}]),
        ),
    ];
    for (pairs, wanted) in cases {
        assert_eq!(at.rows("authors", pairs).await, wanted, "{pairs:?}");
    }
}

#[tokio::test]
async fn rows_are_chosen_by_what_is_related_to_them() {
    let at = shared().await;
    let cases: [(&str, &[(&str, &str)], &[i64], i64); 8] = [
        ("authors", &[("select", "id,books!inner(id)")], &[1, 2], 2),
        (
            "authors",
            &[("select", "id,books!inner()"), ("books.year", "gt.1900")],
            &[2],
            1,
        ),
        (
            "authors",
            &[("select", "id,books(id)"), ("books", "is.null")],
            &[3],
            1,
        ),
        (
            "authors",
            &[("select", "id,books()"), ("books", "not.is.null")],
            &[1, 2],
            2,
        ),
        (
            "authors",
            &[
                ("select", "id,books(id)"),
                ("or", "(books.is.null,id.eq.1)"),
            ],
            &[1, 3],
            2,
        ),
        (
            "books",
            &[
                ("select", "id,authors!inner(name)"),
                ("authors.name", "eq.Ada"),
            ],
            &[1, 2],
            2,
        ),
        (
            "books",
            &[("select", "id,authors(name)"), ("authors", "is.null")],
            &[4],
            1,
        ),
        (
            "books",
            &[("select", "id,shops!inner(id)"), ("shops.name", "eq.South")],
            &[1],
            1,
        ),
    ];
    for (table, parts, wanted, total) in cases {
        for limit in ["100", "1"] {
            let mut pairs = parts.to_vec();
            pairs.extend([("order", "id"), ("limit", limit)]);
            let count = [("Prefer", "count=exact")];
            let answer = at
                .rest_as("GET", table, &pairs, &at.anon, &count, None)
                .await;
            let rows = answer.json();
            let ids: Vec<i64> = rows
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["id"].as_i64().unwrap())
                .collect();
            let few = if limit == "1" { &wanted[..1] } else { wanted };
            assert_eq!(ids, few, "{table} {parts:?}");
            assert!(
                answer
                    .header("content-range")
                    .unwrap()
                    .ends_with(&format!("/{total}")),
                "{parts:?}"
            );
        }
    }
    let by_author = [
        ("select", "id,authors(id)"),
        ("order", "authors(name).desc.nullslast,id"),
    ];
    let rows = at.rows("books", &by_author).await;
    let ids: Vec<i64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [3, 1, 2, 4]);
    assert_eq!(rows[0]["authors"], json!({"id": 2}));
}

#[tokio::test]
async fn rows_are_counted_by_a_column_that_is_none() {
    let at = shared().await;
    assert_eq!(
        at.rows("books", &[("select", "count")]).await,
        json!([{"count": 4}])
    );
    let some = [("select", "n:count::text"), ("id", "gt.1")];
    assert_eq!(at.rows("books", &some).await, json!([{"n": "3"}]));
    let related = [("select", "id,books(count)"), ("order", "id")];
    let rows = at.rows("authors", &related).await;
    let counts: Vec<i64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["books"][0]["count"].as_i64().unwrap())
        .collect();
    assert_eq!(counts, [2, 1, 0]);
    assert_eq!(
        at.refusal("books", &[("select", "id,count")]).await,
        (400, "42803".into())
    );
    assert_eq!(
        at.refusal("books", &[("count", "eq.1")]).await,
        (400, "42703".into())
    );
    assert_eq!(
        at.rows("books", &[("select", ""), ("limit", "1")]).await,
        json!([{}])
    );
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

#[tokio::test]
async fn rows_and_columns_that_a_role_may_not_see_are_not_seen() {
    let at = shared().await;
    assert_eq!(at.refusal("hidden", &[]).await, (401, "42501".into()));
    let signed = at.rest_as("GET", "hidden", &[], &user(), &[], None).await;
    assert_eq!(refusal(&signed), (403, "42501".into()));
    assert_eq!(
        at.rows("half", &[("select", "id,open")]).await,
        json!([{"id": 1, "open": "o"}])
    );
    for pairs in [
        &[][..],
        &[("select", "closed")],
        &[("select", "id"), ("closed", "eq.c")],
        &[("select", "id"), ("order", "closed")],
    ] {
        assert_eq!(
            at.refusal("half", pairs).await,
            (401, "42501".into()),
            "{pairs:?}"
        );
    }
    assert_eq!(at.rows("mine", &[]).await, json!([]));
}

#[tokio::test]
async fn only_exposed_schemas_are_there() {
    let at = shared().await;
    let get = async |path: &str, profile: &str| {
        at.rest_as(
            "GET",
            path,
            &[],
            &at.anon,
            &[("Accept-Profile", profile)],
            None,
        )
        .await
    };
    let things = get("things", "api").await;
    assert_eq!(things.json(), json!([{"id": 1, "name": "a thing"}]));
    assert_eq!(things.header("content-profile"), Some("api"));
    for profile in [
        "private",
        "auth",
        "pg_catalog",
        "information_schema",
        "nothing",
        "",
    ] {
        let answer = get("keys", profile).await;
        assert_eq!(refusal(&answer), (406, "PGRST106".into()), "{profile}");
        assert_eq!(
            answer.json()["hint"],
            "Only the following schemas are exposed: public, api"
        );
    }
    for path in ["keys", "private.keys", "users", "pg_class", "things"] {
        assert_eq!(
            refusal(&get(path, "public").await),
            (404, "PGRST205".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_most_rows_of_one_answer_are_set_for_every_level() {
    let at = crate::surface_rest_support::with(&[("PGRST_DB_MAX_ROWS", "2")]).await;
    let answer = at
        .rest_as(
            "GET",
            "books",
            &[("order", "id")],
            &at.anon,
            &[("Prefer", "count=exact")],
            None,
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (206, Some("0-1/4"))
    );
    let rows = at
        .rows("shops", &[("select", "stock(book_id)"), ("limit", "10")])
        .await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(at.rows("rpc/pairs", &[]).await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn tokens_decide_who_asks() {
    let at = shared().await;
    let get = async |bearer: &str| {
        at.rest_as("GET", "rpc/who", &[], bearer, &[("X-Test", "me")], None)
            .await
    };
    let me = get(&user()).await.json();
    assert_eq!(me["role"], "authenticated");
    assert_eq!(me["sub"], "11111111-1111-4111-8111-111111111111");
    assert_eq!(
        (&me["method"], &me["path"], &me["agent"], &me["read_only"]),
        (
            &json!("GET"),
            &json!("/rpc/who"),
            &json!("me"),
            &json!("on")
        )
    );
    let expired = token::mint(json!({"role": "anon", "exp": 1}));
    let foreign = token::sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"role":"service_role","exp":99999999999}"#,
        "another secret of at least 32 characters!",
    );
    for (bearer, status, code) in [
        (expired, 401, "PGRST303"),
        (foreign, 401, "PGRST301"),
        ("not.a.token".to_owned(), 401, "PGRST301"),
        (token::mint(json!({"role": "postgres"})), 401, ""),
        (token::mint(json!({"role": "supabase_auth_admin"})), 401, ""),
        (token::mint(json!({"role": "nobody_at_all"})), 401, ""),
    ] {
        let answer = get(&bearer).await;
        let (got, said) = refusal(&answer);
        assert!((401..=403).contains(&got), "{got} {}", answer.text());
        if !code.is_empty() {
            assert_eq!((got, &*said), (status, code));
        }
    }
    let mut bare = crate::support::http::Request::get("localhost", "/rest/v1/books");
    assert_eq!(at.send(&bare).await.status, 401);
    bare.headers.push(("apikey".into(), at.anon.clone()));
    assert_eq!(at.send(&bare).await.status, 200);
    let by_query = format!("/rest/v1/books?apikey={}", at.anon);
    assert_eq!(
        at.send(&crate::support::http::Request::get("localhost", &by_query))
            .await
            .status,
        200
    );
}
