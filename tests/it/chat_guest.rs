//! `/chat/v1`: who gets a token of a guest, for how long, and what is said to who does not (C-401, C-402).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dovetail::postgres::migrate::{Set, migrate};
use serde_json::{Value, json};

use crate::chat_guest_support::{ADVISOR, CLIENT, LINK, ORG, SUBJECT, World, claims};
use crate::support::cluster::Cluster;
use crate::support::http::Response;
use crate::support::surface::Surface;
use crate::support::token;

#[track_caller]
fn refused(answer: &Response, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["code"]),
        (status, &json!(code)),
        "{body}"
    );
    assert!(
        body["message"].is_string() && body["hint"].is_string(),
        "{body}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(!answer.text().contains(LINK), "{body}");
}

#[tokio::test]
async fn a_share_link_opens_a_session_with_the_one_conversation_of_client_and_advisor() {
    let world = World::new(&[]).await;
    let answer = world.enter(SUBJECT, LINK).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let body = answer.json();
    for (name, value) in [
        ("clientId", CLIENT),
        ("clientName", "Cleo"),
        ("orgId", ORG),
        ("advisorName", "Ada"),
        ("advisorAvatar", "https://example.com/ada.png"),
        ("subjectTitle", "Lisbon"),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
    let chat_token = body["chatToken"].as_str().unwrap();
    assert_eq!(chat_token.len(), 64);
    let claims = claims(body["jwt"].as_str().unwrap());
    assert_eq!(claims["role"], "chat_guest");
    assert_eq!(claims["sub"], CLIENT);
    assert_eq!(claims["conversation_id"], body["conversationId"]);
    assert_eq!(claims["chat_token_id"], body["chatTokenId"]);
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 900);

    // Again: the same conversation, another session.
    let again = world.enter(SUBJECT, LINK).await.json();
    assert_eq!(again["conversationId"], body["conversationId"]);
    assert_ne!(again["chatToken"], body["chatToken"]);
    // Many at once: still one conversation.
    let many = (0..20).map(|_| world.enter(SUBJECT, LINK));
    for answer in futures_util::future::join_all(many).await {
        assert_eq!(answer.json()["conversationId"], body["conversationId"]);
    }
    let row = world
        .sql
        .query_one(
            "select count(*), min(project_id), min(p.role) filter (where p.user_id = $1::text::uuid)
             from conversations c join conversation_participants p on p.conversation_id = c.id",
            &[&CLIENT],
        )
        .await
        .unwrap();
    let (participants, subject, role): (i64, String, String) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(
        (participants, subject.as_str(), role.as_str()),
        (2, SUBJECT, "guest")
    );

    let renewed = world.refresh(chat_token).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let renewed = renewed.json();
    for name in ["chatToken", "chatTokenId", "conversationId", "expiresAt"] {
        assert_eq!(renewed[name], body[name], "{name}");
    }
}

#[tokio::test]
async fn a_link_that_does_not_count_is_refused_with_its_reason() {
    let world = World::new(&[]).await;
    refused(&world.enter("nowhere", LINK).await, 404, "not_found");
    refused(
        &world.enter(SUBJECT, "another-token-of-a-link").await,
        401,
        "unauthorized",
    );
    for (change, status, code) in [
        ("enabled = false", 403, "forbidden"),
        (
            "enabled = true, expires_at = now() - interval '1 s'",
            403,
            "forbidden",
        ),
        ("expires_at = null, client_id = null", 400, "bad_request"),
        ("client_id = advisor_id", 400, "bad_request"),
        ("client_id = gen_random_uuid()", 400, "bad_request"),
    ] {
        let sql = format!("update share_links set {change}");
        world.sql.batch_execute(&sql).await.unwrap();
        refused(&world.enter(SUBJECT, LINK).await, status, code);
    }
    let sessions =
        "select (select count(*) from client_chat_tokens) + (select count(*) from conversations)";
    let left: i64 = world.sql.query_one(sessions, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "a refusal leaves nothing behind");

    let world_fixed = format!(
        "update share_links set client_id = '{CLIENT}', expires_at = null;
         insert into user_blocks (user_id, blocked_id) values ('{ADVISOR}', '{CLIENT}')"
    );
    world.sql.batch_execute(&world_fixed).await.unwrap();
    refused(&world.enter(SUBJECT, LINK).await, 403, "forbidden");
}

