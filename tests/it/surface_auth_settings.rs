//! What `/auth/v1` does under other settings than those of development.

use serde_json::json;

use crate::support::surface::Surface;
use crate::support::token;
use crate::surface_auth_support::{PASSWORD, ask, bare, get, post, refresh, refusal, sign_up};

#[tokio::test]
async fn without_confirmation_a_user_is_made_and_nobody_is_signed_in() {
    let surface = Surface::with(&[("GOTRUE_MAILER_AUTOCONFIRM", "false")]).await;
    assert!(surface.server.log().contains("no mail is sent"));
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "data": {"name": "Ann"}});
    let made = post(&surface, "/signup", &body).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    assert_eq!(made["email"], "ann@example.com");
    assert_eq!(made["user_metadata"]["email_verified"], false);
    assert_eq!(made["identities"].as_array().unwrap().len(), 1);
    for absent in [
        "access_token",
        "email_confirmed_at",
        "confirmed_at",
        "session",
    ] {
        assert!(made.get(absent).is_none(), "{absent}");
    }
    let login = json!({"email": "ann@example.com", "password": PASSWORD});
    let login = post(&surface, "/token?grant_type=password", &login).await;
    assert_eq!(refusal(&login), (400, "email_not_confirmed".into()));
    assert!(login.json()["hint"].is_string());

    // Again: nothing is said about who has an account, and nothing is changed.
    let again = json!({"email": "ann@example.com", "password": "another password", "data": {"name": "Eve"}});
    let again = post(&surface, "/signup", &again).await;
    assert_eq!(again.status, 200);
    let again = again.json();
    assert_ne!(again["id"], made["id"]);
    assert_eq!(again["identities"], json!([]));
    assert_eq!(again["email"], made["email"]);
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&again), keys(&made));
    let client = surface.database.connect().await;
    let kept = "select count(*), min(raw_user_meta_data ->> 'name') from auth.users";
    let kept = client.query_one(kept, &[]).await.unwrap();
    assert_eq!((kept.get::<_, i64>(0), kept.get::<_, &str>(1)), (1, "Ann"));

    // An administrator confirms; a change of the address would take a mail.
    let path = format!("/admin/users/{}", made["id"].as_str().unwrap());
    let confirm = json!({"email_confirm": true});
    let confirm = ask(&surface, "PUT", &path, &surface.service, &confirm).await;
    assert_eq!(confirm.status, 200, "{}", confirm.text());
    let login = json!({"email": "ann@example.com", "password": PASSWORD});
    let login = post(&surface, "/token?grant_type=password", &login).await;
    let ann = crate::surface_auth_support::Person::of(&login);
    let next = json!({"email": "next@example.com", "data": {"a": 1}});
    let next = ask(&surface, "PUT", "/user", &ann.access, &next).await;
    assert_eq!(refusal(&next), (422, "feature_disabled".into()));
    let user = get(&surface, "/user", &ann.access).await.json();
    assert_eq!(user["email"], "ann@example.com");
    assert!(user["user_metadata"].get("a").is_none());
}

#[tokio::test]
async fn signing_up_can_be_switched_off_as_a_whole_or_for_nobodies() {
    let surface = Surface::with(&[("GOTRUE_DISABLE_SIGNUP", "true")]).await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    for body in [&body, &json!({})] {
        let answer = post(&surface, "/signup", body).await;
        assert_eq!(refusal(&answer), (422, "signup_disabled".into()));
    }
    let made = json!({"email": "ann@example.com", "password": PASSWORD, "email_confirm": true});
    let made = ask(&surface, "POST", "/admin/users", &surface.service, &made).await;
    assert_eq!(made.status, 200, "{}", made.text());
    crate::surface_auth_support::sign_in(&surface, "ann@example.com").await;
    assert_eq!(
        get(&surface, "/settings", &surface.anon).await.json()["disable_signup"],
        true
    );

    let surface = Surface::with(&[("GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED", "false")]).await;
    let answer = post(&surface, "/signup", &json!({})).await;
    assert_eq!(
        refusal(&answer),
        (422, "anonymous_provider_disabled".into())
    );
    sign_up(&surface, "ann@example.com").await;
}

