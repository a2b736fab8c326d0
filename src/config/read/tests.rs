use std::collections::HashMap;

use serde_json::json;

use super::super::reader::Reader;
use super::super::{Group, IpVersion, SETTINGS, env_example};
use super::*;
use crate::auth::mint;
use crate::postgres::TlsMode;

const SECRET: &str = "a-secret-of-more-than-thirty-two-bytes";

/// Settings for a server that starts, changed by `changes`.
fn read_with(purpose: Purpose, changes: &[(&str, &str)]) -> Result<Config, Problems> {
    let mut variables: HashMap<&str, &str> = HashMap::new();
    if purpose == Purpose::Serve {
        variables.insert("DB_HOST", "db");
        variables.insert("API_JWT_SECRET", SECRET);
    }
    variables.extend(changes.iter().copied());
    let lookup = |name: &str| Ok(variables.get(name).map(|value| (*value).to_owned()));
    Config::read(&lookup, purpose, 1000)
}

fn serve(changes: &[(&str, &str)]) -> Config {
    read_with(Purpose::Serve, changes).unwrap()
}

/// The names of the wrong settings and what is wrong with them.
fn wrong(changes: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let problems = read_with(Purpose::Serve, changes).unwrap_err();
    problems.0.into_iter().map(|p| (p.name, p.what)).collect()
}

fn key(secret: &str, claims: serde_json::Value) -> String {
    mint(secret.as_bytes(), claims.as_object().unwrap().clone())
}

#[test]
fn push_messages_need_a_key_and_somebody_to_ask() {
    const KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    let config = serve(&[]);
    assert!(config.chat.enabled.is_none() && config.chat.vapid_private_key.is_none());
    assert!(!config.chat.push_private_endpoints);
    assert!(crate::chat::push::vapid_public_key(&config.chat).is_none());
    let config = serve(&[
        ("VAPID_PRIVATE_KEY", KEY),
        ("VAPID_SUBJECT", "mailto:ann@example.com"),
    ]);
    let public = crate::chat::push::vapid_public_key(&config.chat);
    // The pair of RFC 8291, appendix A.
    assert_eq!(
        public.as_deref(),
        Some(
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
        )
    );
    let problems = wrong(&[("VAPID_PRIVATE_KEY", KEY)]);
    assert_eq!(
        problems.first().map(|problem| problem.0),
        Some("VAPID_SUBJECT")
    );
    let problems = wrong(&[
        ("VAPID_PRIVATE_KEY", "secret-but-short"),
        ("VAPID_SUBJECT", "ann@example.com"),
    ]);
    let names: Vec<&str> = problems.iter().map(|problem| problem.0).collect();
    assert_eq!(names, ["VAPID_PRIVATE_KEY", "VAPID_SUBJECT"]);
    assert!(!problems.iter().any(|problem| problem.1.contains("short")));
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = read_with(Purpose::Any, &[]).unwrap();
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["[::]:4000", "0.0.0.0:4000"]);
    assert!(config.database.is_none());
    assert_eq!(config.tenant, "realtime-dev");
    assert!(!config.tenant_from_host);
    assert_eq!(
        config.limits,
        Limits {
            max_concurrent_users: 0,
            max_channels_per_client: 1000,
            max_joins_per_second: 0,
            max_events_per_second: 0,
            max_bytes_per_second: 100_000,
            max_presence_events_per_second: 0,
            max_payload_size_in_kb: 3000,
            client_presence_max_calls: 5,
            client_presence_window: Duration::from_secs(30),
            presence_excess: PresenceExcess::Coalesce,
        }
    );
    assert_eq!(config.connect_error_backoff, Duration::from_secs(2));
    assert_eq!(config.channel_error_backoff, Duration::from_secs(5));
    assert_eq!(config.presence_leave_grace, Duration::from_secs(5));
    assert_eq!(config.deletes, Deletes::Keys);
    assert_eq!(config.old_record, OldRecord::Proven);
    assert_eq!(config.max_record_bytes, 1_048_576);
    assert_eq!(config.outbox_max_bytes, 8 << 20);
    assert_eq!(
        config.replication_slot(),
        "supabase_realtime_replication_slot"
    );
    assert!(!config.slot_durable);
    assert!(config.janitor.run);
    assert_eq!(config.log_level, LevelFilter::INFO);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(config.metrics_keys().is_closed());
}

