//! `/rest/v1`: what is refused and how, bounds, and a schema that changes.

use serde_json::json;

use crate::support::cluster::{Cluster, Stop};
use crate::support::eventually;
use crate::support::http::Request;
use crate::support::surface::Surface;
use crate::surface_rest_support::{Pairs, refusal, shared, start};

#[tokio::test]
async fn refusals_have_the_codes_of_postgrest() {
    let at = shared().await;
    let cases: [(&str, Pairs, u16, &str); 33] = [
        ("book", &[], 404, "PGRST205"),
        ("books", &[("nope", "eq.1")], 400, "42703"),
        ("books", &[("select", "nope")], 400, "42703"),
        ("books", &[("order", "nope")], 400, "42703"),
        ("books", &[("id", "eq.x")], 400, "22P02"),
        ("books", &[("id", "like.x")], 404, "42883"),
        ("books", &[("id", "1")], 400, "PGRST100"),
        ("books", &[("id", "nope.1")], 400, "PGRST100"),
        ("books", &[("select", "id::nope")], 400, "42704"),
        ("books", &[("select", "title::regclass")], 400, "PGRST100"),
        ("books", &[("select", "title::int")], 400, "22P02"),
        ("books", &[("select", "nope(id)")], 400, "PGRST200"),
        ("books", &[("select", "authors!nope(id)")], 400, "PGRST200"),
        ("books", &[("select", "tree(id)")], 400, "PGRST200"),
        ("shops", &[("select", "authors(id)")], 300, "PGRST201"),
        ("books", &[("select", "id.sum()")], 400, "PGRST123"),
        ("books", &[("authors.name", "eq.x")], 400, "PGRST108"),
        (
            "books",
            &[("select", "authors(id)"), ("nope.id", "eq.1")],
            400,
            "PGRST108",
        ),
        ("books", &[("authors.order", "id")], 400, "PGRST108"),
        ("books", &[("order", "authors(name)")], 400, "PGRST108"),
        (
            "authors",
            &[("select", "books(id)"), ("order", "books(id)")],
            400,
            "PGRST118",
        ),
        (
            "books",
            &[("select", "authors(id)"), ("authors", "eq.1")],
            400,
            "PGRST120",
        ),
        ("books", &[("limit", "-1")], 416, "PGRST103"),
        ("books", &[("limit", "x")], 400, "PGRST100"),
        ("books/1", &[], 404, "PGRST125"),
        ("rpc/a/b", &[], 404, "PGRST125"),
        ("", &[], 404, "PGRST126"),
        ("books", &[("words", "fts(nope).x")], 400, "42704"),
        ("books", &[("words", "fts(english).(")], 400, "42601"),
        ("books", &[("title", "match.(")], 400, "2201B"),
        ("books", &[("id", "eq.99999999999")], 400, "22003"),
        ("books", &[("tags", "cs.x")], 400, "22P02"),
        ("rpc/raising", &[("code", "57014")], 500, "57014"),
    ];
    for (path, pairs, status, code) in cases {
        assert_eq!(
            at.refusal(path, pairs).await,
            (status, code.into()),
            "{path} {pairs:?}"
        );
    }
}

#[tokio::test]
async fn refusals_say_what_may_have_been_meant() {
    let at = shared().await;
    let table = at.rest("book", &[]).await.json();
    assert_eq!(
        table["message"],
        "Could not find the table 'public.book' in the schema cache"
    );
    assert_eq!(table["hint"], "Perhaps you meant the table 'public.books'");
    let related = at.rest("books", &[("select", "author(name)")]).await.json();
    assert_eq!(
        related["message"],
        "Could not find a relationship between 'books' and 'author' in the schema cache"
    );
    assert_eq!(
        related["hint"],
        "Perhaps you meant 'authors' instead of 'author'."
    );
    let two = at.rest("shops", &[("select", "authors(id)")]).await.json();
    let hint = two["hint"].as_str().unwrap();
    assert!(
        hint.contains("'authors!shops_owner_id_fkey'")
            && hint.contains("'authors!shops_keeper_fkey'"),
        "{hint}"
    );
    assert_eq!(two["details"].as_array().unwrap().len(), 2);
    assert_eq!(
        two["details"][1],
        json!({"cardinality": "many-to-one", "embedding": "shops with authors",
            "relationship": "shops_owner_id_fkey using shops(owner_id) and authors(id)"})
    );
    let parse = at.rest("books", &[("select", "id,,title")]).await.json();
    assert_eq!(
        parse["message"],
        "\"failed to parse select parameter (id,,title)\" (line 1, column 4)"
    );
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let at = shared().await;
    let put = at
        .rest_as(
            "PUT",
            "books",
            &[("id", "eq.1")],
            &at.service,
            &[],
            Some(&json!({"id": 1})),
        )
        .await;
    assert_eq!(refusal(&put), (501, "PGRST127".into()));
    let trace = at
        .ask("PROPFIND", "/rest/v1/books", &at.anon, &[], None)
        .await;
    assert_eq!(refusal(&trace), (405, "PGRST117".into()));
    let strict = [("Prefer", "handling=strict, timezone=UTC")];
    let zone = at
        .rest_as("GET", "books", &[], &at.anon, &strict, None)
        .await;
    assert_eq!(refusal(&zone), (400, "PGRST122".into()));
    let writing = at
        .rest_as("POST", "books", &[], &at.service, &strict, Some(&json!({})))
        .await;
    assert_eq!(refusal(&writing), (400, "PGRST122".into()));
}