#[tokio::test]
async fn odd_requests_are_answered_in_json() {
    let world = World::new(&[]).await;
    let long = "x".repeat(201);
    for query in [
        String::new(),
        format!("?subject_id={SUBJECT}").replace(' ', "+"),
        format!("?share_token={LINK}"),
        format!("?subject_id=&share_token={LINK}"),
        format!("?subject_id=a&subject_id=b&share_token={LINK}"),
        format!("?subject_id={long}&share_token={LINK}"),
        format!("?subject_id=a%00b&share_token={LINK}"),
        "?subject_id=a&share_token=short".to_owned(),
        format!("?subject_id=a&share_token={long}"),
        format!("?subject_id=%ff%fe&share_token={}", "%ff".repeat(20)),
    ] {
        let path = format!("/chat/v1/guest-token{query}");
        let answer = world.bare("GET", &path, None).await;
        // Bytes that are no text become the sign for such, which is nobody's name.
        match query.contains("%ff") {
            true => refused(&answer, 404, "not_found"),
            false => refused(&answer, 400, "bad_request"),
        }
    }
    let huge = json!({ "chatToken": "0".repeat(100_000) }).to_string();
    for body in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"chatToken":7}"#,
        r#"{"chatToken":"x"}"#,
        huge.as_str(),
    ] {
        let answer = world
            .bare("POST", "/chat/v1/guest-token/refresh", Some(body))
            .await;
        refused(&answer, 400, "bad_request");
    }
    refused(&world.refresh(&"0".repeat(64)).await, 401, "unauthorized");
    refused(
        &world.bare("GET", "/chat/v1/nothing", None).await,
        404,
        "not_found",
    );
    let wrong = world.bare("POST", "/chat/v1/guest-token", Some("{}")).await;
    refused(&wrong, 405, "method_not_allowed");

    let preflight = world
        .bare("OPTIONS", "/chat/v1/guest-token/refresh", None)
        .await;
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));

    let config = world.bare("GET", "/chat/v1/config", None).await.json();
    assert_eq!(config["storageBucket"], "chat-attachments");
    assert_eq!(config["vapidPublicKey"], Value::Null);
    assert_eq!(config["limits"]["maxAttachments"], 10);
    assert!(!config.to_string().contains(token::SECRET));
}

#[tokio::test]
async fn one_address_asks_only_so_often() {
    let world = World::new(&[("CHAT_GUEST_RATE_LIMIT", "3")]).await;
    for _ in 0..3 {
        assert_eq!(world.enter(SUBJECT, LINK).await.status, 200);
    }
    let answer = world.enter(SUBJECT, LINK).await;
    refused(&answer, 429, "too_many_requests");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=101).contains(&wait), "{wait}");
    // Tokens are renewed under an allowance of their own.
    assert_eq!(world.refresh(&"0".repeat(64)).await.status, 401);
}

