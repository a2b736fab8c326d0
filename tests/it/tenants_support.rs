//! A server with many tenants: its metadata in one database, each tenant with a database of its own.

use serde_json::{Value, json};

use super::support::cluster::{Cluster, Database, PASSWORD};
use super::support::http::{self, Request, Response};
use super::support::phoenix::Client;
use super::support::server::Server;
use super::support::socket::{Failure, Socket, Target};
use super::support::token::{self, now, sign};

/// Key of AES-128 in the tests, that of the original's compose file.
pub const KEY: &str = "supabaserealtime";
/// Key of AES-256-GCM in the tests.
pub const KEY_GCM: &str = "12345678901234567890123456789012";

/// The server and its metadata.
pub struct Ground {
    pub server: Server,
    pub metadata: Database,
}

impl Ground {
    /// On the shared cluster, with short delays.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with additions to the environment.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let metadata = Cluster::shared().await.database().await;
        Self::on(metadata, settings).await
    }

    /// With the metadata in this database.
    pub async fn on(metadata: Database, settings: &[(&str, &str)]) -> Self {
        let all = [
            ("TENANTS", "database"),
            ("DB_ENC_KEY", KEY),
            ("CONNECT_ERROR_BACKOFF_MS", "0"),
            ("CHANNEL_ERROR_BACKOFF_MS", "0"),
        ];
        let server = Server::with(&metadata, &[&all, settings].concat()).await;
        Self { server, metadata }
    }

    /// A request to the tenant API with a good token.
    pub async fn api(&self, method: &str, path: &str, body: Option<Value>) -> Response {
        let token = token::service();
        let bearer = format!("Bearer {token}");
        self.request(method, path, "localhost", Some(&bearer), body)
            .await
    }

    /// Any request.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        host: &str,
        authorization: Option<&str>,
        body: Option<Value>,
    ) -> Response {
        let mut request = Request::get(host, path);
        request.method = method.to_owned();
        if let Some(value) = authorization {
            request
                .headers
                .push(("Authorization".into(), value.to_owned()));
        }
        if let Some(body) = body {
            request
                .headers
                .push(("Content-Type".into(), "application/json".into()));
            request.body = Some(body.to_string().into_bytes());
        }
        http::exchange(("127.0.0.1", self.server.port()), &request)
            .await
            .expect("an answer")
    }

    /// Creates a tenant with a database; its secret is [`secret_of`] its name.
    pub async fn tenant(&self, name: &str, database: &Database) -> Value {
        let body = json!({ "tenant": tenant(name, database) });
        let answer = self
            .api("PUT", &format!("/api/tenants/{name}"), Some(body))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        data(&answer)
    }

    /// Changes a tenant; the answer must be 200.
    pub async fn change(&self, name: &str, change: Value) -> Value {
        let path = format!("/api/tenants/{name}");
        let answer = self
            .api("PATCH", &path, Some(json!({ "tenant": change })))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        data(&answer)
    }

    /// Where a client of this tenant connects.
    pub fn target(&self, name: &str, token: &str) -> Target {
        let mut target = self.server.target(token);
        target.host = format!("{name}.example:4000");
        target
    }

    /// A connected client of a tenant.
    pub async fn client(&self, name: &str, token: &str) -> Client {
        match Socket::connect(&self.target(name, token)).await {
            Ok(socket) => Client::over(socket),
            Err(Failure::Refused(answer)) => {
                panic!("refused: {} {}", answer.status, answer.text())
            }
            Err(Failure::Io(err)) => panic!("no connection: {err}\n{}", self.server.log()),
        }
    }

    /// The answer to a connect that must be refused.
    pub async fn refused(&self, name: &str, token: &str) -> (u16, Value) {
        match Socket::connect(&self.target(name, token)).await {
            Ok(_) => panic!("{name} was not refused"),
            Err(Failure::Refused(answer)) => (answer.status, json(&answer)),
            Err(Failure::Io(err)) => panic!("no answer: {err}"),
        }
    }
}

/// A body as JSON.
pub fn json(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|err| panic!("{err}: {}", answer.text()))
}

/// Its `data`.
pub fn data(answer: &Response) -> Value {
    json(answer)["data"].take()
}

/// The secret of a tenant's tokens.
pub fn secret_of(name: &str) -> String {
    format!("the secret of {name}, at least 32 characters long")
}

/// A token of the role `anon` for a tenant.
pub fn anon(name: &str) -> String {
    let claims = json!({ "role": "anon", "exp": now() + 3600 });
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    sign(header, &claims.to_string(), &secret_of(name))
}

/// The fields of a new tenant.
pub fn tenant(name: &str, database: &Database) -> Value {
    json!({
        "name": name,
        "jwt_secret": secret_of(name),
        "max_events_per_second": 1000,
        "extensions": [extension(database)],
    })
}

/// The extension that names a database.
pub fn extension(database: &Database) -> Value {
    json!({ "type": "postgres_cdc_rls", "settings": {
        "db_host": "127.0.0.1", "db_port": database.port.to_string(), "db_name": database.name,
        "db_user": "postgres", "db_password": PASSWORD, "region": "us-east-1", "ssl_enforced": false,
    }})
}

/// A prepared database of the shared cluster with a table `t` that clients may read and subscribe.
pub async fn database() -> Database {
    let database = Cluster::shared().await.prepared().await;
    let sql = database.connect().await;
    sql.batch_execute(
        "create table t (id int primary key, text text); grant select on t to anon;
         alter publication supabase_realtime add table t;",
    )
    .await
    .expect("the table");
    database
}
