//! `/auth/v1` and people who mean no good: SQL in every field, tokens that claim too much, guesses about accounts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::surface::Surface;
use crate::support::token;
use crate::surface_auth_support::{
    PASSWORD, Person, ask, bare, claims, get, post, refresh, refusal, sign_up,
};

/// Texts that mean something to some part of the way to the database.
const WORDS: [&str; 16] = [
    "'; drop table auth.users; --",
    "' or '1'='1",
    "\" or 1=1 --",
    "$1",
    "$$; select pg_sleep(10); $$",
    "\\'; delete from auth.users; --",
    "%' or email like '%",
    "a'||(select current_user)||'",
    "{\"a\":1}",
    "{}') || (select '1",
    "\u{feff}\u{202e}ä\u{1f600}",
    "1; set role postgres; --",
    "null",
    "-1",
    "%00",
    "../../rest/v1/users",
];

fn encoded(text: &str) -> String {
    let bytes = text.bytes();
    bytes.map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn sql_in_every_field_is_text_and_nothing_else() {
    let surface = Surface::start().await;
    let ann = sign_up(&surface, "ann@example.com").await;
    let client = surface.database.connect().await;
    let state = async || {
        let sql = "select count(*) || ' ' || (select count(*) from auth.identities) || ' ' || \
                   (select rolname from pg_roles where rolname = current_user) from auth.users";
        let row = client.query_one(sql, &[]).await.unwrap();
        row.get::<_, String>(0)
    };
    let before = state().await;
    let admin = format!("/admin/users/{}", ann.id);
    for word in WORDS {
        let path = encoded(word);
        let email = json!({"email": word, "password": PASSWORD});
        let mut all = vec![
            post(&surface, "/signup", &email).await,
            post(&surface, "/token?grant_type=password", &email).await,
            post(&surface, &format!("/token?grant_type={path}"), &email).await,
            refresh(&surface, word).await,
            ask(
                &surface,
                "PUT",
                "/user",
                &ann.access,
                &json!({"email": word}),
            )
            .await,
            ask(
                &surface,
                "POST",
                &format!("/logout?scope={path}"),
                &ann.access,
                &json!({}),
            )
            .await,
            ask(&surface, "POST", "/admin/users", &surface.service, &email).await,
            ask(
                &surface,
                "POST",
                "/admin/users",
                &surface.service,
                &json!({"email": "x@y", "id": word}),
            )
            .await,
            ask(
                &surface,
                "POST",
                "/admin/users",
                &surface.service,
                &json!({"email": "x@y", "password_hash": word}),
            )
            .await,
            ask(
                &surface,
                "PUT",
                &admin,
                &surface.service,
                &json!({"ban_duration": word}),
            )
            .await,
            get(&surface, &format!("/admin/users/{path}"), &surface.service).await,
            get(
                &surface,
                &format!("/admin/users?page={path}"),
                &surface.service,
            )
            .await,
            get(
                &surface,
                &format!("/admin/users?per_page={path}"),
                &surface.service,
            )
            .await,
            get(
                &surface,
                &format!("/admin/users?sort={path}"),
                &surface.service,
            )
            .await,
            get(
                &surface,
                &format!("/user?{path}={path}"),
                word.trim_matches(|c: char| !c.is_ascii()),
            )
            .await,
        ];
        for answer in &all {
            assert!(
                (400..500).contains(&answer.status),
                "{word}: {}",
                answer.text()
            );
        }
        // Where any text is right, it comes back as it is.
        let data = json!({"data": {word: word, "list": [word]}});
        let changed = ask(&surface, "PUT", "/user", &ann.access, &data).await;
        assert_eq!(
            changed.json()["user_metadata"][word],
            word,
            "{}",
            changed.text()
        );
        let gone = json!({"data": {word: null}});
        let changed = ask(&surface, "PUT", "/user", &ann.access, &gone).await;
        assert!(changed.json()["user_metadata"].get(word).is_none());
        let role = json!({"role": word, "app_metadata": {word: {word: word}}});
        let changed = ask(&surface, "PUT", &admin, &surface.service, &role).await;
        assert_eq!(changed.json()["app_metadata"][word][word], word);
        assert_eq!(changed.json()["role"], word.trim());
        let filter = format!("/admin/users?filter={path}");
        all.push(get(&surface, &filter, &surface.service).await);
        assert_eq!(all.pop().unwrap().status, 200);
        let agent: String = word.chars().filter(char::is_ascii).collect();
        let headers = [
            ("User-Agent", agent.as_str()),
            ("X-JWT-AUD", agent.as_str()),
        ];
        let login = json!({"email": ann.email, "password": PASSWORD}).to_string();
        let path = "/auth/v1/token?grant_type=password";
        let login = surface
            .ask(
                "POST",
                path,
                &surface.anon,
                &headers,
                Some(login.as_bytes()),
            )
            .await;
        assert_eq!(claims(&Person::of(&login).access)["aud"], "authenticated");
        assert_eq!(state().await, before, "{word}");
    }
    // Even a NUL that only the URL can hold.
    let nul = get(&surface, "/admin/users?filter=%00", &surface.service).await;
    assert_eq!(refusal(&nul), (400, "validation_failed".into()));
    let agents = "select count(distinct user_agent) from auth.sessions";
    let agents = client.query_one(agents, &[]).await.unwrap();
    assert!(agents.get::<_, i64>(0) >= 10);
}

#[tokio::test]
async fn a_host_that_is_none_is_not_put_into_tokens() {
    let surface = Surface::start().await;
    sign_up(&surface, "ann@example.com").await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD}).to_string();
    for (host, issuer) in [
        ("example.com:8000", "http://example.com:8000/auth/v1"),
        ("a\"b", "http://localhost/auth/v1"),
        ("a/b?c", "http://localhost/auth/v1"),
        ("user@evil", "http://localhost/auth/v1"),
    ] {
        let headers = [("apikey", surface.anon.as_str())];
        let path = "/auth/v1/token?grant_type=password";
        let mut request = bare("POST", path, &headers, Some(body.as_bytes()));
        request.headers[0].1 = host.to_owned();
        let answer = surface.send(&request).await;
        assert_eq!(claims(&Person::of(&answer).access)["iss"], issuer);
    }
}

