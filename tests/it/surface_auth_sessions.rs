//! Sessions and refresh tokens of `/auth/v1`: rotation, what is forgiven and what is not, and how they end.

use serde_json::json;

use crate::support::surface::Surface;
use crate::surface_auth_support::{
    PASSWORD, Person, ask, claims, get, post, refresh, refusal, sign_in, sign_up,
};

const USED: (u16, &str) = (400, "refresh_token_already_used");
const UNKNOWN: (u16, &str) = (400, "refresh_token_not_found");

fn is(answer: &crate::support::http::Response, expected: (u16, &str)) {
    assert_eq!(refusal(answer), (expected.0, expected.1.to_owned()));
}

#[tokio::test]
async fn a_token_is_replaced_and_its_parent_gives_the_same_again() {
    let surface = Surface::start().await;
    let first = sign_up(&surface, "ann@example.com").await;
    let second = Person::of(&refresh(&surface, &first.refresh).await);
    assert_ne!(second.refresh, first.refresh);
    assert_eq!(
        claims(&second.access)["session_id"],
        claims(&first.access)["session_id"]
    );
    assert_eq!(claims(&second.access)["amr"], claims(&first.access)["amr"]);
    // The answer was lost.
    let again = Person::of(&refresh(&surface, &first.refresh).await);
    assert_eq!(again.refresh, second.refresh);
    let third = Person::of(&refresh(&surface, &second.refresh).await);
    // Within ten seconds also what is older; it never becomes a token of its own.
    let late = Person::of(&refresh(&surface, &first.refresh).await);
    assert_eq!(late.refresh, third.refresh);
    let client = surface.database.connect().await;
    let count = "select count(*), count(*) filter (where not revoked) from auth.refresh_tokens";
    let row = client.query_one(count, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 1));
    let refreshed = "select refreshed_at is not null from auth.sessions";
    let refreshed = client.query_one(refreshed, &[]).await.unwrap();
    assert!(refreshed.get::<_, bool>(0));
}

#[tokio::test]
async fn a_token_from_the_past_revokes_all_of_its_session_and_of_no_other() {
    let never = [("GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL", "0")];
    let surface = Surface::with(&never).await;
    let first = sign_up(&surface, "ann@example.com").await;
    let other = sign_in(&surface, "ann@example.com").await;
    let second = Person::of(&refresh(&surface, &first.refresh).await);
    // The parent of the good one is forgiven without a limit of time, as the original does.
    let again = Person::of(&refresh(&surface, &first.refresh).await);
    assert_eq!(again.refresh, second.refresh);
    let third = Person::of(&refresh(&surface, &second.refresh).await);
    is(&refresh(&surface, &first.refresh).await, USED);
    // Whoever has the newest has nothing any more; nor do the others.
    for token in [&third.refresh, &second.refresh, &first.refresh] {
        is(&refresh(&surface, token).await, USED);
    }
    Person::of(&refresh(&surface, &other.refresh).await);
}

#[tokio::test]
async fn concurrent_refreshes_make_one_token() {
    let surface = Surface::start().await;
    let first = sign_up(&surface, "ann@example.com").await;
    let surface = &surface;
    for token in [first.refresh.clone(), first.refresh] {
        let all = (0..12).map(|_| refresh(surface, &token));
        let all = futures_util::future::join_all(all).await;
        let tokens: std::collections::BTreeSet<String> = all
            .iter()
            .map(|answer| Person::of(answer).refresh)
            .collect();
        assert_eq!(tokens.len(), 1);
        assert!(!tokens.contains(&token));
    }
    let client = surface.database.connect().await;
    let count = "select count(*) from auth.refresh_tokens";
    let count = client.query_one(count, &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 2);
}

#[tokio::test]
async fn a_token_of_one_user_never_opens_the_session_of_another() {
    let surface = Surface::start().await;
    let ann = sign_up(&surface, "ann@example.com").await;
    let bob = sign_up(&surface, "bob@example.com").await;
    let client = surface.database.connect().await;
    // Such a row is never made by the service.
    client
        .execute(
            "update auth.refresh_tokens set session_id = (select session_id from auth.refresh_tokens where token = $2) \
             where token = $1",
            &[&ann.refresh, &bob.refresh],
        )
        .await
        .unwrap();
    is(&refresh(&surface, &ann.refresh).await, UNKNOWN);
    Person::of(&refresh(&surface, &bob.refresh).await);
}

