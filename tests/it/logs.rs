//! What stands in the log: the original's codes, and nothing that belongs to somebody (G-259, protocol.md §1.4, §4).

use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::http::{self, Request};
use crate::support::phoenix::Client;
use crate::support::server::Server;
use crate::support::socket::{Failure, Socket};
use crate::support::token::{anon, mint, now, sign, user};

/// Stands in every token, payload and row of these tests.
const MARKER: &str = "xyzzy7secret";

fn tokens() -> Vec<(String, &'static str)> {
    let claims =
        |exp: i64| json!({ "role": "authenticated", "sub": MARKER, "exp": exp }).to_string();
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let kid = format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{MARKER}"}}"#);
    vec![
        (
            sign(header, &claims(now() + 60), MARKER),
            "ErrorConnectingToWebsocket",
        ),
        (
            sign(header, &claims(now() - 60), crate::support::token::SECRET),
            "InvalidJWTToken",
        ),
        (
            sign(&kid, &claims(now() + 60), MARKER),
            "ErrorConnectingToWebsocket",
        ),
        (format!("{MARKER}.{MARKER}"), "MalformedJWT"),
        (
            mint(json!({ "role": MARKER, "exp": MARKER })),
            "ErrorConnectingToWebsocket",
        ),
    ]
}

#[tokio::test]
async fn refusals_are_logged_by_code_and_no_secret_even_at_debug() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    // A policy that raises an error with a row's value in its words, and one that does so for a private topic.
    sql.batch_execute(&format!(
        "create table guarded (id int primary key, v text);
         alter table guarded enable row level security;
         create function blame(what text) returns boolean language plpgsql as
           $$ begin raise exception 'not this one: %', what; end $$;
         create policy p on guarded for select to anon, authenticated using (blame(v));
         grant select on guarded to anon, authenticated;
         alter publication supabase_realtime add table guarded;
         create policy q on realtime.messages for select to authenticated using (blame('{MARKER} policy'))",
    ))
    .await
    .unwrap();
    for format in ["pretty", "json"] {
        let settings = [
            ("LOG_LEVEL", "debug"),
            ("LOG_FORMAT", format),
            ("CONNECT_ERROR_BACKOFF_MS", "0"),
            ("CHANNEL_ERROR_BACKOFF_MS", "0"),
            (
                "DISABLE_HEALTHCHECK_LOGGING",
                if format == "json" { "true" } else { "false" },
            ),
        ];
        let server = Server::with(&database, &settings).await;
        for (token, _) in tokens() {
            let refused = Socket::connect(&server.target(&token)).await;
            assert!(matches!(refused, Err(Failure::Refused(_))));
        }
        let client = Client::connect(&server, &user(MARKER)).await;
        for (topic, payload) in [
            ("realtime:", json!({})),
            (
                &*format!("realtime:{MARKER}"),
                json!({ "config": { "private": true } }),
            ),
            ("realtime:a", json!({ "config": MARKER })),
            ("realtime:b", json!({ "config": { "broadcast": MARKER } })),
            (
                "realtime:c",
                json!({ "config": {}, "access_token": format!("{MARKER}.x.y") }),
            ),
            (
                "realtime:d",
                json!({ "config": { "broadcast": { "replay": { "since": MARKER } } } }),
            ),
            (
                "realtime:e",
                json!({ "config": { "postgres_changes": [
                { "event": "*", "schema": "public", "table": "guarded", "filter": format!("id=eq.{MARKER}") }] } }),
            ),
        ] {
            let reference = client.push(None, topic, "phx_join", &payload);
            client
                .until("an answer", |frame| frame.replies_to(&reference))
                .await;
        }
        let join_ref = client
            .join(
                "realtime:open",
                json!({ "presence": { "key": MARKER, "enabled": true } }),
            )
            .await;
        client.broadcast(&join_ref, "realtime:open", "e", json!({ "text": MARKER }));
        client.push(
            Some(&join_ref),
            "realtime:open",
            "presence",
            &json!({ "type": "presence", "event": MARKER }),
        );
        client.socket.text(format!("[\"{MARKER}"));
        client.socket.binary(MARKER.as_bytes().to_vec());
        client.push(
            Some(&join_ref),
            "realtime:open",
            "access_token",
            &json!({ "access_token": format!("{MARKER}.x.y") }),
        );
        client
            .until("the end of the channel", |frame| frame.event == "phx_close")
            .await;
        // A row whose policy raises, and one that follows, so that the first has been judged.
        let watcher = Client::connect(&server, &anon()).await;
        watcher
            .listen("realtime:rows", json!({ "event": "*", "schema": "public" }))
            .await;
        sql.batch_execute(&format!(
            "insert into guarded values (1, '{MARKER}'); delete from guarded; select realtime.send('{{\"v\": \"{MARKER}\"}}', 'e', 't')"
        ))
        .await
        .unwrap();
        assert_eq!(watcher.change("realtime:rows").await["type"], "DELETE");
        for path in [
            format!("/healthcheck?apikey={MARKER}"),
            format!("/api/tenants/{MARKER}/health"),
        ] {
            let mut request = Request::get("localhost", &path);
            request
                .headers
                .push(("Authorization".into(), format!("Bearer {MARKER}")));
            http::exchange(("127.0.0.1", server.port()), &request)
                .await
                .unwrap();
        }

        let log = server.log();
        let found = log.lines().find(|line| line.contains(MARKER));
        assert_eq!(found, None, "{format}");
        let code = |code: &str| match format {
            "json" => format!("\"code\":\"{code}\""),
            _ => format!("code=\"{code}\""),
        };
        let expected = ["TopicNameRequired", "UnknownErrorOnChannel", "MalformedJWT"];
        for wanted in tokens().iter().map(|(_, code)| *code).chain(expected) {
            let line = log.lines().find(|line| line.contains(&code(wanted)));
            let line = line.unwrap_or_else(|| panic!("{format}: no line with {wanted}:\n{log}"));
            let level = if wanted == "InvalidJWTToken" {
                "warn"
            } else {
                "error"
            };
            assert!(line.to_lowercase().contains(level), "{line}");
        }
        if format == "json" {
            for line in log.lines() {
                let parsed: serde_json::Value = serde_json::from_str(line).expect(line);
                assert!(
                    parsed["level"].is_string() && parsed["message"].is_string(),
                    "{line}"
                );
            }
        }
        assert_eq!(
            log.contains("/healthcheck"),
            format == "pretty",
            "health checks are quiet only where asked"
        );
    }
    drop(sql);
}

#[tokio::test]
async fn a_flood_of_refused_joins_is_a_line_a_second() {
    let database = Cluster::shared().await.prepared().await;
    let server = Server::with(&database, &[("CHANNEL_ERROR_BACKOFF_MS", "0")]).await;
    let client = Client::connect(&server, &anon()).await;
    let begun = std::time::Instant::now();
    for _ in 0..500 {
        let reference = client.push(None, "realtime:", "phx_join", &json!({ "config": {} }));
        client
            .until("an answer", |frame| frame.replies_to(&reference))
            .await;
    }
    let lines = server.log().matches("TopicNameRequired").count();
    let most = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    assert!(
        (1..=most).contains(&lines),
        "{lines} lines, expected up to {most}"
    );
}
