//! A database with the messaging system and some people in it, a stand-in for a push service, and the browser's half of
//! RFC 8291, written from the RFC and not from the server's code.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use dovetail::postgres::migrate::{Set, migrate};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_postgres::Client;

use crate::support::PATIENCE;
use crate::support::cluster::{Cluster, Database};
use crate::support::server::Server;

/// The organisation of everybody.
pub const ORG: &str = "00000000-0000-4000-8000-0000000000aa";
/// People, by the order of their ids.
pub const ANA: &str = "00000000-0000-4000-8000-000000000001";
pub const BEN: &str = "00000000-0000-4000-8000-000000000002";
pub const CLEO: &str = "00000000-0000-4000-8000-000000000003";
/// A group of everybody, made by Ana.
pub const GROUP: &str = "00000000-0000-4000-8000-0000000000cc";
/// The private half of the key of test servers.
pub const VAPID: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";

/// Id of the person with this number.
pub fn person(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A database with the messaging system, Ana, Ben, Cleo and more up to this number in one organisation and one group.
pub async fn hall(people: u32) -> (Database, Client) {
    let database = Cluster::shared().await.prepared().await;
    let client = database.connect().await;
    for set in [Set::Embedded, Set::Chat] {
        migrate(&client, set).await.expect("the schema");
    }
    client
        .batch_execute(&format!(
            "update public.chat_settings set allow_insecure_push = true;
             insert into public.profiles (id, display_name, kind, org_id)
             select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
               coalesce((array['Ana', 'Ben', 'Cleo'])[n], 'Person ' || n), 'member', '{ORG}'
             from generate_series(1, {people}) n;
             insert into public.conversations (id, type, name, org_id, created_by) values ('{GROUP}', 'group', 'Rome', '{ORG}', '{ANA}');
             insert into public.conversation_participants (conversation_id, user_id) select '{GROUP}', id from public.profiles;"
        ))
        .await
        .expect("people and a group");
    (database, client)
}

/// A server over it that pushes, to this machine too.
pub async fn pushing(database: &Database) -> Server {
    Server::with(
        database,
        &[("PUSH_PRIVATE_ENDPOINTS", "true"), CHAT, KEY, SUBJECT],
    )
    .await
}

pub const CHAT: (&str, &str) = ("CHAT", "true");
pub const KEY: (&str, &str) = ("VAPID_PRIVATE_KEY", VAPID);
pub const SUBJECT: (&str, &str) = ("VAPID_SUBJECT", "mailto:push@example.com");

/// Runs a statement as a client would.
pub async fn as_user(
    client: &Client,
    sub: &str,
    sql: &str,
) -> Result<Vec<tokio_postgres::SimpleQueryMessage>, tokio_postgres::Error> {
    let claims = format!(r#"{{"role":"authenticated","sub":"{sub}"}}"#);
    let set = format!(
        "begin; select set_config('request.jwt.claims', '{claims}', true); set local role authenticated; {sql}; commit"
    );
    let result = client.simple_query(&set).await;
    if result.is_err() {
        client.batch_execute("rollback").await.expect("a rollback");
    }
    result
}

/// Somebody writes into the group.
pub async fn say(client: &Client, sub: &str, text: &str) {
    let sql = format!("select public.send_message('{GROUP}', '{text}')");
    as_user(client, sub, &sql).await.expect("a message");
}

/// What is in the outbox: user, kind, title, body, in order.
pub async fn outbox(client: &Client) -> Vec<(String, String, String, String)> {
    let sql = "select user_id::text, kind, title, body from public.notification_outbox order by id";
    let rows = client.query(sql, &[]).await.expect("the outbox");
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect()
}

/// One value of one row as text.
pub async fn value(client: &Client, sql: &str) -> String {
    let row = client.query_one(sql, &[]).await.expect(sql);
    row.get(0)
}

/// Everything that waits is due, and the servers are told.
pub async fn hurry(client: &Client) {
    let sql = "update public.notification_outbox set due_at = now() where delivered_at is null and due_at < 'infinity'; \
               notify dovetail_chat, 'push'";
    client.batch_execute(sql).await.expect("due now");
}

/// A browser that takes push messages.
pub struct Browser {
    key: PrivateKey,
    auth: [u8; 16],
}

impl Browser {
    pub fn new() -> Self {
        let mut auth = [0; 16];
        aws_lc_rs::rand::fill(&mut auth).expect("random numbers");
        let key = PrivateKey::generate(&ECDH_P256).expect("a key");
        Self { key, auth }
    }

    fn public(&self) -> Vec<u8> {
        self.key
            .compute_public_key()
            .expect("its half")
            .as_ref()
            .to_vec()
    }

    /// Registers for somebody, as the app does.
    pub async fn register(&self, client: &Client, sub: &str, endpoint: &str) {
        let (public, auth) = (BASE64.encode(self.public()), BASE64.encode(self.auth));
        let sql = format!("select public.register_push('{endpoint}', '{public}', '{auth}')");
        as_user(client, sub, &sql).await.expect("a subscription");
    }

    /// RFC 8291 §4 and RFC 8188 §2 read backwards.
    pub fn decrypt(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (size, rest) = rest.split_at(4);
        let size = u32::from_be_bytes(size.try_into().unwrap());
        let (length, rest) = rest.split_at(1);
        let (sender, record) = rest.split_at(length[0].into());
        assert_eq!((sender.len(), sender[0]), (65, 4), "an uncompressed point");
        assert!(record.len() <= size as usize, "one record");
        let peer = UnparsedPublicKey::new(&ECDH_P256, sender);
        let shared = agreement::agree(&self.key, peer, (), |shared| Ok(shared.to_vec())).unwrap();
        let mac = |key: &[u8], parts: &[&[u8]]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::sign(&key, &parts.concat()).as_ref().to_vec()
        };
        let secret = mac(&self.auth, &[&shared]);
        let input = mac(&secret, &[b"WebPush: info\0", &self.public(), sender, &[1]]);
        let key = mac(salt, &[&input]);
        let cipher = mac(&key, &[b"Content-Encoding: aes128gcm\0\x01"]);
        let nonce = mac(&key, &[b"Content-Encoding: nonce\0\x01"]);
        let opening = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &cipher[..16]).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
        let mut text = record.to_vec();
        let text = opening
            .open_in_place(nonce, Aad::empty(), &mut text)
            .expect("for this browser");
        let end = text.iter().rposition(|byte| *byte != 0).expect("a mark");
        assert_eq!(text[end], 2, "the mark of the last record");
        serde_json::from_slice(&text[..end]).expect("JSON")
    }
}

