//! A server with the messaging system: an advisor, two clients of theirs, and links for guests.

use dovetail::postgres::migrate::{Set, migrate};
use serde_json::{Value, json};
use tokio_postgres::Client as Sql;

use crate::support::cluster::Cluster;
use crate::support::http::{Request, Response};
use crate::support::surface::Surface;
use crate::support::token;

pub const ORG: &str = "00000000-0000-4000-8000-0000000000f0";
pub const ADVISOR: &str = "00000000-0000-4000-8000-00000000000a";
/// Is known by the link only.
pub const CLIENT: &str = "00000000-0000-4000-8000-00000000000c";
/// Another client of the same advisor.
pub const OTHER: &str = "00000000-0000-4000-8000-00000000000d";
/// Somebody of the same organisation.
pub const COLLEAGUE: &str = "00000000-0000-4000-8000-00000000000e";

pub const SUBJECT: &str = "trip to Lisbon/7";
pub const LINK: &str = "a-token-of-a-link-0001";

/// See the module.
pub struct World {
    pub surface: Surface,
    pub sql: Sql,
}

/// What the endpoint for guests answered.
pub struct Guest {
    pub jwt: String,
    pub chat_token: String,
    pub conversation: String,
}

impl World {
    pub async fn new(settings: &[(&str, &str)]) -> Self {
        let database = Cluster::shared().await.prepared().await;
        let sql = database.connect().await;
        for set in [Set::Embedded, Set::Chat] {
            let report = migrate(&sql, set).await.expect("the schema");
            assert_eq!(report.notes, [""; 0], "{set:?}");
        }
        sql.batch_execute(&format!(
            "insert into public.profiles (id, display_name, avatar_url, kind, org_id) values
               ('{ADVISOR}', 'Ada', 'https://example.com/ada.png', 'advisor', '{ORG}'),
               ('{CLIENT}', 'Cleo', null, 'client', '{ORG}'),
               ('{OTHER}', 'Otto', null, 'client', '{ORG}'),
               ('{COLLEAGUE}', 'Col', null, 'member', '{ORG}');
             insert into public.share_links (org_id, client_id, subject_id, subject_title, advisor_id, token) values
               ('{ORG}', '{CLIENT}', '{SUBJECT}', 'Lisbon', '{ADVISOR}', '{LINK}')"
        ))
        .await
        .expect("people and a link");
        let mut all = vec![("CHAT", "true"), ("CHANNEL_ERROR_BACKOFF_MS", "1")];
        all.extend_from_slice(settings);
        let surface = Surface::over(database, &all).await;
        Self { surface, sql }
    }

    /// A request as a page of another origin makes it, with nothing but an origin.
    pub async fn bare(&self, method: &str, path: &str, body: Option<&str>) -> Response {
        let mut request = Request::get("localhost", path);
        request.method = method.to_owned();
        let origin = ("Origin".to_owned(), "https://host.example".to_owned());
        request.headers.push(origin);
        if let Some(body) = body {
            let json = ("Content-Type".to_owned(), "application/json".to_owned());
            request.headers.push(json);
            request.body = Some(body.as_bytes().to_vec());
        }
        self.surface.send(&request).await
    }

    /// What the endpoint says to this subject and link.
    pub async fn enter(&self, subject: &str, link: &str) -> Response {
        let subject = subject.replace(' ', "%20");
        let path = format!("/chat/v1/guest-token?subject_id={subject}&share_token={link}");
        self.bare("GET", &path, None).await
    }

    pub async fn refresh(&self, chat_token: &str) -> Response {
        let body = json!({ "chatToken": chat_token }).to_string();
        self.bare("POST", "/chat/v1/guest-token/refresh", Some(&body))
            .await
    }

    /// A guest by the link.
    pub async fn guest(&self) -> Guest {
        let answer = self.enter(SUBJECT, LINK).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let text = |name: &str| body[name].as_str().expect(name).to_owned();
        Guest {
            jwt: text("jwt"),
            chat_token: text("chatToken"),
            conversation: text("conversationId"),
        }
    }

    pub async fn rpc(&self, bearer: &str, name: &str, arguments: &Value) -> Response {
        let path = format!("/rest/v1/rpc/{name}");
        self.surface
            .ask_json("POST", &path, bearer, arguments)
            .await
    }

    /// The same, which must be done.
    pub async fn call(&self, bearer: &str, name: &str, arguments: &Value) -> Value {
        let answer = self.rpc(bearer, name, arguments).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    }

    /// A message; gives its id.
    pub async fn say(&self, bearer: &str, conversation: &str, content: &str) -> String {
        let arguments = json!({ "conversation_id": conversation, "content": content });
        let said = self.call(bearer, "send_message", &arguments).await;
        said["id"].as_str().expect("an id").to_owned()
    }

    /// The direct conversation of the advisor with somebody.
    pub async fn conversation_with(&self, user: &str) -> String {
        let made = self
            .call(
                &advisor(),
                "start_conversation",
                &json!({ "user_id": user }),
            )
            .await;
        made["id"].as_str().expect("an id").to_owned()
    }
}

pub fn advisor() -> String {
    token::user(ADVISOR)
}

/// Claims of a token, not verified.
pub fn claims(jwt: &str) -> Value {
    use base64::Engine;
    let payload = jwt.split('.').nth(1).expect("claims");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
    serde_json::from_slice(&payload.expect("base64url")).expect("JSON")
}
