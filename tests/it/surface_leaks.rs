//! Nobody learns of a row, or changes one, through `/rest/v1` that SQL under the same role and claims would not give them.
//!
//! Every row carries a mark that is found nowhere else. Whatever an answer is (rows, embedded rows, an error, a header),
//! the marks in it must be marks that SQL shows to that user; a plain select must show all of those, and the exact count
//! their number. Who changes rows may change those that SQL lets them change, and no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::leaks::dice::Dice;
use crate::support::http::Response;
use crate::support::surface::Surface;
use crate::support::token;

const ANN: &str = "00000000-0000-4000-8000-00000000000a";
const BOB: &str = "00000000-0000-4000-8000-00000000000b";
const CAT: &str = "00000000-0000-4000-8000-00000000000c";

const TABLES: [&str; 8] = [
    "notes",
    "rooms",
    "messages",
    "posts",
    "locked",
    "nobody",
    "ordered",
    "own_notes",
];

const GROUND: &str = "
create table profiles (id uuid primary key, mark text);
create table notes (id int primary key, owner uuid references profiles, mark text, private_mark text);
create table rooms (id int primary key, mark text);
create table members (room int references rooms, member uuid references profiles, primary key (room, member));
create table messages (id int primary key, room int references rooms, author uuid references profiles, mark text);
create table posts (id int primary key, author uuid references profiles, published bool, mark text);
create table locked (id int primary key, owner uuid, mark text);
create table nobody (id int primary key, mark text);
create table ordered (id int primary key, owner uuid, level int, mark text);
insert into profiles select ('00000000-0000-4000-8000-00000000000' || c)::uuid, '<profiles:' || c || '>' from unnest('{a,b,c}'::text[]) c;
insert into notes select n, ('00000000-0000-4000-8000-00000000000' || substr('abc', n % 3 + 1, 1))::uuid, '<notes:' || n || '>', '<secret:' || n || '>' from generate_series(1, 30) n;
insert into rooms select n, '<rooms:' || n || '>' from generate_series(1, 6) n;
insert into members values (1, '00000000-0000-4000-8000-00000000000a'), (1, '00000000-0000-4000-8000-00000000000b'),
  (2, '00000000-0000-4000-8000-00000000000b'), (3, '00000000-0000-4000-8000-00000000000c'), (4, '00000000-0000-4000-8000-00000000000a');
insert into messages select n, n % 6 + 1, ('00000000-0000-4000-8000-00000000000' || substr('abc', n % 3 + 1, 1))::uuid, '<messages:' || n || '>' from generate_series(1, 60) n;
insert into posts select n, ('00000000-0000-4000-8000-00000000000' || substr('abc', n % 3 + 1, 1))::uuid, n % 2 = 0, '<posts:' || n || '>' from generate_series(1, 20) n;
insert into locked select n, ('00000000-0000-4000-8000-00000000000' || substr('abc', n % 3 + 1, 1))::uuid, '<locked:' || n || '>' from generate_series(1, 9) n;
insert into nobody select n, '<nobody:' || n || '>' from generate_series(1, 5) n;
insert into ordered select n, ('00000000-0000-4000-8000-00000000000' || substr('abc', n % 3 + 1, 1))::uuid, n % 4, '<ordered:' || n || '>' from generate_series(1, 24) n;
do $$ declare t text; begin
  foreach t in array '{profiles,notes,rooms,members,messages,posts,locked,nobody,ordered}'::text[] loop
    execute format('alter table %I enable row level security', t);
    execute format('revoke all on %I from anon, authenticated', t);
  end loop;
end $$;
grant select, insert, update, delete on profiles, rooms, members, messages, posts, nobody, ordered to authenticated;
grant select (id, owner, mark), insert, update, delete on notes to authenticated;
grant select on posts to anon;
create function public.is_member(room int) returns bool language sql stable security definer set search_path = '' as
  $$ select exists (select from public.members m where m.room = $1 and m.member = (select auth.uid())) $$;
