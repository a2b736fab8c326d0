//! `/metrics`: who may read it, the original's names, and the dashboard that is built on them (protocol.md §8.8).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::http::{self, Request};
use crate::support::phoenix::Client;
use crate::support::server::Server;
use crate::support::socket::Item;
use crate::support::token::{SECRET, anon, service, user};

const METRICS_SECRET: &str = "the-secret-of-metrics-is-another-one-here";

async fn ask(server: &Server, token: Option<&str>) -> (u16, String) {
    let mut request = Request::get("localhost", "/metrics");
    if let Some(token) = token {
        request
            .headers
            .push(("Authorization".into(), format!("Bearer {token}")));
    }
    let answer = http::exchange(("127.0.0.1", server.port()), &request)
        .await
        .unwrap();
    (answer.status, answer.text())
}

/// Samples by name and labels, and the kinds that were declared.
fn parse(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a kind");
            kinds.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            samples.insert(name.to_owned(), value.parse().expect(line));
        }
    }
    (samples, kinds)
}

#[tokio::test]
async fn metrics_are_closed_without_a_secret_and_need_a_token_of_it() {
    let database = Cluster::shared().await.prepared().await;
    let closed = Server::with(&database, &[]).await;
    assert_eq!(ask(&closed, None).await, (403, String::new()));
    assert_eq!(ask(&closed, Some(&service())).await, (403, String::new()));
    let open = Server::with(&database, &[("METRICS_JWT_SECRET", METRICS_SECRET)]).await;
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let claims = json!({ "exp": crate::support::token::now() + 60 }).to_string();
    let token = |secret: &str| crate::support::token::sign(header, &claims, secret);
    assert_eq!(ask(&open, None).await.0, 403);
    assert_eq!(
        ask(&open, Some(&token(SECRET))).await.0,
        403,
        "the clients' secret is another one"
    );
    assert_eq!(ask(&open, Some(&token(METRICS_SECRET))).await.0, 200);
}

