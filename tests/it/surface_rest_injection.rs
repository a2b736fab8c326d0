//! Hostile text in every part of a request to `/rest/v1`, against the real database: whatever is answered, nothing is
//! changed, nothing is told, and nobody waits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::Request;
use crate::surface_rest_support::{encoded, start};

/// What attackers' tools try.
const HOSTILE: [&str; 30] = [
    "'",
    "\"",
    "\\",
    "1' or '1'='1",
    "1\" or \"1\"=\"1",
    "1) or (1=1",
    "1; drop table canary; --",
    "1'; drop table canary; --",
    "1\"; drop table canary; --",
    "x\"; delete from canary; --",
    "1'; select pg_sleep(20); --",
    "1 and 1=(select 1 from pg_sleep(20))",
    "1 union select secret from canary",
    "1) union all select secret, null, null from canary --",
    "(select secret from canary)",
    "canary",
    "private.keys",
    "\"private\".\"keys\"",
    "pg_catalog.pg_read_file('/etc/passwd')",
    "$$;drop table canary;$$",
    "$1; drop table canary",
    "E'\\'; drop table canary; --",
    "U&\"\\0022; drop table canary; --",
    "id, (select secret from canary)",
    "id from canary --",
    "id::text; drop table canary",
    "%27%3B drop table canary",
    "\u{ff07}; drop table canary; --",
    "/**/or/**/1=1",
    "id)) from canary; copy canary to program 'touch /tmp/owned'; --",
];

#[tokio::test]
async fn hostile_text_changes_and_tells_nothing() {
    let at = start().await;
    let client = at.database.connect().await;
    client
        .batch_execute(
            "create table canary (id int primary key, secret text); insert into canary values (1, 'the bird sings');
             revoke all on canary from anon, authenticated, service_role",
        )
        .await
        .unwrap();
    let before = state(&client).await;
    let began = Instant::now();
    for text in HOSTILE {
        for request in requests(&at.anon, text) {
            let answer = at.send(&request).await;
            let said = answer.text();
            assert!(
                !said.contains("the bird sings") && !said.contains("a key"),
                "{request:?}\n{said}"
            );
            assert!(
                !(500..600).contains(&answer.status),
                "{request:?}\n{} {said}",
                answer.status
            );
            if !said.is_empty()
                && answer
                    .header("content-type")
                    .is_some_and(|kind| kind.contains("json"))
            {
                answer.json();
            }
        }
    }
    assert!(
        began.elapsed() < Duration::from_secs(120),
        "somebody has slept: {:?}",
        began.elapsed()
    );
    assert_eq!(state(&client).await, before);
}

/// All tables and what is in those that count.
async fn state(client: &tokio_postgres::Client) -> Value {
    let sql = "select json_build_object(
        'tables', (select count(*) from pg_class where relkind in ('r', 'v', 'f') and relnamespace > 16384),
        'functions', (select count(*) from pg_proc),
        'canary', (select json_agg(c) from canary c), 'books', (select json_agg(b order by id) from books b),
        'keys', (select json_agg(k) from private.keys k), 'roles', (select count(*) from pg_roles))::text";
    let row = client.query_one(sql, &[]).await.unwrap();
    serde_json::from_str(row.get(0)).unwrap()
}