#[tokio::test]
async fn only_the_service_role_administers() {
    let surface = Surface::start().await;
    let ann = sign_up(&surface, "ann@example.com").await;
    let bob = sign_up(&surface, "bob@example.com").await;
    let path = format!("/admin/users/{}", bob.id);
    let all: [(&str, &str, Value); 7] = [
        ("GET", "/admin/users", Value::Null),
        ("POST", "/admin/users", json!({"email": "eve@example.com"})),
        ("GET", &path, Value::Null),
        ("PUT", &path, json!({"password": "a new password"})),
        ("DELETE", &path, json!({})),
        ("POST", "/invite", json!({"email": "eve@example.com"})),
        ("POST", "/admin/generate_link", json!({})),
    ];
    let said = claims(&ann.access);
    let mut with_session = said.clone();
    with_session["role"] = json!("service_role");
    with_session["session_id"] = json!("00000000-0000-4000-8000-000000000001");
    let foreign = token::sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"role":"service_role","exp":9999999999}"#,
        "the secret of another project, 32 characters",
    );
    for (bearer, status, code) in [
        (ann.access.as_str(), 403, "not_admin"),
        (&surface.anon, 403, "not_admin"),
        (&token::mint(json!({"role": "postgres"})), 403, "not_admin"),
        (
            &token::mint(json!({"role": "SERVICE_ROLE"})),
            403,
            "not_admin",
        ),
        (
            &token::mint(json!({"role": ["service_role"]})),
            403,
            "not_admin",
        ),
        (
            &token::mint(json!({"role": "supabase_auth_admin"})),
            403,
            "not_admin",
        ),
        (
            &token::mint(json!({"role": "service_role", "exp": 1})),
            403,
            "bad_jwt",
        ),
        (&foreign, 403, "bad_jwt"),
        ("a.b.c", 403, "bad_jwt"),
        // A role that came with a session ends with it.
        (&token::mint(with_session), 403, "session_not_found"),
    ] {
        for (method, path, body) in &all {
            let answer = ask(&surface, method, path, bearer, body).await;
            assert_eq!(
                refusal(&answer),
                (status, code.to_owned()),
                "{method} {path}"
            );
        }
    }
    let client = surface.database.connect().await;
    let users = "select count(*) from auth.users";
    assert_eq!(
        client.query_one(users, &[]).await.unwrap().get::<_, i64>(0),
        2
    );
    // The key of the gateway is not who is asking.
    let headers = [("apikey", surface.service.as_str())];
    let answer = surface
        .send(&bare("GET", "/auth/v1/admin/users", &headers, None))
        .await;
    assert_eq!(refusal(&answer), (401, "no_authorization".into()));
    assert_eq!(
        get(&surface, "/admin/users", &surface.service).await.status,
        200
    );
}

