//! Which addresses of the database's host are tried (`DB_IP_VERSION`, G-203).

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::ConnectOptions;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// `ipv4`
    V4,
    /// `ipv6`
    V6,
}

/// The addresses of the host, in the resolver's order; only those of [`ConnectOptions::ip_version`] when it is set.
///
/// # Errors
/// When the name does not resolve, or to no address of that family; the text says what to do.
pub(crate) async fn addresses(options: &ConnectOptions) -> io::Result<Vec<SocketAddr>> {
    let all = lookup_host((&*options.host, options.port)).await?;
    let Some(version) = options.ip_version else {
        return Ok(all.collect());
    };
    let (fits, name): (fn(&SocketAddr) -> bool, _) = match version {
        IpVersion::V4 => (SocketAddr::is_ipv4, "IPv4"),
        IpVersion::V6 => (SocketAddr::is_ipv6, "IPv6"),
    };
    let found: Vec<SocketAddr> = all.filter(fits).collect();
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!(
                "{} has no {name} address: leave DB_IP_VERSION out to try every address",
                options.host
            ),
        ));
    }
    Ok(found)
}

/// A TCP connection to the first of [`addresses`] that answers.
///
/// # Errors
/// As [`addresses`], or what the last address answered.
pub(crate) async fn reach(options: &ConnectOptions) -> io::Result<TcpStream> {
    TcpStream::connect(&*addresses(options).await?).await
}
