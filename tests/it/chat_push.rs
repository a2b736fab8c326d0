//! Push notifications from the message to the browser (C-404): real server, real Postgres, a stand-in for the push service
//! that decrypts what it gets.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::Value;

use crate::chat_push_support::*;
use crate::support::eventually;
use crate::support::server::Server;
use crate::support::token;

const BEN_STATE: &str = "select coalesce(last_error, case when delivered_at is null then 'waits' else 'delivered' end) \
                         from public.notification_outbox order by id limit 1";
/// Whether nothing is to be sent any more.
const IDLE: &str =
    "select (count(*) = 0)::text from public.notification_outbox where delivered_at is null";

async fn idle(client: &tokio_postgres::Client) {
    eventually("everything is done with", || async {
        (value(client, IDLE).await == "true").then_some(())
    })
    .await;
}

fn part(text: &str) -> Value {
    serde_json::from_slice(&BASE64.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_reaches_the_browser_encrypted_and_signed() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let server = pushing(&database).await;
    let browser = Browser::new();
    browser
        .register(&client, BEN, &service.url("/201/ben"))
        .await;
    say(&client, ANA, "Hello Ben").await;

    let pushed = service.wait(1).await.remove(0);
    assert_eq!(pushed.header("content-encoding"), "aes128gcm");
    assert_eq!(pushed.header("ttl"), "86400");
    assert_eq!(pushed.header("urgency"), "normal");
    let topic = pushed.header("topic");
    assert!(topic.len() <= 32 && BASE64.decode(topic).is_ok(), "{topic}");
    let got = browser.decrypt(&pushed.body);
    assert_eq!(
        (&got["title"], &got["body"]),
        (&"Ana · Rome".into(), &"Hello Ben".into())
    );
    assert_eq!(got["url"], format!("/chat/#/c/{GROUP}"));
    assert_eq!(
        (&got["tag"], &got["kind"]),
        (&GROUP.into(), &"message".into())
    );
    let data = &got["data"];
    assert_eq!(
        (&data["conversation_id"], &data["sender_id"]),
        (&GROUP.into(), &ANA.into())
    );
    let message = value(&client, "select id::text from public.messages").await;
    assert_eq!(data["message_id"], message);

    let authorization = pushed
        .header("authorization")
        .strip_prefix("vapid ")
        .unwrap();
    let fields: Vec<(&str, &str)> = authorization
        .split(',')
        .map(|field| field.trim().split_once('=').unwrap())
        .collect();
    let [("t", jwt), ("k", key)] = fields[..] else {
        panic!("{fields:?}");
    };
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    assert_eq!(part(head)["alg"], "ES256");
    let claims = part(claims);
    assert_eq!(claims["aud"], format!("http://127.0.0.1:{}", service.port));
    assert_eq!(claims["sub"], "mailto:push@example.com");
    let left = claims["exp"].as_i64().unwrap() - token::now();
    assert!((0..=86_400).contains(&left), "a day at most: {left}");
    let key = BASE64.decode(key).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key)
        .verify(signed.as_bytes(), &BASE64.decode(signature).unwrap())
        .expect("signed with the key it names");

    idle(&client).await;
    assert_eq!(value(&client, BEN_STATE).await, "delivered");
    assert_eq!(service.all().len(), 1);
    assert!(
        !server.log().contains("Hello Ben"),
        "nothing of a message is logged"
    );
}

#[tokio::test]
async fn a_mention_is_urgent_and_a_preview_that_is_off_says_nothing() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let _server = pushing(&database).await;
    let browser = Browser::new();
    browser
        .register(&client, BEN, &service.url("/201/ben"))
        .await;
    let off = "select public.set_notification_preferences(preview => false)";
    as_user(&client, BEN, off).await.unwrap();
    say(&client, ANA, &format!("Look @[Ben]({BEN})")).await;
    let pushed = service.wait(1).await.remove(0);
    assert_eq!(pushed.header("urgency"), "high");
    let got = browser.decrypt(&pushed.body);
    assert_eq!(
        (&got["kind"], &got["body"]),
        (&"mention".into(), &"New message".into())
    );
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_removed_and_the_others_get_theirs() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let _server = pushing(&database).await;
    for path in ["/410/one", "/404/two", "/201/three", "/403/four"] {
        Browser::new()
            .register(&client, BEN, &service.url(path))
            .await;
    }
    say(&client, ANA, "Hello").await;
    idle(&client).await;
    assert_eq!(service.all().len(), 4);
    let left = "select string_agg(substring(endpoint from '/[0-9]{3}/.*'), ' ' order by endpoint) from public.push_subscriptions";
    assert_eq!(value(&client, left).await, "/201/three /403/four");
    let why = "select last_error from public.push_subscriptions where endpoint like '%403%'";
    eventually("why it gets nothing", || async {
        let row = client.query_one(why, &[]).await.unwrap();
        let why: Option<String> = row.get(0);
        why.filter(|why| why == "the push service answered 403")
    })
    .await;
}

