//! `/rest/v1`: inserting, upserting, updating and deleting, through the server.

use serde_json::{Value, json};

use crate::support::token;
use crate::surface_rest_support::{refusal, start, user};

const SHOW: &str = "return=representation";

#[tokio::test]
async fn rows_are_inserted_one_or_many() {
    let at = start().await;
    let answer = at
        .write("POST", "notes", &[], "", &json!({"text": "a"}))
        .await;
    assert_eq!((answer.status, answer.text()), (201, String::new()));
    assert_eq!(answer.header("content-range"), Some("*/*"));
    let answer = at
        .write(
            "POST",
            "notes",
            &[("select", "text,kind")],
            SHOW,
            &json!({"text": "b"}),
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (201, json!([{"text": "b", "kind": "plain"}]))
    );
    assert_eq!(
        answer.header("preference-applied"),
        Some("return=representation")
    );
    let two = json!([{"text": "c", "kind": "x"}, {"text": "d", "kind": null}]);
    let answer = at
        .write(
            "POST",
            "notes",
            &[("select", "text,kind")],
            "return=representation,count=exact",
            &two,
        )
        .await;
    assert_eq!(answer.json(), two);
    assert_eq!(answer.header("content-range"), Some("*/2"));
    let answer = at
        .write(
            "POST",
            "notes",
            &[],
            "return=headers-only",
            &json!({"id": 77, "text": "e"}),
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (201, Some("/notes?id=eq.77"))
    );
    let answer = at.write("POST", "notes", &[], SHOW, &json!([])).await;
    assert_eq!((answer.status, answer.json()), (201, json!([])));
    let computed = [("select", "id,label,authors(name)")];
    let book = json!({"id": 50, "title": "New", "author_id": 1, "year": 2000, "tags": ["a", "b"], "data": {"x": [1]}});
    let answer = at.write("POST", "books", &computed, SHOW, &book).await;
    assert_eq!(
        answer.json(),
        json!([{"id": 50, "label": "New (2000)", "authors": {"name": "Ada"}}])
    );
    let stored = at
        .rows("books", &[("select", "tags,data"), ("id", "eq.50")])
        .await;
    assert_eq!(stored, json!([{"tags": ["a", "b"], "data": {"x": [1]}}]));
}

#[tokio::test]
async fn missing_columns_are_null_or_get_their_defaults() {
    let at = start().await;
    let rows =
        json!([{"id": 100, "text": "a", "kind": "x"}, {"text": "b"}, {"text": "c", "kind": null}]);
    let pairs = [("columns", "id,text,kind"), ("select", "text,kind")];
    let answer = at
        .write(
            "POST",
            "notes",
            &pairs,
            "return=representation,missing=default",
            &rows,
        )
        .await;
    let wanted = json!([{"text": "a", "kind": "x"}, {"text": "b", "kind": "plain"}, {"text": "c", "kind": null}]);
    assert_eq!((answer.status, answer.json()), (201, wanted));
    let pairs = [("columns", "text,kind"), ("select", "text,kind")];
    let answer = at
        .write(
            "POST",
            "notes",
            &pairs,
            SHOW,
            &json!([{"text": "b"}, {"text": "c", "extra": 1}]),
        )
        .await;
    assert_eq!(
        answer.json(),
        json!([{"text": "b", "kind": null}, {"text": "c", "kind": null}])
    );
    let answer = at
        .write(
            "POST",
            "notes",
            &[],
            "",
            &json!([{"text": "b"}, {"kind": "c"}]),
        )
        .await;
    assert_eq!(refusal(&answer), (400, "PGRST102".into()));
}

#[tokio::test]
async fn rows_that_exist_are_merged_or_ignored() {
    let at = start().await;
    let merge = "return=representation,resolution=merge-duplicates";
    let one = json!({"id": 500, "text": "a", "code": "A"});
    assert_eq!(
        at.write("POST", "notes", &[], merge, &one).await.status,
        201
    );
    let changed = json!([{"id": 500, "text": "b"}]);
    let answer = at
        .write(
            "POST",
            "notes",
            &[("select", "id,text,code")],
            merge,
            &changed,
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!([{"id": 500, "text": "b", "code": "A"}]))
    );
    assert_eq!(
        answer.header("preference-applied"),
        Some("resolution=merge-duplicates, return=representation")
    );
    let both = json!([{"id": 500, "text": "c"}, {"id": 501, "text": "d"}]);
    let answer = at
        .write("POST", "notes", &[("select", "text")], merge, &both)
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (201, json!([{"text": "c"}, {"text": "d"}]))
    );
    let by_code = [("on_conflict", "code"), ("select", "id,text")];
    let answer = at
        .write(
            "POST",
            "notes",
            &by_code,
            merge,
            &json!({"code": "A", "text": "by code"}),
        )
        .await;
    assert_eq!(answer.json(), json!([{"id": 500, "text": "by code"}]));
    let ignore = "return=representation,resolution=ignore-duplicates";
    let both = json!([{"id": 500, "text": "no"}, {"id": 502, "text": "yes"}]);
    let answer = at
        .write("POST", "notes", &[("select", "id,text")], ignore, &both)
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (201, json!([{"id": 502, "text": "yes"}]))
    );
    let plain = at
        .write("POST", "notes", &[], "", &json!({"id": 500, "text": "x"}))
        .await;
    assert_eq!(refusal(&plain), (409, "23505".into()));
    let wrong = at
        .write("POST", "notes", &[("on_conflict", "text")], merge, &one)
        .await;
    assert_eq!(refusal(&wrong), (400, "42P10".into()));
}

