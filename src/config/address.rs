//! Where to listen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::IpVersion;
use super::reader::Reader;

pub(super) const IP_VERSIONS: &[(&str, IpVersion)] =
    &[("ipv4", IpVersion::V4), ("ipv6", IpVersion::V6)];

/// `HOST`, `PORT` and `REALTIME_IP_VERSION` as addresses to try in this order.
pub(super) fn listen(reader: &mut Reader<'_>) -> Vec<SocketAddr> {
    let port = u16::try_from(reader.number("PORT", 0..=65535)).unwrap_or_default();
    let host = reader.parsed(
        "HOST",
        "an IP address",
        || {
            "write the address of an interface such as 127.0.0.1, or leave it out for all"
                .to_owned()
        },
        parse,
    );
    let version = reader.maybe_choice("REALTIME_IP_VERSION", IP_VERSIONS);
    let all_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let all_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let hosts = match (host, version) {
        (Some(host), _) => vec![host],
        (None, Some(IpVersion::V4)) => vec![all_v4],
        (None, Some(IpVersion::V6)) => vec![all_v6],
        // A machine without IPv6 must not keep the server from starting (pains row 23).
        (None, None) => vec![all_v6, all_v4],
    };
    hosts
        .into_iter()
        .map(|host| SocketAddr::new(host, port))
        .collect()
}

fn parse(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    match bare {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => bare.parse().ok(),
    }
}
