//! `/rest/v1`: who may see what, through the server.

use serde_json::json;

use crate::support::token;
use crate::surface_rest_support::{refusal, shared, user};

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