#[tokio::test]
async fn rows_are_updated_and_deleted_by_filters() {
    let at = start().await;
    let rows =
        json!([{"id": 900, "text": "a"}, {"id": 901, "text": "b"}, {"id": 902, "text": "c"}]);
    at.write("POST", "notes", &[], "", &rows).await;
    let answer = at
        .write(
            "PATCH",
            "notes",
            &[("id", "eq.900")],
            "",
            &json!({"text": "z"}),
        )
        .await;
    assert_eq!(
        (answer.status, answer.text(), answer.header("content-range")),
        (204, String::new(), Some("0-0/*"))
    );
    let pairs = [
        ("or", "(id.eq.901,text.eq.z)"),
        ("select", "id,kind"),
        ("order", "id.desc"),
    ];
    let answer = at
        .write(
            "PATCH",
            "notes",
            &pairs,
            "return=representation,count=exact",
            &json!({"kind": "k"}),
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (
            200,
            json!([{"id": 901, "kind": "k"}, {"id": 900, "kind": "k"}])
        )
    );
    assert_eq!(answer.header("content-range"), Some("0-1/2"));
    let none = at
        .write(
            "PATCH",
            "notes",
            &[("id", "eq.1000000")],
            SHOW,
            &json!({"text": "z"}),
        )
        .await;
    assert_eq!((none.status, none.json()), (200, json!([])));
    let nothing = at
        .write("PATCH", "notes", &[("id", "eq.900")], SHOW, &json!({}))
        .await;
    assert_eq!((nothing.status, nothing.json()), (200, json!([])));
    let default = [("id", "eq.900"), ("columns", "kind"), ("select", "kind")];
    let answer = at
        .write(
            "PATCH",
            "notes",
            &default,
            "return=representation,missing=default",
            &json!({}),
        )
        .await;
    assert_eq!(answer.json(), json!([{"kind": "plain"}]));
    let answer = at
        .write(
            "DELETE",
            "notes",
            &[("id", "in.(900,901)"), ("select", "id"), ("order", "id")],
            SHOW,
            &json!(null),
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!([{"id": 900}, {"id": 901}]))
    );
    let answer = at
        .write(
            "DELETE",
            "notes",
            &[("id", "eq.902")],
            "count=exact",
            &json!(null),
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (204, Some("*/1"))
    );
    for (method, body) in [("PATCH", json!({"text": "all"})), ("DELETE", json!(null))] {
        let all = at.write(method, "notes", &[], "", &body).await;
        assert_eq!(refusal(&all), (400, "21000".into()), "{method}");
        let limited = at
            .write(
                method,
                "notes",
                &[("id", "gt.0"), ("limit", "1"), ("order", "id")],
                "",
                &body,
            )
            .await;
        assert_eq!(refusal(&limited), (501, "PGRST127".into()), "{method}");
    }
}

