//! A user as the table has it, and as clients see it.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

/// What [`User::of`] reads, of a table called `u`.
pub(super) const COLUMNS: &str = "\
    u.id, u.aud::text, u.role::text, u.email::text, u.phone::text, u.encrypted_password::text as password, \
    u.email_change::text as new_email, u.phone_change::text as new_phone, \
    u.raw_app_meta_data as app_metadata, u.raw_user_meta_data as user_metadata, u.is_anonymous, u.is_sso_user, \
    u.email_confirmed_at, u.phone_confirmed_at, u.confirmed_at, u.invited_at, u.confirmation_sent_at, \
    u.recovery_sent_at, u.email_change_sent_at, u.phone_change_sent_at, u.reauthentication_sent_at, \
    u.last_sign_in_at, u.created_at, u.updated_at, u.banned_until, u.deleted_at, \
    (u.banned_until > now()) is true as is_banned, \
    (select coalesce(jsonb_agg(jsonb_build_object(\
        'identity_id', i.id, 'id', i.provider_id, 'user_id', i.user_id, 'identity_data', i.identity_data, \
        'provider', i.provider, 'email', i.email, 'last_sign_in_at', i.last_sign_in_at at time zone 'UTC', \
        'created_at', i.created_at at time zone 'UTC', 'updated_at', i.updated_at at time zone 'UTC') \
        order by i.created_at, i.id), '[]'::jsonb) \
     from auth.identities i where i.user_id = u.id) as identities";

/// Moments that are left out where they are not known.
const MOMENTS: [&str; 13] = [
    "email_confirmed_at",
    "phone_confirmed_at",
    "confirmed_at",
    "invited_at",
    "confirmation_sent_at",
    "recovery_sent_at",
    "email_change_sent_at",
    "phone_change_sent_at",
    "reauthentication_sent_at",
    "last_sign_in_at",
    "banned_until",
    "deleted_at",
    "updated_at",
];

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) aud: String,
    pub(super) role: String,
    pub(super) email: String,
    pub(super) phone: String,
    /// Its hash. None also where it is empty: a user who cannot sign in with one.
    pub(super) password: Option<String>,
    pub(super) app_metadata: Map<String, Value>,
    pub(super) user_metadata: Map<String, Value>,
    pub(super) is_anonymous: bool,
    pub(super) is_sso: bool,
    pub(super) is_banned: bool,
    pub(super) is_deleted: bool,
    pub(super) is_confirmed: bool,
    /// Everything that is only shown.
    shown: Map<String, Value>,
}

impl User {
    /// From a row with [`COLUMNS`].
    pub(super) fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let text = |name: &str| -> Result<String, tokio_postgres::Error> {
            Ok(row.try_get::<_, Option<String>>(name)?.unwrap_or_default())
        };
        let moment = |name: &str| row.try_get::<_, Option<DateTime<Utc>>>(name);
        let mut shown = Map::new();
        for name in MOMENTS {
            if let Some(at) = moment(name)? {
                shown.insert(name.to_owned(), written(at).into());
            }
        }
        let created = moment("created_at")?.unwrap_or_default();
        shown.insert("created_at".to_owned(), written(created).into());
        for name in ["new_email", "new_phone"] {
            let new = text(name)?;
            if !new.is_empty() {
                shown.insert(name.to_owned(), new.into());
            }
        }
        let identities = row.try_get::<_, Value>("identities")?;
        shown.insert("identities".to_owned(), identities_shown(identities));
        Ok(Self {
            id: row.try_get("id")?,
            aud: text("aud")?,
            role: text("role")?,
            email: text("email")?,
            phone: text("phone")?,
            password: Some(text("password")?).filter(|hash| !hash.is_empty()),
            app_metadata: object(row.try_get("app_metadata")?),
            user_metadata: object(row.try_get("user_metadata")?),
            is_anonymous: row.try_get("is_anonymous")?,
            is_sso: row.try_get("is_sso_user")?,
            is_banned: row.try_get("is_banned")?,
            is_deleted: moment("deleted_at")?.is_some(),
            is_confirmed: moment("email_confirmed_at")?.is_some(),
            shown,
        })
    }

    /// What clients see.
    pub(super) fn json(&self) -> Value {
        let mut all = self.shown.clone();
        let mut put = |name: &str, value: Value| {
            all.insert(name.to_owned(), value);
        };
        put("id", self.id.to_string().into());
        put("aud", self.aud.as_str().into());
        put("role", self.role.as_str().into());
        put("email", self.email.as_str().into());
        put("phone", self.phone.as_str().into());
        put("app_metadata", self.app_metadata.clone().into());
        put("user_metadata", self.user_metadata.clone().into());
        put("is_anonymous", self.is_anonymous.into());
        Value::Object(all)
    }
}

/// What somebody sees who signs up with an address that is taken, where addresses are not confirmed at once: as good as
/// a new user, so that nothing is said about who has an account. Only the identities are missing, as with Supabase Auth.
pub(super) fn pretended(email: &str, data: &Map<String, Value>) -> Value {
    let now = written(Utc::now());
    json!({
        "id": Uuid::new_v4().to_string(), "aud": "authenticated", "role": "", "email": email, "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]}, "user_metadata": data,
        "identities": [], "created_at": now, "updated_at": now, "is_anonymous": false,
    })
}

/// RFC 3339 in UTC; a fraction without zeros at its end, as Go writes it.
pub(super) fn written(at: DateTime<Utc>) -> String {
    trimmed(at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn trimmed(text: String) -> String {
    match text.strip_suffix('Z') {
        Some(text) if text.contains('.') => {
            let text = text.trim_end_matches('0').trim_end_matches('.');
            format!("{text}Z")
        }
        _ => text,
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Moments as everywhere, and without what is not known.
fn identities_shown(identities: Value) -> Value {
    let Value::Array(mut identities) = identities else {
        return Value::Array(Vec::new());
    };
    for identity in &mut identities {
        let Value::Object(identity) = identity else {
            continue;
        };
        identity.retain(|name, value| name == "identity_data" || !value.is_null());
        for name in ["last_sign_in_at", "created_at", "updated_at"] {
            if let Some(value) = identity.get_mut(name) {
                let at = value
                    .as_str()
                    .and_then(|text| text.parse::<NaiveDateTime>().ok());
                *value = at.map_or(Value::Null, |at| written(at.and_utc()).into());
            }
        }
    }
    Value::Array(identities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_go_writes_them() {
        for (text, written_text) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.100000Z", "2026-01-02T03:04:05.1Z"),
            ("2026-01-02T03:04:10.000001Z", "2026-01-02T03:04:10.000001Z"),
        ] {
            assert_eq!(written(text.parse().unwrap()), written_text);
        }
    }

    #[test]
    fn identities_keep_nulls_of_their_data_only() {
        let identities = json!([{
            "id": "x", "email": null, "last_sign_in_at": null, "identity_data": {"a": null},
            "created_at": "2026-01-02T03:04:05.5", "updated_at": "2026-01-02T03:04:05"
        }]);
        assert_eq!(
            identities_shown(identities),
            json!([{
                "id": "x", "identity_data": {"a": null},
                "created_at": "2026-01-02T03:04:05.5Z", "updated_at": "2026-01-02T03:04:05Z"
            }])
        );
        assert_eq!(identities_shown(Value::Null), json!([]));
    }
}
