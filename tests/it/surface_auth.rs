//! `/auth/v1` over HTTP: the shapes of answers, who is heard at all, bounds of requests.

use serde_json::json;

use crate::support::surface::Surface;
use crate::support::token;
use crate::surface_auth_support::{
    PASSWORD, ask, bare, claims, get, post, refusal, sign_in, sign_up,
};

#[tokio::test]
async fn a_refusal_has_the_shape_of_the_version_that_was_asked_for() {
    let surface = Surface::start().await;
    let body = json!({"email": "nobody@example.com", "password": "wrong"}).to_string();
    let with = async |headers: &[(&str, &str)]| {
        let path = "/auth/v1/token?grant_type=password";
        let body = Some(body.as_bytes());
        surface
            .ask("POST", path, &surface.anon, headers, body)
            .await
    };
    let first = with(&[]).await;
    assert_eq!(first.status, 400);
    assert_eq!(
        first.json(),
        json!({"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"})
    );
    assert_eq!(first.header("x-supabase-api-version"), None);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let newest = with(&[("X-Supabase-Api-Version", "2024-01-01")]).await;
    assert_eq!(newest.status, 400);
    assert_eq!(
        newest.json(),
        json!({"code": "invalid_credentials", "message": "Invalid login credentials"})
    );
    assert_eq!(newest.header("x-supabase-api-version"), Some("2024-01-01"));
    assert_eq!(
        newest.header("x-sb-error-code"),
        Some("invalid_credentials")
    );
    let odd = with(&[("X-Supabase-Api-Version", "tomorrow")]).await;
    assert_eq!(odd.json(), first.json());

    let weak = json!({"email": "ann@example.com", "password": "123"});
    let weak = post(&surface, "/signup", &weak).await;
    assert_eq!(refusal(&weak), (422, "weak_password".into()));
    assert_eq!(weak.json()["weak_password"], json!({"reasons": ["length"]}));
    let lost = get(&surface, "/nothing/here", &surface.anon).await;
    assert_eq!(refusal(&lost), (404, "not_found".into()));
    let method = ask(&surface, "DELETE", "/signup", &surface.anon, &json!({})).await;
    assert_eq!(refusal(&method), (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn nobody_is_heard_without_a_key_of_this_project() {
    let surface = Surface::start().await;
    let (key, user) = (surface.anon.as_str(), token::user("x"));
    let foreign = token::sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"role":"anon","exp":9999999999}"#,
        "the secret of another project, 32 characters",
    );
    let unsigned = token::sign(
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"role":"service_role","exp":9999999999}"#,
        "",
    );
    let expired = token::mint(json!({"role": "anon", "exp": 1}));
    let bearer = |token: &str| format!("Bearer {token}");
    for (headers, status) in [
        (vec![], 401),
        (vec![("apikey", key.to_owned())], 200),
        (vec![("Authorization", bearer(key))], 200),
        (vec![("Authorization", bearer(&user))], 200),
        (vec![("apikey", foreign.clone())], 401),
        (vec![("apikey", unsigned)], 401),
        (vec![("apikey", expired)], 401),
        (vec![("apikey", String::new())], 401),
        (vec![("apikey", "a.b.c".into())], 401),
        (
            vec![("apikey", key.to_owned()), ("apikey", key.to_owned())],
            401,
        ),
        // The key counts, whatever else is there.
        (
            vec![("apikey", key.to_owned()), ("Authorization", bearer("x"))],
            200,
        ),
        (
            vec![("apikey", foreign), ("Authorization", bearer(key))],
            401,
        ),
        (vec![("Authorization", format!("Basic {key}"))], 401),
    ] {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let request = bare("GET", "/auth/v1/settings", &headers, None);
        let answer = surface.send(&request).await;
        assert_eq!(answer.status, status, "{headers:?} {}", answer.text());
        if status == 401 {
            assert!(answer.json()["message"].is_string());
            assert!(answer.json()["hint"].is_string());
        }
    }
    let none = surface.send(&bare("GET", "/auth/v1/user", &[], None)).await;
    assert_eq!(none.json()["message"], "No API key found in request");
    // What says nothing about anybody needs none.
    for path in ["/auth/v1/health", "/auth/v1/.well-known/jwks.json"] {
        assert_eq!(
            surface.send(&bare("GET", path, &[], None)).await.status,
            200
        );
    }
}