#[tokio::test]
async fn everything_is_bounded() {
    let at = shared().await;
    let get = async |query: &str| at.send(&request(at, query)).await;
    let many = vec!["id=eq.1"; 501].join("&");
    assert_eq!(refusal(&get(&many).await), (400, "PGRST100".into()));
    let ten_thousand = vec!["id=gt.0"; 10_000].join("&");
    let answer = get(&ten_thousand).await;
    assert!(
        [400, 414, 431].contains(&answer.status),
        "{}",
        answer.status
    );
    let fits = vec!["id=gt.0"; 500].join("&");
    assert_eq!(get(&fits).await.status, 200);
    let deep = format!("select={}id{}", "authors(books(".repeat(5), ")".repeat(10));
    assert_eq!(refusal(&get(&deep).await), (400, "PGRST100".into()));
    let deepest = format!("select={}id{}", "authors(books(".repeat(4), ")".repeat(8));
    assert_eq!(get(&deepest).await.status, 200);
    for bad in [
        "id=eq.%00",
        "id=eq.%ff",
        "id=eq.%",
        "id=eq.%zz",
        "%00=eq.1",
        "select=%c3",
    ] {
        assert_eq!(refusal(&get(bad).await), (400, "PGRST100".into()), "{bad}");
    }
}

fn request(at: &Surface, query: &str) -> Request {
    let mut request = Request::get("localhost", &format!("/rest/v1/books?{query}"));
    request.headers.push(("apikey".into(), at.anon.clone()));
    request
}

#[tokio::test]
async fn a_schema_that_changes_is_seen_by_the_next_request() {
    let at = start().await;
    let client = at.database.connect().await;
    assert_eq!(at.refusal("later", &[]).await, (404, "PGRST205".into()));
    client
        .batch_execute(
            "create table later (id int primary key, a text); insert into later values (1, 'x')",
        )
        .await
        .unwrap();
    assert_eq!(at.rows("later", &[]).await, json!([{"id": 1, "a": "x"}]));
    client
        .batch_execute("alter table later add b int default 7")
        .await
        .unwrap();
    assert_eq!(
        at.rows("later", &[("select", "b")]).await,
        json!([{"b": 7}])
    );
    assert_eq!(
        at.rows("later", &[]).await,
        json!([{"id": 1, "a": "x", "b": 7}])
    );
    client
        .batch_execute("alter table later rename a to c")
        .await
        .unwrap();
    assert_eq!(
        at.rows("later", &[("select", "c")]).await,
        json!([{"c": "x"}])
    );
    assert_eq!(
        at.refusal("later", &[("select", "a")]).await,
        (400, "42703".into())
    );
    client
        .batch_execute("alter table later add book int references books")
        .await
        .unwrap();
    assert_eq!(
        at.rows("later", &[("select", "books(id)")]).await,
        json!([{"books": null}])
    );
    client
        .batch_execute(
            "create function later_on(x int) returns int language sql immutable as 'select x'",
        )
        .await
        .unwrap();
    assert_eq!(at.rows("rpc/later_on", &[("x", "3")]).await, json!(3));
    client.batch_execute("drop table later").await.unwrap();
    assert_eq!(at.refusal("later", &[]).await, (404, "PGRST205".into()));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    let at = start().await;
    let client = at.database.connect().await;
    let slow = "create function slow() returns int language plpgsql as $$ begin
        set local statement_timeout = '50ms'; perform pg_sleep(60); return 1; end $$;
        create function locked() returns int language sql as 'select count(*)::int from books'";
    client.batch_execute(slow).await.unwrap();
    // What holds the table for ever is waited for no longer than the time limit of the pool.
    client
        .batch_execute("set lock_timeout = 0; begin; lock table books in access exclusive mode")
        .await
        .unwrap();
    let answer = at.rest("books", &[]).await;
    assert_eq!(refusal(&answer), (500, "57014".into()));
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(at.rest("books", &[]).await.status, 200);
}

#[tokio::test]
async fn a_database_that_is_away_is_told_and_found_again() {
    let mut cluster = Cluster::start().await;
    let database = cluster.prepared().await;
    let client = database.connect().await;
    client
        .batch_execute("create table here (id int); insert into here values (1)")
        .await
        .unwrap();
    drop(client);
    let at = Surface::over(database, &[("SURFACE", "rest")]).await;
    assert_eq!(at.rows("here", &[]).await, json!([{"id": 1}]));
    cluster.stop(Stop::Immediate).await;
    for _ in 0..2 {
        let (status, code) = at.refusal("here", &[]).await;
        assert_eq!(status, 503);
        assert!(
            ["PGRST000", "PGRST001", "57P01", "57P02"].contains(&&*code),
            "{code}"
        );
    }
    cluster.resume().await;
    let rows = eventually("the database is found again", || async {
        let answer = at.rest("here", &[]).await;
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(rows.await, json!([{"id": 1}]));
}
