//! A request leaves nothing of itself in the connection it used: not its role, not its claims, not what a function did to
//! the session, wherever it failed. All with one connection, so that the next request has the same.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_postgres::Client;

use crate::support::eventually;
use crate::support::http::Request;
use crate::support::surface::Surface;
use crate::support::token;

/// Functions that fail or misbehave, and one that looks.
const GROUND: &str = r#"
create table public.kept (id int primary key, note text);
create table public.parents (id int primary key);
create table public.children (id int primary key, parent int references public.parents deferrable initially deferred);
create function public.look() returns json language sql volatile as $$
  select json_build_object(
    'role', current_user::text,
    'login', session_user::text,
    'claims', nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub',
    'method', current_setting('request.method', true),
    'path', current_setting('request.path', true),
    'search_path', current_setting('search_path'),
    'own', current_setting('leak.own', true),
    'timeout', current_setting('statement_timeout'),
    'timezone', current_setting('timezone') = (select reset_val from pg_settings where name = 'TimeZone'),
    'temporary', (select count(*) from pg_class where relpersistence = 't' and relnamespace = pg_my_temp_schema()),
    'locks', (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
    'channels', (select count(*) from pg_listening_channels()),
    'cursors', (select count(*) from pg_cursors where name <> ''),
    'in_transaction_since', (now() = statement_timestamp() or true),
    'pid', pg_backend_pid())
$$;
create function public.litter() returns void language plpgsql as $$
begin
  perform set_config('leak.own', 'left behind', false);
  perform set_config('request.jwt.claims', '{"sub":"somebody else"}', false);
  perform set_config('timezone', 'Asia/Tokyo', false);
  perform set_config('search_path', 'pg_catalog', false);
  perform set_config('statement_timeout', '0', false);
  perform set_config('role', 'service_role', false);
  execute 'create temp table parked (id int) on commit preserve rows';
  perform pg_advisory_lock(7);
  execute 'listen gossip';
  execute 'declare open_cursor cursor with hold for select 1';
end $$;
create function public.litter_and_fail() returns void language plpgsql as $$
begin
  perform public.litter();
  raise exception 'after all that';
end $$;
create function public.litter_and_orphan() returns void language plpgsql as $$
begin
  insert into public.children values (1, 99);
  perform public.litter();
end $$;
create function public.fail() returns void language plpgsql as $$ begin raise exception 'no'; end $$;
create function public.sleep_long() returns void language sql as $$ select pg_sleep(30) $$;
create function public.die() returns void language sql security definer as $$ select pg_terminate_backend(pg_backend_pid()) $$;
create function public.orphan() returns void language sql as $$ insert into public.children values (1, 99) $$;
grant all on all tables in schema public to anon, authenticated, service_role;
insert into public.kept values (1, 'one'), (2, 'two');
"#;

async fn ground(settings: &[(&str, &str)]) -> (Surface, Client) {
    let mut all = vec![("SURFACE_CONNECTIONS", "1")];
    all.extend_from_slice(settings);
    let surface = Surface::with(&all).await;
    let sql = surface.database.connect().await;
    sql.batch_execute(GROUND).await.unwrap();
    (surface, sql)
}

/// What is asked (in words, method, path, token, headers, body), and the status of the answer.
type Case<'a> = (
    &'a str,
    &'a str,
    &'a str,
    String,
    Vec<(&'a str, &'a str)>,
    Option<&'a str>,
    u16,
);

