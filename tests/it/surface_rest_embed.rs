//! `/rest/v1`: related rows in each other, through the server.

use serde_json::{Value, json};

use crate::surface_rest_support::{Pairs, shared};

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
    let cases: [(Pairs, Value); 6] = [
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
    let cases: [(&str, Pairs, &[i64], i64); 8] = [
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
