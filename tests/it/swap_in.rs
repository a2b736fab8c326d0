//! The server in the place of the original: on the database the original left, with the environment of the stack's compose
//! file, behind the stack's gateway; and back again, with everything as it was (postgres.md 1.12, 1.13, 6; G-243 to G-260).

use std::process::Stdio;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::process::Command;
use tokio_postgres::Client;

use crate::clients;
use crate::sql_fixture::fingerprint;
use crate::support::catalog::{Catalog, catalog, differences};
use crate::support::cluster::{Cluster, Database};
use crate::support::gateway::Gateway;
use crate::support::server::Server;
use crate::support::token::{now, sign};
use crate::support::{eventually, free_port};

const ORIGINAL: &str = include_str!("fixtures/original_2_129.sql");
/// The secret of the stack's example environment; the fixture's tenant has it too.
const SECRET: &str = "your-super-secret-jwt-token-with-at-least-32-characters-long";
/// Of `supabase_admin`: nothing in it may be decoded, quoted or cut (G-247).
const DB_PASSWORD: &str = "p@ss:w/rd #1 %41 $HOME 'x' \"y\"";

/// A Postgres that the original has served.
async fn left_by_the_original() -> (Cluster, Database, Client) {
    let cluster = Cluster::start().await;
    let database = cluster.database_named("postgres");
    let sql = database.connect().await;
    sql.batch_execute(ORIGINAL).await.expect("the fixture");
    let password = DB_PASSWORD.replace('\'', "''");
    sql.batch_execute(&format!("alter role supabase_admin password '{password}'"))
        .await
        .expect("a password");
    (cluster, database, sql)
}