create policy own on profiles for all to authenticated using (id = auth.uid());
create policy own on notes for all to authenticated using (owner = (select auth.uid())) with check (owner = (select auth.uid()));
create policy inside on rooms for select to authenticated using (public.is_member(id));
create policy inside on members for select to authenticated using (member = auth.uid());
create policy inside on messages for select to authenticated using (public.is_member(room));
create policy mine on messages for update to authenticated using (author = auth.uid() and public.is_member(room));
create policy mine_too on messages for delete to authenticated using (author = auth.uid() and public.is_member(room));
create policy published on posts for select to anon, authenticated using (published);
create policy own on posts for all to authenticated using (author = auth.uid());
create policy own on locked for all to authenticated using (true);
create policy own on ordered for all to authenticated using (owner = auth.uid());
create policy low on ordered as restrictive for all to authenticated using (level < 3);
create view own_notes with (security_invoker = true) as select id, owner, mark from notes;
grant select, update, delete on own_notes to authenticated;
create function public.find_notes(word text) returns setof notes language sql stable as $$ select * from notes where mark like '%' || word || '%' $$;
create function public.find_messages(word text) returns table (id int, mark text) language sql stable as $$ select id, mark from messages where mark like '%' || word || '%' $$;
create function public.explode(word text) returns text language plpgsql stable as
  $$ begin raise exception 'seen: %', coalesce((select string_agg(mark, ',') from messages), 'nothing'); end $$;
";

/// Who asks: with what token, and as whom SQL is asked.
#[derive(Clone)]
struct User {
    name: &'static str,
    role: &'static str,
    claims: Value,
    bearer: String,
}

fn users() -> Vec<User> {
    let person = |name, sub: &str| User {
        name,
        role: "authenticated",
        claims: json!({ "role": "authenticated", "sub": sub }),
        bearer: token::user(sub),
    };
    vec![
        person("ann", ANN),
        person("bob", BOB),
        person("cat", CAT),
        person("nobody's", "00000000-0000-4000-8000-0000000000ff"),
        User {
            name: "anon",
            role: "anon",
            claims: json!({ "role": "anon" }),
            bearer: token::anon(),
        },
    ]
}

/// Runs SQL as the user and undoes it; the first column of its rows, none when Postgres refuses.
async fn as_user(sql: &Client, user: &User, query: &str) -> Option<BTreeSet<String>> {
    let claims = user.claims.to_string();
    sql.batch_execute(&format!("begin; set local role {}", user.role))
        .await
        .unwrap();
    sql.query(
        "select set_config('request.jwt.claims', $1, true)",
        &[&claims],
    )
    .await
    .unwrap();
    let rows = sql.query(query, &[]).await;
    sql.batch_execute("rollback").await.unwrap();
    let rows = rows.ok()?;
    Some(rows.iter().map(|row| row.get(0)).collect())
}

/// Every mark that SQL shows to the user, of all tables.
async fn visible(sql: &Client, user: &User) -> BTreeSet<String> {
    let mut marks = BTreeSet::new();
    for table in TABLES.iter().chain(&["profiles"]) {
        let query = format!("select mark from {table}");
        marks.extend(as_user(sql, user, &query).await.unwrap_or_default());
    }
    marks
}

/// The marks in anything of an answer.
fn marks(answer: &Response) -> BTreeSet<String> {
    let headers: String = answer
        .headers
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    let text = format!("{headers}{}", answer.text());
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('<') {
        if let Some(end) = text[at..].find('>') {
            found.insert(text[at..=at + end].to_owned());
        }
    }
    found
}

async fn ground() -> (Surface, Client) {
    let surface = Surface::start().await;
    let sql = surface.database.connect().await;
    sql.batch_execute(GROUND).await.unwrap();
    (surface, sql)
}