#[tokio::test]
async fn what_happens_is_counted_under_the_originals_names_and_the_dashboard_shows_only_what_there_is()
 {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(
        "create table counted (id int primary key);
         alter table counted enable row level security;
         create policy p on counted for select to authenticated using (current_setting('request.jwt.claims', true) <> '');
         grant select on counted to authenticated;
         alter publication supabase_realtime add table counted;
         create policy r on realtime.messages for select to authenticated using (realtime.topic() = 'mine');
         create policy w on realtime.messages for insert to authenticated with check (realtime.topic() = 'mine')",
    )
    .await
    .unwrap();
    let settings = [
        ("METRICS_JWT_SECRET", SECRET),
        ("CHANNEL_ERROR_BACKOFF_MS", "0"),
    ];
    let server = Server::with(&database, &settings).await;
    let one = Client::connect(&server, &user("u1")).await;
    let two = Client::connect(&server, &user("u2")).await;
    one.listen(
        "realtime:rows",
        json!({ "event": "*", "schema": "public", "table": "counted" }),
    )
    .await;
    let private =
        json!({ "private": true, "broadcast": { "ack": true }, "presence": { "enabled": true } });
    let join_ref = one.join("realtime:mine", private.clone()).await;
    two.join("realtime:mine", private.clone()).await;
    let (_, refused) = two.try_join("realtime:other", private).await;
    assert_eq!(refused["status"], "error");
    one.broadcast(&join_ref, "realtime:mine", "e", json!({}));
    two.until("the broadcast", |frame| frame.event == "broadcast")
        .await;
    let track = json!({ "type": "presence", "event": "track", "payload": {} });
    one.push(Some(&join_ref), "realtime:mine", "presence", &track);
    two.until("presence", |frame| frame.event == "presence_diff")
        .await;
    sql.batch_execute(
        "insert into counted values (1); select realtime.send('{}', 'stored', 'mine')",
    )
    .await
    .unwrap();
    one.change("realtime:rows").await;
    // Stored messages come as binary frames to serializer 2.0.0.
    eventually("the stored one", || async {
        let stored = |item: &Item| matches!(item, Item::Binary(bytes) if bytes.windows(6).any(|at| at == b"stored"));
        two.socket.pick(|item| stored(item).then_some(()))
    })
    .await;
    // A socket without a channel is a connection, but no user.
    let idle = Client::connect(&server, &anon()).await;
    idle.heartbeat().await;

    let (samples, kinds) = eventually("the counts of all of that", || async {
        let (status, text) = ask(&server, Some(&service())).await;
        assert_eq!(status, 200);
        let (samples, kinds) = parse(&text);
        (samples.get("realtime_channel_db_events{tenant=\"realtime-dev\"}") >= Some(&1.0))
            .then_some((samples, kinds))
    })
    .await;
    let value = |name: &str| {
        *samples
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {samples:#?}"))
    };
    let tenant = |name: &str| value(&format!("{name}{{tenant=\"realtime-dev\"}}"));
    assert_eq!(tenant("realtime_connections_connected"), 2.0);
    assert_eq!(value("realtime_connections_global_connected"), 2.0);
    assert_eq!(value("dovetail_sockets"), 3.0);
    assert_eq!(tenant("realtime_subscriptions_manager_subscribers"), 1.0);
    assert_eq!(value("realtime_tenants_connected"), 1.0);
    assert_eq!(tenant("realtime_channel_joins"), 4.0);
    for (name, sum) in [
        ("realtime_channel_joins", "realtime_channel_global_joins"),
        ("realtime_channel_events", "realtime_channel_global_events"),
        (
            "realtime_channel_presence_events",
            "realtime_channel_global_presence_events",
        ),
        (
            "realtime_channel_db_events",
            "realtime_channel_global_db_events",
        ),
    ] {
        assert!(tenant(name) >= 1.0, "{name}");
        assert_eq!(tenant(name), value(sum), "one tenant is all there is");
        assert_eq!(kinds[name], "counter");
    }
    let unauthorized = "realtime_channel_error{tenant=\"realtime-dev\",code=\"Unauthorized\"}";
    assert_eq!(value(unauthorized), 1.0);
    assert_eq!(
        value("realtime_channel_global_error{code=\"Unauthorized\"}"),
        1.0
    );
    for name in [
        "realtime_tenants_read_authorization_check",
        "realtime_tenants_write_authorization_check",
    ] {
        assert_eq!(kinds[name], "histogram");
        assert!(value(&format!("{name}_count")) >= 1.0);
        assert!(
            samples.contains_key(&format!("{name}_bucket{{le=\"10\"}}")),
            "{name}"
        );
    }

    // Every name says what it is, and is one of the list.
    let known: BTreeSet<&str> = dovetail::metrics_names::METRICS
        .iter()
        .map(|metric| metric.name)
        .collect();
    for name in kinds.keys() {
        assert!(
            known.contains(name.as_str()),
            "{name} is not in the list of names"
        );
    }
    let dashboard: Value = serde_json::from_str(include_str!("../../docs/grafana.json")).unwrap();
    let mut expressions = Vec::new();
    collect(&dashboard, &mut expressions);
    assert!(expressions.len() > 20, "{expressions:?}");
    let mut used = BTreeSet::new();
    for expression in &expressions {
        used.extend(
            expression
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter(|word| word.starts_with("realtime_") || word.starts_with("dovetail_")),
        );
    }
    for name in used {
        let base = name.strip_suffix("_bucket").unwrap_or(name);
        let exposed =
            kinds.contains_key(base) && samples.keys().any(|sample| sample.starts_with(name));
        assert!(exposed, "the dashboard shows {name}, which there is not");
    }
    let first = &expressions[0];
    assert!(
        first.contains("realtime_"),
        "names of the original come first: {first}"
    );
}

/// Every query of a dashboard, in the order of its panels.
fn collect(value: &Value, expressions: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text)
                        if name == "expr" || (name == "query" && text.contains('(')) =>
                    {
                        expressions.push(text.clone());
                    }
                    value => collect(value, expressions),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, expressions)),
        _ => {}
    }
}