#[test]
fn the_table_lists_exactly_what_is_read() {
    let lookup = |_: &str| Ok(None);
    let mut reader = Reader::new(&lookup);
    read(&mut reader, Purpose::Any, 0);
    let mut asked: Vec<&str> = Vec::new();
    for name in &reader.asked {
        if !asked.contains(name) {
            asked.push(name);
        }
    }
    let listed: Vec<&str> = SETTINGS
        .iter()
        .filter(|setting| setting.group != Group::Development)
        .map(|setting| setting.name)
        .collect();
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(asked), sorted(listed));
}

#[test]
fn the_example_file_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
    let file = std::fs::read_to_string(path).unwrap();
    assert!(
        file == env_example(),
        "write it anew: cargo run -- settings > .env.example"
    );
}

/// postgres.md §6.2: the variables of the compose file, word for word (G-244, G-245).
#[test]
fn the_environment_of_the_compose_file_is_enough() {
    let config = read_with(
        Purpose::Serve,
        &[
            ("PORT", "4000"),
            ("DB_HOST", "db"),
            ("DB_PORT", "5432"),
            ("DB_USER", "supabase_admin"),
            ("DB_PASSWORD", "p%40ss:w/o@rd \"'"),
            ("DB_NAME", "postgres"),
            ("DB_AFTER_CONNECT_QUERY", "SET search_path TO _realtime"),
            ("DB_ENC_KEY", "supabaserealtime"),
            ("API_JWT_SECRET", SECRET),
            ("API_JWT_JWKS", "{\"keys\":[]}"),
            ("SECRET_KEY_BASE", "x"),
            ("METRICS_JWT_SECRET", SECRET),
            ("ERL_AFLAGS", "-proto_dist inet_tcp"),
            ("DNS_NODES", "''"),
            ("RLIMIT_NOFILE", ""),
            ("SLOT_NAME_SUFFIX", ""),
            ("APP_NAME", "realtime"),
            ("SEED_SELF_HOST", "true"),
            ("RUN_JANITOR", "true"),
            ("DISABLE_HEALTHCHECK_LOGGING", "true"),
        ],
    )
    .unwrap();
    let database = config.database.as_ref().unwrap();
    assert_eq!(database.host, "db");
    assert_eq!(database.user, "supabase_admin");
    assert_eq!(database.password.as_deref(), Some("p%40ss:w/o@rd \"'"));
    assert_eq!(config.rlimit_nofile, None);
    assert_eq!(
        config.replication_slot(),
        "supabase_realtime_replication_slot_"
    );
    let token = key(SECRET, json!({}));
    assert_eq!(config.api_keys().verify(&token, 0), Ok(()));
    assert_eq!(config.metrics_keys().verify(&token, 0), Ok(()));
}

#[test]
fn booleans_are_lenient() {
    for (text, value) in [
        ("True", true),
        (" TRUE ", true),
        ("1", true),
        ("yes", true),
        ("On", true),
        ("FALSE", false),
        ("0", false),
        ("no", false),
        ("off", false),
        ("", false),
        ("  ", false),
    ] {
        assert_eq!(
            serve(&[("SLOT_DURABLE", text)]).slot_durable,
            value,
            "{text:?}"
        );
    }
    assert!(serve(&[("RUN_JANITOR", "")]).janitor.run);
}