/// A random request that reads, over tables, embeddings, functions and filters.
fn question(dice: &mut Dice) -> (&'static str, String) {
    let table = TABLES[dice.below(TABLES.len())];
    let select = [
        "*",
        "id,mark",
        "mark",
        "id,mark,profiles(*)",
        "*,messages(*)",
        "*,rooms(*,messages(*))",
        "mark,author:profiles(mark)",
        "*,members(*,profiles(mark))",
        "*,rooms!inner(mark)",
        "id,private_mark",
        "*,notes(mark,private_mark)",
        "mark,posts(*)",
        "id,count()",
        "...profiles(mark),id",
        "*,nobody(*)",
    ];
    let filter = [
        "",
        "id=gt.3",
        "id=lt.20",
        "mark=like.*1*",
        "owner=eq.00000000-0000-4000-8000-00000000000b",
        "owner=neq.00000000-0000-4000-8000-00000000000a",
        "author=not.is.null",
        "or=(id.eq.1,mark.like.*secret*)",
        "private_mark=like.*5*",
        "id=in.(1,2,3,4,5)",
        "not.and=(id.gt.5,id.lt.9)",
        "mark=match.^<",
        "room=eq.1",
        "messages.mark=like.*",
        "rooms.id=gt.0",
        "published=is.false",
        "level=gte.3",
        "profiles=not.is.null",
    ];
    let more = [
        "",
        "order=id.desc",
        "order=mark",
        "limit=5",
        "offset=2",
        "order=private_mark",
        "order=profiles(mark)",
    ];
    match dice.below(12) {
        0 => ("GET", "/rpc/find_notes?word=notes".into()),
        1 => ("GET", "/rpc/find_messages?word=1&order=id".into()),
        2 => ("GET", "/rpc/explode?word=x".into()),
        3 => ("GET", "/rpc/find_notes?word=n&select=*,profiles(*)".into()),
        _ => {
            let parts = [
                format!("select={}", select[dice.below(select.len())]),
                filter[dice.below(filter.len())].to_owned(),
                more[dice.below(more.len())].to_owned(),
            ];
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            (
                "GET",
                format!(
                    "/{table}?{}",
                    parts.join("&").replace('<', "%3C").replace('^', "%5E")
                ),
            )
        }
    }
}

