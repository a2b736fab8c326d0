//! `postgres://` URLs, as libpq and every hosting platform write them.

use super::{ConnectOptions, TlsMode};

/// Why a database URL cannot be used. Never repeats the URL, which may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// Not a Postgres URL at all.
    #[error(
        "the database URL must start with postgres:// or postgresql://, for example postgres://user:password@host:5432/database"
    )]
    Scheme,
    /// A `%` not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error(
        "the {0} in the database URL is not percent-encoded correctly; write % as %25, @ as %40, / as %2F"
    )]
    Encoding(&'static str),
    /// The port is not a number between 1 and 65535.
    #[error("the port in the database URL is not a number between 1 and 65535")]
    Port,
    /// Several hosts, which are not supported.
    #[error("the database URL names several hosts; give the one that accepts replication")]
    HostList,
    /// `sslmode` has a value this program does not know.
    #[error(
        "sslmode in the database URL must be one of disable, prefer, require, verify-ca, verify-full"
    )]
    SslMode,
}

impl ConnectOptions {
    /// Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`.
    ///
    /// Every part may be percent-encoded. The host may be an IPv6 address in brackets, an encoded socket directory, or
    /// come from the parameter `host`. Missing parts default to `localhost`, 5432, user `postgres`, the database
    /// named like the user, and `sslmode=prefer`. Unknown parameters are ignored.
    ///
    /// # Errors
    /// See [`UrlError`]; the text never contains a part of the URL.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let url = url.trim();
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or(UrlError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold an unencoded `/` or `@` by mistake; the last `@` before the path is the usual reading.
        let (authority, path) = match rest.rsplit_once('@') {
            Some((login, place)) => {
                let (place, path) = place.split_once('/').unwrap_or((place, ""));
                ((Some(login), place), path)
            }
            None => {
                let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
                ((None, place), path)
            }
        };
        let (login, place) = authority;
        let (user, password) = match login {
            Some(login) => match login.split_once(':') {
                Some((user, password)) => {
                    (decode(user, "user")?, Some(decode(password, "password")?))
                }
                None => (decode(login, "user")?, None),
            },
            None => (String::new(), None),
        };
        let (host, port) = split_place(place)?;
        let mut options = Self {
            host: decode(host, "host")?,
            port: parse_port(port)?,
            user,
            password: password.filter(|text| !text.is_empty()),
            dbname: decode(path, "database name")?,
            tls: TlsMode::Prefer,
            tls_ca_file: None,
            ip_version: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.apply(name, decode(value, "parameter")?)?;
        }
        if options.host.is_empty() {
            options.host = "localhost".to_owned();
        }
        if options.host.contains(',') {
            return Err(UrlError::HostList);
        }
        if options.user.is_empty() {
            options.user = "postgres".to_owned();
        }
        if options.dbname.is_empty() {
            options.dbname = options.user.clone();
        }
        Ok(options)
    }

    fn apply(&mut self, name: &str, value: String) -> Result<(), UrlError> {
        match name {
            "host" => self.host = value,
            "port" => self.port = parse_port(&value)?,
            "user" => self.user = value,
            "password" => self.password = Some(value),
            "dbname" => self.dbname = value,
            "sslmode" => {
                self.tls = match value.as_str() {
                    "disable" => TlsMode::Disable,
                    "allow" | "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    _ => return Err(UrlError::SslMode),
                };
            }
            "sslrootcert" if value != "system" => self.tls_ca_file = Some(value.into()),
            _ => {}
        }
        Ok(())
    }
}

fn split_place(place: &str) -> Result<(&str, &str), UrlError> {
    if let Some(inner) = place.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or(UrlError::Port)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if after.is_empty() => Ok((host, "")),
            None => Err(UrlError::Port),
        };
    }
    if place.contains(',') {
        return Err(UrlError::HostList);
    }
    Ok(place.rsplit_once(':').unwrap_or((place, "")))
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    if text.is_empty() {
        return Ok(5432);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(UrlError::Port),
    }
}

fn decode(text: &str, part: &'static str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            match (digit(), digit()) {
                // Two hexadecimal digits always fit one byte.
                (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
                _ => return Err(UrlError::Encoding(part)),
            }
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Encoding(part))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_part_of_a_url_is_read() {
        let options = ConnectOptions::from_url(
            "postgres://us%40er:p%2Fa%25s%3As@db.example:6543/my%20db?sslmode=verify-full&sslrootcert=%2Fca.pem&x=1",
        )
        .unwrap();
        assert_eq!(options.user, "us@er");
        assert_eq!(options.password.as_deref(), Some("p/a%s:s"));
        assert_eq!(options.host, "db.example");
        assert_eq!(options.port, 6543);
        assert_eq!(options.dbname, "my db");
        assert_eq!(options.tls, TlsMode::VerifyFull);
        assert_eq!(options.tls_ca_file.as_deref(), Some("/ca.pem".as_ref()));
    }

    #[test]
    fn missing_parts_take_the_defaults_of_libpq() {
        let options = ConnectOptions::from_url("postgresql://alice@/").unwrap();
        assert_eq!(options.host, "localhost");
        assert_eq!(options.port, 5432);
        assert_eq!(options.dbname, "alice");
        assert_eq!(options.tls, TlsMode::Prefer);
    }

    #[test]
    fn socket_directories_and_ipv6_addresses_are_hosts() {
        let socket = ConnectOptions::from_url("postgres://u@%2Frun%2Fpg/db").unwrap();
        assert_eq!(socket.host, "/run/pg");
        let socket = ConnectOptions::from_url("postgres:///db?host=/run/pg&port=1").unwrap();
        assert_eq!((socket.host.as_str(), socket.port), ("/run/pg", 1));
        let v6 = ConnectOptions::from_url("postgres://u@[::1]:99/db").unwrap();
        assert_eq!((v6.host.as_str(), v6.port), ("::1", 99));
    }

    #[test]
    fn an_unencoded_at_sign_or_slash_in_the_password_is_understood() {
        let options = ConnectOptions::from_url("postgres://u:p@ss/w@h/db").unwrap();
        assert_eq!(options.password.as_deref(), Some("p@ss/w"));
        assert_eq!(options.host, "h");
    }

    #[test]
    fn bad_urls_say_which_part_is_wrong_without_repeating_it() {
        let bad = |url: &str| ConnectOptions::from_url(url).unwrap_err();
        assert_eq!(bad("mysql://x"), UrlError::Scheme);
        assert_eq!(bad("postgres://u:%zz@h/d"), UrlError::Encoding("password"));
        assert_eq!(bad("postgres://u@h:0/d"), UrlError::Port);
        assert_eq!(bad("postgres://u@h:x/d"), UrlError::Port);
        assert_eq!(bad("postgres://u@a:1,b:2/d"), UrlError::HostList);
        assert_eq!(bad("postgres://u@h/d?sslmode=maybe"), UrlError::SslMode);
    }

    proptest! {
        #[test]
        fn an_encoded_password_is_read_back(password in "\\PC{1,40}") {
            let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let options = ConnectOptions::from_url(&format!("postgres://u:{encoded}@h/d")).unwrap();
            prop_assert_eq!(options.password.unwrap(), password);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = ConnectOptions::from_url(&text);
            let _ = ConnectOptions::from_url(&format!("postgres://{text}"));
        }
    }
}