#[tokio::test]
async fn sessions_end_with_their_link_are_few_and_are_swept() {
    let world = World::new(&[]).await;
    let guest = world.guest().await;
    // So many pages of one link, and the oldest makes room.
    world
        .sql
        .batch_execute(
            "insert into client_chat_tokens (client_id, org_id, trip_id, token, share_link_id, conversation_id, expires_at, created_at)
             select t.client_id, t.org_id, t.trip_id, md5(n::text) || md5(n::text), t.share_link_id, t.conversation_id,
               case when n <= 5 then now() - interval '1 s' else t.expires_at end, t.created_at - interval '1 s'
             from client_chat_tokens t, generate_series(1, 120) n",
        )
        .await
        .unwrap();
    world.guest().await;
    let row = world
        .sql
        .query_one(
            "select count(*), count(*) filter (where expires_at <= now()) from client_chat_tokens",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (100, 0));
    assert_eq!(world.refresh(&guest.chat_token).await.status, 200);

    world
        .sql
        .batch_execute("update share_links set expires_at = now() + interval '100 s'")
        .await
        .unwrap();
    let body = world.refresh(&guest.chat_token).await.json();
    let claims = claims(body["jwt"].as_str().unwrap());
    let left = claims["exp"].as_i64().unwrap() - token::now();
    assert!((90..=100).contains(&left), "{left}");

    for change in [
        "update share_links set expires_at = now()",
        "update share_links set expires_at = null, enabled = false",
        &format!("update share_links set enabled = true, client_id = '{ORG}'"),
        &format!(
            "update share_links set client_id = '{CLIENT}';
             update conversation_participants set left_at = now() where user_id = '{CLIENT}'"
        ),
    ] {
        world.sql.batch_execute(change).await.unwrap();
        let answer = world.refresh(&guest.chat_token).await;
        assert!(
            matches!(answer.status, 400 | 403),
            "{change}: {}",
            answer.text()
        );
    }
    world
        .sql
        .batch_execute(
            "update conversation_participants set left_at = null;
             update client_chat_tokens set expires_at = now()",
        )
        .await
        .unwrap();
    refused(&world.refresh(&guest.chat_token).await, 401, "unauthorized");
}

#[tokio::test]
async fn without_the_tables_or_a_key_it_says_what_to_do() {
    let database = Cluster::shared().await.prepared().await;
    let surface = Surface::over(database, &[("CHAT", "true")]).await;
    let path = format!("/chat/v1/guest-token?subject_id=a&share_token={LINK}");
    let answer = surface.get(&path, "").await;
    refused(&answer, 501, "not_implemented");
    assert!(answer.text().contains("dovetail migrate --chat"));

    let (private, public) = keys();
    let asymmetric = |key: &str| {
        [
            ("API_JWT_SECRET".to_owned(), String::new()),
            ("API_JWT_JWKS".to_owned(), format!("[{public}]")),
            ("CHAT_JWT_KEY".to_owned(), key.to_owned()),
        ]
    };
    let borrowed = |settings: &[(String, String); 3]| {
        settings
            .clone()
            .map(|(name, value)| (&*name.leak(), &*value.leak()))
    };
    let world = World::new(&borrowed(&asymmetric(""))).await;
    let answer = world.enter(SUBJECT, LINK).await;
    refused(&answer, 501, "not_implemented");
    assert!(answer.text().contains("CHAT_JWT_KEY"), "{}", answer.text());

    let world = World::new(&borrowed(&asymmetric(&private))).await;
    let guest = world.guest().await;
    let found = world
        .call(&guest.jwt, "get_conversations", &json!({}))
        .await;
    assert!(found.to_string().contains(&guest.conversation), "{found}");
}

#[tokio::test]
async fn a_key_that_nobody_verifies_is_refused_at_the_start() {
    let (private, _) = keys();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_dovetail"))
        .arg("serve")
        .env_clear()
        .env("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        .env("API_JWT_SECRET", token::SECRET)
        .env("CHAT_JWT_KEY", &private)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("CHAT_JWT_KEY") && said.contains("API_JWT_JWKS"),
        "{said}"
    );
    assert!(!said.contains("\"d\""), "{said}");
}

#[tokio::test]
async fn it_is_off_unless_it_is_asked_for() {
    let database = Cluster::shared().await.prepared().await;
    migrate(&database.connect().await, Set::Embedded)
        .await
        .unwrap();
    let surface = Surface::over(database, &[]).await;
    assert_eq!(surface.get("/chat/v1/config", "").await.status, 404);
}

/// A private and a public JWK.
fn keys() -> (String, String) {
    use aws_lc_rs::encoding::AsBigEndian;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let private: aws_lc_rs::encoding::EcPrivateKeyBin<'_> =
        pair.private_key().as_be_bytes().unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "chat", "x": encode(&point[1..33]), "y": encode(&point[33..]),
    });
    let public = jwk.to_string();
    jwk["d"] = json!(encode(private.as_ref()));
    (jwk.to_string(), public)
}
