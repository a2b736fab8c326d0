//! The statements about users and identities. Every value is a bound parameter; every name is qualified or found in
//! `pg_catalog` first.

use std::sync::LazyLock;

use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Service;
use super::ask::Ask;
use super::error::Refusal;
use super::user::{COLUMNS, User};
use crate::gateway::caller::{Caller, Facts};
use crate::gateway::database::{Access, Error, Params, Transaction};

/// `pg_catalog` is searched before it whatever it says; functions of triggers find what Supabase Auth's would.
const PATH: &str = "auth";
/// The login and the role: whatever the token of the request says, its role is never taken here.
const ROLE: &str = "supabase_auth_admin";
/// Column `instance_id` as Supabase Auth fills and asks for it.
pub(super) const INSTANCE: Uuid = Uuid::nil();

impl Service {
    fn facts(ask: &Ask) -> Facts {
        Facts {
            method: ask.method().clone(),
            path: ask.uri().path().to_owned(),
            // Functions of triggers need not see tokens.
            headers_json: "{}".to_owned(),
            cookies_json: "{}".to_owned(),
        }
    }

    /// A transaction of the service itself.
    pub(super) async fn begin(&self, ask: &Ask) -> Result<Transaction, Error> {
        let (who, facts) = (Caller::service(ROLE), Self::facts(ask));
        let database = &self.gateway.auth_database;
        database.begin_in(PATH, &who, &facts, Access::Write).await
    }

    /// One statement of the service itself.
    pub(super) async fn once(
        &self,
        ask: &Ask,
        access: Access,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let (who, facts) = (Caller::service(ROLE), Self::facts(ask));
        let database = &self.gateway.auth_database;
        database.once(PATH, &who, &facts, access, sql, params).await
    }

    /// Who signs in with this address. It must be in small letters.
    pub(super) async fn user_by_email(
        &self,
        ask: &Ask,
        email: &str,
    ) -> Result<Option<User>, Refusal> {
        static SQL: LazyLock<String> = LazyLock::new(|| {
            format!(
                "select {COLUMNS} from auth.users u \
                 where u.email = $1 and u.aud = 'authenticated' and u.is_sso_user = false and u.deleted_at is null"
            )
        });
        one(self.once(ask, Access::Read, &SQL, &[&email]).await?)
    }

    /// A user by id, deleted or not.
    pub(super) async fn user_by_id(&self, ask: &Ask, id: Uuid) -> Result<Option<User>, Refusal> {
        one(self.once(ask, Access::Read, &BY_ID, &[&id]).await?)
    }
}

static BY_ID: LazyLock<String> =
    LazyLock::new(|| format!("select {COLUMNS} from auth.users u where u.id = $1"));

/// The user of the only row.
pub(super) fn one(rows: Vec<Row>) -> Result<Option<User>, Refusal> {
    let user = rows.first().map(User::of).transpose();
    Ok(user.map_err(Error::from)?)
}

/// A user who is about to be.
pub(super) struct NewUser<'a> {
    pub(super) id: Uuid,
    pub(super) aud: &'a str,
    pub(super) role: &'a str,
    /// Checked, in small letters.
    pub(super) email: Option<&'a str>,
    pub(super) password: &'a str,
    pub(super) app_metadata: Value,
    pub(super) user_metadata: &'a Map<String, Value>,
    pub(super) is_anonymous: bool,
}

/// A transaction that changes users.
pub(super) struct Users<'a>(pub(super) &'a Transaction);