/// The environment of the service `realtime`, in the variants of the official compose files and of the Supabase CLI. What
/// compose fills in from the stack's own settings is filled in; the image itself adds an empty SLOT_NAME_SUFFIX.
fn environment(
    variant: Variant,
    port: &str,
    database_port: &str,
    jwks: &str,
) -> Vec<(String, String)> {
    let mut set = vec![
        ("PORT", port),
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", database_port),
        ("DB_USER", "supabase_admin"),
        ("DB_PASSWORD", DB_PASSWORD),
        ("DB_NAME", "postgres"),
        ("DB_AFTER_CONNECT_QUERY", "SET search_path TO _realtime"),
        ("DB_ENC_KEY", "supabaserealtime"),
        ("API_JWT_SECRET", SECRET),
        (
            "SECRET_KEY_BASE",
            "UpNVntn3cDxHJpq99YMc1T1AQgQpc8kfYTuRgBiYa15BLrx8etQoXz3gZv1/u2oq",
        ),
        ("DNS_NODES", "''"),
        ("APP_NAME", "realtime"),
        ("SEED_SELF_HOST", "true"),
        ("RUN_JANITOR", "true"),
        ("SLOT_NAME_SUFFIX", ""),
        ("DOVETAIL_IN_CONTAINER", "1"),
    ];
    set.extend(match variant {
        Variant::Old => vec![
            ("ERL_AFLAGS", "-proto_dist inet_tcp"),
            ("RLIMIT_NOFILE", "10000"),
        ],
        Variant::New => vec![
            ("ERL_AFLAGS", "-proto_dist inet_tcp"),
            ("RLIMIT_NOFILE", "10000"),
            ("API_JWT_JWKS", jwks),
            ("METRICS_JWT_SECRET", SECRET),
            ("DISABLE_HEALTHCHECK_LOGGING", "true"),
        ],
        Variant::Cli => vec![
            ("ERL_AFLAGS", "-proto_dist inet6_tcp"),
            ("RLIMIT_NOFILE", ""),
            ("API_JWT_JWKS", jwks),
            ("METRICS_JWT_SECRET", SECRET),
            ("MAX_HEADER_LENGTH", "4096"),
        ],
    });
    set.into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Variant {
    /// Before the JWKS came.
    Old,
    New,
    Cli,
}

/// Starts it without arguments; not ready yet.
fn start(variant: Variant, database: &Database, jwks: &str, more: &[(&str, &str)]) -> Server {
    let (port, database_port) = (free_port().to_string(), database.port.to_string());
    let environment = environment(variant, &port, &database_port, jwks);
    let mut list: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    list.extend(more);
    Server::exact(&list)
}

fn token(role: &str) -> String {
    let claims = json!({ "role": role, "iss": "supabase", "exp": now() + 3600 });
    sign(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        &claims.to_string(),
        SECRET,
    )
}

/// Status of a shell command, as the container engine runs health checks.
async fn shell(command: &str) -> bool {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    shell.status().await.expect("a shell").success()
}

/// The health check of the compose file and that of the CLI, word for word but for the port.
fn health_checks(port: u16, key: &str) -> [String; 2] {
    [
        format!(
            "curl -sSfL --head -o /dev/null -H \"Authorization: Bearer {key}\" http://localhost:{port}/api/tenants/realtime-dev/health"
        ),
        format!(
            "curl -sSfL --head -o /dev/null -H Host:realtime-dev http://127.0.0.1:{port}/api/ping"
        ),
    ]
}

/// Differences that are ours to make: what lives in our own schema, our event triggers, and partitions of days.
fn foreign(before: &Catalog, after: &Catalog) -> Vec<String> {
    let day = |name: &str| {
        let digits: Vec<u8> = name.bytes().take(10).collect();
        digits.len() == 10
            && digits.iter().enumerate().all(|(at, byte)| match at {
                4 | 7 => *byte == b'_',
                _ => byte.is_ascii_digit(),
            })
    };
    let ours = |line: &str| {
        let Some(added) = line.strip_prefix("+ ") else {
            return false;
        };
        added == "schema dovetail"
            || added.starts_with("event trigger dovetail_")
            || added
                .split_once(' ')
                .is_some_and(|(_, name)| name.starts_with("dovetail."))
            || added.ends_with(" on dovetail.migrations")
            || added
                .find("realtime.messages_")
                .is_some_and(|at| day(&added[at + "realtime.messages_".len()..]))
    };
    let list = differences(before, after);
    list.into_iter().filter(|line| !ours(line)).collect()
}

async fn no_slots(sql: &Client) {
    eventually("no replication slot is left", || async {
        let row = sql
            .query_one("select count(*) from pg_replication_slots", &[])
            .await
            .expect("the slots");
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

/// Runs the clients of `tests/js/<file>` against a gateway.
async fn through_the_gateway(
    file: &str,
    gateway: &Gateway,
    database: &Database,
    key: Option<&str>,
    first_id: &str,
) {
    clients::node_modules().await;
    let mut node = Command::new("node");
    node.args(clients::ARGUMENTS)
        .arg(file)
        .current_dir(clients::folder("js"))
        .env("DOVETAIL_URL", gateway.url())
        .env("JWT_SECRET", SECRET)
        .env("DATABASE_URL", database.url())
        .env("FIRST_ID", first_id);
    if let Some(key) = key {
        node.env("CLIENT_KEY", key);
    }
    let said = clients::run(file, &mut node).await;
    assert!(!said.contains("tests 0\n"), "{file} has no tests:\n{said}");
}

/// An asymmetric key of the stack: its public half as a JWK set, and a token of role anon that a gateway puts in the place
/// of an opaque key.
fn asymmetric() -> (String, String) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair");
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "stack",
                      "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(json!({ "alg": "ES256", "typ": "JWT", "kid": "stack" })),
        part(json!({ "role": "anon", "iss": "supabase", "exp": now() + 3600 }))
    );
    let signature = pair
        .sign(&SystemRandom::new(), signed.as_bytes())
        .expect("a signature");
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
    (json!({ "keys": [jwk] }).to_string(), token)
}

#[tokio::test]
async fn swap_in_and_back() {
    let (_cluster, database, sql) = left_by_the_original().await;
    let before = catalog(&sql).await;
    let (jwks, es256) = asymmetric();
    let opaque = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH";
    for (variant, first_id) in [
        (Variant::Old, "0"),
        (Variant::New, "1000"),
        (Variant::Cli, "2000"),
    ] {
        let mut server = start(variant, &database, &jwks, &[]);
        let [compose, cli] = health_checks(server.port(), &token("anon"));
        eventually("the health check of the compose file succeeds", || async {
            shell(&compose).await.then_some(())
        })
        .await;
        assert!(shell(&cli).await, "the CLI's health check");
        let [forged, _] = health_checks(server.port(), &format!("{}x", token("anon")));
        assert!(!shell(&forged).await, "a bad token is not healthy (G-250)");
        let [unknown, _] = health_checks(server.port(), &token("anon"));
        assert!(!shell(&unknown.replace("realtime-dev/", "other/")).await);
        server.ready().await;

        let key = (variant == Variant::New).then_some(opaque);
        let (es256, asked) = (es256.clone(), opaque);
        let gateway = Gateway::start(server.port(), move |key| match key == asked {
            true => es256.clone(),
            false => key.to_owned(),
        })
        .await;
        through_the_gateway("swap_in.test.mjs", &gateway, &database, key, first_id).await;

        let status = server.end(rustix::process::Signal::TERM).await;
        assert!(status.success(), "{variant:?}: {status}\n{}", server.log());
        no_slots(&sql).await;
        let found = foreign(&before, &catalog(&sql).await);
        assert!(found.is_empty(), "{variant:?} left behind: {found:#?}");
        let log = server.log();
        let refusal = "join refused code=\"Unauthorized\"";
        let error = |line: &&str| line.contains("[error]") && !line.contains(refusal);
        assert_eq!(log.lines().find(error), None, "{variant:?}:\n{log}");
    }

    // Partitions are as the original makes them.
    let after = catalog(&sql).await;
    let made: Vec<&String> = after
        .iter()
        .filter(|(name, _)| {
            name.starts_with("relation realtime.messages_20") && !before.contains_key(*name)
        })
        .filter(|(_, text)| text.contains("kind r"))
        .map(|(_, text)| text)
        .collect();
    assert!(made.len() >= 2, "the days ahead");
    for text in made {
        assert!(
            text.contains("owner supabase_realtime_admin") && text.contains("rls f/f"),
            "{text}"
        );
    }

    // A start on what we left changes nothing at all, not even a version of a row of the catalog (G-066).
    let strict = fingerprint(&sql).await;
    let mut server = start(Variant::New, &database, &jwks, &[]);
    server.ready().await;
    server.end(rustix::process::Signal::TERM).await;
    assert!(
        strict == fingerprint(&sql).await,
        "a second start changed the catalog"
    );

    no_slots(&sql).await;
    the_original_starts(&sql).await;

    // And what is ours can be taken away.
    let removed = Command::new(env!("CARGO_BIN_EXE_dovetail"))
        .args(["migrate", "--remove"])
        .env("DATABASE_URL", database.url())
        .output()
        .await
        .expect("the program");
    assert!(removed.status.success(), "{removed:?}");
    let left: Vec<String> = catalog(&sql)
        .await
        .into_keys()
        .filter(|name| name.contains("dovetail"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let found = foreign(&before, &catalog(&sql).await);
    // The original's seed has written its rows anew.
    let found: Vec<&String> = found
        .iter()
        .filter(|line| !line.contains("row of _realtime."))
        .collect();
    assert!(found.is_empty(), "removing took more than ours: {found:#?}");
}

/// What the original does to the database when it starts again, as its login (postgres.md 1.7, 1.8, 1.13, 6.5). Our event
/// triggers are still there and must not be in its way.
async fn the_original_starts(sql: &Client) {
    sql.batch_execute("set session authorization supabase_admin")
        .await
        .expect("its login");
    let count = "select count(*) from realtime.schema_migrations";
    assert_eq!(
        sql.query_one(count, &[]).await.unwrap().get::<_, i64>(0),
        81
    );
    sql.batch_execute(
        "begin;
         create temporary table kept on commit drop as select * from _realtime.extensions;
         create temporary table kept_tenant on commit drop as select * from _realtime.tenants;
         delete from _realtime.tenants where external_id = 'realtime-dev';
         insert into _realtime.tenants select * from kept_tenant;
         insert into _realtime.extensions select * from kept;
         commit;
         begin;
         create table if not exists realtime.messages_2020_01_01 partition of realtime.messages
           for values from ('2020-01-01') to ('2020-01-02');
         alter table realtime.messages_2020_01_01 owner to supabase_realtime_admin;
         drop table realtime.messages_2020_01_01;
         delete from realtime.subscription where id < 0;
         -- A migration of a future version.
         alter table realtime.messages add column future int;
         alter table realtime.messages drop column future;
         rollback",
    )
    .await
    .expect("its start");
    let names = "select string_agg(c.relname, ',' order by c.relname) from pg_inherits i join pg_class c on c.oid = i.inhrelid
                 where i.inhparent = 'realtime.messages'::regclass and c.relname !~ '^messages_\\d{4}_\\d{2}_\\d{2}$'";
    let odd: Option<String> = sql.query_one(names, &[]).await.unwrap().get(0);
    assert_eq!(
        odd, None,
        "its janitor fails over a partition of another name"
    );
    let tables = "select string_agg(schemaname || '.' || tablename, ',') from pg_publication_tables
                  where pubname = 'supabase_realtime_messages_publication' and tablename !~ '^messages_\\d'";
    let foreign: Option<String> = sql.query_one(tables, &[]).await.unwrap().get(0);
    assert_eq!(foreign, None, "it would make the publication again");
    for slot in [
        "supabase_realtime_replication_slot_",
        "supabase_realtime_messages_replication_slot_",
    ] {
        // Temporary, so that they end with the session.
        let made = "select pg_create_logical_replication_slot($1, 'pgoutput', true) is not null";
        assert!(
            sql.query_one(made, &[&slot])
                .await
                .expect(slot)
                .get::<_, bool>(0)
        );
        sql.query_one("select pg_drop_replication_slot($1)::text", &[&slot])
            .await
            .expect(slot);
    }
    sql.batch_execute("reset session authorization")
        .await
        .expect("back");
}

#[tokio::test]
async fn g067_two_first_starts_at_once_do_not_fail_and_leave_what_one_leaves() {
    let (_cluster, database, sql) = left_by_the_original().await;
    let before = catalog(&sql).await;
    let mut servers = [
        start(
            Variant::New,
            &database,
            "{\"keys\":[]}",
            &[("SLOT_NAME_SUFFIX", "a")],
        ),
        start(
            Variant::New,
            &database,
            "{\"keys\":[]}",
            &[("SLOT_NAME_SUFFIX", "b")],
        ),
    ];
    for server in &mut servers {
        server.ready().await;
    }
    for server in &mut servers {
        let log = server.log();
        assert!(!log.contains("[error]"), "{log}");
        assert!(server.end(rustix::process::Signal::TERM).await.success());
    }
    no_slots(&sql).await;
    let found = foreign(&before, &catalog(&sql).await);
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn g252_the_clis_one_shot_leaves_what_a_start_leaves() {
    let (_cluster, database, sql) = left_by_the_original().await;
    let before = catalog(&sql).await;
    let list = environment(Variant::Cli, "0", &database.port.to_string(), "");
    let shot = Command::new(env!("CARGO_BIN_EXE_dovetail"))
        .args([
            "/app/bin/realtime",
            "eval",
            "{:ok, _} = Application.ensure_all_started(:realtime)",
        ])
        .env_clear()
        .envs(list)
        .output()
        .await
        .expect("the program");
    assert!(shot.status.success(), "{shot:?}");
    let found = foreign(&before, &catalog(&sql).await);
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn g254_a_database_without_metadata_is_served() {
    let (_cluster, database, sql) = left_by_the_original().await;
    sql.batch_execute("drop schema _realtime cascade")
        .await
        .unwrap();
    let mut server = start(Variant::Old, &database, "", &[]);
    server.ready().await;
    let [compose, _] = health_checks(server.port(), &token("anon"));
    assert!(shell(&compose).await);
}