/// A request that the push service got.
#[derive(Clone, Debug)]
pub struct Pushed {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Pushed {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Stands in for a push service. Paths say how it answers: `/201/...` with 201, and so on; `/hold/...` does not answer until
/// [`PushService::let_go`], then 201.
pub struct PushService {
    pub port: u16,
    seen: Arc<Seen>,
    hold: watch::Sender<bool>,
}

#[derive(Default)]
struct Seen {
    list: Mutex<Vec<Pushed>>,
    more: Notify,
}

impl PushService {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let (hold, held) = watch::channel(true);
        let shared = Arc::clone(&seen);
        let router = Router::new()
            .fallback(move |request: Request| answer(request, Arc::clone(&shared), held.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, seen, hold }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Pushed> {
        self.seen.list.lock().unwrap().clone()
    }

    /// Those to this path.
    pub fn to(&self, path: &str) -> Vec<Pushed> {
        self.all()
            .into_iter()
            .filter(|pushed| pushed.path == path)
            .collect()
    }

    /// Waits until there are so many.
    pub async fn wait(&self, count: usize) -> Vec<Pushed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let more = self.seen.more.notified();
            let all = self.all();
            if all.len() >= count {
                return all;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                tokio::time::timeout(left, more).await.is_ok(),
                "waited for {count} requests, there are {}",
                all.len()
            );
        }
    }

    pub fn let_go(&self) {
        self.hold.send_replace(false);
    }
}

async fn answer(request: Request, seen: Arc<Seen>, mut held: watch::Receiver<bool>) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 16)
        .await
        .unwrap_or_default();
    let path = head.uri.path().to_owned();
    seen.list.lock().unwrap().push(Pushed {
        path: path.clone(),
        headers: head.headers,
        body: body.to_vec(),
    });
    seen.more.notify_waiters();
    let how = path.split('/').nth(1).unwrap_or_default();
    if how == "hold" {
        let _ = held.wait_for(|held| !held).await;
    }
    let status = how
        .parse()
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.unwrap_or(StatusCode::CREATED);
    match status.as_u16() {
        302 | 307 => (status, [("location", "/201/elsewhere")]).into_response(),
        429 => (status, [("retry-after", "600")]).into_response(),
        _ => status.into_response(),
    }
}