#[tokio::test]
async fn a_token_with_a_role_of_the_database_gives_no_more_than_its_user() {
    let surface = Surface::start().await;
    let ann = sign_up(&surface, "ann@example.com").await;
    let mut said = claims(&ann.access);
    said["role"] = json!("postgres");
    let forged = token::mint(said);
    let user = get(&surface, "/user", &forged).await;
    assert_eq!(user.json()["id"], ann.id);
    assert_eq!(user.json()["role"], "authenticated");
    let data = json!({"role": "postgres", "app_metadata": {"admin": true}});
    let answer = ask(&surface, "PUT", "/user", &forged, &data).await;
    assert_eq!(refusal(&answer), (403, "not_admin".into()));
    // A new token has the role of the user, not that of the old token.
    let next = Person::of(&refresh(&surface, &ann.refresh).await);
    assert_eq!(claims(&next.access)["role"], "authenticated");
    assert!(claims(&next.access)["app_metadata"].get("admin").is_none());
}

#[tokio::test]
async fn what_a_sign_up_says_about_itself_is_not_believed() {
    let surface = Surface::start().await;
    let body = json!({
        "email": "eve@example.com", "password": PASSWORD, "role": "service_role", "aud": "x", "id": "x",
        "app_metadata": {"admin": true}, "is_super_admin": true,
        "data": {"sub": "somebody", "email": "ann@example.com", "email_verified": true, "phone_verified": true}
    });
    let eve = post(&surface, "/signup", &body).await;
    let user = eve.json()["user"].clone();
    assert_eq!(user["role"], "authenticated");
    assert_eq!(user["aud"], "authenticated");
    assert_eq!(
        user["app_metadata"],
        json!({"provider": "email", "providers": ["email"]})
    );
    assert_eq!(user["user_metadata"]["sub"], user["id"]);
    assert_eq!(user["user_metadata"]["email"], "eve@example.com");
    assert_eq!(user["user_metadata"]["phone_verified"], false);
    let data = &user["identities"][0]["identity_data"];
    assert_eq!(data["sub"], user["id"]);
    assert_eq!(data["email"], "eve@example.com");
    assert_eq!(data["email_verified"], false);
    // So the address in it is still free.
    sign_up(&surface, "ann@example.com").await;
}

#[tokio::test]
async fn the_time_of_an_answer_does_not_tell_who_has_an_account() {
    let surface = Surface::start().await;
    sign_up(&surface, "ann@example.com").await;
    let anonymous = post(&surface, "/signup", &json!({})).await;
    assert_eq!(anonymous.status, 200);
    let cases = [
        ("ann@example.com", "a wrong password".to_owned()),
        ("nobody@example.com", "a wrong password".to_owned()),
        ("no address at all", "a wrong password".to_owned()),
        ("ann@example.com", String::new()),
        ("ann@example.com", "x".repeat(1000)),
    ];
    // The fastest answer is the one that nothing else of the machine was in the way of; in turns, because how busy it is
    // changes meanwhile.
    let mut fastest = [Duration::MAX; 5];
    for _ in 0..10 {
        for ((email, password), fastest) in cases.iter().zip(&mut fastest) {
            let body = json!({"email": email, "password": password});
            let begun = Instant::now();
            let answer = post(&surface, "/token?grant_type=password", &body).await;
            *fastest = begun.elapsed().min(*fastest);
            assert_eq!(refusal(&answer), (400, "invalid_credentials".into()));
        }
    }
    let [known, others @ ..] = fastest;
    for other in others {
        // Without the same work it would be a tenth.
        assert!(other * 4 > known, "{fastest:?}");
        assert!(known * 4 > other, "{fastest:?}");
    }
}
