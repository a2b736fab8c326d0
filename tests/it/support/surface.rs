//! A server with the embedded Supabase surface, over a database of its own.

use std::path::Path;

use dovetail::postgres::migrate::{Set, migrate};
use serde_json::Value;
use tempfile::TempDir;

use super::cluster::{Cluster, Database};
use super::http::{self, Request, Response};
use super::server::Server;
use super::token;

/// A running server and what is under it.
pub struct Surface {
    pub server: Server,
    pub database: Database,
    /// Content of objects.
    folder: TempDir,
    pub anon: String,
    pub service: String,
}

impl Surface {
    /// With everything served, users confirmed at once, and no limit on sign-ups worth mentioning.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with additions to the environment.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let database = Cluster::shared().await.prepared().await;
        Self::over(database, settings).await
    }

    /// The same with the messaging system in the database.
    pub async fn with_chat(settings: &[(&str, &str)]) -> Self {
        let database = Cluster::shared().await.prepared().await;
        let client = database.connect().await;
        for set in [Set::Embedded, Set::Chat] {
            migrate(&client, set).await.expect("the schema");
        }
        Self::over(database, settings).await
    }

    /// The same over a database that is there.
    pub async fn over(database: Database, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for objects");
        let path = folder.path().to_str().expect("its name").to_owned();
        let mut all = vec![
            ("SURFACE", "embedded"),
            ("FILE_STORAGE_BACKEND_PATH", path.as_str()),
            ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
            ("GOTRUE_EXTERNAL_ANONYMOUS_USERS_ENABLED", "true"),
            ("AUTH_RATE_LIMIT", "1000000"),
        ];
        all.extend_from_slice(settings);
        let server = Server::with(&database, &all).await;
        Self {
            server,
            database,
            folder,
            anon: token::anon(),
            service: token::service(),
        }
    }

    /// Where content of objects is kept.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A request with the anon key and this bearer's token; `headers` and `body` as given.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        bearer: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Response {
        let mut request = Request::get("localhost", path);
        request.method = method.to_owned();
        let mut add = |name: &str, value: &str| {
            request.headers.push((name.to_owned(), value.to_owned()));
        };
        add("apikey", &self.anon);
        add("Authorization", &format!("Bearer {bearer}"));
        for (name, value) in headers {
            add(name, value);
        }
        request.body = body.map(<[u8]>::to_vec);
        self.send(&request).await
    }

    /// A request exactly as it is.
    pub async fn send(&self, request: &Request) -> Response {
        http::exchange(("127.0.0.1", self.server.port()), request)
            .await
            .expect("an answer")
    }

    /// A request with a JSON body.
    pub async fn ask_json(&self, method: &str, path: &str, bearer: &str, body: &Value) -> Response {
        let headers = [("Content-Type", "application/json")];
        let body = body.to_string();
        self.ask(method, path, bearer, &headers, Some(body.as_bytes()))
            .await
    }

    /// A GET.
    pub async fn get(&self, path: &str, bearer: &str) -> Response {
        self.ask("GET", path, bearer, &[], None).await
    }
}

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }
}
