//! The tables of `/auth/v1`: whose they are, who may see them, and databases that have them already.

use tokio_postgres::Client;

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::surface::Surface;
use crate::surface_auth_support::{PASSWORD, post, refusal, sign_up};

const TABLES: [&str; 5] = [
    "identities",
    "mfa_amr_claims",
    "refresh_tokens",
    "sessions",
    "users",
];

async fn column(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_tables_are_the_services_own_and_closed_to_the_api() {
    let surface = Surface::start().await;
    sign_up(&surface, "ann@example.com").await;
    let client = surface.database.connect().await;
    let tables = "select relname::text from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r' order by 1";
    assert_eq!(column(&client, tables).await, TABLES);
    let open = "select relname::text from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r' and not relrowsecurity";
    assert_eq!(column(&client, open).await, Vec::<String>::new());
    let rights = "select distinct grantee || ' ' || privilege_type from information_schema.table_privileges \
                  where table_schema = 'auth' and grantee <> 'postgres' and grantee <> 'dashboard_user' order by 1";
    assert_eq!(
        column(&client, rights).await,
        ["DELETE", "INSERT", "SELECT", "UPDATE"].map(|what| format!("supabase_auth_admin {what}"))
    );
    for role in ["anon", "authenticated", "service_role", "authenticator"] {
        for table in TABLES {
            let sql = format!("set role {role}; select * from auth.{table}");
            let refused = client.batch_execute(&sql).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{role} {table}");
            client.batch_execute("reset role").await.unwrap();
        }
    }
    let role = "select concat_ws(' ', rolcanlogin, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolbypassrls, \
                rolreplication, (select count(*) from pg_auth_members where member = pg_roles.oid)) \
                from pg_roles where rolname = 'supabase_auth_admin'";
    assert_eq!(column(&client, role).await, ["t f f f f f f 0"]);
    // Even with a right given by mistake the rows stay hidden.
    client
        .batch_execute("grant select on auth.users to anon; set role anon")
        .await
        .unwrap();
    assert!(
        column(&client, "select email::text from auth.users")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn the_login_of_the_service_can_change_rows_and_nothing_else() {
    let surface = Surface::start().await;
    sign_up(&surface, "ann@example.com").await;
    let client = surface.database.connect().await;
    client
        .batch_execute(
            "create table public.other (a int); set session authorization supabase_auth_admin",
        )
        .await
        .unwrap();
    for sql in [
        "drop table auth.users",
        "alter table auth.users disable row level security",
        "truncate auth.refresh_tokens",
        "create table auth.mine (a int)",
        "select * from public.other",
        "create role eve",
        "set role postgres",
        "set role service_role",
        "create trigger t before insert on auth.users for each row execute function now()",
    ] {
        let refused = client.batch_execute(sql).await;
        assert!(refused.is_err(), "{sql}");
    }
    assert_eq!(
        column(&client, "select email::text from auth.users").await,
        ["ann@example.com"]
    );
}

#[tokio::test]
async fn strings_that_supabase_auth_reads_are_never_null() {
    let surface = Surface::start().await;
    sign_up(&surface, "ann@example.com").await;
    assert_eq!(
        post(&surface, "/signup", &serde_json::json!({}))
            .await
            .status,
        200
    );
    let client = surface.database.connect().await;
    let empty = "select id::text from auth.users where confirmation_token <> '' or recovery_token <> '' \
                 or email_change_token_new <> '' or email_change <> '' or phone_change <> '' or phone_change_token <> '' \
                 or email_change_token_current <> '' or reauthentication_token <> ''";
    assert_eq!(column(&client, empty).await, Vec::<String>::new());
    let filled = "select count(*)::text from auth.users where confirmation_token is not null and recovery_token is not null \
                  and email_change_token_new is not null and email_change is not null and phone_change is not null \
                  and phone_change_token is not null and email_change_token_current is not null \
                  and reauthentication_token is not null and aud is not null and role is not null \
                  and encrypted_password is not null and created_at is not null and updated_at is not null \
                  and raw_app_meta_data is not null and raw_user_meta_data is not null \
                  and instance_id = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(column(&client, filled).await, ["2"]);
}

#[tokio::test]
async fn a_database_that_has_users_already_is_left_as_it_is() {
    let database = Cluster::shared().await.prepared().await;
    let client = database.connect().await;
    client
        .batch_execute(
            "create table auth.users (id uuid primary key, email text); \
             insert into auth.users values (gen_random_uuid(), 'ann@example.com')",
        )
        .await
        .unwrap();
    let surface = Surface::over(database, &[]).await;
    // What comes after the file has been done, so it was not tried again and again.
    let done = "select name::text from dovetail.migrations where name like 'embedded/%' order by 1";
    let client = &client;
    eventually("the migrations", || async {
        let done = column(client, done).await;
        (done.len() >= 2).then_some(())
    })
    .await;
    let columns = "select attname::text from pg_attribute where attrelid = 'auth.users'::regclass and attnum > 0 order by 1";
    assert_eq!(column(client, columns).await, ["email", "id"]);
    let tables = "select relname::text from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r'";
    assert_eq!(column(client, tables).await, ["users"]);
    let secured = "select relrowsecurity::text from pg_class where oid = 'auth.users'::regclass";
    assert_eq!(column(client, secured).await, ["false"]);
    // It is not a table of this layout: an error, and nothing is said about why.
    let body = serde_json::json!({"email": "bob@example.com", "password": PASSWORD});
    let answer = post(&surface, "/signup", &body).await;
    assert_eq!(refusal(&answer), (500, "unexpected_failure".into()));
}

/// The columns as Supabase Auth's own migrations leave them (2026), by kind of value, so that rows can be copied.
#[tokio::test]
async fn columns_have_the_names_types_and_order_of_supabase_auth() {
    let surface = Surface::start().await;
    let client = surface.database.connect().await;
    let sql = "select relname || ': ' || string_agg(attname || ' ' || replace(replace(replace(\
                 format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz'), \
                 'timestamp without time zone', 'timestamp'), 'character varying', 'varchar') \
                 || case when attnotnull then '!' else '' end, ', ' order by attnum) \
               from pg_attribute join pg_class c on c.oid = attrelid \
               where relnamespace = 'auth'::regnamespace and relkind = 'r' and attnum > 0 group by relname order by relname";
    let expected = [
        "identities: provider_id text!, user_id uuid!, identity_data jsonb!, provider text!, last_sign_in_at timestamptz, \
         created_at timestamptz, updated_at timestamptz, email text, id uuid!",
        "mfa_amr_claims: session_id uuid!, created_at timestamptz!, updated_at timestamptz!, authentication_method text!, \
         id uuid!",
        "refresh_tokens: instance_id uuid, id bigint!, token varchar(255), user_id varchar(255), revoked boolean, \
         created_at timestamptz, updated_at timestamptz, parent varchar(255), session_id uuid",
        "sessions: id uuid!, user_id uuid!, created_at timestamptz, updated_at timestamptz, factor_id uuid, \
         aal auth.aal_level, not_after timestamptz, refreshed_at timestamp, user_agent text, ip inet, tag text, \
         oauth_client_id uuid, refresh_token_hmac_key text, refresh_token_counter bigint, scopes text",
        "users: instance_id uuid, id uuid!, aud varchar(255), role varchar(255), email varchar(255), \
         encrypted_password varchar(255), email_confirmed_at timestamptz, invited_at timestamptz, \
         confirmation_token varchar(255), confirmation_sent_at timestamptz, recovery_token varchar(255), \
         recovery_sent_at timestamptz, email_change_token_new varchar(255), email_change varchar(255), \
         email_change_sent_at timestamptz, last_sign_in_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb, \
         is_super_admin boolean, created_at timestamptz, updated_at timestamptz, phone text, \
         phone_confirmed_at timestamptz, phone_change text, phone_change_token varchar(255), \
         phone_change_sent_at timestamptz, confirmed_at timestamptz, email_change_token_current varchar(255), \
         email_change_confirm_status smallint, banned_until timestamptz, reauthentication_token varchar(255), \
         reauthentication_sent_at timestamptz, is_sso_user boolean!, deleted_at timestamptz, is_anonymous boolean!",
    ];
    assert_eq!(column(&client, sql).await, expected);
    let generated = "select attrelid::regclass || '.' || attname from pg_attribute \
                     where attgenerated = 's' and attrelid in ('auth.users'::regclass, 'auth.identities'::regclass) order by 1";
    assert_eq!(
        column(&client, generated).await,
        ["auth.identities.email", "auth.users.confirmed_at"]
    );
}
