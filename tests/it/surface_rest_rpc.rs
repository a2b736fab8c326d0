//! `/rest/v1/rpc`: calling functions, through the server.

use serde_json::{Value, json};

use crate::surface_rest_support::{Pairs, refusal, shared, start};

#[tokio::test]
async fn functions_are_called_by_get_and_post() {
    let at = shared().await;
    let cases: [(&str, Value, Value); 13] = [
        ("add", json!({"a": 1, "b": 2}), json!(3)),
        ("add", json!({"a": 1}), json!(11)),
        ("hello", json!({}), json!("hello")),
        (
            "pairs",
            json!({}),
            json!([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": null}]),
        ),
        ("numbers", json!({}), json!([1, 2, 3])),
        ("out_of", json!({"a": 2}), json!({"twice": 4, "thrice": 6})),
        (
            "one_book",
            json!({"which": 3}),
            json!({"id": 3, "title": "Late", "author_id": 2, "year": 1999, "price": null,
            "tags": ["new"], "data": {"n": null}, "pages": "[200,300)", "words": null}),
        ),
        ("sum_of", json!({"n": [1, 2, 3]}), json!(6)),
        ("whole", json!({"any": [1]}), json!({"any": [1]})),
        ("whole", json!([1, 2]), json!([1, 2])),
        ("whole", json!([{"a": 1}]), json!([{"a": 1}])),
        ("overloaded", json!({"a": 1}), json!("one")),
        ("overloaded", json!({"a": 1, "b": 2}), json!("two")),
    ];
    for (name, body, wanted) in cases {
        let answer = at
            .rest_as(
                "POST",
                &format!("rpc/{name}"),
                &[],
                &at.anon,
                &[],
                Some(&body),
            )
            .await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, wanted),
            "{name} {body}"
        );
    }
    let gets: [(&str, Pairs, Value); 7] = [
        ("add", &[("a", "1"), ("b", "2")], json!(3)),
        ("add", &[("a", "5")], json!(15)),
        ("hello", &[], json!("hello")),
        ("sum_of", &[("n", "1"), ("n", "4")], json!(5)),
        ("numbers", &[], json!([1, 2, 3])),
        (
            "pairs",
            &[
                ("a", "gt.1"),
                ("select", "b"),
                ("order", "a.desc"),
                ("limit", "1"),
            ],
            json!([{"b": null}]),
        ),
        (
            "books_of",
            &[
                ("who", "1"),
                ("select", "id,authors(name)"),
                ("id", "eq.2"),
                ("label", "like.More*"),
            ],
            json!([{"id": 2, "authors": {"name": "Ada"}}]),
        ),
    ];
    for (name, pairs, wanted) in gets {
        assert_eq!(
            at.rows(&format!("rpc/{name}"), pairs).await,
            wanted,
            "{name} {pairs:?}"
        );
    }
    let none = at
        .ask("POST", "/rest/v1/rpc/hello", &at.anon, &[], Some(b""))
        .await;
    assert_eq!(none.json(), json!("hello"));
}

#[tokio::test]
async fn results_are_read_like_tables() {
    let at = shared().await;
    let body = json!({"who": 1});
    let pairs = [("select", "id,label"), ("order", "id.desc"), ("limit", "1")];
    let count = [("Prefer", "count=exact")];
    let answer = at
        .rest_as(
            "POST",
            "rpc/books_of",
            &pairs,
            &at.anon,
            &count,
            Some(&body),
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (206, json!([{"id": 2, "label": "More, \"notes\" (1850)"}]))
    );
    assert_eq!(answer.header("content-range"), Some("0-0/2"));
    let one = at
        .rest_as(
            "POST",
            "rpc/one_book",
            &[("select", "id")],
            &at.anon,
            &[],
            Some(&json!({"which": 1})),
        )
        .await;
    assert_eq!(one.json(), json!({"id": 1}));
    let single = [("Accept", "application/vnd.pgrst.object+json")];
    let one = at
        .rest_as(
            "GET",
            "rpc/books_of",
            &[("who", "2"), ("select", "id")],
            &at.anon,
            &single,
            None,
        )
        .await;
    assert_eq!(one.json(), json!({"id": 3}));
    let two = at
        .rest_as(
            "GET",
            "rpc/books_of",
            &[("who", "1")],
            &at.anon,
            &single,
            None,
        )
        .await;
    assert_eq!(refusal(&two), (406, "PGRST116".into()));
    let csv = at
        .rest_as(
            "GET",
            "rpc/pairs",
            &[],
            &at.anon,
            &[("Accept", "text/csv")],
            None,
        )
        .await;
    assert_eq!(csv.text(), "a,b\n1,x\n2,y\n3,");
    let head = at
        .rest_as("HEAD", "rpc/numbers", &[], &at.anon, &count, None)
        .await;
    assert_eq!(
        (head.status, head.header("content-range"), head.body.len()),
        (200, Some("0-2/3"), 0)
    );
}

