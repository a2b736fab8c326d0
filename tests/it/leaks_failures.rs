//! What cannot be decided is not allowed: policies that fail, a database that goes away, connections that are all busy.

use std::time::Instant;

use serde_json::{Value, json};

use crate::leaks::topics::{drain, partitions};
use crate::leaks::users::{ANN, BOB, SERVICE};
use crate::support::cluster::{Cluster, Stop};
use crate::support::phoenix::Client;
use crate::support::server::Server;

fn private() -> Value {
    json!({ "private": true, "presence": { "enabled": true } })
}

fn unauthorized(topic: &str) -> Value {
    json!({ "status": "error", "response": { "reason": format!(
        "Unauthorized: You do not have permissions to read from this Channel topic: {topic}") } })
}

/// Joins all of these at once and waits for each answer.
async fn join_all_of(client: &Client, topics: &[String]) -> Vec<Value> {
    let references: Vec<String> = (0..topics.len()).map(|n| format!("many{n}")).collect();
    for (topic, reference) in topics.iter().zip(&references) {
        let payload = json!({ "config": private() });
        let frame = json!([reference, reference, topic, "phx_join", payload]);
        client.socket.text(frame.to_string());
    }
    let mut replies = Vec::new();
    for reference in &references {
        let reply = client
            .until("the reply to the join", |frame| frame.replies_to(reference))
            .await;
        replies.push(reply.payload);
    }
    replies
}

