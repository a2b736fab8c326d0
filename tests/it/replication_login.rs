//! How the stream gets in: sockets, passwords, encryption.

use std::process::{Command, Stdio};

use super::replication_postgres::Cluster;
use super::replication_reader::{Reader, settings};
use dovetail::postgres::{ConnectOptions, TlsMode};
use dovetail::replication::Settings;

const PASSWORD: &str = "pass 'word' \\ ü";

/// A cluster with a publication and the role `streamer`, whose password is stored as `method` wants it.
async fn cluster(method: &str, settings: &[&str]) -> Cluster {
    let storage = if method == "md5" {
        "md5"
    } else {
        "scram-sha-256"
    };
    let encryption = format!("password_encryption={storage}");
    let mut all = vec![&*encryption];
    all.extend(settings);
    let mut cluster = Cluster::create(&all);
    cluster.start().await;
    let sql = cluster.sql().await;
    let quoted = PASSWORD.replace('\'', "''");
    sql.batch_execute(&format!(
        "CREATE ROLE streamer LOGIN REPLICATION PASSWORD '{quoted}';
         CREATE ROLE nobody LOGIN PASSWORD '{quoted}';
         CREATE PUBLICATION supabase_realtime"
    ))
    .await
    .unwrap();
    let rules = format!(
        "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\n\
         local all all {method}\nhost all all 127.0.0.1/32 {method}\n"
    );
    std::fs::write(cluster.data().join("pg_hba.conf"), rules).unwrap();
    sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    // Another session sees the new rules once the postmaster has read them: it has when a wrong login is refused.
    let wrong = ConnectOptions {
        user: "streamer".into(),
        password: Some("wrong".into()),
        ..cluster.options()
    };
    while dovetail::postgres::connect(&wrong, "realtime_test")
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    cluster
}

fn as_streamer(cluster: &Cluster) -> Settings {
    let mut settings = settings(cluster);
    settings.connect.user = "streamer".into();
    settings.connect.password = Some(PASSWORD.into());
    settings
}

#[tokio::test]
async fn every_common_kind_of_password_is_understood() {
    for method in ["scram-sha-256", "md5", "password"] {
        let cluster = cluster(method, &[]).await;
        let mut reader = Reader::start(as_streamer(&cluster));
        reader.is_live().await;
    }
}

#[tokio::test]
async fn a_unix_socket_works_too() {
    let cluster = cluster("scram-sha-256", &[]).await;
    let mut settings = as_streamer(&cluster);
    settings.connect.host = cluster.socket_dir().display().to_string();
    settings.connect.tls = TlsMode::VerifyFull;
    let mut reader = Reader::start(settings);
    reader.is_live().await;
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_reported_and_not_shown() {
    let cluster = cluster("scram-sha-256", &[]).await;
    let mut settings = as_streamer(&cluster);
    settings.connect.password = Some("secret and wrong".into());
    let mut reader = Reader::start(settings.clone());
    reader.waits_for("password authentication failed").await;
    assert!(!format!("{:?}", reader.watch.status()).contains("secret"));
    settings.connect.password = None;
    let mut reader = Reader::start(settings);
    reader
        .waits_for("asks for a password and none is configured")
        .await;
}

#[tokio::test]
async fn a_role_without_replication_is_told_what_it_needs() {
    let cluster = cluster("scram-sha-256", &[]).await;
    let mut settings = as_streamer(&cluster);
    settings.connect.user = "nobody".into();
    let mut reader = Reader::start(settings);
    reader.waits_for("REPLICATION").await;
}

#[tokio::test]
async fn an_encrypted_stream_believes_only_whom_the_mode_allows() {
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("server.key");
    let certificate = keys.path().join("server.crt");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl is installed");
    assert!(made.success());
    let mut cluster = cluster("scram-sha-256", &[]).await;
    let plain = {
        let mut settings = as_streamer(&cluster);
        settings.connect.tls = TlsMode::Require;
        settings
    };
    let mut reader = Reader::start(plain.clone());
    reader.waits_for("does not offer encryption").await;
    drop(reader);
    // Postgres wants to own its key.
    cluster.install(&key, "server.key");
    cluster.install(&certificate, "server.crt");
    cluster.stop();
    cluster.set("ssl=on");
    cluster.start().await;
    for (host, mode, ca, works) in [
        ("127.0.0.1", TlsMode::Prefer, false, true),
        ("127.0.0.1", TlsMode::Require, false, true),
        ("127.0.0.1", TlsMode::VerifyCa, true, true),
        ("localhost", TlsMode::VerifyFull, true, true),
        ("127.0.0.1", TlsMode::VerifyFull, true, false),
        ("localhost", TlsMode::VerifyFull, false, false),
    ] {
        let mut settings = plain.clone();
        settings.connect.host = host.into();
        settings.connect.tls = mode;
        settings.connect.tls_ca_file = ca.then(|| certificate.clone());
        let mut reader = Reader::start(settings);
        if works {
            reader.is_live().await;
            let encrypted: bool = cluster
                .sql()
                .await
                .query_one(
                    "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)",
                    &[],
                )
                .await
                .unwrap()
                .get(0);
            assert!(encrypted, "{mode:?}");
        } else {
            let advice = if ca {
                "connect by a name it has"
            } else {
                "give the CA certificate that signed it"
            };
            reader.waits_for(advice).await;
        }
        drop(reader);
        cluster.walsenders_gone().await;
    }
}
