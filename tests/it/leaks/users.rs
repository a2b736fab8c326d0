//! Who listens, and what SQL says as them.

use serde_json::{Value, json};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::token;

/// Somebody with a role and, perhaps, a name of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub name: &'static str,
    pub role: &'static str,
    pub sub: Option<&'static str>,
}

const fn user(name: &'static str, role: &'static str, sub: &'static str) -> User {
    User {
        name,
        role,
        sub: Some(sub),
    }
}

pub const ANON: User = User {
    name: "anon",
    role: "anon",
    sub: None,
};
pub const ANN: User = user(
    "ann",
    "authenticated",
    "00000000-0000-4000-8000-00000000000a",
);
pub const BOB: User = user(
    "bob",
    "authenticated",
    "00000000-0000-4000-8000-00000000000b",
);
pub const CID: User = user(
    "cid",
    "authenticated",
    "00000000-0000-4000-8000-00000000000c",
);
/// The one whose membership changes most.
pub const EVE: User = user(
    "eve",
    "authenticated",
    "00000000-0000-4000-8000-00000000000e",
);
/// A role that is none of Supabase's.
pub const DORA: User = user("dora", "auditor", "00000000-0000-4000-8000-00000000000d");
pub const SERVICE: User = User {
    name: "service",
    role: "service_role",
    sub: None,
};

/// Everybody.
pub const USERS: [User; 7] = [ANON, ANN, BOB, CID, EVE, DORA, SERVICE];

/// The role of [`DORA`], as a DBA would make it.
pub const AUDITOR: &str = "
    do $$ begin create role auditor nologin; exception when duplicate_object or unique_violation then null; end $$;
    grant usage on schema public, auth, realtime to auditor;
    grant select, insert on realtime.messages to auditor;";

impl User {
    pub fn claims(&self) -> Value {
        match self.sub {
            Some(sub) => json!({ "role": self.role, "sub": sub }),
            None => json!({ "role": self.role }),
        }
    }

    pub fn token(&self) -> String {
        token::mint(self.claims())
    }

    /// A token of the same rights that nobody has asked with before.
    pub fn fresh_token(&self, number: usize) -> String {
        let mut claims = self.claims();
        claims["jti"] = json!(number);
        token::mint(claims)
    }

    /// The statements that make a transaction this user's, as PostgREST and Realtime do.
    pub fn settings(&self, topic: &str) -> String {
        format!(
            "set local role {}; select set_config('request.jwt.claims', '{}', true),
             set_config('request.jwt.claim.sub', '{}', true), set_config('request.jwt.claim.role', '{}', true),
             set_config('request.headers', '{{}}', true), set_config('realtime.topic', '{}', true);",
            self.role,
            self.claims(),
            self.sub.unwrap_or_default(),
            self.role,
            topic.replace('\'', "''"),
        )
    }
}

/// Runs `query` as `user` inside the open transaction and leaves no trace. The last column of the first row as text;
/// `None` when there is no row, or an error.
pub async fn ask_as(sql: &Client, user: &User, topic: &str, query: &str) -> Option<String> {
    let settings = user.settings(topic);
    let text = format!("savepoint as_user; {settings} {query}");
    let answer = sql.simple_query(&text).await;
    sql.batch_execute("rollback to savepoint as_user; release savepoint as_user")
        .await
        .unwrap();
    let rows: Vec<_> = answer
        .ok()?
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect();
    // The first row is that of the settings.
    let row = rows.get(1)?;
    row.get(row.len() - 1).map(str::to_owned)
}
