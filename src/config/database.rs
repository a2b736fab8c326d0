//! Where the tenant's database is: `DATABASE_URL`, or the original's `DB_*`.

use std::path::PathBuf;

use super::address::IP_VERSIONS;
use super::reader::{Reader, boolean};
use crate::postgres::{ConnectOptions, TlsMode};

/// The parts of a connection that `DATABASE_URL` replaces.
const PARTS: [&str; 5] = ["DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"];

/// The database, or none when neither `DATABASE_URL` nor a `DB_*` that names one is set.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<ConnectOptions> {
    let url = reader.optional("DATABASE_URL");
    let given = PARTS.map(|name| reader.exact(name).is_some());
    let parts = ConnectOptions {
        host: reader.text("DB_HOST"),
        port: u16::try_from(reader.number("DB_PORT", 1..=65535)).unwrap_or_default(),
        user: reader.text("DB_USER"),
        password: reader.exact("DB_PASSWORD"),
        dbname: reader.text("DB_NAME"),
        tls: TlsMode::Prefer,
        tls_ca_file: None,
        ip_version: None,
    };
    let ca_file = reader.optional("DB_SSL_CA_CERT").map(PathBuf::from);
    let tls = tls(reader);
    let ip_version = reader.maybe_choice("DB_IP_VERSION", IP_VERSIONS);
    let mut options = match url {
        Some(url) => match ConnectOptions::from_url(&url) {
            Ok(options) => {
                let ignored = ignored(given);
                if !ignored.is_empty() {
                    let warning = format!("{ignored} ignored because DATABASE_URL is set");
                    reader.warnings.push(warning);
                }
                options
            }
            Err(error) => {
                reader.problem(
                    "DATABASE_URL",
                    format!("cannot be used: {error}"),
                    "write postgres://user:password@host:5432/database",
                );
                return None;
            }
        },
        None if given.contains(&true) => parts,
        None => return None,
    };
    // What the URL says about encryption is more particular than the variables.
    if options.tls_ca_file.is_none() {
        options.tls_ca_file = ca_file;
    }
    if options.tls == TlsMode::Prefer {
        options.tls = match (tls, &options.tls_ca_file) {
            // Whoever names a CA wants the certificate verified, as the original does.
            (Some(TlsMode::Require), Some(_)) => TlsMode::VerifyFull,
            (Some(mode), _) => mode,
            (None, _) => TlsMode::Prefer,
        };
    }
    options.ip_version = ip_version;
    Some(options)
}

fn ignored(given: [bool; 5]) -> String {
    let names: Vec<&str> = PARTS
        .into_iter()
        .zip(given)
        .filter_map(|(name, given)| given.then_some(name))
        .collect();
    names.join(", ")
}

/// `DB_SSL`: a boolean as in the original, or one of libpq's words.
fn tls(reader: &mut Reader<'_>) -> Option<TlsMode> {
    let expected = "true, false, disable, prefer, require, verify-ca or verify-full";
    let fix = || "write true, or leave it out to encrypt where the database offers it".to_owned();
    reader.parsed("DB_SSL", expected, fix, |text| {
        Some(match text.to_ascii_lowercase().as_str() {
            "disable" => TlsMode::Disable,
            "allow" | "prefer" => TlsMode::Prefer,
            "require" => TlsMode::Require,
            "verify-ca" => TlsMode::VerifyCa,
            "verify-full" => TlsMode::VerifyFull,
            text => match boolean(text)? {
                true => TlsMode::Require,
                false => TlsMode::Disable,
            },
        })
    })
}
