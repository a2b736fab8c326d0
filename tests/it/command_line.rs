//! The built program, started as a user starts it.

use std::path::Path;
use std::process::{Command, Output};

use dovetail::auth::{ClaimValidators, Keys};

use crate::support::cluster::{Cluster, PASSWORD};

/// The program with an environment of nothing but `variables`, in a folder of its own.
fn dovetail(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dovetail"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Exit status, standard output, standard error.
fn told(output: Output) -> (i32, String, String) {
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    told(dovetail(folder.path(), arguments, variables))
}

fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

#[test]
fn a_token_carries_what_was_asked_for_and_is_signed_with_the_secret() {
    let arguments = [
        "token",
        "--role",
        "anon",
        "--sub",
        "u1",
        "--expires-in",
        "2h",
        "--claim",
        "team={\"id\":7}",
        "--claim",
        "name=Ann",
    ];
    let (code, token, errors) = run(&arguments, &[("API_JWT_SECRET", "s3cret")]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let keys = Keys::new(Some(b"s3cret"), None, ClaimValidators::default());
    let claims = keys.verify(token.trim_end(), now()).unwrap();
    assert_eq!(&*claims.role, "anon");
    assert_eq!(claims.sub.as_deref(), Some("u1"));
    assert_eq!(claims.get("team"), Some(serde_json::json!({"id": 7})));
    assert_eq!(claims.get("name"), Some(serde_json::json!("Ann")));
    let left = claims.exp - now();
    assert!((7100..=7200).contains(&left), "{left}");
}

#[test]
fn a_token_is_signed_with_the_secret_of_dev_where_none_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let keys = r#"{"jwt_secret":"dev-secret","anon_key":"","service_key":""}"#;
    std::fs::write(folder.path().join("keys.json"), keys).unwrap();
    let data = folder.path().to_str().unwrap();
    for variables in [vec![], vec![("API_JWT_SECRET", "")]] {
        let (code, token, errors) = run(&["token", "--data", data], &variables);
        assert_eq!((code, errors.as_str()), (0, ""));
        let keys = Keys::new(Some(b"dev-secret"), None, ClaimValidators::default());
        let claims = keys.verify(token.trim_end(), now()).unwrap();
        assert_eq!(&*claims.role, "authenticated");
    }
}

#[test]
fn a_token_that_cannot_be_made_says_why() {
    let secret = [("API_JWT_SECRET", "s")];
    for (arguments, variables, expected) in [
        (vec!["token"], &[][..], "no secret to sign with"),
        (vec!["token", "--claim", "role=anon"], &secret, "use --role"),
        (
            vec!["token", "--claim", "exp=1"],
            &secret,
            "use --expires-in",
        ),
        (
            vec!["token", "--expires-in", "soon"],
            &secret,
            "such as 12h",
        ),
        (
            vec!["token", "--role", "none"],
            &secret,
            "role must not be none",
        ),
    ] {
        let (code, output, errors) = run(&arguments, variables);
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
    }
}

#[test]
fn all_wrong_settings_are_listed_at_once_flags_and_variables_alike() {
    let (code, output, errors) = run(
        &["serve", "--deletes", "some", "--db-host", "h"],
        &[
            ("PORT", "http"),
            ("SLOT_DURABLE", "perhaps"),
            ("DELETES", "keys"),
        ],
    );
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(errors.starts_with("4 settings are wrong:\n"), "{errors}");
    for line in [
        "  PORT is \"http\", not a whole number from 0 to 65535",
        "  SLOT_DURABLE is \"perhaps\", not true or false",
        "  DELETES is \"some\", not keys or authorised",
        "  API_JWT_SECRET is not set",
    ] {
        assert!(errors.contains(line), "{line}\n{errors}");
    }
    assert_eq!(errors.matches("\n    fix: ").count(), 4, "{errors}");
}

#[test]
fn commands_that_need_a_database_say_so() {
    for command in ["serve", "migrate", "doctor"] {
        let (code, _, errors) = run(&[command], &[("API_JWT_SECRET", "s")]);
        assert_eq!(code, 2, "{command}");
        assert!(
            errors.contains("DATABASE_URL is not set, and neither is DB_HOST"),
            "{errors}"
        );
        assert!(errors.contains("dovetail dev"), "{errors}");
    }
}

#[test]
fn dev_refuses_to_run_beside_a_configured_database() {
    for (arguments, variables, name) in [
        (
            vec!["dev"],
            vec![("DATABASE_URL", "postgres://h/d")],
            "DATABASE_URL is set",
        ),
        (
            vec!["dev"],
            vec![("DB_ENC_KEY", "x"), ("DB_HOST", "h")],
            "DB_ENC_KEY, DB_HOST are set",
        ),
        (vec!["dev", "--db-host", "h"], vec![], "DB_HOST is set"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (code, _, errors) = told(dovetail(folder.path(), &arguments, &variables));
        assert_eq!(code, 2);
        assert!(errors.contains(name), "{errors}");
        assert!(!folder.path().join(".dovetail").exists());
    }
}

#[test]
fn dev_refuses_to_run_in_the_container_image() {
    let image = [("DOVETAIL_IN_CONTAINER", "1")];
    let (code, _, errors) = run(&["dev"], &image);
    assert_eq!(code, 2);
    assert!(errors.contains("container image"), "{errors}");
    // Without a command the image serves, and misses its database.
    let (code, _, errors) = run(&[], &image);
    assert_eq!(code, 2);
    assert!(errors.contains("DATABASE_URL is not set"), "{errors}");
}

#[test]
fn without_a_command_a_configured_database_is_served() {
    // Wrong on purpose: what complains is `serve`, because it asks for keys.
    let (code, _, errors) = run(&[], &[("DB_HOST", "h")]);
    assert_eq!(code, 2);
    assert!(errors.contains("API_JWT_SECRET is not set"), "{errors}");
    // An empty variable is an unset one, also here: this is `dev`, and the folder is a file.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let (code, _, errors) = told(dovetail(
        folder.path(),
        &["--data", "file"],
        &[("DB_HOST", "")],
    ));
    assert_eq!(code, 1);
    assert!(errors.contains("could not use the folder file"), "{errors}");
}

