//! Forged tokens, hosts, headers, topics and claims: refused or harmless, never more rights.

use serde_json::{Value, json};

use crate::leaks::topics::{drain, partitions, rights};
use crate::leaks::users::{ANN, AUDITOR, BOB, SERVICE, User};
use crate::support::cluster::Cluster;
use crate::support::phoenix::Client;
use crate::support::server::Server;
use crate::support::socket::{Failure, Item, Socket, Target};
use crate::support::token::{SECRET, mint, now, sign};
use tokio_postgres::Client as Sql;

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn private() -> Value {
    json!({ "private": true, "presence": { "enabled": true } })
}

async fn house(policies: &str, settings: &[(&str, &str)]) -> (Server, Sql) {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(AUDITOR).await.unwrap();
    sql.batch_execute(policies).await.unwrap();
    let mut all = vec![
        ("CHANNEL_ERROR_BACKOFF_MS", "1"),
        ("CONNECT_ERROR_BACKOFF_MS", "1"),
    ];
    all.extend_from_slice(settings);
    let server = Server::with(&database, &all).await;
    partitions(&sql).await;
    (server, sql)
}

/// What came of a join as `token` with these headers.
async fn outcome(
    server: &Server,
    token: &str,
    headers: &[(&str, &str)],
    topic: &str,
) -> Result<Value, u16> {
    let mut target: Target = server.target(token);
    for (name, value) in headers {
        target.headers.push(((*name).into(), (*value).into()));
    }
    let socket = match Socket::connect(&target).await {
        Ok(socket) => socket,
        Err(Failure::Refused(answer)) => return Err(answer.status),
        Err(Failure::Io(error)) => panic!("{error}"),
    };
    let frame = json!(["1", "1", format!("realtime:{topic}"), "phx_join", { "config": private() }]);
    socket.text(frame.to_string());
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        assert!(socket.holds(1, deadline).await, "no answer to the join");
        let (_, item) = socket.take(1).remove(0);
        let Item::Text(text) = item else {
            return Err(1);
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame[3] == "phx_reply" {
            return Ok(frame[4].clone());
        }
    }
}

fn joined(outcome: &Result<Value, u16>) -> bool {
    matches!(outcome, Ok(reply) if reply["status"] == "ok")
}

