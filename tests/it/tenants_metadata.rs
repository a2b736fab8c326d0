//! The metadata database: rows and tables of the original, ours for the original, and the seed.

use serde_json::{Value, json};

use super::support::cluster::{Cluster, Database, PASSWORD};
use super::support::server::Server;
use super::support::token;
use super::tenants_support::{Ground, KEY, KEY_GCM, anon, data, database, secret_of};
use dovetail::tenants::crypt::Crypt;

/// The tables of an original of this version, as its migrations of that time left them.
const IN_2023: &str = "
    create schema _realtime;
    create table _realtime.tenants (
      id uuid primary key, name text, external_id text, jwt_secret text not null,
      max_concurrent_users integer not null default 200, inserted_at timestamp(0) not null,
      updated_at timestamp(0) not null, max_events_per_second integer not null default 100,
      postgres_cdc_default text default 'postgres_cdc_rls', max_bytes_per_second integer not null default 100000,
      max_channels_per_client integer not null default 100, max_joins_per_second integer not null default 500,
      suspend boolean default false);
    create unique index tenants_external_id_index on _realtime.tenants (external_id);
    create table _realtime.extensions (
      id uuid primary key, type text, settings jsonb, tenant_external_id text references _realtime.tenants (external_id)
      on delete cascade, inserted_at timestamp(0) not null, updated_at timestamp(0) not null);
    create unique index extensions_tenant_external_id_type_index on _realtime.extensions (tenant_external_id, type);
    create table _realtime.schema_migrations (version bigint primary key, inserted_at timestamp(0));
    insert into _realtime.schema_migrations (version, inserted_at) values
      (20210706140551, now()), (20230810220907, now()), (20230810220924, now()), (20231024094642, now());";

async fn insert_by_hand(
    metadata: &Database,
    name: &str,
    place: &Database,
    crypt: &Crypt,
    other: &Crypt,
) {
    let sql = metadata.connect().await;
    let secret = crypt.encrypt(&secret_of(name)).unwrap();
    sql.execute(
        "insert into _realtime.tenants (id, name, external_id, jwt_secret, inserted_at, updated_at)
         values (gen_random_uuid(), $1, $1, $2, now(), now())",
        &[&name, &secret],
    )
    .await
    .unwrap();
    // Half of the values with each cipher; the old type; nothing but what is required.
    let settings = json!({
        "db_host": crypt.encrypt("127.0.0.1").unwrap(), "db_port": other.encrypt(&place.port.to_string()).unwrap(),
        "db_name": crypt.encrypt(&place.name).unwrap(), "db_user": other.encrypt("postgres").unwrap(),
        "db_password": crypt.encrypt(PASSWORD).unwrap(), "region": "us-east-1", "ssl_enforced": false,
    });
    sql.execute(
        "insert into _realtime.extensions (id, type, settings, tenant_external_id, inserted_at, updated_at)
         values (gen_random_uuid(), 'postgres', $2, $1, now(), now())",
        &[&name, &settings],
    )
    .await
    .unwrap();
}

