//! Access driven directly: a private database with the schema and the partitions, and questions as the server asks them.

use std::sync::Arc;
use std::time::Duration;

use dovetail::access::{Access, Failure, Rights, Settings, Stored, Subject};
use dovetail::auth::Claims;
use dovetail::postgres::{ConnectOptions, TlsMode, partitions};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::cluster::{Cluster, Database, PASSWORD};

pub const BOTH: Rights = Rights {
    broadcast: true,
    presence: true,
};
pub const BROADCAST: Rights = Rights {
    broadcast: true,
    presence: false,
};
pub const PRESENCE: Rights = Rights {
    broadcast: false,
    presence: true,
};
pub const NEITHER: Rights = Rights {
    broadcast: false,
    presence: false,
};

pub const ALICE: &str = "00000000-0000-0000-0000-00000000000a";
pub const BOB: &str = "00000000-0000-0000-0000-00000000000b";

pub struct World {
    pub sql: Client,
    pub access: Arc<Access>,
    pub database: Database,
}

impl World {
    /// Tables of `public` are readable by all, as in a Supabase database.
    pub async fn new(setup: &str) -> Self {
        Self::with(Cluster::shared().await, settings(), setup).await
    }

    pub async fn with(cluster: &Cluster, settings: Settings, setup: &str) -> Self {
        let database = cluster.prepared().await;
        let sql = database.connect().await;
        partitions::maintain(&sql, false).await.unwrap();
        sql.batch_execute(
            "grant usage on schema public to anon, authenticated, service_role;
             alter default privileges in schema public grant all on tables to anon, authenticated, service_role",
        )
        .await
        .unwrap();
        sql.batch_execute(setup).await.unwrap();
        let access = Access::start(options(&database), settings);
        Self {
            sql,
            access,
            database,
        }
    }

    /// May the user with this `sub` read?
    pub async fn reads(&self, sub: &str, topic: &str) -> Result<Rights, Failure> {
        self.access.read(&user(sub, topic), true).await
    }

    pub async fn writes(&self, sub: &str, topic: &str) -> Result<Rights, Failure> {
        self.access.write(&user(sub, topic)).await
    }

    /// All rows of `realtime.messages`.
    pub async fn messages(&self) -> i64 {
        let count = "select count(*) from realtime.messages";
        self.sql.query_one(count, &[]).await.unwrap().get(0)
    }

    /// Runs `sql`, after which nothing that was answered counts.
    pub async fn change(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
        self.access.forget();
    }
}

/// The defaults, with little patience for policies that sleep.
pub fn settings() -> Settings {
    Settings {
        statement_timeout: Duration::from_secs(5),
        ..Settings::default()
    }
}

pub fn options(database: &Database) -> ConnectOptions {
    ConnectOptions {
        host: "127.0.0.1".into(),
        port: database.port,
        user: "postgres".into(),
        password: Some(PASSWORD.into()),
        dbname: database.name.clone(),
        tls: TlsMode::Disable,
        tls_ca_file: None,
        ip_version: None,
    }
}

/// Claims as a token would carry them; `exp` is added.
pub fn subject(mut claims: Value, topic: &str) -> Subject {
    claims["exp"] = json!(4_000_000_000_i64);
    Subject {
        topic: topic.into(),
        claims: Arc::new(Claims::from_json(&claims.to_string()).unwrap()),
        headers: "{}".into(),
    }
}

/// A user of the role `authenticated`.
pub fn user(sub: &str, topic: &str) -> Subject {
    subject(json!({ "role": "authenticated", "sub": sub }), topic)
}

pub fn anon(topic: &str) -> Subject {
    subject(json!({ "role": "anon" }), topic)
}

/// Only the messages of a replay.
pub trait Replayed {
    async fn replayed(
        &self,
        topic: &str,
        since_ms: i64,
        limit: i64,
    ) -> Result<Vec<Stored>, Failure>;
}

impl Replayed for Access {
    async fn replayed(
        &self,
        topic: &str,
        since_ms: i64,
        limit: i64,
    ) -> Result<Vec<Stored>, Failure> {
        let replay = self.replay(topic, since_ms, limit).await?;
        // What was found was seen, so nothing of it comes again.
        assert!(replay.snapshot.is_some() || topic.contains('\0'));
        Ok(replay.rows)
    }
}