#[tokio::test]
async fn only_posts_change_anything() {
    let at = start().await;
    let service = at.service.clone();
    let get = at
        .rest_as("GET", "rpc/noted", &[("t", "x")], &service, &[], None)
        .await;
    assert_eq!(refusal(&get), (405, "25006".into()));
    let post = at
        .rest_as(
            "POST",
            "rpc/noted",
            &[],
            &service,
            &[],
            Some(&json!({"t": "y"})),
        )
        .await;
    assert_eq!(post.status, 200);
    let undone = [("Prefer", "tx=rollback")];
    let post = at
        .rest_as(
            "POST",
            "rpc/noted",
            &[],
            &service,
            &undone,
            Some(&json!({"t": "z"})),
        )
        .await;
    assert_eq!(post.status, 200);
    assert_eq!(
        at.rows("notes", &[("select", "text")]).await,
        json!([{"text": "y"}])
    );
    let void = at
        .rest_as("POST", "rpc/nothing", &[], &at.anon, &[], Some(&json!({})))
        .await;
    assert_eq!((void.status, void.body.len()), (204, 0));
}

#[tokio::test]
async fn functions_speak_of_the_answer() {
    let at = shared().await;
    let tea = at.rest("rpc/teapot", &[]).await;
    assert_eq!(
        (tea.status, tea.header("x-pot"), tea.header("cache-control")),
        (418, Some("full"), Some("no-store"))
    );
    assert_eq!(tea.json(), json!("tea"));
    assert_eq!(
        at.refusal("rpc/badly", &[("what", "headers")]).await,
        (500, "PGRST111".into())
    );
    assert_eq!(
        at.refusal("rpc/badly", &[("what", "status")]).await,
        (500, "PGRST112".into())
    );
    for (code, status) in [
        ("P0001", 400),
        ("PT402", 402),
        ("23505", 409),
        ("22P02", 400),
        ("42501", 401),
        ("PTXYZ", 500),
    ] {
        let answer = at.rest("rpc/raising", &[("code", code)]).await;
        assert_eq!(refusal(&answer), (status, code.into()));
        let body = answer.json();
        assert_eq!(
            (&body["message"], &body["details"], &body["hint"]),
            (&json!("said"), &json!("in detail"), &json!("a hint"))
        );
    }
    let paid = at.rest("rpc/full_control", &[]).await;
    assert_eq!(refusal(&paid), (402, "123".into()));
    assert_eq!(paid.header("x-pay"), Some("now"));
}

#[tokio::test]
async fn calls_that_do_not_fit_are_refused_with_a_hint() {
    let at = shared().await;
    let post = async |name: &str, body: Value| {
        at.rest_as(
            "POST",
            &format!("rpc/{name}"),
            &[],
            &at.anon,
            &[],
            Some(&body),
        )
        .await
    };
    let near = post("ad", json!({"a": 1})).await;
    assert_eq!(refusal(&near), (404, "PGRST202".into()));
    let near = post("hallo", json!({})).await;
    assert_eq!(
        near.json()["hint"],
        "Perhaps you meant to call the function public.hello"
    );
    let wrong = post("add", json!({"a": 1, "bb": 2})).await;
    assert_eq!(refusal(&wrong), (404, "PGRST202".into()));
    assert_eq!(
        wrong.json()["hint"],
        "Perhaps you meant to call the function public.add(a, b)"
    );
    assert_eq!(
        wrong.json()["message"],
        "Could not find the function public.add(a, bb) in the schema cache"
    );
    let twins = post("twin", json!({"a": 1})).await;
    assert_eq!(refusal(&twins), (300, "PGRST203".into()));
    for name in ["tell", "pg_sleep", "private.tell", "set_config"] {
        assert_eq!(
            refusal(&post(name, json!({})).await),
            (404, "PGRST202".into()),
            "{name}"
        );
    }
    let bad = post("add", json!({"a": "x"})).await;
    assert_eq!(refusal(&bad), (400, "22P02".into()));
    for method in ["PUT", "PATCH", "DELETE"] {
        let answer = at
            .rest_as(method, "rpc/add", &[], &at.anon, &[], Some(&json!({})))
            .await;
        assert_eq!(refusal(&answer), (405, "PGRST101".into()), "{method}");
    }
    let strict = [("Prefer", "handling=strict, max-affected=1")];
    let one = at
        .rest_as(
            "POST",
            "rpc/add",
            &[],
            &at.anon,
            &strict,
            Some(&json!({"a": 1})),
        )
        .await;
    assert_eq!(refusal(&one), (400, "PGRST128".into()));
}