/// Each statement is `$what` of a policy that fails for the topic of its name; the others are as healthy as before.
const FAILING: [(&str, &str, &str); 6] = [
    ("raises", "P0001", "raise exception 'no entry'"),
    (
        "divides",
        "22012",
        "return 1 / (length(realtime.topic()) - 7) > 0",
    ),
    (
        "table",
        "42P01",
        "return exists (select from there_is_no_such_table)",
    ),
    ("function", "42883", "return there_is_no_such_function()"),
    ("sleeps", "57014", "perform pg_sleep(60)"),
    ("recurses", "42P17", "return exists (select from endless)"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_errors_deny_and_are_logged_and_leave_other_topics_alone() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    let mut body = String::new();
    for (topic, _, statement) in FAILING {
        body += &format!("if realtime.topic() = '{topic}' then {statement}; end if;\n");
    }
    sql.batch_execute(&format!(
        "create table endless (id int);
         alter table endless enable row level security;
         create policy round on endless for select using (exists (select from public.endless));
         grant select on endless to authenticated;
         create function decides() returns boolean language plpgsql as $$ begin {body} return true; end $$;
         create policy reads on realtime.messages for select to authenticated using (public.decides());
         create policy writes on realtime.messages for insert to authenticated
           with check (realtime.topic() like 'w:%' and 1 / (length(extension) - length(extension)) = 1);
         create policy healthy on realtime.messages for insert to authenticated with check (realtime.topic() = 'well')"
    ))
    .await
    .unwrap();
    let settings = [
        ("CHANNEL_ERROR_BACKOFF_MS", "1"),
        ("STATEMENT_TIMEOUT_MS", "1500"),
    ];
    let mut server = Server::with(&database, &settings).await;
    partitions(&sql).await;
    let client = Client::connect(&server, &ANN.token()).await;
    let well = client.join("realtime:well", private()).await;
    let listener = Client::connect(&server, &BOB.token()).await;
    listener.join("realtime:well", private()).await;
    // All at once, and healthy joins among them.
    let others: Vec<_> = (0..10).map(|n| format!("realtime:fine:{n}")).collect();
    let failing = FAILING.map(|(topic, ..)| format!("realtime:{topic}"));
    let (failed, fine) = tokio::join!(
        join_all_of(&client, &failing),
        join_all_of(&listener, &others)
    );
    for reply in fine {
        assert_eq!(reply["status"], "ok", "{reply}");
    }
    for ((topic, code, _), reply) in FAILING.iter().zip(failed) {
        if *code == "57014" {
            let reason = reply["response"]["reason"].as_str().unwrap_or_default();
            assert!(reason.starts_with("QueryCanceled: "), "{reply}");
        } else {
            assert_eq!(reply, unauthorized(topic));
        }
        let name = match *code {
            "57014" => "QueryCanceled",
            _ => "RlsPolicyError",
        };
        let log = server.log();
        let line = match *code {
            "57014" => format!("code=\"{name}\""),
            _ => format!("sqlstate=\"{code}\""),
        };
        assert!(log.contains(name), "{name} is not in the log:\n{log}");
        assert!(log.contains(&line), "{line} is not in the log:\n{log}");
    }
    // Nobody of them hears anything, also not later.
    let service = Client::connect(&server, &SERVICE.token()).await;
    for (topic, ..) in FAILING {
        let wire = format!("realtime:{topic}");
        let join_ref = service.join(&wire, private()).await;
        service.broadcast(&join_ref, &wire, "e", json!({ "n": 1 }));
        let send = format!("select realtime.send('{{\"n\": 2}}', 'e', '{topic}', true)");
        sql.batch_execute(&send).await.unwrap();
    }
    // A policy for writing that fails drops the message, and that channel and the others stay.
    let failing = client.join("realtime:w:1", private()).await;
    let second = listener.join("realtime:w:1", private()).await;
    client.broadcast(&failing, "realtime:w:1", "e", json!({ "n": 3 }));
    let track = json!({ "type": "presence", "event": "track", "payload": { "n": 4 } });
    let reference = client.push(Some(&failing), "realtime:w:1", "presence", &track);
    let reply = client
        .until("the reply to a track", |frame| frame.replies_to(&reference))
        .await;
    assert_eq!(reply.payload["status"], "error");
    client.broadcast(&well, "realtime:well", "e", json!({ "n": 5 }));
    let heard = listener
        .until("the healthy broadcast", |frame| frame.event == "broadcast")
        .await;
    assert_eq!(heard.topic, "realtime:well");
    assert_eq!(heard.payload["payload"]["n"], 5);
    let nothing = listener.push(Some(&second), "realtime:w:1", "presence", &json!({}));
    listener
        .until("the channel is there", |frame| {
            frame.replies_to(&nothing) && frame.payload["status"] == "ok"
        })
        .await;
    let rest = drain(&client).await;
    assert!(
        rest.iter().all(|(_, words)| words == "state "),
        "nothing but the states of the joins: {rest:?}"
    );
    assert!(server.alive());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_restarts_during_joins_and_each_is_answered() {
    let mut cluster = Cluster::start().await;
    let database = cluster.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(
        "create policy reads on realtime.messages for select to authenticated
           using (auth.uid()::text like '%a' and pg_sleep(0.01) is not null)",
    )
    .await
    .unwrap();
    let server = Server::with(&database, &[("CHANNEL_ERROR_BACKOFF_MS", "1")]).await;
    partitions(&sql).await;
    let allowed = Client::connect(&server, &ANN.token()).await;
    let denied = Client::connect(&server, &BOB.token()).await;
    let topics: Vec<String> = (0..100).map(|n| format!("realtime:t{n}")).collect();
    let joins = async {
        tokio::join!(
            join_all_of(&allowed, &topics),
            join_all_of(&denied, &topics)
        )
    };
    let restart = async {
        // Some have been answered, the others are on their way.
        assert!(
            denied
                .socket
                .holds(1, Instant::now() + crate::support::PATIENCE)
                .await
        );
        cluster.stop(Stop::Immediate).await;
        cluster.resume().await;
    };
    let ((one, two), ()) = tokio::join!(joins, restart);
    let mut broken = 0;
    for (mine, reply) in one
        .iter()
        .map(|one| (true, one))
        .chain(two.iter().map(|two| (false, two)))
    {
        if reply["status"] == "ok" {
            assert!(mine, "who may not read is not let in: {reply}");
            continue;
        }
        let reason = reply["response"]["reason"].as_str().unwrap();
        let known = [
            "Unauthorized: You do not have permissions to read",
            "UnableToConnectToProject: ",
            "Realtime was unable to connect to the project database",
            "IncreaseConnectionPool: ",
            "DatabaseConnectionRateLimitReached: ",
            "InitializingProjectConnection: ",
        ];
        let known = known.iter().position(|known| reason.starts_with(known));
        let known = known.unwrap_or_else(|| panic!("not an answer of the protocol: {reply}"));
        assert!(!mine || known > 0, "a failure is no denial: {reply}");
        broken += usize::from(known > 0);
    }
    println!("{broken} joins met the restart");
    // By itself it is as before.
    let began = Instant::now();
    loop {
        let (_, reply) = allowed.try_join("realtime:later", private()).await;
        if reply["status"] == "ok" {
            break;
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "{reply}");
    }
    let (_, reply) = denied.try_join("realtime:later", private()).await;
    assert_eq!(reply, unauthorized("later"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pool_exhaustion_is_told_to_those_who_wait_and_others_go_on() {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(
        "create policy slow on realtime.messages for select to authenticated
           using (case when realtime.topic() like 'slow:%' then pg_sleep(60) is not null else true end);
         create policy write on realtime.messages for insert to authenticated with check (true)",
    )
    .await
    .unwrap();
    let settings = [
        ("CHANNEL_ERROR_BACKOFF_MS", "1"),
        ("ACCESS_CONNECTIONS", "1"),
        ("STATEMENT_TIMEOUT_MS", "4000"),
    ];
    let server = Server::with(&database, &settings).await;
    partitions(&sql).await;
    let (ann, bob) = (
        Client::connect(&server, &ANN.token()).await,
        Client::connect(&server, &BOB.token()).await,
    );
    // Rights that are known need no connection.
    let ann_ref = ann.join("realtime:fine", private()).await;
    bob.join("realtime:fine", private()).await;
    ann.broadcast(&ann_ref, "realtime:fine", "e", json!({ "n": 0 }));
    bob.until("a broadcast", |frame| frame.event == "broadcast")
        .await;
    let sleeper = Client::connect(&server, &ANN.token()).await;
    let topics: Vec<String> = (0..20).map(|n| format!("realtime:slow:{n}")).collect();
    let slow = join_all_of(&sleeper, &topics);
    let meanwhile = async {
        for n in 1..50 {
            ann.broadcast(&ann_ref, "realtime:fine", "e", json!({ "n": n }));
            let heard = bob
                .until("a broadcast", |frame| frame.event == "broadcast")
                .await;
            assert_eq!(heard.payload["payload"]["n"], n);
            let public = Client::connect(&server, &BOB.token()).await;
            public.join("realtime:public", json!({})).await;
        }
    };
    let (slow, ()) = tokio::join!(slow, meanwhile);
    let mut exhausted = 0;
    for reply in slow {
        let reason = reply["response"]["reason"].as_str().unwrap();
        let pool = reason == "IncreaseConnectionPool: Please increase your connection pool size";
        assert!(pool || reason.starts_with("QueryCanceled: "), "{reply}");
        exhausted += usize::from(pool);
    }
    assert!(exhausted > 0, "somebody waited in vain");
    let began = Instant::now();
    loop {
        let (_, reply) = bob.try_join("realtime:after", private()).await;
        if reply["status"] == "ok" {
            break;
        }
        assert!(began.elapsed() < crate::support::PATIENCE * 2, "{reply}");
    }
}