/// The text at every place of a request.
fn requests(anon: &str, text: &str) -> Vec<Request> {
    let plain = encoded(text);
    let quoted = encoded(&format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ));
    let mut all = Vec::new();
    let mut add = |method: &str, path: String, headers: &[(&str, &str)], body: Option<Value>| {
        let mut request = Request::get("localhost", &path);
        request.method = method.to_owned();
        request.headers.push(("apikey".into(), anon.to_owned()));
        for (name, value) in headers {
            request
                .headers
                .push(((*name).to_owned(), (*value).to_owned()));
        }
        if let Some(body) = body {
            request
                .headers
                .push(("Content-Type".into(), "application/json".into()));
            request.body = Some(body.to_string().into_bytes());
        }
        all.push(request);
    };
    add("GET", format!("/rest/v1/{plain}"), &[], None);
    add("GET", format!("/rest/v1/rpc/{plain}"), &[], None);
    for part in [&plain, &quoted] {
        for query in [
            format!("select={part}"),
            format!("select=x:{part}"),
            format!("select={part}:id"),
            format!("select={part}:authors(id)"),
            format!("select=id::{part}"),
            format!("select=data->{part}"),
            format!("select=data->>{part}"),
            format!("select={part}(id)"),
            format!("select=authors!{part}(id)"),
            format!("select=authors({part})"),
            format!("select=...authors({part}:name)"),
            format!("{part}=eq.1"),
            format!("{part}.id=eq.1"),
            format!("data->{part}=eq.1"),
            format!("title=eq.{part}"),
            format!("title={part}.1"),
            format!("title=in.({part})"),
            format!("title=like(any).{part}"),
            format!("title=isdistinct.{part}"),
            format!("title=is.{part}"),
            format!("words=fts({part}).x"),
            format!("words=wfts.{part}"),
            format!("or=(title.eq.{part},{part}.eq.1)"),
            format!("or=({part})"),
            format!("and={part}"),
            format!("order={part}"),
            format!("order=id.{part}"),
            format!("select=id,authors(id)&order=authors({part})"),
            format!("limit={part}"),
            format!("offset={part}"),
            format!("authors.limit={part}"),
        ] {
            add("GET", format!("/rest/v1/books?{query}"), &[], None);
        }
        for query in [
            format!("columns={part}"),
            format!("on_conflict={part}"),
            format!("select={part}:id"),
        ] {
            let prefer = [(
                "Prefer",
                "return=representation,resolution=ignore-duplicates,tx=rollback",
            )];
            let body = json!({"id": 1, "title": text});
            add(
                "POST",
                format!("/rest/v1/books?{query}"),
                &prefer,
                Some(body),
            );
        }
        add("GET", format!("/rest/v1/rpc/add?{part}=1"), &[], None);
        add("GET", format!("/rest/v1/rpc/add?a={part}"), &[], None);
        add(
            "GET",
            format!("/rest/v1/rpc/badly?what={part}"),
            &[("X", "")],
            None,
        );
    }
    let rollback = [("Prefer", "tx=rollback")];
    add(
        "POST",
        "/rest/v1/books".into(),
        &rollback,
        Some(json!({text: 1})),
    );
    add(
        "POST",
        "/rest/v1/notes".into(),
        &rollback,
        Some(json!({"text": text, "owner": null})),
    );
    add(
        "PATCH",
        format!("/rest/v1/books?title=eq.{plain}"),
        &rollback,
        Some(json!({"title": text})),
    );
    add(
        "DELETE",
        format!("/rest/v1/books?title=eq.{plain}"),
        &rollback,
        None,
    );
    add(
        "POST",
        "/rest/v1/rpc/add".into(),
        &[],
        Some(json!({text: 1})),
    );
    add(
        "POST",
        "/rest/v1/rpc/add".into(),
        &[],
        Some(json!({"a": text})),
    );
    add(
        "POST",
        "/rest/v1/rpc/whole".into(),
        &[],
        Some(json!({text: text})),
    );
    if text.is_ascii() {
        for header in [
            "Range",
            "Prefer",
            "Accept-Profile",
            "Accept",
            "Range-Unit",
            "X-Anything",
        ] {
            add(
                "GET",
                "/rest/v1/books?select=id".into(),
                &[(header, text)],
                None,
            );
        }
        add(
            "POST",
            "/rest/v1/books".into(),
            &[("Content-Profile", text)],
            Some(json!({"id": 1, "title": "x"})),
        );
        add(
            "POST",
            "/rest/v1/books".into(),
            &[("Content-Type", text)],
            None,
        );
    }
    all
}