#[tokio::test]
async fn a_change_that_is_not_as_it_was_asked_for_is_undone() {
    let at = start().await;
    let rows = json!([{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]);
    at.write("POST", "notes", &[], "", &rows).await;
    let single = [
        ("Accept", "application/vnd.pgrst.object+json"),
        ("Prefer", "return=representation"),
    ];
    let ask = async |method: &str, pairs: &[(&str, &str)], body: Value| {
        at.rest_as(method, "notes", pairs, &at.service, &single, Some(&body))
            .await
    };
    let all = [("id", "gt.0")];
    assert_eq!(
        refusal(&ask("PATCH", &all, json!({"text": "x"})).await),
        (406, "PGRST116".into())
    );
    assert_eq!(
        refusal(&ask("DELETE", &all, json!(null)).await),
        (406, "PGRST116".into())
    );
    let two = json!([{"id": 8, "text": "x"}, {"id": 9, "text": "x"}]);
    assert_eq!(
        refusal(&ask("POST", &[], two).await),
        (406, "PGRST116".into())
    );
    let strict = "return=representation,handling=strict,max-affected=1";
    let many = at
        .write("PATCH", "notes", &all, strict, &json!({"text": "x"}))
        .await;
    assert_eq!(refusal(&many), (400, "PGRST124".into()));
    let undone = at
        .write(
            "PATCH",
            "notes",
            &all,
            "return=representation,tx=rollback",
            &json!({"text": "x"}),
        )
        .await;
    assert_eq!(
        (undone.status, undone.json()[0]["text"].clone()),
        (200, json!("x"))
    );
    assert_eq!(
        undone.header("preference-applied"),
        Some("return=representation, tx=rollback")
    );
    let left = at
        .rows("notes", &[("select", "id,text"), ("order", "id")])
        .await;
    assert_eq!(left, rows);
    let one = ask(
        "PATCH",
        &[("id", "eq.1"), ("select", "id")],
        json!({"text": "x"}),
    )
    .await;
    assert_eq!((one.status, one.json()), (200, json!({"id": 1})));
    let created = ask("POST", &[("select", "text")], json!({"id": 3, "text": "n"})).await;
    assert_eq!(
        (created.status, created.json()),
        (201, json!({"text": "n"}))
    );
}

#[tokio::test]
async fn policies_and_rights_decide_what_is_written() {
    let at = start().await;
    let other = token::user("22222222-2222-4222-8222-222222222222");
    let mine = json!({"id": 1, "owner": "11111111-1111-4111-8111-111111111111", "text": "t"});
    let insert = async |bearer: &str, prefer: &str| {
        at.rest_as(
            "POST",
            "mine",
            &[],
            bearer,
            &[("Prefer", prefer)],
            Some(&mine),
        )
        .await
    };
    assert_eq!(refusal(&insert(&at.anon, "").await), (401, "42501".into()));
    assert_eq!(refusal(&insert(&other, "").await), (403, "42501".into()));
    assert_eq!(
        insert(&user(), "return=representation").await.json(),
        json!([mine])
    );
    let prefer = [("Prefer", "return=representation")];
    let change = async |method: &str, bearer: &str| {
        let body = json!({"text": "new"});
        at.rest_as(
            method,
            "mine",
            &[("id", "eq.1")],
            bearer,
            &prefer,
            Some(&body),
        )
        .await
    };
    assert_eq!(change("PATCH", &other).await.json(), json!([]));
    assert_eq!(
        change("DELETE", &user()).await.json(),
        json!([]),
        "no policy for it"
    );
    assert_eq!(change("PATCH", &user()).await.json()[0]["text"], "new");
    // Without a right to read, a row can be written but not shown.
    let half = json!({"id": 2, "open": "x", "closed": "y"});
    let write = async |prefer: &str, pairs: &[(&str, &str)], half: &Value| {
        at.rest_as(
            "POST",
            "half",
            pairs,
            &at.anon,
            &[("Prefer", prefer)],
            Some(half),
        )
        .await
    };
    assert_eq!(write("", &[], &half).await.status, 201);
    let half = json!({"id": 3, "open": "x", "closed": "y"});
    assert_eq!(
        refusal(&write(SHOW, &[], &half).await),
        (401, "42501".into())
    );
    assert_eq!(
        write(SHOW, &[("select", "open")], &half).await.json(),
        json!([{"open": "x"}])
    );
}

#[tokio::test]
async fn bodies_are_bounded_and_strict() {
    let at = crate::surface_rest_support::with(&[("SURFACE_MAX_BODY_BYTES", "2000")]).await;
    let send = async |kind: &str, body: &[u8]| {
        at.ask(
            "POST",
            "/rest/v1/notes",
            &at.service,
            &[("Content-Type", kind)],
            Some(body),
        )
        .await
    };
    for body in [
        &b""[..],
        b"{",
        b"1",
        b"\"x\"",
        b"[1]",
        b"\xff\xfe",
        b"{\"text\":\"\0\"}",
        b"{\"a\":1}{}",
    ] {
        assert_eq!(
            refusal(&send("application/json", body).await),
            (400, "PGRST102".into()),
            "{body:?}"
        );
    }
    for kind in [
        "text/csv",
        "application/x-www-form-urlencoded",
        "text/plain",
    ] {
        assert_eq!(
            refusal(&send(kind, b"{\"text\":\"x\"}").await),
            (400, "PGRST102".into()),
            "{kind}"
        );
    }
    let long = format!("{{\"text\":\"{}\"}}", "x".repeat(2000));
    assert_eq!(
        refusal(&send("application/json", long.as_bytes()).await),
        (413, "PGRST102".into())
    );
    let escaped = send("application/json", br#"{"text":"\u0000"}"#).await;
    assert_eq!(refusal(&escaped), (400, "22P05".into()));
    let unknown = send("application/json", br#"{"nope":1}"#).await;
    assert_eq!(refusal(&unknown), (400, "PGRST204".into()));
}
