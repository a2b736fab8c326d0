//! What the pages ask for before they know anything.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};

/// What the pages are told.
pub struct Settings {
    /// Address of the Supabase API; none where it is that of the pages.
    pub url: Option<String>,
    /// The public key; without one the page asks for it.
    pub anon_key: Option<String>,
    /// Public half of the key that push messages are signed with, base64url; none where there is no push.
    pub vapid_public_key: Option<String>,
    /// The password of everybody in the demo, where it was made.
    pub demo: bool,
}

/// People of `dovetail dev --demo`: handle, name, kind, organisation. As in `src/cli/dev/demo.sql`.
const PEOPLE: [(&str, &str, &str, &str); 12] = [
    ("ana", "Ana Fischer", "trainer", "Northside Coaching"),
    ("tom", "Tom Okafor", "trainer", "Northside Coaching"),
    ("lena", "Lena Park", "client", "Northside Coaching"),
    ("marco", "Marco Silva", "client", "Northside Coaching"),
    ("priya", "Priya Nair", "member", "Harbor Software"),
    ("jonas", "Jonas Weber", "member", "Harbor Software"),
    ("sara", "Sara Lindqvist", "member", "Harbor Software"),
    ("diego", "Diego Ramos", "member", "Harbor Software"),
    ("claire", "Claire Dubois", "advisor", "Blue Atlas Travel"),
    ("kenji", "Kenji Sato", "advisor", "Blue Atlas Travel"),
    ("emma", "Emma Brown", "client", "Blue Atlas Travel"),
    ("noah", "Noah Haddad", "client", "Blue Atlas Travel"),
];

pub(super) fn router(settings: Settings) -> Router {
    let told = json!({
        "url": settings.url,
        "anonKey": settings.anon_key,
        "vapidPublicKey": settings.vapid_public_key,
        "bucket": "chat-attachments",
    });
    let router = Router::new().route("/chat/v1/app-config", get(move || said(told.clone())));
    if !settings.demo {
        return router;
    }
    let people: Vec<Value> = PEOPLE
        .iter()
        .map(|(handle, name, kind, org)| {
            json!({
                "email": format!("{handle}@demo.dovetail.dev"),
                "password": "demo-password",
                "displayName": name,
                "kind": kind,
                "orgName": org,
            })
        })
        .collect();
    let link = json!({"subjectId": "trip-lisbon", "shareToken": "demo-link-to-lisbon-in-may"});
    let told = json!({"users": people, "guestLink": link});
    router.route("/chat/v1/demo", get(move || said(told.clone())))
}

async fn said(told: Value) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(told))
}