#[test]
fn every_wrong_setting_is_listed_at_once_with_its_fix() {
    let problems = read_with(
        Purpose::Serve,
        &[
            ("PORT", "65536"),
            ("SLOT_DURABLE", "maybe"),
            ("API_JWT_JWKS", "{"),
            ("DELETES", "all"),
            ("SLOT_NAME_SUFFIX", "Blue-Green"),
            ("HOST", "example.com"),
            ("JWT_CLAIM_VALIDATORS", "[]"),
            ("IDLE_TIMEOUT_MS", "1m"),
        ],
    )
    .unwrap_err();
    let text = problems.to_string();
    assert!(text.starts_with("8 settings are wrong:\n"), "{text}");
    for line in [
        "  PORT is \"65536\", not a whole number from 0 to 65535\n    fix: write a whole number from 0 to 65535, or leave it out for 4000",
        "  HOST is \"example.com\", not an IP address",
        "  SLOT_DURABLE is \"maybe\", not true or false",
        "  API_JWT_JWKS is not valid JSON (line 1, column 1)",
        "  DELETES is \"all\", not keys or authorised\n",
        "  SLOT_NAME_SUFFIX is \"Blue-Green\", which Postgres does not take",
        "  JWT_CLAIM_VALIDATORS is not a JSON object",
        "  IDLE_TIMEOUT_MS is \"1m\", not a whole number from 1000",
    ] {
        assert!(text.contains(line), "{line}\nnot in\n{text}");
    }
}

#[test]
fn secrets_are_never_printed() {
    let hush = "hush-hush";
    let problems = read_with(
        Purpose::Serve,
        &[
            ("DATABASE_URL", "mysql://u:hush-hush@h/d"),
            ("API_JWT_JWKS", "\"hush-hush\""),
            ("ANON_KEY", "hush-hush"),
        ],
    )
    .unwrap_err();
    assert_eq!(problems.0.len(), 3, "{problems}");
    assert!(!problems.to_string().contains(hush), "{problems}");
    let config = serve(&[("API_JWT_SECRET", hush), ("DB_PASSWORD", hush)]);
    assert!(!format!("{config:?}").contains(hush));
    assert!(!format!("{:?}", config.api_jwt_secret).contains(hush));
    assert!(!config.warnings.join("").contains(hush));
}

#[test]
fn the_database_comes_from_the_url_or_from_its_parts() {
    for (changes, host, dbname, tls) in [
        (vec![("DB_HOST", "h")], "h", "postgres", TlsMode::Prefer),
        (vec![("DB_SSL", "true")], "db", "postgres", TlsMode::Require),
        (
            vec![("DB_SSL", "False")],
            "db",
            "postgres",
            TlsMode::Disable,
        ),
        (
            vec![("DB_SSL", "verify-ca")],
            "db",
            "postgres",
            TlsMode::VerifyCa,
        ),
        (
            vec![("DB_SSL", "1"), ("DB_SSL_CA_CERT", "/ca.pem")],
            "db",
            "postgres",
            TlsMode::VerifyFull,
        ),
        (
            vec![("DATABASE_URL", "postgres://u@url:1/d")],
            "url",
            "d",
            TlsMode::Prefer,
        ),
        (
            vec![
                ("DATABASE_URL", "postgres://u@url/d?sslmode=disable"),
                ("DB_SSL", "true"),
            ],
            "url",
            "d",
            TlsMode::Disable,
        ),
    ] {
        let database = serve(&changes).database.unwrap();
        assert_eq!(database.host, host, "{changes:?}");
        assert_eq!(database.dbname, dbname, "{changes:?}");
        assert_eq!(database.tls, tls, "{changes:?}");
    }
    let both = serve(&[("DATABASE_URL", "postgres://u@url/d"), ("DB_PORT", "1")]);
    assert_eq!(
        both.warnings,
        ["DB_HOST, DB_PORT ignored because DATABASE_URL is set"]
    );
}

