//! Placeholder until the module is merged: the interface only.
#![allow(missing_docs)]
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::auth::Claims;
use crate::postgres::ConnectOptions;

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Settings {
    pub connections: usize,
    pub statement_timeout: Duration,
    pub queue_timeout: Duration,
    pub cache_for: Duration,
}
#[derive(Clone)]
pub struct Subject {
    pub topic: Arc<str>,
    pub claims: Arc<Claims>,
    pub headers: Arc<str>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rights {
    pub broadcast: bool,
    pub presence: bool,
}
pub struct Access;
#[derive(Clone, Debug, thiserror::Error)]
#[error("not built")]
pub enum Failure {
    Other(String),
}
impl Failure {
    pub fn code(&self) -> &'static str {
        "UnableToSetPolicies"
    }
    pub fn join_reason(&self, _sub_topic: &str) -> String {
        "Realtime was unable to connect to the project database".to_owned()
    }
    pub fn refresh_message(&self, _sub_topic: &str) -> String {
        "Realtime was unable to connect to the project database".to_owned()
    }
    pub fn denies(&self) -> bool {
        false
    }
}
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: Uuid,
    pub event: String,
    pub body: StoredBody,
}
#[derive(Clone, Debug)]
pub enum StoredBody {
    Json(String),
    Binary(Bytes),
}
pub fn denied(sub_topic: &str) -> String {
    format!("You do not have permissions to read from this Channel topic: {sub_topic}")
}
pub fn no_longer(sub_topic: &str) -> String {
    format!("You no longer have permission to read from this Channel topic: {sub_topic}")
}
impl Access {
    pub fn start(_options: ConnectOptions, _settings: Settings) -> Arc<Self> {
        Arc::new(Self)
    }
    pub async fn read(&self, _subject: &Subject, _presence: bool) -> Result<Rights, Failure> {
        Err(Failure::Other(String::new()))
    }
    pub async fn write(&self, _subject: &Subject) -> Result<Rights, Failure> {
        Err(Failure::Other(String::new()))
    }
    pub async fn read_again(&self, _subject: &Subject, _presence: bool) -> Result<Rights, Failure> {
        Err(Failure::Other(String::new()))
    }
    pub async fn replay(
        &self,
        _topic: &str,
        _since_ms: i64,
        _limit: i64,
    ) -> Result<Vec<Stored>, Failure> {
        Err(Failure::Other(String::new()))
    }
    pub fn forget(&self) {}
    pub async fn policies(&self) -> Result<String, Failure> {
        Err(Failure::Other(String::new()))
    }
    pub async fn reachable(&self) -> bool {
        false
    }
}