#[tokio::test]
async fn an_address_has_an_allowance_of_each_kind() {
    let surface = Surface::with(&[("AUTH_RATE_LIMIT", "3")]).await;
    let ann = sign_up(&surface, "ann@example.com").await;
    let wrong = json!({"email": "ann@example.com", "password": "a wrong one"});
    for _ in 0..3 {
        let answer = post(&surface, "/token?grant_type=password", &wrong).await;
        assert_eq!(refusal(&answer), (400, "invalid_credentials".into()));
    }
    let answer = post(&surface, "/token?grant_type=password", &wrong).await;
    assert_eq!(refusal(&answer), (429, "over_request_rate_limit".into()));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=101).contains(&seconds), "{seconds}");
    // Headers that name another address change nothing.
    for name in [
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "Sb-Forwarded-For",
    ] {
        let path = "/auth/v1/token?grant_type=password";
        let body = wrong.to_string();
        let headers = [(name, "192.0.2.7")];
        let body = Some(body.as_bytes());
        let answer = surface
            .ask("POST", path, &surface.anon, &headers, body)
            .await;
        assert_eq!(answer.status, 429, "{name}");
    }
    assert_eq!(refresh(&surface, &ann.refresh).await.status, 429);
    // The other kinds have their own.
    for n in 0..2 {
        sign_up(&surface, &format!("more{n}@example.com")).await;
    }
    let more = json!({"email": "more@example.com", "password": PASSWORD});
    assert_eq!(post(&surface, "/signup", &more).await.status, 429);
    for _ in 0..3 {
        assert_eq!(post(&surface, "/signup", &json!({})).await.status, 200);
        let same = json!({"password": PASSWORD});
        let same = ask(&surface, "PUT", "/user", &ann.access, &same).await;
        assert_eq!(refusal(&same), (422, "same_password".into()));
    }
    assert_eq!(post(&surface, "/signup", &json!({})).await.status, 429);
    let guess = ask(&surface, "PUT", "/user", &ann.access, &json!({})).await;
    assert_eq!(guess.status, 429);
    // Asking who one is costs nothing.
    assert_eq!(get(&surface, "/user", &ann.access).await.status, 200);
}

#[tokio::test]
async fn without_a_secret_nobody_can_sign_in_and_the_reason_is_said() {
    let keys = r#"{"keys":[{"kty":"oct","kid":"k1","alg":"HS256","k":"YS1zZWNyZXQtZm9yLXRlc3RzLW9mLWF0LWxlYXN0LTMyLWNoYXJhY3RlcnM"}]}"#;
    let surface = Surface::with(&[("API_JWT_SECRET", ""), ("API_JWT_JWKS", keys)]).await;
    let key = token::sign(
        r#"{"alg":"HS256","typ":"JWT","kid":"k1"}"#,
        r#"{"role":"anon","exp":9999999999}"#,
        token::SECRET,
    );
    let headers = [
        ("apikey", key.as_str()),
        ("Content-Type", "application/json"),
    ];
    let login = json!({"email": "ann@example.com", "password": PASSWORD}).to_string();
    for (path, body) in [
        ("/auth/v1/signup", login.as_str()),
        ("/auth/v1/signup", "{}"),
        ("/auth/v1/token?grant_type=password", login.as_str()),
        (
            "/auth/v1/token?grant_type=refresh_token",
            r#"{"refresh_token":"aaaaaaaaaaaa"}"#,
        ),
    ] {
        let request = bare("POST", path, &headers, Some(body.as_bytes()));
        let answer = surface.send(&request).await;
        assert_eq!(refusal(&answer), (501, "feature_disabled".into()));
        assert!(
            answer.json()["hint"]
                .as_str()
                .unwrap()
                .contains("API_JWT_SECRET")
        );
    }
    let client = surface.database.connect().await;
    let none = "select count(*) from auth.users";
    assert_eq!(
        client.query_one(none, &[]).await.unwrap().get::<_, i64>(0),
        0
    );
}

#[tokio::test]
async fn claims_that_this_server_demands_are_demanded_of_users_too() {
    let validators = [(
        "JWT_CLAIM_VALIDATORS",
        r#"{"iss":"https://elsewhere.example.com"}"#,
    )];
    let surface = Surface::with(&validators).await;
    let key = token::mint(json!({"role": "anon", "iss": "https://elsewhere.example.com"}));
    let headers = [("apikey", key.as_str())];
    let body = json!({"email": "ann@example.com", "password": PASSWORD}).to_string();
    let request = bare("POST", "/auth/v1/signup", &headers, Some(body.as_bytes()));
    // It would make a token that nobody takes, so it says so and makes no user.
    let answer = surface.send(&request).await;
    assert_eq!(refusal(&answer), (500, "unexpected_failure".into()));
    assert!(
        answer.json()["hint"]
            .as_str()
            .unwrap()
            .contains("JWT_CLAIM_VALIDATORS")
    );
    let client = surface.database.connect().await;
    let none = "select count(*) from auth.users";
    assert_eq!(
        client.query_one(none, &[]).await.unwrap().get::<_, i64>(0),
        0
    );

    let fits = [("JWT_CLAIM_VALIDATORS", r#"{"aud":"authenticated"}"#)];
    let surface = Surface::with(&fits).await;
    let key = token::mint(json!({"role": "anon", "aud": "authenticated"}));
    let headers = [("apikey", key.as_str())];
    let request = bare("POST", "/auth/v1/signup", &headers, Some(body.as_bytes()));
    assert_eq!(surface.send(&request).await.status, 200);
}