#[tokio::test]
async fn another_attempt_is_only_for_those_that_failed() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let _server = pushing(&database).await;
    for path in ["/201/good", "/503/bad", "/429/busy"] {
        Browser::new()
            .register(&client, BEN, &service.url(path))
            .await;
    }
    say(&client, ANA, "Hello").await;
    service.wait(3).await;
    let waits = "select (due_at > now() + interval '5 minutes' and claimed_at is null)::text from public.notification_outbox";
    eventually("it waits as long as Retry-After says", || async {
        (value(&client, waits).await == "true").then_some(())
    })
    .await;
    for attempt in 2..=5 {
        hurry(&client).await;
        service.wait(1 + 2 * attempt).await;
        let settled = format!(
            "select (claimed_at is null and attempts = {attempt})::text from public.notification_outbox"
        );
        eventually("the attempt is written down", || async {
            (value(&client, &settled).await == "true").then_some(())
        })
        .await;
    }
    assert_eq!(service.to("/201/good").len(), 1);
    assert_eq!(service.to("/503/bad").len(), 5);
    let given_up = "select (due_at = 'infinity' and delivered_at is null and last_error like 'the push service answered %')::text from public.notification_outbox";
    assert_eq!(value(&client, given_up).await, "true");
}

#[tokio::test]
async fn what_is_too_large_is_sent_without_its_text() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let _server = pushing(&database).await;
    let browser = Browser::new();
    browser
        .register(&client, BEN, &service.url("/413/ben"))
        .await;
    say(&client, ANA, "Hello").await;
    idle(&client).await;
    let all = service.all();
    assert_eq!(all.len(), 2);
    assert_eq!(browser.decrypt(&all[0].body)["body"], "Hello");
    assert_eq!(browser.decrypt(&all[1].body)["body"], "");
}

#[tokio::test]
async fn a_crash_between_claim_and_answer_loses_nothing_and_sends_twice_at_most() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let mut server = pushing(&database).await;
    let browser = Browser::new();
    browser
        .register(&client, BEN, &service.url("/hold/ben"))
        .await;
    say(&client, ANA, "Hello").await;
    service.wait(1).await;
    server.end(rustix::process::Signal::KILL).await;
    let mine =
        "select (claimed_at is not null and due_at > now())::text from public.notification_outbox";
    assert_eq!(
        value(&client, mine).await,
        "true",
        "nobody else may have it yet"
    );
    server.spawn();
    server.ready().await;
    service.let_go();
    // As if the lease were over.
    hurry(&client).await;
    service.wait(2).await;
    idle(&client).await;
    let all = service.all();
    assert_eq!(all.len(), 2);
    assert_eq!(browser.decrypt(&all[0].body), browser.decrypt(&all[1].body));
    assert_eq!(value(&client, BEN_STATE).await, "delivered");
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_it_began() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let mut server = pushing(&database).await;
    Browser::new()
        .register(&client, BEN, &service.url("/hold/ben"))
        .await;
    say(&client, ANA, "Hello").await;
    service.wait(1).await;
    let port = server.port();
    let let_go = async {
        eventually("it stops", || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_err()
                .then_some(())
        })
        .await;
        service.let_go();
    };
    tokio::join!(server.end(rustix::process::Signal::TERM), let_go);
    assert_eq!(value(&client, BEN_STATE).await, "delivered");
}

