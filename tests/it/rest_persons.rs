//! Who may send over REST: the right ones do, and after the wrong ones nobody has heard anything.

use serde_json::json;

use crate::rest_support::{Heard, Rest, bearer};
use crate::support::token::{anon, mint, now, service, sign, user};

/// Members of the public and the private channel of one name hear only what comes after the refused requests.
#[tokio::test]
async fn p189_p190_wrong_persons_make_nobody_receive_anything() {
    let rest = Rest::with(
        "create policy r on realtime.messages for select to authenticated using (true);
         create policy w on realtime.messages for insert to authenticated with check (realtime.topic() = 'room')",
        &[],
    )
    .await;
    let public = rest.member(&anon(), "room", false).await;
    let private = rest.member(&user("ann"), "room", true).await;

    let other_secret = sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        &json!({ "role": "service_role", "exp": now() + 3600 }).to_string(),
        "another-secret-that-is-long-enough-too",
    );
    let unsigned = sign(
        r#"{"alg":"none"}"#,
        &json!({ "role": "service_role", "exp": now() + 3600 }).to_string(),
        "",
    );
    let service = service();
    let spaces = format!("Bearer  {service}");
    let three = format!("Bearer {service} x");
    let unauthorized: Vec<(&str, Vec<(&str, String)>)> = vec![
        ("no token", vec![]),
        ("garbage", vec![("authorization", bearer("garbage"))]),
        (
            "an empty header",
            vec![
                ("authorization", String::new()),
                ("apikey", service.clone()),
            ],
        ),
        (
            "expired",
            vec![(
                "authorization",
                bearer(&mint(json!({ "role": "service_role", "exp": now() - 10 }))),
            )],
        ),
        (
            "another secret",
            vec![("authorization", bearer(&other_secret))],
        ),
        ("no signature", vec![("authorization", bearer(&unsigned))]),
        (
            "no role",
            vec![("authorization", bearer(&mint(json!({ "sub": "ann" }))))],
        ),
        ("two blanks", vec![("authorization", spaces)]),
        ("three parts", vec![("authorization", three)]),
        (
            "two tokens",
            vec![
                ("authorization", bearer(&service)),
                ("authorization", bearer(&service)),
            ],
        ),
        ("x-api-key", vec![("x-api-key", service.clone())]),
        (
            "garbage wins over apikey",
            vec![
                ("authorization", bearer("garbage")),
                ("apikey", service.clone()),
            ],
        ),
    ];
    let both = json!([
        { "topic": "room", "event": "never", "payload": {} },
        { "topic": "room", "event": "never", "payload": {}, "private": true },
    ]);
    for (who, headers) in &unauthorized {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        for answer in [
            rest.batch(&headers, both.clone()).await,
            rest.single(&headers, "room/events/never", json!({})).await,
            rest.single(&headers, "room/events/never?private=true", json!({}))
                .await,
        ] {
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (401, r#"{"message":"Unauthorized"}"#),
                "{who}"
            );
            assert!(answer.header("x-rate-rolling").is_some(), "{who}");
        }
    }
    // A good token, but of another tenant than the host names.
    let token = bearer(&service);
    let elsewhere = [
        ("authorization", token.as_str()),
        ("host", "another.localhost"),
    ];
    for answer in [
        rest.batch(&elsewhere, both.clone()).await,
        rest.single(&elsewhere, "room/events/never", json!({}))
            .await,
        rest.send("GET", "/api/ping", &elsewhere, None).await,
    ] {
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (401, r#"{"message":"Tenant not found in database"}"#)
        );
        assert_eq!(answer.header("x-rate-rolling"), None);
    }
    // Tokens that are good, of people without a policy for it: public messages pass, private ones do not.
    let anon = bearer(&anon());
    let headers = [("authorization", anon.as_str())];
    let answer = rest
        .single(&headers, "room/events/never?private=true", json!({}))
        .await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (403, r#"{"message":"Unauthorized"}"#)
    );
    let only_private =
        json!([{ "topic": "room", "event": "never", "payload": {}, "private": true }]);
    assert_eq!(rest.batch(&headers, only_private).await.status, 202);
    let ann = bearer(&user("ann"));
    let headers = [("authorization", ann.as_str())];
    let answer = rest
        .single(&headers, "elsewhere/events/never?private=true", json!({}))
        .await;
    assert_eq!(answer.status, 403);

    // Now somebody who may: what was refused before would have come before.
    let last = json!([
        { "topic": "room", "event": "public", "payload": {} },
        { "topic": "room", "event": "private", "payload": {}, "private": true },
    ]);
    assert_eq!(rest.batch(&headers, last).await.status, 202);
    assert_eq!(public.next().await.event(), "public");
    assert_eq!(private.next().await.event(), "private");
    // And that was all: the next thing each hears is the next thing sent.
    let again = json!([
        { "topic": "room", "event": "public 2", "payload": {} },
        { "topic": "room", "event": "private 2", "payload": {}, "private": true },
    ]);
    assert_eq!(rest.batch(&headers, again).await.status, 202);
    assert_eq!(public.next().await.event(), "public 2");
    assert_eq!(private.next().await.event(), "private 2");
}

#[tokio::test]
async fn p189_g256_a_token_is_taken_from_authorization_with_or_without_bearer_and_else_from_apikey()
{
    let rest = Rest::new().await;
    let member = rest.member(&anon(), "room", false).await;
    let token = anon();
    let ways = [
        vec![("authorization", format!("Bearer {token}"))],
        vec![("authorization", format!("bEaReR {token}"))],
        vec![("authorization", token.clone())],
        vec![("apikey", token.clone())],
        vec![
            ("authorization", "Basic abc".to_owned()),
            ("apikey", token.clone()),
        ],
        vec![
            ("authorization", format!("Bearer {token}")),
            ("apikey", "garbage".to_owned()),
        ],
    ];
    for (n, way) in ways.iter().enumerate() {
        let headers: Vec<(&str, &str)> = way
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let event = format!("way {n}");
        let message = json!([{ "topic": "room", "event": event, "payload": {} }]);
        assert_eq!(rest.batch(&headers, message).await.status, 202, "{way:?}");
        assert_eq!(member.next().await.event(), event);
        assert_eq!(
            rest.single(&headers, "room/events/one", json!({ "n": n }))
                .await
                .status,
            202,
            "{way:?}"
        );
        let Heard::User { payload, .. } = member.next().await else {
            panic!("not a kind 4 frame");
        };
        assert_eq!(payload, json!({ "n": n }).to_string().into_bytes());
    }
    assert!(
        !rest.server.log().contains(&token),
        "the token is in the log"
    );
}
