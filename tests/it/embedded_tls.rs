//! Encryption and session settings of connections, against a server that has a certificate.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use dovetail::postgres::embedded::Embedded;
use dovetail::postgres::{ConnectOptions, Error, RENDERING, TlsMode, connect, connect_with};

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("these tests make certificates with the program openssl");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A server with a certificate for `localhost` alone, and the CA file that signed it.
pub async fn with_certificate() -> (Embedded, PathBuf) {
    let server = Embedded::start_ephemeral().await.unwrap();
    let data = server.data_path();
    openssl(
        &data,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-subj",
            "/CN=test ca",
        ],
    );
    openssl(
        &data,
        &[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
            "-subj",
            "/CN=localhost",
        ],
    );
    std::fs::write(data.join("san"), "subjectAltName=DNS:localhost").unwrap();
    openssl(
        &data,
        &[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "san",
            "-out",
            "server.crt",
        ],
    );
    let owner = std::fs::metadata(&data).unwrap();
    for name in ["server.key", "server.crt"] {
        let path = data.join(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let admin = connect(&server.connect_options(), "realtime_test")
        .await
        .unwrap();
    admin
        .batch_execute("alter system set ssl = on")
        .await
        .unwrap();
    let server = server.restart().await.unwrap();
    (server, data.join("ca.crt"))
}

async fn encrypted(options: &ConnectOptions) -> Result<bool, Error> {
    let client = connect(options, "realtime_test").await?;
    let row = client
        .query_one(
            "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
            &[],
        )
        .await
        .unwrap();
    Ok(row.get(0))
}

#[tokio::test]
async fn each_mode_encrypts_and_verifies_what_it_says() {
    let (server, ca) = with_certificate().await;
    let with = |host: &str, tls: TlsMode, ca: Option<&Path>| ConnectOptions {
        host: host.into(),
        tls,
        tls_ca_file: ca.map(Path::to_owned),
        ..server.connect_options()
    };
    let other_ca = tempfile::tempdir().unwrap();
    openssl(
        other_ca.path(),
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            "k",
            "-out",
            "other.crt",
            "-subj",
            "/CN=other",
        ],
    );
    let other_ca = other_ca.path().join("other.crt");

    for (host, mode, ca, expected) in [
        ("127.0.0.1", TlsMode::Disable, None, Some(false)),
        ("127.0.0.1", TlsMode::Prefer, None, Some(true)),
        ("127.0.0.1", TlsMode::Require, None, Some(true)),
        ("127.0.0.1", TlsMode::Require, Some(&ca), Some(true)),
        ("127.0.0.1", TlsMode::Require, Some(&other_ca), None),
        ("127.0.0.1", TlsMode::VerifyCa, Some(&ca), Some(true)),
        ("127.0.0.1", TlsMode::VerifyCa, Some(&other_ca), None),
        ("localhost", TlsMode::VerifyFull, Some(&ca), Some(true)),
        ("127.0.0.1", TlsMode::VerifyFull, Some(&ca), None),
        ("localhost", TlsMode::VerifyFull, Some(&other_ca), None),
    ] {
        let answer = encrypted(&with(host, mode, ca.map(PathBuf::as_path))).await;
        assert_eq!(
            answer.as_ref().ok().copied(),
            expected,
            "{host} {mode:?} {ca:?}: {answer:?}"
        );
        if let Err(error) = answer {
            let advice = match ca {
                Some(file) if *file == other_ca => "give the CA certificate that signed it",
                _ => "connect by a name it has",
            };
            assert!(
                error.to_string().contains(advice),
                "{host} {mode:?}: {error}"
            );
        }
    }
    let missing = with(
        "localhost",
        TlsMode::VerifyFull,
        Some(Path::new("/nowhere/ca.crt")),
    );
    let error = encrypted(&missing).await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/ca.crt"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_used_by_prefer_and_refused_by_require() {
    let server = Embedded::start_ephemeral().await.unwrap();
    let with = |tls| ConnectOptions {
        tls,
        ..server.connect_options()
    };
    assert!(!encrypted(&with(TlsMode::Prefer)).await.unwrap());
    let error = encrypted(&with(TlsMode::Require)).await.unwrap_err();
    assert!(error.to_string().contains("sslmode"), "{error}");
}

#[tokio::test]
async fn pinned_settings_win_over_those_of_role_and_database() {
    let server = Embedded::start_ephemeral().await.unwrap();
    let options = server.connect_options();
    let admin = connect(&options, "realtime_test").await.unwrap();
    admin
        .batch_execute(
            "alter role postgres set DateStyle = 'SQL, DMY'; alter role postgres set IntervalStyle = 'iso_8601';
             alter database postgres set bytea_output = 'escape'",
        )
        .await
        .unwrap();
    let client = connect_with(&options, "realtime_test", RENDERING)
        .await
        .unwrap();
    let row = client
        .query_one(
            "select date '2024-01-02' || ' ' || interval '1 day 2 hours' || ' ' || '\\xdead'::bytea::text || ' ' || current_setting('application_name')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        row.get::<_, String>(0),
        "2024-01-02 1 day 02:00:00 \\xdead realtime_test"
    );
}

#[tokio::test]
async fn the_socket_in_the_data_folder_serves_too() {
    let server = Embedded::start_ephemeral().await.unwrap();
    let options = ConnectOptions {
        host: server.data_path().to_string_lossy().into_owned(),
        tls: TlsMode::Require,
        ..server.connect_options()
    };
    assert!(!encrypted(&options).await.unwrap());
}