/// What the next request finds.
async fn look(surface: &Surface, sub: &str) -> Value {
    let bearer = token::user(sub);
    let answer = surface
        .ask_json("POST", "/rest/v1/rpc/look", &bearer, &json!({}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The next request, of somebody else, has its own scene and nothing of the one before.
async fn assert_clean(surface: &Surface, after: &str) -> Value {
    let found = look(surface, "next").await;
    for (name, wanted) in [
        ("role", json!("authenticated")),
        ("login", json!("authenticator")),
        ("claims", json!("next")),
        ("method", json!("POST")),
        ("path", json!("/rpc/look")),
        ("search_path", json!("\"public\", \"extensions\"")),
        ("timezone", json!(true)),
        ("temporary", json!(0)),
        ("locks", json!(0)),
        ("channels", json!(0)),
        ("cursors", json!(0)),
    ] {
        assert_eq!(found[name], wanted, "{name} after {after}: {found}");
    }
    let own = found["own"].as_str().unwrap_or_default();
    assert_eq!(own, "", "after {after}: {found}");
    assert_ne!(found["timeout"], "0", "after {after}: {found}");
    found
}

#[tokio::test]
async fn what_a_function_leaves_in_its_session_is_gone_for_the_next_request() {
    let (surface, _sql) = ground(&[]).await;
    let first = assert_clean(&surface, "nothing").await;
    // The last fails at its commit, with which the rest of the cleaning up is sent.
    for (function, expected) in [
        ("litter", 204),
        ("litter_and_fail", 400),
        ("litter_and_orphan", 409),
    ] {
        let path = format!("/rest/v1/rpc/{function}");
        let answer = surface
            .ask_json("POST", &path, &token::user("litterer"), &json!({}))
            .await;
        assert_eq!(answer.status, expected, "{}", answer.text());
        let found = assert_clean(&surface, function).await;
        assert_eq!(found["pid"], first["pid"], "the same connection");
    }
}

#[tokio::test]
async fn a_request_that_fails_anywhere_leaves_the_next_one_clean() {
    let (surface, sql) = ground(&[("STATEMENT_TIMEOUT_MS", "300")]).await;
    let ann = token::user("ann");
    let json_type = ("Content-Type", "application/json");
    let single = ("Accept", "application/vnd.pgrst.object+json");
    let cases: Vec<Case<'_>> = vec![
        (
            "a token of another project",
            "GET",
            "/kept",
            token::sign(
                r#"{"alg":"HS256","typ":"JWT"}"#,
                r#"{"role":"service_role","exp":99999999999}"#,
                "another secret of at least 32 characters",
            ),
            vec![],
            None,
            401,
        ),
        (
            "a role that may not be assumed",
            "GET",
            "/kept",
            token::mint(json!({"role": "postgres"})),
            vec![],
            None,
            403,
        ),
        (
            "a role that is not there",
            "GET",
            "/kept",
            token::mint(json!({"role": "nobody at all"})),
            vec![],
            None,
            401,
        ),
        (
            "a table that is not there",
            "GET",
            "/nowhere",
            ann.clone(),
            vec![],
            None,
            404,
        ),
        (
            "a malformed filter",
            "GET",
            "/kept?id=eq",
            ann.clone(),
            vec![],
            None,
            400,
        ),
        (
            "a value of the wrong type",
            "GET",
            "/kept?id=eq.x",
            ann.clone(),
            vec![],
            None,
            400,
        ),
        (
            "an exception",
            "POST",
            "/rpc/fail",
            ann.clone(),
            vec![json_type],
            Some("{}"),
            400,
        ),
        (
            "a body that is no JSON",
            "POST",
            "/kept",
            ann.clone(),
            vec![json_type],
            Some("{"),
            400,
        ),
        (
            "a duplicate key",
            "POST",
            "/kept",
            ann.clone(),
            vec![json_type],
            Some(r#"{"id":1}"#),
            409,
        ),
        (
            "a constraint at commit",
            "POST",
            "/rpc/orphan",
            ann.clone(),
            vec![json_type],
            Some("{}"),
            409,
        ),
        (
            "a write in a request that reads",
            "GET",
            "/rpc/orphan",
            ann.clone(),
            vec![],
            None,
            405,
        ),
        (
            "a statement that takes too long",
            "POST",
            "/rpc/sleep_long",
            ann.clone(),
            vec![json_type],
            Some("{}"),
            500,
        ),
        (
            "more rows than one after a write",
            "PATCH",
            "/kept?id=gt.0",
            ann.clone(),
            vec![json_type, single, ("Prefer", "return=representation")],
            Some(r#"{"note":"changed"}"#),
            406,
        ),
    ];
    for (what, method, path, bearer, headers, body, status) in cases {
        let path = format!("/rest/v1{path}");
        let body = body.map(str::as_bytes);
        let answer = surface.ask(method, &path, &bearer, &headers, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_clean(&surface, what).await;
    }
    let notes = "select string_agg(note, ',' order by id) from kept";
    let notes: String = sql.query_one(notes, &[]).await.unwrap().get(0);
    assert_eq!(notes, "one,two", "what was refused changed nothing");
}

#[tokio::test]
async fn a_client_that_hangs_up_and_a_connection_that_dies_leave_the_next_request_clean() {
    let (surface, sql) = ground(&[("STATEMENT_TIMEOUT_MS", "1500")]).await;
    // Hangs up while its statement runs.
    let mut stream = TcpStream::connect(("127.0.0.1", surface.server.port()))
        .await
        .unwrap();
    let head = format!(
        "POST /rest/v1/rpc/sleep_long HTTP/1.1\r\nHost: x\r\napikey: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{}}",
        token::user("impatient")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("its statement runs", || async {
        let running = "select from pg_stat_activity where state = 'active' and query ~ 'sleep_long' \
                       and usename = 'authenticator' and datname = current_database()";
        let rows = sql.query(running, &[]).await.unwrap();
        (!rows.is_empty()).then_some(())
    })
    .await;
    drop(stream);
    assert_clean(&surface, "a client that hung up").await;

    // The connection is ended under its request.
    let answer = surface
        .ask_json("POST", "/rest/v1/rpc/die", &token::user("ann"), &json!({}))
        .await;
    assert!(answer.status >= 500, "{} {}", answer.status, answer.text());
    assert_clean(&surface, "a connection that died").await;
}

#[tokio::test]
async fn a_function_wrongly_declared_immutable_does_not_answer_for_the_next_caller() {
    let (surface, sql) = ground(&[]).await;
    sql.batch_execute(
        "create table public.diary (owner text, line text);
         insert into public.diary values ('ann', 'of ann'), ('bob', 'of bob');
         create function public.who() returns text language sql immutable as
           $$ select current_setting('request.jwt.claims', true)::json ->> 'sub' $$;
         alter table public.diary enable row level security;
         create policy own on public.diary for select to authenticated using (owner = public.who());
         grant select on public.diary to authenticated",
    )
    .await
    .unwrap();
    // Often enough that a plan would be kept.
    for _ in 0..8 {
        for sub in ["ann", "bob"] {
            let answer = surface
                .get("/rest/v1/diary?select=line", &token::user(sub))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json(), json!([{ "line": format!("of {sub}") }]));
        }
    }
}

#[tokio::test]
async fn a_full_pool_says_so_and_recovers() {
    let (surface, _sql) = ground(&[("STATEMENT_TIMEOUT_MS", "2000")]).await;
    let ann = token::user("ann");
    let slow = (0..3).map(|_| async {
        let empty = json!({});
        surface
            .ask_json("POST", "/rest/v1/rpc/sleep_long", &ann, &empty)
            .await
            .status
    });
    let answers = futures_util::future::join_all(slow).await;
    // One after the other, each within its time limit.
    assert_eq!(answers, [500, 500, 500]);
    assert_clean(&surface, "a full pool").await;
}

#[tokio::test]
async fn rights_to_a_schema_are_looked_at_for_each_role() {
    let (surface, sql) = ground(&[("PGRST_DB_SCHEMAS", "public, inside")]).await;
    sql.batch_execute(
        "create schema inside; create table inside.papers (id int); insert into inside.papers values (1);
         grant usage on schema inside to authenticated;
         grant select on all tables in schema inside to anon, authenticated",
    )
    .await
    .unwrap();
    let profile = [("Accept-Profile", "inside")];
    for _ in 0..2 {
        let seen = surface
            .ask(
                "GET",
                "/rest/v1/papers",
                &token::user("ann"),
                &profile,
                None,
            )
            .await;
        assert_eq!(seen.status, 200, "{}", seen.text());
        let refused = surface
            .ask("GET", "/rest/v1/papers", &token::anon(), &profile, None)
            .await;
        assert_eq!(refused.status, 401, "{}", refused.text());
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_answered() {
    let (surface, _sql) = ground(&[]).await;
    for path in ["/rest/v1/kept", "/auth/v1/user", "/auth/v1/settings"] {
        let mut request = Request::get("localhost", path);
        let answer = surface.send(&request).await;
        assert_eq!(answer.status, 401, "{path}: {}", answer.text());
        let twice = token::anon();
        for _ in 0..2 {
            let header = ("Authorization".to_owned(), format!("Bearer {twice}"));
            request.headers.push(header);
        }
        let answer = surface.send(&request).await;
        assert_eq!(
            answer.status,
            401,
            "two tokens at {path}: {}",
            answer.text()
        );
    }
}