#[tokio::test]
async fn no_answer_holds_a_mark_that_sql_would_not_show() {
    let (surface, sql) = ground().await;
    let users = users();
    let mut known = Vec::new();
    for user in &users {
        known.push(visible(&sql, user).await);
    }
    assert!(
        known[0].len() > 20 && known[0] != known[1],
        "the users see different rows"
    );
    let mut dice = Dice::new(20_261_128);
    let (mut shown, mut refused) = (0, 0);
    for _ in 0..900 {
        let at = dice.below(users.len());
        let (user, known) = (&users[at], &known[at]);
        let (method, path) = question(&mut dice);
        let count = ("Prefer", "count=exact");
        let answer = surface
            .ask(
                method,
                &format!("/rest/v1{path}"),
                &user.bearer,
                &[count],
                None,
            )
            .await;
        let found = marks(&answer);
        let leaked: Vec<&String> = found.difference(known).collect();
        assert!(
            leaked.is_empty(),
            "{} {path}: {leaked:?} in {}",
            user.name,
            answer.text()
        );
        if answer.status < 300 {
            shown += found.len()
        } else {
            refused += 1
        }
        assert!(
            answer.status < 500,
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert!(shown > 2000, "answers held marks: {shown}");
    assert!(refused > 20, "and some were refused: {refused}");
}

#[tokio::test]
async fn everybody_sees_and_counts_all_that_sql_shows_them_and_no_more() {
    let (surface, sql) = ground().await;
    for user in users() {
        for table in TABLES {
            let query = format!("select mark from {table}");
            let expected = as_user(&sql, &user, &query).await;
            let answer = surface
                .ask(
                    "GET",
                    &format!("/rest/v1/{table}?select=mark"),
                    &user.bearer,
                    &[("Prefer", "count=exact")],
                    None,
                )
                .await;
            let Some(expected) = expected else {
                let status = if user.role == "anon" { 401 } else { 403 };
                assert_eq!(
                    answer.status,
                    status,
                    "{} {table}: {}",
                    user.name,
                    answer.text()
                );
                continue;
            };
            assert_eq!(
                answer.status,
                200,
                "{} {table}: {}",
                user.name,
                answer.text()
            );
            assert_eq!(marks(&answer), expected, "{} {table}", user.name);
            let total = answer
                .header("content-range")
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap();
            assert_eq!(total, expected.len().to_string(), "{} {table}", user.name);
        }
    }
}

/// What is in a table, as the superuser sees it.
async fn rows(sql: &Client, table: &str) -> BTreeSet<String> {
    let query = format!("select to_jsonb(t)::text from {table} t");
    let rows = sql.query(&query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn nobody_changes_a_row_that_sql_would_not_let_them_change() {
    let (surface, sql) = ground().await;
    let json_type = ("Content-Type", "application/json");
    for user in users() {
        for table in TABLES {
            for method in ["PATCH", "DELETE"] {
                // What SQL would change, and how many rows that leaves untouched.
                let statement = match method {
                    "PATCH" => {
                        format!("update {table} set mark = mark where id > 0 returning id::text")
                    }
                    _ => format!("delete from {table} where id > 0 returning id::text"),
                };
                let allowed = as_user(&sql, &user, &statement).await.unwrap_or_default();
                let base = if table == "own_notes" { "notes" } else { table };
                sql.batch_execute(&format!("create table saved as table {base}"))
                    .await
                    .unwrap();
                let before = rows(&sql, base).await;
                let answer = surface
                    .ask(
                        method,
                        &format!("/rest/v1/{table}?id=gt.0&select=id,mark"),
                        &user.bearer,
                        &[json_type, ("Prefer", "return=representation")],
                        (method == "PATCH").then_some(br#"{"mark":"<changed>"}"#.as_slice()),
                    )
                    .await;
                let after = rows(&sql, base).await;
                let touched = before.difference(&after).map(|row| {
                    let row: Value = serde_json::from_str(row).unwrap();
                    row["id"].to_string()
                });
                let touched: BTreeSet<String> = touched.collect();
                assert_eq!(
                    touched,
                    allowed,
                    "{} {method} {table}: {}",
                    user.name,
                    answer.text()
                );
                sql.batch_execute(&format!(
                    "set session_replication_role = replica; delete from {base}; insert into {base} table saved;
                     set session_replication_role = origin; drop table saved"
                ))
                .await
                .unwrap();
            }
        }
    }
}

#[tokio::test]
async fn nobody_writes_a_row_for_somebody_else() {
    let (surface, sql) = ground().await;
    for (user, body, prefer, status) in [
        (
            "bob",
            json!({ "id": 901, "owner": ANN, "mark": "<forged>" }),
            "return=minimal",
            403,
        ),
        // The row is there, and belongs to ann: merging would take it from her.
        (
            "bob",
            json!({ "id": 3, "owner": BOB, "mark": "<taken>" }),
            "resolution=merge-duplicates",
            403,
        ),
        (
            "bob",
            json!([{ "id": 902, "owner": BOB, "mark": "<own>" }, { "id": 903, "owner": ANN, "mark": "<forged>" }]),
            "return=minimal",
            403,
        ),
    ] {
        let bearer = users().into_iter().find(|u| u.name == user).unwrap().bearer;
        let before = rows(&sql, "notes").await;
        let headers = [("Content-Type", "application/json"), ("Prefer", prefer)];
        let text = body.to_string();
        let answer = surface
            .ask(
                "POST",
                "/rest/v1/notes?on_conflict=id",
                &bearer,
                &headers,
                Some(text.as_bytes()),
            )
            .await;
        assert_eq!(answer.status, status, "{text}: {}", answer.text());
        assert_eq!(answer.json()["code"], "42501", "{}", answer.text());
        assert_eq!(rows(&sql, "notes").await, before, "{text}");
    }
    // Skipping what is there tells nothing and changes nothing.
    let bearer = token::user(BOB);
    let headers = [
        ("Content-Type", "application/json"),
        (
            "Prefer",
            "resolution=ignore-duplicates,return=representation",
        ),
    ];
    let before = rows(&sql, "notes").await;
    let body = json!({ "id": 3, "owner": BOB, "mark": "<taken>" }).to_string();
    let answer = surface
        .ask(
            "POST",
            "/rest/v1/notes?select=id,mark",
            &bearer,
            &headers,
            Some(body.as_bytes()),
        )
        .await;
    assert!(marks(&answer).is_empty(), "{}", answer.text());
    assert_eq!(rows(&sql, "notes").await, before);
}