#[test]
fn serving_needs_a_database_and_keys_and_nothing_else() {
    let none = wrong(&[("DB_HOST", ""), ("API_JWT_SECRET", "")]);
    assert_eq!(none.len(), 2, "{none:?}");
    assert_eq!((none[0].0, none[1].0), ("DATABASE_URL", "API_JWT_SECRET"));
    let empty_set = wrong(&[("API_JWT_SECRET", ""), ("API_JWT_JWKS", "[]")]);
    assert_eq!(empty_set[0].0, "API_JWT_SECRET");
    // A key set alone is enough (P-243).
    serve(&[
        ("API_JWT_SECRET", ""),
        ("API_JWT_JWKS", r#"{"kty":"oct","kid":"a","k":"AQ"}"#),
    ]);
    let migrate = read_with(Purpose::Database, &[]).unwrap_err();
    assert_eq!(migrate.0.len(), 1);
    assert!(read_with(Purpose::Database, &[("DB_PASSWORD", "x")]).is_ok());
}

#[test]
fn keys_that_do_not_fit_the_secret_stop_the_start_and_say_why() {
    let anon = json!({"role": "anon", "exp": 2000});
    serve(&[
        ("ANON_KEY", &key(SECRET, anon.clone())),
        ("SERVICE_KEY", "sb_secret_opaque"),
    ]);
    let quoted = format!("\"{SECRET}\"");
    let encoded = base64_of(SECRET);
    for (key, secret, what) in [
        (
            key("other", anon.clone()),
            SECRET,
            "is signed with another secret than API_JWT_SECRET",
        ),
        (
            key(SECRET, anon.clone()),
            quoted.as_str(),
            "is signed with API_JWT_SECRET without the quotes around it",
        ),
        (
            key(SECRET, anon.clone()),
            encoded.as_str(),
            "is signed with API_JWT_SECRET decoded from base64",
        ),
        (
            key(SECRET, json!({"role": "service_role", "exp": 2000})),
            SECRET,
            "has the role service_role, not anon",
        ),
        (
            key(SECRET, json!({"role": "anon", "exp": 900})),
            SECRET,
            "expired 100 seconds ago",
        ),
        (
            key(SECRET, json!({"role": "anon"})),
            SECRET,
            "lacks the claim role or exp",
        ),
        ("not-a-key".to_owned(), SECRET, "is not a JWT"),
    ] {
        let problems = wrong(&[("ANON_KEY", &key), ("API_JWT_SECRET", secret)]);
        assert_eq!(problems, [("ANON_KEY", what.to_owned())]);
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[test]
fn a_suffix_that_is_set_but_empty_leaves_its_underscore() {
    let base = "supabase_realtime_replication_slot";
    for (suffix, slot) in [("", format!("{base}_")), ("v2", format!("{base}_v2"))] {
        let config = serve(&[("SLOT_NAME_SUFFIX", suffix)]);
        assert_eq!(config.replication_slot(), slot);
    }
    assert_eq!(serve(&[]).replication_slot(), base);
    let long = "x".repeat(29);
    assert_eq!(
        wrong(&[("SLOT_NAME_SUFFIX", &long)])[0].0,
        "SLOT_NAME_SUFFIX"
    );
}

#[test]
fn listening_follows_host_and_family() {
    for (changes, listen) in [
        (
            vec![("HOST", "127.0.0.1"), ("PORT", "1")],
            vec!["127.0.0.1:1"],
        ),
        (vec![("HOST", "localhost")], vec!["127.0.0.1:4000"]),
        (vec![("HOST", "[::1]")], vec!["[::1]:4000"]),
        (vec![("REALTIME_IP_VERSION", "IPv4")], vec!["0.0.0.0:4000"]),
        (vec![("REALTIME_IP_VERSION", "ipv6")], vec!["[::]:4000"]),
    ] {
        let got: Vec<String> = serve(&changes)
            .listen
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(got, listen, "{changes:?}");
    }
    assert_eq!(
        serve(&[("DB_IP_VERSION", "ipv6")])
            .database
            .unwrap()
            .ip_version,
        Some(IpVersion::V6)
    );
    assert_eq!(wrong(&[("DB_IP_VERSION", "6")])[0].0, "DB_IP_VERSION");
}

#[test]
fn a_tenant_name_no_host_can_carry_is_refused_only_when_hosts_count() {
    assert_eq!(
        serve(&[("SELF_HOST_TENANT_NAME", "My.App")]).tenant,
        "My.App"
    );
    let strict = [
        ("SELF_HOST_TENANT_NAME", "My.App"),
        ("TENANT_FROM_HOST", "yes"),
    ];
    assert_eq!(wrong(&strict)[0].0, "SELF_HOST_TENANT_NAME");
}

#[test]
fn a_value_that_is_not_utf8_is_a_problem_of_its_own() {
    let lookup = |name: &str| match name {
        "REGION" => Err(NotUnicode),
        _ => Ok(None),
    };
    let problems = Config::read(&lookup, Purpose::Any, 0).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "1 setting is wrong:\n\n  REGION is not valid UTF-8\n    fix: write it in UTF-8"
    );
}

proptest::proptest! {
    #[test]
    fn no_value_of_any_setting_makes_the_reader_panic(value in "\\PC{0,20}", at in 0..SETTINGS.len()) {
        let name = SETTINGS[at].name;
        let _ = read_with(Purpose::Serve, &[(name, &value)]);
    }
}

#[test]
fn tenants_come_from_the_metadata_when_there_is_a_key_and_no_seed() {
    let source = |changes: &[(&str, &str)]| serve(changes).tenants.source;
    let key = ("DB_ENC_KEY", "supabaserealtime");
    assert_eq!(source(&[]), Source::Single);
    assert_eq!(source(&[key]), Source::Database);
    assert_eq!(source(&[key, ("SEED_SELF_HOST", "true")]), Source::Single);
    assert_eq!(source(&[key, ("TENANTS", "single")]), Source::Single);
    let seeded = [key, ("SEED_SELF_HOST", "true"), ("TENANTS", "database")];
    assert_eq!(source(&seeded), Source::Database);
    // Tenants bring their own keys.
    let config = read_with(Purpose::Serve, &[key, ("API_JWT_SECRET", "")]);
    assert!(config.is_ok());
}

#[test]
fn keys_of_the_metadata_must_have_their_length() {
    let gcm = "must be exactly 32 bytes for AES-256-GCM, got 5 bytes";
    assert_eq!(
        wrong(&[("DB_ENC_KEY_GCM", "short")]),
        [("DB_ENC_KEY_GCM", gcm.to_owned())]
    );
    assert_eq!(
        wrong(&[("TENANTS", "database"), ("DB_ENC_KEY", "short")]),
        [(
            "DB_ENC_KEY",
            "must be exactly 16 bytes for AES-128, got 5 bytes".to_owned()
        )]
    );
    assert_eq!(wrong(&[("TENANTS", "database")])[0].0, "DB_ENC_KEY");
    // The one tenant needs none, so an old wrong one does no harm.
    assert_eq!(
        serve(&[("TENANTS", "single"), ("DB_ENC_KEY", "short")])
            .tenants
            .source,
        Source::Single
    );
    let config = serve(&[("DB_ENC_WRITE_GCM", "true")]);
    assert!(config.warnings[0].contains("DB_ENC_KEY_GCM"));
}

#[test]
fn a_new_tenant_has_the_originals_limits_unless_they_are_set() {
    let limits = serve(&[]).tenants.new_tenant;
    assert_eq!(limits.max_concurrent_users, 200);
    assert_eq!(limits.max_channels_per_client, 100);
    assert_eq!(limits.max_joins_per_second, 100);
    assert_eq!(limits.max_events_per_second, 100);
    assert_eq!(limits.max_bytes_per_second, 100_000);
    let limits = serve(&[
        ("TENANT_MAX_CONCURRENT_USERS", "0"),
        ("TENANT_MAX_EVENTS_PER_SECOND", "5"),
    ])
    .tenants
    .new_tenant;
    assert_eq!(limits.max_concurrent_users, 2_147_483_647);
    assert_eq!(limits.max_events_per_second, 5);
}