#[tokio::test]
async fn the_service_says_what_it_is_and_what_it_has() {
    let surface = Surface::start().await;
    let health = get(&surface, "/health", &surface.anon).await.json();
    assert!(health["version"].as_str().unwrap().starts_with('v'));
    assert_eq!(
        get(&surface, "/.well-known/jwks.json", &surface.anon)
            .await
            .json(),
        json!({"keys": []})
    );
    let settings = get(&surface, "/settings", &surface.anon).await.json();
    assert_eq!(settings["external"]["email"], true);
    assert_eq!(settings["external"]["anonymous_users"], true);
    assert_eq!(settings["external"]["github"], false);
    assert_eq!(settings["disable_signup"], false);
    assert_eq!(settings["mailer_autoconfirm"], true);
}

#[tokio::test]
async fn bodies_are_bounded_json_of_the_right_types() {
    let surface = Surface::start().await;
    let raw = async |body: &[u8]| {
        let path = "/auth/v1/signup";
        surface
            .ask("POST", path, &surface.anon, &[], Some(body))
            .await
    };
    for bad in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\"x\"",
        b"email=a@b&password=123456",
        b"{\"email\":\"a@b\",\"email\":\"c@d\",\"password\":\"123456\"}x",
        b"{\"email\":1,\"password\":\"123456\"}",
        b"{\"email\":\"a@b\",\"password\":123456}",
        b"{\"email\":\"a@b\",\"password\":\"123456\",\"data\":[]}",
        b"{\"email\":\"a@b\",\"password\":\"123456\",\"data\":\"x\"}",
        b"{\"email\":\"\\ud800\",\"password\":\"123456\"}",
        b"{\"email\":\"\xff@b\",\"password\":\"123456\"}",
    ] {
        assert_eq!(
            refusal(&raw(bad).await),
            (400, "bad_json".into()),
            "{}",
            String::from_utf8_lossy(bad)
        );
    }
    let deep = format!(
        "{{\"data\":{}1{}}}",
        "{\"a\":".repeat(1000),
        "}".repeat(1000)
    );
    assert_eq!(
        refusal(&raw(deep.as_bytes()).await),
        (400, "bad_json".into())
    );
    for nul in [
        r#"{"email":"a\u0000@b","password":"123456"}"#,
        r#"{"email":"a@b","password":"123456\u0000"}"#,
        r#"{"email":"a@b","password":"123456","data":{"a":["\u0000"]}}"#,
        r#"{"email":"a@b","password":"123456","data":{"\u0000":1}}"#,
        r#"{"unknown":"\u0000"}"#,
    ] {
        assert_eq!(
            refusal(&raw(nul.as_bytes()).await),
            (400, "validation_failed".into()),
            "{nul}"
        );
    }
    let large = json!({"email": "a@b", "password": "123456", "data": {"a": "x".repeat(66_000)}});
    let large = raw(large.to_string().as_bytes()).await;
    assert_eq!(refusal(&large), (413, "request_entity_too_large".into()));
    // What is null is left out, and what is not known is ignored.
    let fine =
        br#"{"email":"fine@example.com","password":"123456","data":null,"phone":null,"x":{}}"#;
    assert_eq!(raw(fine).await.status, 200);
}