#[tokio::test]
async fn forged_tokens_do_not_open_a_socket_nor_a_channel() {
    let (server, _) = house(
        "create policy r on realtime.messages for select to authenticated using (true)",
        &[],
    )
    .await;
    let claims =
        json!({ "role": "authenticated", "sub": ANN.sub, "exp": now() + 3600 }).to_string();
    let service = json!({ "role": "service_role", "exp": now() + 3600 }).to_string();
    let good = sign(HS256, &claims, SECRET);
    assert!(
        joined(&outcome(&server, &good, &[], "t").await),
        "the honest one is let in"
    );
    let parts: Vec<&str> = good.split('.').collect();
    let other = sign(HS256, &service, SECRET);
    let others: Vec<&str> = other.split('.').collect();
    let none = sign(r#"{"alg":"none"}"#, &service, SECRET);
    let unsigned: Vec<&str> = none.split('.').collect();
    let forged = [
        sign(HS256, &claims, "another secret of more than 32 characters"),
        sign(HS256, &claims, ""),
        none.clone(),
        format!("{}.{}.", unsigned[0], unsigned[1]),
        sign(r#"{"alg":"NONE"}"#, &service, ""),
        sign(
            r#"{"alg":"HS256","kid":"unknown"}"#,
            &claims,
            "another secret",
        ),
        sign(
            r#"{"alg":"HS256","kid":"../../../../dev/null"}"#,
            &service,
            "",
        ),
        sign(r#"{"alg":"HS256","kid":"' or '1'='1"}"#, &service, "1"),
        sign(
            r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#,
            &service,
            "\0",
        ),
        sign(r#"{"alg":"RS256"}"#, &service, SECRET),
        sign(r#"{"alg":"ES256"}"#, &service, SECRET),
        // The signature of another.
        format!("{}.{}.{}", parts[0], others[1], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.x"),
        format!("{}A", good),
        sign(
            HS256,
            &json!({ "role": "authenticated", "exp": now() - 5 }).to_string(),
            SECRET,
        ),
        sign(HS256, r#"{"role":"authenticated"}"#, SECRET),
        sign(HS256, r#"{"exp":99999999999}"#, SECRET),
        sign(HS256, r#"["role"]"#, SECRET),
        sign(
            HS256,
            r#"{"role":["service_role"],"exp":99999999999}"#,
            SECRET,
        ),
        sign(HS256, r#"{"role":null,"exp":99999999999}"#, SECRET),
    ];
    let honest = Client::connect(&server, &good).await;
    for token in &forged {
        let result = outcome(&server, token, &[], "t").await;
        assert!(!joined(&result), "{token}: {result:?}");
        // As the token of one join on an honest socket.
        let frame = json!(["9", "9", "realtime:f", "phx_join", { "config": private(), "access_token": token }]);
        honest.socket.text(frame.to_string());
        let reply = honest
            .until("the reply", |frame| frame.replies_to("9"))
            .await;
        assert_eq!(reply.payload["status"], "error", "{token}");
        // As a new token of a channel: that ends it.
        let join_ref = honest.join("realtime:r", private()).await;
        honest.push(
            Some(&join_ref),
            "realtime:r",
            "access_token",
            &json!({ "access_token": token }),
        );
        honest
            .until("the close", |frame| frame.event == "phx_close")
            .await;
        drain(&honest).await;
    }
}

#[tokio::test]
async fn forged_hosts_are_no_other_tenant() {
    let (server, _) = house(
        "create policy r on realtime.messages for select to authenticated using (true)",
        &[("TENANT_FROM_HOST", "true")],
    )
    .await;
    let token = ANN.token();
    for (host, allowed) in [
        ("realtime-dev.localhost", true),
        ("other.localhost", false),
        ("realtime-dev@other.localhost", false),
        ("other.realtime-dev.localhost", false),
        ("' or 1=1 --.localhost", false),
        ("", false),
    ] {
        let mut target = server.target(&token);
        target.host = host.into();
        // Forwarding headers name no tenant.
        target
            .headers
            .push(("X-Forwarded-Host".into(), "realtime-dev.localhost".into()));
        let connected = Socket::connect(&target).await.is_ok();
        assert_eq!(connected, allowed, "{host:?}");
    }
}

#[tokio::test]
async fn forged_headers_stay_values() {
    let (server, sql) = house(
        "create policy r on realtime.messages for select to authenticated using (
           extension = 'broadcast' and current_setting('request.headers')::jsonb ->> 'x-team' = 'red'
           and coalesce(current_setting('request.headers')::jsonb ->> 'x-forged', '') = ''
           and current_user = 'authenticated')",
        &[],
    )
    .await;
    let token = ANN.token();
    let red = [("x-team", "red")];
    assert!(joined(&outcome(&server, &token, &red, "t").await));
    assert!(!joined(&outcome(&server, &token, &[], "t").await));
    let forged = [
        r#"blue","x-team":"red"#,
        r#"red"}"#,
        r#"blue\","x-team":"red"#,
        "blue', true), set_config('role', 'postgres', true)",
        "red'; drop policy r on realtime.messages; --",
        "\u{2019}red",
        "réd",
        "red\tx",
        "$$red$$",
        "blue\\",
        "\\u0072ed",
    ];
    for value in forged {
        let result = outcome(&server, &token, &[("x-team", value)], "t").await;
        assert!(!joined(&result), "{value:?}: {result:?}");
        // Beside an honest one: only as a value of its own name, and then policies refuse it.
        let both = [("x-team", "red"), ("x-forged", value)];
        let result = outcome(&server, &token, &both, "t").await;
        assert!(!joined(&result), "{value:?}: {result:?}");
    }
    // Line ends and NUL end a request, or are refused; they never make another header.
    for value in [
        "blue\r\nx-team: red",
        "blue\nx-team: red",
        "blue\0red",
        "blue\rx-team: red",
    ] {
        let mut target = server.target(&token);
        target.headers.push(("x-team".into(), value.into()));
        if value.contains('\n') {
            // This is a second header line of the client's own: the last wins, and it says red. Nothing was gained.
            continue;
        }
        assert!(Socket::connect(&target).await.is_err(), "{value:?}");
    }
    let policies: i64 = sql
        .query_one(
            "select count(*) from pg_policies where tablename = 'messages'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(policies, 1);
}

#[tokio::test]
async fn forged_topics_are_names_and_nothing_else() {
    let (server, sql) = house(
        "create policy r on realtime.messages for select to authenticated using (topic = 'mine' and realtime.topic() = 'mine');
         create policy w on realtime.messages for insert to authenticated with check (topic = 'mine')",
        &[],
    )
    .await;
    let client = Client::connect(&server, &ANN.token()).await;
    let service = Client::connect(&server, &SERVICE.token()).await;
    let long = "x".repeat(16 * 1024 - "realtime:".len());
    let longer = "x".repeat(16 * 1024 + 1);
    let names = [
        "mine' or true --",
        "mine\\",
        "mine\\'",
        "mine\0",
        "mine\n",
        " mine",
        "mine ",
        "Mine",
        "mine\u{200b}",
        "mi\u{0000}ne",
        "realtime:mine",
        "%",
        "_ine",
        "mine'), true); set role postgres; --",
        "$$mine$$",
        "\u{202e}enim",
        long.as_str(),
        longer.as_str(),
    ];
    client.join("realtime:mine", private()).await;
    for name in names {
        let wire = format!("realtime:{name}");
        let (_, reply) = client.try_join(&wire, private()).await;
        let shown: String = name.chars().take(40).collect();
        assert_eq!(reply["status"], "error", "{shown:?}: {reply}");
        if !name.contains('\0') {
            let expected = rights(&sql, &ANN, name).await;
            assert!(!expected.reads && !expected.sees, "{shown:?}: SQL agrees");
        }
        // Somebody who may join it does not reach the honest topic.
        let (join_ref, reply) = service.try_join(&wire, private()).await;
        if reply["status"] == "ok" {
            service.broadcast(&join_ref, &wire, "e", json!({ "n": 1 }));
            service.heartbeat().await;
        }
    }
    let heard = drain(&client).await;
    assert_eq!(heard, [("mine".to_owned(), "state ".to_owned())]);
    let public = Client::connect(&server, &BOB.token()).await;
    public.join("realtime:mine", json!({})).await;
    service.join("realtime:mine", private()).await;
    assert_eq!(drain(&public).await, []);
}

#[tokio::test]
async fn forged_claims_and_roles_give_what_sql_gives_and_nothing_more() {
    let (server, sql) = house(
        &format!(
            "create table guest_list (uid uuid);
             insert into guest_list values ('{}');
             create policy r on realtime.messages for select to public using (
               exists (select from public.guest_list g where g.uid::text = auth.jwt() ->> 'sub'));
             grant select on guest_list to authenticated, anon, auditor",
            ANN.sub.unwrap()
        ),
        &[],
    )
    .await;
    assert!(joined(&outcome(&server, &ANN.token(), &[], "t").await));
    let ann = ANN.sub.unwrap();
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let subs = [
        format!("{ann}' or true --"),
        format!("{ann}\\"),
        format!("'{ann}'"),
        format!("\",\"sub\":\"{ann}"),
        "\0".to_owned(),
        format!("{ann}\0"),
    ];
    for sub in &subs {
        let token = mint(json!({ "role": "authenticated", "sub": sub }));
        let result = outcome(&server, &token, &[], "t").await;
        assert!(!joined(&result), "{sub:?}: {result:?}");
    }
    // Claims of any depth, and a name that comes twice, are those of the token as Postgres reads them.
    let exp = now() + 3600;
    for (claims, name) in [
        (
            format!(r#"{{"role":"authenticated","sub":"x","exp":{exp},"deep":{deep}}}"#),
            "deep",
        ),
        (
            format!(r#"{{"role":"authenticated","sub":{{"sub":"{ann}"}},"exp":{exp}}}"#),
            "nested",
        ),
        (
            format!(r#"{{"role":"authenticated","sub":["{ann}"],"exp":{exp}}}"#),
            "list",
        ),
        (
            format!(r#"{{"role":"authenticated","sub":"it's \"x\" \\ $$","exp":{exp}}}"#),
            "quotes",
        ),
        (
            format!(r#"{{"role":"anon","exp":{exp},"request.jwt.claims":{{"sub":"{ann}"}}}}"#),
            "setting",
        ),
    ] {
        let result = outcome(&server, &sign(HS256, &claims, SECRET), &[], "t").await;
        assert!(!joined(&result), "{name}: {result:?}");
    }
    // Roles: what Postgres does not let anybody be is refused; none is ever the server's own.
    for role in [
        "",
        "none",
        "None",
        "NONE",
        "nobody_of_this_name",
        "public",
        "anon'; set role postgres; --",
        "anon\0",
        "\"postgres\"",
        "pg_read_all_data ",
        "current_user",
        "session_user",
        "authenticated\u{200b}",
    ] {
        let token = mint(json!({ "role": role, "sub": "x" }));
        let result = outcome(&server, &token, &[], "t").await;
        assert!(!joined(&result), "{role:?}: {result:?}");
    }
    // Whoever signs a token of a superuser gets what SQL gives it, and the server stays what it is.
    for role in ["postgres", "supabase_admin"] {
        let there = sql
            .query_one(
                "select exists (select from pg_roles where rolname = $1::text)",
                &[&role],
            )
            .await
            .unwrap()
            .get::<_, bool>(0);
        let user = User {
            name: "forger",
            role,
            sub: None,
        };
        let expected = there && rights(&sql, &user, "t").await.reads;
        let result = outcome(&server, &user.token(), &[], "t").await;
        assert_eq!(joined(&result), expected, "{role}: {result:?}");
    }
    let bob = outcome(&server, &BOB.token(), &[], "t").await;
    assert!(!joined(&bob), "nobody else gained anything: {bob:?}");
}
