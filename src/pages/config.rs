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

/// People of `dovetail dev --demo`: id, handle, name, kind, organisation. As `src/cli/dev/demo.sql` makes them.
#[rustfmt::skip]
const PEOPLE: [(&str, &str, &str, &str, &str); 12] = [
    ("a2a025da-9a43-46eb-894f-94d417b3d77a", "ana", "Ana Fischer", "trainer", "Northside Coaching"),
    ("a6ca799b-6638-4aa1-8e94-ea0056dc0769", "tom", "Tom Okafor", "trainer", "Northside Coaching"),
    ("0dbbd31a-9824-4de9-86c1-dd9798e9387e", "lena", "Lena Park", "client", "Northside Coaching"),
    ("a5272d6f-e9b0-4335-8a56-2c33e9549e9b", "marco", "Marco Silva", "client", "Northside Coaching"),
    ("caad9b69-a9f2-4a9c-8670-11293edd07b3", "priya", "Priya Nair", "member", "Harbor Software"),
    ("e63d19b9-25e7-459b-8d41-a8a7de64f5c1", "jonas", "Jonas Weber", "member", "Harbor Software"),
    ("a86fdcb9-fd1f-44fe-8788-2f276dc6b44c", "sara", "Sara Lindqvist", "member", "Harbor Software"),
    ("8c73dbf6-714f-4dd0-89c2-5a646b4f20bd", "diego", "Diego Ramos", "member", "Harbor Software"),
    ("e69752f2-e952-44b7-8686-73b771a98a64", "claire", "Claire Dubois", "advisor", "Blue Atlas Travel"),
    ("64d1e7c3-2acf-4c58-8968-962e0aea0ea1", "kenji", "Kenji Sato", "advisor", "Blue Atlas Travel"),
    ("268c0a30-d002-434a-8e3e-c39cc0592c42", "emma", "Emma Brown", "client", "Blue Atlas Travel"),
    ("cd63636e-9141-465f-8f5b-9f04f57c79dc", "noah", "Noah Haddad", "client", "Blue Atlas Travel"),
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
        .map(|(id, handle, name, kind, org)| {
            json!({
                "id": id,
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