#[tokio::test]
async fn other_grants_answer_as_where_they_are_switched_off() {
    let surface = Surface::start().await;
    for (grant, status, code) in [
        ("id_token", 400, "provider_disabled"),
        ("pkce", 404, "flow_state_not_found"),
        ("web3", 422, "web3_provider_disabled"),
        ("authorization_code", 400, "invalid_credentials"),
        ("", 400, "invalid_credentials"),
    ] {
        let path = format!("/token?grant_type={grant}");
        let answer = post(&surface, &path, &json!({})).await;
        assert_eq!(refusal(&answer), (status, code.into()), "{grant}");
    }
    for (body, code) in [
        (json!({}), "validation_failed"),
        (
            json!({"phone": "1", "password": "x"}),
            "phone_provider_disabled",
        ),
        (
            json!({"email": "a@b", "phone": "1", "password": "x"}),
            "validation_failed",
        ),
        (json!({"email": "a@b"}), "invalid_credentials"),
    ] {
        let answer = post(&surface, "/token?grant_type=password", &body).await;
        assert_eq!(refusal(&answer).1, code, "{body}");
    }
}

#[tokio::test]
async fn tokens_name_their_issuer_and_session_and_every_service_takes_them() {
    let database = crate::support::cluster::Cluster::shared()
        .await
        .prepared()
        .await;
    let settings = [
        ("API_EXTERNAL_URL", "https://api.example.com/"),
        ("GOTRUE_JWT_EXP", "120"),
    ];
    let surface = Surface::over(database, &settings).await;
    let ann = sign_up(&surface, "ann@example.com").await;
    let said = claims(&ann.access);
    assert_eq!(said["iss"], "https://api.example.com/auth/v1");
    assert_eq!(
        said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(),
        120
    );
    let client = surface.database.connect().await;
    let row = client
        .query_one(
            "select s.id::text, s.aal::text, s.user_agent, host(s.ip), t.token, t.revoked, t.user_id, t.parent, \
             t.instance_id::text, c.authentication_method from auth.sessions s \
             join auth.refresh_tokens t on t.session_id = s.id join auth.mfa_amr_claims c on c.session_id = s.id",
            &[],
        )
        .await
        .unwrap();
    let text = |at: usize| row.get::<_, Option<String>>(at);
    assert_eq!(text(0).as_deref(), said["session_id"].as_str());
    assert_eq!(text(1).as_deref(), Some("aal1"));
    assert_eq!(text(2), None);
    assert_eq!(text(3).as_deref(), Some("127.0.0.1"));
    assert_eq!(text(4).as_deref(), Some(ann.refresh.as_str()));
    assert!(!row.get::<_, bool>(5));
    assert_eq!(text(6).as_deref(), Some(ann.id.as_str()));
    assert_eq!(text(7), None);
    assert_eq!(
        text(8).as_deref(),
        Some("00000000-0000-0000-0000-000000000000")
    );
    assert_eq!(text(9).as_deref(), Some("password"));
    // The socket takes it: the same keys verify it.
    surface.server.socket(&ann.access).await;
}

#[tokio::test]
async fn what_is_logged_names_nobody() {
    let surface = Surface::start().await;
    let ann = sign_up(&surface, "logged.ann@example.com").await;
    let again = sign_in(&surface, &ann.email).await;
    let wrong = json!({"email": ann.email, "password": "a wrong secret"});
    post(&surface, "/token?grant_type=password", &wrong).await;
    // A statement that fails: the reason of Postgres would name the address.
    let client = surface.database.connect().await;
    client
        .batch_execute(
            "create function public.refuse() returns trigger language plpgsql as \
             $$ begin raise exception 'no room for %', new.email; end $$; \
             create trigger refuse before insert on auth.users for each row execute function public.refuse()",
        )
        .await
        .unwrap();
    let refused = json!({"email": "logged.bob@example.com", "password": PASSWORD});
    let refused = post(&surface, "/signup", &refused).await;
    assert_eq!(refusal(&refused), (500, "unexpected_failure".into()));
    assert_eq!(refused.json()["msg"], "Database error saving new user");
    assert!(!refused.text().contains("no room"));
    let log = surface.server.log();
    assert!(log.contains("P0001"), "{log}");
    for secret in [
        "logged.ann",
        "logged.bob",
        PASSWORD,
        "a wrong secret",
        &ann.access,
        &ann.refresh,
        &again.refresh,
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