#[tokio::test]
async fn several_servers_send_each_notification_once() {
    let (database, client) = hall(30).await;
    let service = PushService::start().await;
    let one = pushing(&database).await;
    let other = pushing(&database).await;
    for number in 2..=30 {
        let path = format!("/201/{number}");
        Browser::new()
            .register(&client, &person(number), &service.url(&path))
            .await;
    }
    say(&client, ANA, "one").await;
    service.wait(29).await;
    say(&client, ANA, "two").await;
    service.wait(58).await;
    idle(&client).await;
    for number in 2..=30 {
        assert_eq!(service.to(&format!("/201/{number}")).len(), 2, "{number}");
    }
    drop((one, other));
}

#[tokio::test]
async fn a_push_service_that_does_not_answer_holds_up_nobody_else() {
    let (database, client) = hall(3).await;
    let service = PushService::start().await;
    let _server = pushing(&database).await;
    for (who, path) in [(BEN, "/hold/ben"), (CLEO, "/201/cleo")] {
        Browser::new()
            .register(&client, who, &service.url(path))
            .await;
    }
    for count in 1..=3 {
        say(&client, ANA, "Hello").await;
        eventually("Cleo is told", || async {
            (service.to("/201/cleo").len() == count).then_some(())
        })
        .await;
    }
    assert!(!service.to("/hold/ben").is_empty());
}

#[tokio::test]
async fn a_worker_whose_connection_is_lost_goes_on() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let server = pushing(&database).await;
    Browser::new()
        .register(&client, BEN, &service.url("/201/ben"))
        .await;
    let listening = "select count(*)::text from pg_stat_activity where application_name = 'dovetail_chat_push' and datname = current_database()";
    for count in 1..=2 {
        eventually("it is connected", || async {
            (value(&client, listening).await == "1").then_some(())
        })
        .await;
        say(&client, ANA, "Hello").await;
        service.wait(count).await;
        idle(&client).await;
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dovetail_chat_push' and datname = current_database()";
        client.execute(end, &[]).await.unwrap();
    }
    drop(server);
}

#[tokio::test]
async fn nothing_is_sent_to_addresses_that_are_not_public() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let server = Server::with(&database, &[CHAT, KEY, SUBJECT]).await;
    let port = service.port;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = listener.local_addr().unwrap().port();
    for endpoint in [
        format!("http://127.0.0.1:{port}/201/a"),
        format!("https://127.0.0.1:{tls}/201/b"),
        format!("https://localhost:{tls}/201/c"),
        format!("https://[::1]:{tls}/201/d"),
        format!("https://[::ffff:127.0.0.1]:{tls}/201/e"),
        format!("https://2130706433:{tls}/201/f"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/x".to_owned(),
        "https://[fd00::1]/x".to_owned(),
    ] {
        Browser::new().register(&client, BEN, &endpoint).await;
    }
    say(&client, ANA, "Hello").await;
    idle(&client).await;
    let refused = "select count(*) filter (where last_error like 'the endpoint is not %')::text || ' of ' || count(*) from public.push_subscriptions";
    eventually("all are refused", || async {
        (value(&client, refused).await == "9 of 9").then_some(())
    })
    .await;
    assert!(service.all().is_empty());
    let knocked = futures_util::FutureExt::now_or_never(listener.accept());
    assert!(knocked.is_none(), "nobody connected");
    drop(server);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (database, client) = hall(2).await;
    let service = PushService::start().await;
    let _server = pushing(&database).await;
    for path in ["/302/ben", "/307/ben"] {
        Browser::new()
            .register(&client, BEN, &service.url(path))
            .await;
    }
    say(&client, ANA, "Hello").await;
    idle(&client).await;
    assert_eq!(service.all().len(), 2);
    assert!(service.to("/201/elsewhere").is_empty());
}

#[tokio::test]
async fn a_server_without_a_key_or_without_the_tables_serves_all_the_same() {
    let database = crate::support::cluster::Cluster::shared()
        .await
        .prepared()
        .await;
    let server = Server::with(&database, &[CHAT, KEY, SUBJECT]).await;
    eventually("it says what is missing", || async {
        server
            .log()
            .contains("dovetail migrate --chat")
            .then_some(())
    })
    .await;
    assert_eq!(server.get("/readyz").await.status, 200);
    let server = Server::with(&database, &[CHAT]).await;
    assert!(server.log().contains("nothing is pushed"));
}
