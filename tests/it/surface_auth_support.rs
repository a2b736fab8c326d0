//! What the tests of `/auth/v1` share: requests with and without a version, users, claims of tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::http::{Request, Response};
use crate::support::surface::Surface;

/// Good enough for every setting.
pub const PASSWORD: &str = "correct horse battery";

/// Somebody who is signed in.
pub struct Person {
    pub id: String,
    pub email: String,
    pub access: String,
    pub refresh: String,
}

impl Person {
    /// From the answer to a sign-up or sign-in.
    pub fn of(answer: &Response) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self {
            id: text(&body["user"]["id"]),
            email: text(&body["user"]["email"]),
            access: text(&body["access_token"]),
            refresh: text(&body["refresh_token"]),
        }
    }
}

/// A new user with this address.
pub async fn sign_up(surface: &Surface, email: &str) -> Person {
    Person::of(
        &post(
            surface,
            "/signup",
            &json!({"email": email, "password": PASSWORD}),
        )
        .await,
    )
}

/// The same user again, in a session of its own.
pub async fn sign_in(surface: &Surface, email: &str) -> Person {
    let body = json!({"email": email, "password": PASSWORD});
    Person::of(&post(surface, "/token?grant_type=password", &body).await)
}

pub async fn refresh(surface: &Surface, token: &str) -> Response {
    let body = json!({ "refresh_token": token });
    post(surface, "/token?grant_type=refresh_token", &body).await
}

/// A POST of a visitor.
pub async fn post(surface: &Surface, path: &str, body: &Value) -> Response {
    ask(surface, "POST", path, &surface.anon, body).await
}

pub async fn ask(
    surface: &Surface,
    method: &str,
    path: &str,
    bearer: &str,
    body: &Value,
) -> Response {
    let path = format!("/auth/v1{path}");
    surface.ask_json(method, &path, bearer, body).await
}

pub async fn get(surface: &Surface, path: &str, bearer: &str) -> Response {
    surface.get(&format!("/auth/v1{path}"), bearer).await
}

/// Exactly these headers.
pub fn bare(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Request {
    let mut request = Request::get("localhost", path);
    request.method = method.to_owned();
    let pairs = headers.iter();
    let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    request.headers.extend(pairs);
    request.body = body.map(<[u8]>::to_vec);
    request
}

/// Status and code of a refusal in the first shape.
pub fn refusal(answer: &Response) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["code"], json!(answer.status), "{body}");
    assert!(body["msg"].is_string(), "{body}");
    let code = body["error_code"].as_str().expect("a code");
    assert_eq!(answer.header("x-sb-error-code"), Some(code), "{body}");
    (answer.status, code.to_owned())
}

/// What a token says, unverified.
pub fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("three parts");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
    serde_json::from_slice(&claims).expect("JSON")
}
