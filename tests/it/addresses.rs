//! IPv4 and IPv6, on the side of clients and on the side of the database; encryption of all connections of a server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use tokio::net::TcpStream;

use crate::embedded_tls::with_certificate;
use crate::replication_postgres::Cluster as OwnCluster;
use crate::support::cluster::{Cluster, Database};
use crate::support::server::Server;
use crate::support::{eventually, http};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Whether this machine has IPv6 on loopback.
fn has_v6() -> bool {
    TcpListener::bind((V6, 0)).is_ok()
}

async fn answers(ip: IpAddr, port: u16) -> bool {
    let request = http::Request::get("localhost", "/healthz");
    let address = SocketAddr::new(ip, port).to_string();
    let Ok(mut stream) = TcpStream::connect(&address).await else {
        return false;
    };
    matches!(http::begin(&mut stream, &request).await, Ok((answer, _)) if answer.status == 200)
}

#[tokio::test]
async fn one_port_serves_both_families_and_each_alone_where_asked() {
    let database = Cluster::shared().await.prepared().await;
    for (settings, v4, v6) in [
        (&[("HOST", "")][..], true, true),
        (
            &[("HOST", ""), ("REALTIME_IP_VERSION", "ipv4")],
            true,
            false,
        ),
        (&[("HOST", "127.0.0.1")], true, false),
    ] {
        let server = Server::with(&database, settings).await;
        assert_eq!(answers(V4, server.port()).await, v4, "{settings:?}");
        assert_eq!(
            answers(V6, server.port()).await,
            v6 && has_v6(),
            "{settings:?}"
        );
    }
}

#[tokio::test]
async fn g203_the_database_is_reached_by_the_family_that_was_asked_for() {
    let cluster = OwnCluster::started(&["listen_addresses=*"]).await;
    let database = Database {
        port: cluster.options().port,
        name: "postgres".into(),
    };
    let sql = cluster.sql().await;
    let mut families = vec![("ipv4", "localhost", "127.0.0.1")];
    if has_v6() {
        families.push(("ipv6", "::1", "::1"));
    }
    for (version, host, address) in families {
        let settings = [("DB_HOST", host), ("DB_IP_VERSION", version)];
        // Ready means that the replication connection is there too.
        let _server = Server::with(&database, &settings).await;
        let rows = sql
            .query(
                "select distinct host(client_addr) from pg_stat_activity
                 where application_name like 'realtime%' and client_addr is not null and pid <> pg_backend_pid()
                   and application_name <> 'realtime_test'",
                &[],
            )
            .await
            .unwrap();
        let from: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(from, [address], "{version}");
    }
    let settings = [("DB_HOST", "127.0.0.1"), ("DB_IP_VERSION", "ipv6")];
    let server = Server::unready(&database, &settings);
    eventually("a word about the address", || async {
        server
            .log()
            .contains("127.0.0.1 has no IPv6 address: leave DB_IP_VERSION out")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_connection_of_a_server_is_encrypted_and_a_wrong_ca_is_refused_in_words() {
    let (postgres, ca) = with_certificate().await;
    let options = postgres.connect_options();
    let database = Database {
        port: options.port,
        name: options.dbname.clone(),
    };
    let password = options.password.clone().unwrap_or_default();
    let ca = ca.to_string_lossy().into_owned();
    let login = [
        ("DB_HOST", "localhost"),
        ("DB_IP_VERSION", "ipv4"),
        ("DB_USER", &options.user),
        ("DB_PASSWORD", &password),
    ];
    let admin = dovetail::postgres::connect(&options, "test").await.unwrap();
    for tls in [
        &[("DB_SSL", "true"), ("DB_SSL_CA_CERT", &*ca)][..],
        &[("DB_SSL", "verify-full"), ("DB_SSL_CA_CERT", &ca)],
        &[("DB_SSL", "verify-ca"), ("DB_SSL_CA_CERT", &ca)],
        &[("DB_SSL", "require")],
    ] {
        let _server = Server::with(&database, &[&login[..], tls].concat()).await;
        let row = admin
            .query_one(
                "select count(*), count(*) filter (where ssl), count(*) filter (where backend_type = 'walsender')
                 from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'realtime%'",
                &[],
            )
            .await
            .unwrap();
        let (all, encrypted, walsenders): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert!(
            all == encrypted && walsenders == 1,
            "{tls:?}: {encrypted} of {all}"
        );
    }
    // The certificate of the server is no CA; and nobody here trusts the test's CA without being told.
    let other = with_other_ca();
    let other = other.path().join("ca.crt").to_string_lossy().into_owned();
    for tls in [
        &[("DB_SSL", "verify-full"), ("DB_SSL_CA_CERT", &*other)][..],
        &[("DB_SSL", "verify-ca"), ("DB_SSL_CA_CERT", &other)],
    ] {
        let server = Server::unready(&database, &[&login[..], tls].concat());
        eventually("both connections say what is wrong", || async {
            let log = server.log();
            let about = |place: &str| {
                log.lines().any(|line| {
                    line.contains(place) && line.contains("give the CA certificate that signed it")
                })
            };
            (about("the database is not ready") && about("replication stream not running"))
                .then_some(())
        })
        .await;
        let readyz = server.get("/readyz").await;
        assert_eq!(readyz.status, 503);
    }
}

fn with_other_ca() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-subj",
            "/CN=other ca",
        ])
        .current_dir(folder.path())
        .output()
        .expect("these tests make certificates with the program openssl");
    assert!(made.status.success());
    folder
}