#[tokio::test]
async fn a_session_ends_with_its_time_with_its_user_and_with_a_ban() {
    let surface = Surface::start().await;
    let ann = sign_up(&surface, "ann@example.com").await;
    let client = surface.database.connect().await;
    let run = async |sql: &str| client.batch_execute(sql).await.unwrap();
    run("update auth.sessions set not_after = now() - interval '1 second'").await;
    is(
        &refresh(&surface, &ann.refresh).await,
        (400, "session_expired"),
    );
    run("update auth.sessions set not_after = null; update auth.users set banned_until = now() + interval '1 hour'").await;
    is(&refresh(&surface, &ann.refresh).await, (400, "user_banned"));
    is(
        &get(&surface, "/user", &ann.access).await,
        (403, "user_banned"),
    );
    is(
        &ask(&surface, "POST", "/logout", &ann.access, &json!({})).await,
        (403, "user_banned"),
    );
    run("update auth.users set banned_until = now() - interval '1 second'").await;
    assert_eq!(get(&surface, "/user", &ann.access).await.status, 200);
    run("delete from auth.users").await;
    is(&refresh(&surface, &ann.refresh).await, UNKNOWN);
    is(
        &get(&surface, "/user", &ann.access).await,
        (403, "user_not_found"),
    );
    let left = "select (select count(*) from auth.sessions) + (select count(*) from auth.identities) \
                + (select count(*) from auth.refresh_tokens) + (select count(*) from auth.mfa_amr_claims)";
    assert_eq!(
        client.query_one(left, &[]).await.unwrap().get::<_, i64>(0),
        0
    );
}

#[tokio::test]
async fn logging_out_has_three_scopes_and_no_other() {
    let surface = Surface::start().await;
    let one = sign_up(&surface, "ann@example.com").await;
    let two = sign_in(&surface, "ann@example.com").await;
    let bob = sign_up(&surface, "bob@example.com").await;
    let out = async |person: &Person, scope: &str| {
        let path = format!("/logout{scope}");
        ask(&surface, "POST", &path, &person.access, &json!({})).await
    };
    is(&out(&one, "?scope=world").await, (400, "validation_failed"));
    let answer = out(&one, "?scope=others").await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    is(
        &get(&surface, "/user", &two.access).await,
        (403, "session_not_found"),
    );
    is(&refresh(&surface, &two.refresh).await, UNKNOWN);
    let two = sign_in(&surface, "ann@example.com").await;
    assert_eq!(out(&two, "?scope=local").await.status, 204);
    is(&out(&two, "?scope=local").await, (403, "session_not_found"));
    assert_eq!(get(&surface, "/user", &one.access).await.status, 200);
    assert_eq!(out(&one, "").await.status, 204);
    is(&refresh(&surface, &one.refresh).await, UNKNOWN);
    // Of others nothing was touched.
    assert_eq!(get(&surface, "/user", &bob.access).await.status, 200);
    let nobody = ask(&surface, "POST", "/logout", &surface.anon, &json!({})).await;
    is(&nobody, (403, "bad_jwt"));
}

#[tokio::test]
async fn an_old_password_cannot_begin_a_session_that_outlives_it() {
    let surface = Surface::start().await;
    let ann = sign_up(&surface, "ann@example.com").await;
    // Signing in and changing the password at the same time, many times: whatever the order, no session that was begun
    // with the old password is left.
    let body = json!({"email": ann.email, "password": PASSWORD});
    let change = json!({"password": "another password"});
    let (changed, all) = tokio::join!(
        ask(&surface, "PUT", "/user", &ann.access, &change),
        futures_util::future::join_all((0..6).map(|_| post(
            &surface,
            "/token?grant_type=password",
            &body
        ))),
    );
    assert_eq!(changed.status, 200, "{}", changed.text());
    for answer in all {
        if answer.status == 200 {
            let person = Person::of(&answer);
            is(&refresh(&surface, &person.refresh).await, UNKNOWN);
        } else {
            is(&answer, (400, "invalid_credentials"));
        }
    }
    assert_eq!(get(&surface, "/user", &ann.access).await.status, 200);
}