#[test]
fn the_settings_command_prints_the_example_file() {
    let (code, output, _) = run(&["settings"], &[]);
    assert_eq!(code, 0);
    assert_eq!(output, include_str!("../../.env.example"));
}

/// How the Supabase CLI runs the original's image once, to have the schema before users' migrations (G-252).
#[tokio::test]
async fn g252_the_clis_one_shot_migrates_through_the_originals_program_name() {
    let database = Cluster::shared().await.database().await;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("realtime");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dovetail"), &program).unwrap();
    let expression = "{:ok, _} = Application.ensure_all_started(:realtime)\n{:ok, _} = Realtime.Tenants.health_check(\"realtime-dev\")";
    let port = database.port.to_string();
    let eval = |arguments: &[&str], name: &str| {
        Command::new(&program)
            .args(arguments)
            .env_clear()
            .envs([
                ("DB_HOST", "127.0.0.1"),
                ("DB_PORT", &*port),
                ("DB_USER", "postgres"),
                ("DB_PASSWORD", PASSWORD),
                ("DB_NAME", name),
                ("SEED_SELF_HOST", "true"),
            ])
            .output()
            .unwrap()
    };
    // By the name, as the entry point's argument, and with an expression that looks like a flag.
    for arguments in [
        &["eval", expression][..],
        &["/app/bin/realtime", "eval", expression],
        &["eval", "--version"],
    ] {
        let (code, output, errors) = told(eval(arguments, &database.name));
        assert_eq!(code, 0, "{arguments:?}: {output}{errors}");
    }
    let sql = database.connect().await;
    let ready = "select (select count(*) from realtime.schema_migrations),
                        (select count(*) from pg_inherits where inhparent = 'realtime.messages'::regclass)";
    let row = sql.query_one(ready, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (81, 5));
    let (code, _, errors) = told(eval(&["eval", expression], "there_is_none"));
    assert_eq!(code, 1);
    assert!(errors.contains("check DB_NAME"), "{errors}");
}
