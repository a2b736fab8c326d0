//! Private messages over REST: what policies see, how often they are asked, and what their failures become.

use serde_json::json;

use crate::rest_support::{Rest, bearer};
use crate::support::token::{anon, mint, user};

/// Write questions that were sent.
const QUESTIONS: &str = "realtime_tenants_write_authorization_check_count";
/// Of all questions; the server itself asks now and then.
const ROUND_TRIPS: &str = "dovetail_access_round_trips_total";

#[tokio::test]
async fn p174_p175_each_private_topic_is_asked_for_once_and_public_ones_never() {
    let rest = Rest::with(
        "create policy r on realtime.messages for select to authenticated using (true);
         create policy w on realtime.messages for insert to authenticated with check (realtime.topic() like 'mine%')",
        &[],
    )
    .await;
    let ann = bearer(&user("ann"));
    let headers = [("authorization", ann.as_str())];
    let counts = async || {
        (
            rest.counted(QUESTIONS).await,
            rest.counted(ROUND_TRIPS).await,
        )
    };

    let mut round_trips = Vec::new();
    for n in 0..5 {
        let before = counts().await;
        let public = json!([{ "topic": "room", "event": "e", "payload": {} }, { "topic": "mine", "event": "e", "payload": {} }]);
        assert_eq!(rest.batch(&headers, public).await.status, 202);
        assert_eq!(
            rest.single(&headers, "mine/events/e", json!({}))
                .await
                .status,
            202
        );
        let between = counts().await;
        assert_eq!(between.0, before.0, "public messages ask nothing");
        let target = format!("mine{n}/events/e?private=true");
        assert_eq!(rest.single(&headers, &target, json!({})).await.status, 202);
        let after = counts().await;
        assert_eq!(after.0 - between.0, 1, "a private message asks once");
        round_trips.push((between.1 - before.1, after.1 - between.1));
    }
    // What the server asks by itself may have come in between once or twice, but not every time.
    assert_eq!(round_trips.iter().min(), Some(&(0, 1)), "{round_trips:?}");

    let one = rest.member(&user("bob"), "mine 1", true).await;
    let two = rest.member(&user("bob"), "mine 2", true).await;
    let theirs = rest.member(&user("bob"), "theirs", true).await;
    let open = rest.member(&user("bob"), "mine 1", false).await;
    let before = counts().await;
    let mut messages = Vec::new();
    for n in 0..30 {
        for topic in ["mine 1", "theirs", "mine 2"] {
            messages.push(
                json!({ "topic": topic, "event": n.to_string(), "payload": {}, "private": true }),
            );
        }
    }
    messages.push(json!({ "topic": "mine 1", "event": "open", "payload": {} }));
    assert_eq!(rest.batch(&headers, messages.into()).await.status, 202);
    for n in 0..30 {
        assert_eq!(one.next().await.event(), n.to_string());
        assert_eq!(two.next().await.event(), n.to_string());
    }
    assert_eq!(open.next().await.event(), "open");
    let after = counts().await;
    assert_eq!(after.0 - before.0, 3, "a question for each topic");

    // Who hears the topic that was left out hears nothing until somebody who may sends there.
    let service = bearer(&mint(json!({ "role": "service_role" })));
    let headers = [("authorization", service.as_str())];
    assert_eq!(
        rest.single(&headers, "theirs/events/first?private=true", json!({}))
            .await
            .status,
        202
    );
    assert_eq!(theirs.next().await.event(), "first");
}