async fn versions(metadata: &Database) -> Vec<i64> {
    let sql = metadata.connect().await;
    let versions = "select version from _realtime.schema_migrations order by 1";
    let rows = sql.query(versions, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn rows_of_the_original_are_served_whichever_cipher_wrote_them() {
    let metadata = Cluster::shared().await.database().await;
    metadata
        .connect()
        .await
        .batch_execute(IN_2023)
        .await
        .unwrap();
    let legacy = Crypt::new(Some(KEY.as_bytes()), None, false).unwrap();
    let gcm = Crypt::new(None, Some(KEY_GCM.as_bytes()), true).unwrap();
    let place = database().await;
    insert_by_hand(&metadata, "old", &place, &legacy, &gcm).await;
    insert_by_hand(&metadata, "new", &place, &gcm, &legacy).await;
    let ground = Ground::on(metadata, &[("DB_ENC_KEY_GCM", KEY_GCM)]).await;
    let binding = json!({ "event": "INSERT", "schema": "public", "table": "t" });
    for name in ["old", "new"] {
        let client = ground.client(name, &anon(name)).await;
        client.listen("realtime:t", binding.clone()).await;
        let shown = data(
            &ground
                .api("GET", &format!("/api/tenants/{name}"), None)
                .await,
        );
        assert_eq!(shown["max_joins_per_second"], 500, "the column's default");
    }
    // The tables were brought forward, and the original would find nothing left to do.
    let versions = versions(&ground.metadata).await;
    assert_eq!(versions.len(), 33);
    assert_eq!(versions.last(), Some(&20_260_805_000_000));
    // Without the second key the first tenant's values cannot all be read, and nobody is let in.
    let ground = Ground::on(ground.metadata.clone(), &[]).await;
    let refused = ground.refused("old", &anon("old")).await;
    assert_eq!(
        refused,
        (500, json!({ "error": "Error connecting to Realtime" }))
    );
}

#[tokio::test]
async fn values_are_written_with_the_cipher_that_is_asked_for() {
    let place = database().await;
    for (settings, gcm) in [
        (vec![("DB_ENC_KEY_GCM", KEY_GCM)], false),
        (
            vec![("DB_ENC_KEY_GCM", KEY_GCM), ("DB_ENC_WRITE_GCM", "true")],
            true,
        ),
        (vec![("DB_ENC_WRITE_GCM", "true")], false),
    ] {
        let ground = Ground::with(&settings).await;
        ground.tenant("w", &place).await;
        let sql = ground.metadata.connect().await;
        let row = sql
            .query_one(
                "select jwt_secret, settings from _realtime.tenants, _realtime.extensions",
                &[],
            )
            .await
            .unwrap();
        let (secret, stored): (&str, Value) = (row.get(0), row.get(1));
        assert_eq!(secret.starts_with("g1:"), gcm);
        assert_eq!(
            stored["db_password"].as_str().unwrap().starts_with("g1:"),
            gcm
        );
        ground.client("w", &anon("w")).await.heartbeat().await;
    }
}

#[tokio::test]
async fn the_tables_are_made_once_and_as_the_original_would_have_them() {
    let ground = Ground::new().await;
    assert_eq!(versions(&ground.metadata).await.len(), 33);
    let sql = ground.metadata.connect().await;
    let columns = async || -> Vec<String> {
        let rows = sql
            .query(
                "select format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
                 from information_schema.columns where table_schema = '_realtime' order by 1",
                &[],
            )
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let made = columns().await;
    for expected in [
        "tenants.jwt_secret text YES ",
        "tenants.max_concurrent_users integer NO 200",
        "tenants.max_joins_per_second integer NO 500",
        "tenants.max_presence_events_per_second integer YES 1000",
        "tenants.presence_enabled boolean NO false",
        "tenants.feature_flags jsonb NO '{}'::jsonb",
        "extensions.settings jsonb YES ",
        "feature_flags.rollout_percentage integer NO 100",
    ] {
        assert!(
            made.iter().any(|column| column == expected),
            "{expected} in {made:#?}"
        );
    }
    // Another server at the same time, and a newer original: nothing changes.
    sql.batch_execute(
        "alter table _realtime.tenants add column newer int;
         insert into _realtime.schema_migrations values (20300101000000, now())",
    )
    .await
    .unwrap();
    let before = columns().await;
    drop(Ground::on(ground.metadata.clone(), &[]).await);
    assert_eq!(columns().await, before);
    assert_eq!(versions(&ground.metadata).await.len(), 34);
}

#[tokio::test]
async fn another_schema_may_hold_the_metadata() {
    let query = (
        "DB_AFTER_CONNECT_QUERY",
        "SET search_path TO \"Other Schema\"",
    );
    let ground = Ground::with(&[query]).await;
    ground.tenant("else", &database().await).await;
    let sql = ground.metadata.connect().await;
    let count: i64 = sql
        .query_one("select count(*) from \"Other Schema\".tenants", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn tables_from_before_august_2023_are_left_to_the_original() {
    let metadata = Cluster::shared().await.database().await;
    let sql = metadata.connect().await;
    sql.batch_execute(&IN_2023.replace(", (20230810220924, now())", ""))
        .await
        .unwrap();
    let settings = [("TENANTS", "database"), ("DB_ENC_KEY", KEY)];
    let server = Server::unready(&metadata, &settings);
    super::support::eventually("the reason in the log", || async {
        server
            .log()
            .contains("start the original server once")
            .then_some(())
    })
    .await;
    assert_eq!(server.get("/readyz").await.status, 503);
    assert_eq!(versions(&metadata).await.len(), 3);
}

#[tokio::test]
async fn the_tenant_of_the_environment_is_made_anew_at_each_start() {
    let metadata = database().await;
    let settings = [
        ("SEED_SELF_HOST", "true"),
        ("TENANT_MAX_JOINS_PER_SECOND", "321"),
        ("API_JWT_JWKS", r#"{"keys":[]}"#),
    ];
    let mut ground = Ground::on(metadata, &settings).await;
    let sql = ground.metadata.connect().await;
    sql.batch_execute("update _realtime.tenants set max_concurrent_users = 5, name = 'edited'")
        .await
        .unwrap();
    let before = data(&ground.api("GET", "/api/tenants/realtime-dev", None).await);
    assert_eq!(before["name"], "edited");
    ground.tenant("stays", &database().await).await;
    ground.server.restart().await;
    let seeded = data(&ground.api("GET", "/api/tenants/realtime-dev", None).await);
    assert_eq!(
        (&seeded["name"], &seeded["max_concurrent_users"]),
        (&json!("realtime-dev"), &json!(200))
    );
    assert_eq!(seeded["max_joins_per_second"], 321);
    assert_ne!(seeded["id"], before["id"]);
    let extension = &seeded["extensions"][0];
    assert_eq!(extension["type"], "postgres_cdc_rls");
    assert_eq!(extension["settings"]["ssl_enforced"], false);
    assert_eq!(extension["settings"]["region"], "us-east-1");
    assert_eq!(
        ground.api("GET", "/api/tenants/stays", None).await.status,
        200
    );
    let flag: bool = sql
        .query_one(
            "select enabled from _realtime.feature_flags where name = 'gcm_encryption_backfill'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert!(flag);
    // It is served with the environment's own secret.
    let client = ground.client("realtime-dev", &token::anon()).await;
    let binding = json!({ "event": "INSERT", "schema": "public", "table": "t" });
    client.listen("realtime:t", binding).await;
}