impl Users<'_> {
    async fn run(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        self.0.query(sql, params).await.map(drop)
    }

    pub(super) async fn get(&self, id: Uuid) -> Result<Option<User>, Refusal> {
        one(self.0.query(&BY_ID, &[&id]).await?)
    }

    /// Whether the address is that of somebody else.
    pub(super) async fn is_taken(&self, email: &str, by_other_than: Uuid) -> Result<bool, Error> {
        let sql = "select from auth.users u where u.email = $1 and u.is_sso_user = false and u.id <> $2 \
                   union all \
                   select from auth.identities i where i.email = $1 and i.provider not like 'sso:%' \
                   and i.user_id <> $2 limit 1";
        let found = self.0.query(sql, &[&email, &by_other_than]).await?;
        Ok(!found.is_empty())
    }

    pub(super) async fn create(&self, user: &NewUser<'_>) -> Result<(), Error> {
        let sql = "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, raw_app_meta_data, \
                   raw_user_meta_data, is_anonymous, created_at, updated_at, confirmation_token, recovery_token, \
                   email_change_token_new, email_change) \
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now(), now(), '', '', '', '')";
        let user_metadata = Value::Object(user.user_metadata.clone());
        self.run(
            sql,
            &[
                &INSTANCE,
                &user.id,
                &user.aud,
                &user.role,
                &user.email,
                &user.password,
                &user.app_metadata,
                &user_metadata,
                &user.is_anonymous,
            ],
        )
        .await
    }

    /// Signing in with an address and a password, as an identity. One that is there gets the address.
    pub(super) async fn email_identity(
        &self,
        id: Uuid,
        data: &Map<String, Value>,
    ) -> Result<(), Error> {
        let sql = "insert into auth.identities \
                   (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at) \
                   values ($1, $2, $3, 'email', now(), now(), now()) \
                   on conflict on constraint identities_provider_id_provider_unique \
                   do update set identity_data = identities.identity_data || excluded.identity_data, updated_at = now()";
        let data = Value::Object(data.clone());
        self.run(sql, &[&id.to_string(), &id, &data]).await
    }

    /// Columns of one user; `set` is part of this program's text.
    pub(super) async fn set(
        &self,
        id: Uuid,
        set: &'static str,
        value: &(dyn ToSql + Sync),
    ) -> Result<(), Error> {
        let sql = format!("update auth.users set {set}, updated_at = now() where id = $1");
        self.run(&sql, &[&id, value]).await
    }

    /// The address counts as confirmed from now on.
    pub(super) async fn confirm(&self, id: Uuid) -> Result<(), Error> {
        let sql = "update auth.users set email_confirmed_at = now(), confirmation_token = '', updated_at = now(), \
                   raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{\"email_verified\": true}' \
                   where id = $1";
        self.run(sql, &[&id]).await
    }

    /// Another password; whoever is signed in as this user must sign in again, except in the session `but`. What was
    /// mailed for the old one is void.
    pub(super) async fn set_password(
        &self,
        id: Uuid,
        hash: Option<&str>,
        but: Option<Uuid>,
    ) -> Result<(), Error> {
        let set = "encrypted_password = $2, confirmation_token = '', confirmation_sent_at = null, \
                   recovery_token = '', recovery_sent_at = null, email_change_token_current = '', \
                   email_change_token_new = '', email_change_sent_at = null, phone_change_token = '', \
                   phone_change_sent_at = null, reauthentication_token = '', reauthentication_sent_at = null";
        self.set(id, set, &hash).await?;
        self.sign_out(id, None, but).await
    }

    /// Puts what is given over what is there; null takes away.
    pub(super) async fn merge_user_metadata(
        &self,
        id: Uuid,
        changes: &Map<String, Value>,
    ) -> Result<(), Error> {
        let sql = "update auth.users set updated_at = now(), \
                   raw_user_meta_data = (coalesce(raw_user_meta_data, '{}') || $2) - $3::text[] where id = $1";
        self.merge(sql, id, changes).await
    }

    /// The same with what users cannot change themselves.
    pub(super) async fn merge_app_metadata(
        &self,
        id: Uuid,
        changes: &Map<String, Value>,
    ) -> Result<(), Error> {
        let sql = "update auth.users set updated_at = now(), \
                   raw_app_meta_data = (coalesce(raw_app_meta_data, '{}') || $2) - $3::text[] where id = $1";
        self.merge(sql, id, changes).await
    }

    async fn merge(&self, sql: &str, id: Uuid, changes: &Map<String, Value>) -> Result<(), Error> {
        let gone = changes.iter().filter(|(_, value)| value.is_null());
        let gone: Vec<&str> = gone.map(|(name, _)| name.as_str()).collect();
        let changes = Value::Object(changes.clone());
        self.run(sql, &[&id, &changes, &gone]).await
    }

    /// Ends sessions with their refresh tokens: one, or all of a user except one.
    pub(super) async fn sign_out(
        &self,
        id: Uuid,
        only: Option<Uuid>,
        but: Option<Uuid>,
    ) -> Result<(), Error> {
        let sql = "delete from auth.sessions where user_id = $1 and ($2::uuid is null or id = $2) \
                   and ($3::uuid is null or id <> $3)";
        self.run(sql, &[&id, &only, &but]).await
    }

    pub(super) async fn delete(&self, id: Uuid) -> Result<(), Error> {
        self.run("delete from auth.users where id = $1", &[&id])
            .await
    }
}

/// Whether an address or an id is there already.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.code() == Some("23505")
}