#[tokio::test]
async fn policies_see_all_request_headers_and_nothing_in_them_is_sql() {
    let rest = Rest::with(
        "create table public.victim (id int);
         create policy r on realtime.messages for select to authenticated using (true);
         create policy w on realtime.messages for insert to authenticated
           with check (current_setting('request.headers')::json ->> 'x-room-key' = 'o''pen \\ \"sesame\"; $$')",
        &[],
    )
    .await;
    let member = rest.member(&user("ann"), "room", true).await;
    let ann = bearer(&user("ann"));
    let right = r#"o'pen \ "sesame"; $$"#;
    let try_with = async |keys: &[(&str, &str)], n: i32| {
        let mut headers = vec![("authorization", ann.as_str())];
        headers.extend_from_slice(keys);
        rest.single(
            &headers,
            &format!("room/events/{n}?private=true"),
            json!({}),
        )
        .await
        .status
    };
    let wrong = [
        "",
        "open",
        "'); drop table public.victim; --",
        "\\'; drop table public.victim; --",
        "' or true --",
        r#"", "x-room-key": "o'pen \ \"sesame\"; $$"#,
        "%00",
        "$$; drop table public.victim; $$",
        "\u{a0}\u{2019}; select 1",
    ];
    for key in wrong {
        assert_eq!(try_with(&[("x-room-key", key)], 0).await, 403, "{key}");
    }
    assert_eq!(try_with(&[], 0).await, 403);
    assert_eq!(try_with(&[("X-Room-Key", right)], 1).await, 202);
    // Of equal ones the last, as the original does.
    assert_eq!(
        try_with(&[("x-room-key", right), ("x-room-key", "no")], 0).await,
        403
    );
    assert_eq!(
        try_with(&[("x-room-key", "no"), ("x-room-key", right)], 2).await,
        202
    );
    for n in ["1", "2"] {
        assert_eq!(member.next().await.event(), n);
    }
    let victim = rest
        .sql
        .query_one("select count(*) from public.victim", &[])
        .await
        .unwrap();
    assert_eq!(victim.get::<_, i64>(0), 0);
    // Names of headers and topics are no SQL either.
    let service = bearer(&mint(json!({ "role": "service_role" })));
    let headers = [("authorization", service.as_str()), ("x-it's", "'")];
    let topic = "it's%20%22%5C%20;%20drop%20table%20public.victim;%20--";
    let answer = rest
        .single(
            &headers,
            &format!("{topic}/events/e?private=true"),
            json!({}),
        )
        .await;
    assert_eq!(answer.status, 202);
    rest.sql
        .query_one("select count(*) from public.victim", &[])
        .await
        .unwrap();
}

#[tokio::test]
async fn p186_a_check_that_fails_is_reported_by_one_and_skipped_by_a_batch() {
    let rest = Rest::with(
        "create function public.broken() returns boolean language plpgsql as $$ begin raise exception 'secret row %', realtime.topic(); end $$;
         create policy r on realtime.messages for select to authenticated using (true);
         create policy w on realtime.messages for insert to authenticated
           with check (case realtime.topic() when 'broken' then public.broken() when 'slow' then pg_sleep(60) is not null else true end)",
        &[("STATEMENT_TIMEOUT_MS", "300")],
    )
    .await;
    let broken = rest.member(&user("ann"), "broken", true).await;
    let fine = rest.member(&user("ann"), "fine", true).await;
    let ann = bearer(&user("ann"));
    let headers = [("authorization", ann.as_str())];
    let answer = rest
        .single(&headers, "broken/events/e?private=true", json!({}))
        .await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (422, r#"{"message":"RLS policy error"}"#)
    );
    let nobody = bearer(&mint(json!({ "role": "no_such_role" })));
    let stranger = [("authorization", nobody.as_str())];
    let answer = rest
        .single(&stranger, "fine/events/e?private=true", json!({}))
        .await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (422, r#"{"message":"RLS policy error"}"#)
    );
    let answer = rest
        .single(&headers, "slow/events/e?private=true", json!({}))
        .await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (422, r#"{"message":"Query canceled"}"#)
    );
    let mixed = json!([
        { "topic": "broken", "event": "never", "payload": {}, "private": true },
        { "topic": "slow", "event": "never", "payload": {}, "private": true },
        { "topic": "fine", "event": "yes", "payload": {}, "private": true },
    ]);
    assert_eq!(rest.batch(&headers, mixed).await.status, 202);
    assert_eq!(fine.next().await.event(), "yes");
    let log = rest.server.log();
    assert!(log.contains("RlsPolicyError"), "{log}");
    assert!(!log.contains("secret row"), "{log}");
    // Nobody heard the message of the broken policy.
    let service = bearer(&mint(json!({ "role": "service_role" })));
    let headers = [("authorization", service.as_str())];
    assert_eq!(
        rest.single(&headers, "broken/events/first?private=true", json!({}))
            .await
            .status,
        202
    );
    assert_eq!(broken.next().await.event(), "first");
}

#[tokio::test]
async fn without_the_database_public_messages_pass_and_private_ones_are_refused() {
    let mut cluster = crate::support::cluster::Cluster::start().await;
    let database = cluster.prepared().await;
    let server = crate::support::server::Server::start(&database).await;
    let rest = Rest {
        sql: database.connect().await,
        server,
    };
    let member = rest.member(&anon(), "room", false).await;
    cluster.stop(crate::support::cluster::Stop::Immediate).await;
    let anon = bearer(&anon());
    let headers = [("authorization", anon.as_str())];
    assert_eq!(
        rest.single(&headers, "room/events/still", json!({}))
            .await
            .status,
        202
    );
    assert_eq!(member.next().await.event(), "still");
    let answer = rest
        .single(&headers, "room/events/no?private=true", json!({}))
        .await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(
        rest.batch(
            &headers,
            json!([{ "topic": "room", "event": "no", "payload": {}, "private": true }])
        )
        .await
        .status,
        202
    );
}
