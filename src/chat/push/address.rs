//! Where push messages may go. Endpoints are written by clients: a request to one must not reach anything that only this
//! server can (C-404). Names are resolved here, every address is looked at, and the connection goes to those addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why an endpoint is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAllowed {
    /// It is no address.
    #[error("the endpoint is no address")]
    Address,
    /// It is not https.
    #[error("the endpoint is not https")]
    Scheme,
    /// It is, or its name has, an address that is not public.
    #[error("the endpoint is not at a public address")]
    Private,
}

/// Looks at all of an endpoint but its name. `private`: http and any address are allowed.
pub(super) fn check(endpoint: &str, private: bool) -> Result<Url, NotAllowed> {
    let url = Url::parse(endpoint).map_err(|_| NotAllowed::Address)?;
    match url.scheme() {
        "https" => {}
        "http" if private => {}
        _ => return Err(NotAllowed::Scheme),
    }
    let host = url.host_str().ok_or(NotAllowed::Address)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NotAllowed::Address);
    }
    // The parser has brought every way to write an address into one; names do not parse here.
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>()
        && !private
        && !is_public(address)
    {
        return Err(NotAllowed::Private);
    }
    Ok(url)
}

/// Resolves names for the client that sends; the only way it learns of an address.
pub(super) struct Resolver {
    /// Any address is allowed.
    pub(super) private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            // All of them: who answers with one public address and one that is not means the other.
            if !private && !found.iter().all(|address| is_public(address.ip())) {
                return Err(NotAllowed::Private.into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether the internet routes there, by the special-purpose registries of IANA.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        // This network, private, loopback, link-local, private.
        (0 | 10 | 127, ..) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _)
        // Behind carriers, protocol assignments, documentation, 6to4 relays, benchmarks.
        | (100, 64..=127, _) | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113)
        // Multicast, reserved, broadcast.
        | (224..=255, ..)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Where there is only IPv6, names have addresses of the translator, with the real one inside.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let [first, second, ..] = segments;
    // Global unicast alone: loopback, mapped, local, link-local, multicast are all outside of it.
    (0x2000..0x4000).contains(&first)
        // Protocol assignments and Teredo, documentation, 6to4.
        && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
        && first != 0x2002
        && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_address_is_recognised_however_it_is_written() {
        for (endpoint, why) in [
            ("https://127.0.0.1/x", NotAllowed::Private),
            ("https://2130706433/x", NotAllowed::Private),
            ("https://0x7f.1/x", NotAllowed::Private),
            ("https://0177.0.0.1/x", NotAllowed::Private),
            ("https://[::1]:8443/x", NotAllowed::Private),
            ("https://[::ffff:10.0.0.1]/x", NotAllowed::Private),
            ("https://①②⑦.0.0.1/x", NotAllowed::Private),
            ("http://push.example.com/x", NotAllowed::Scheme),
            ("file:///etc/passwd", NotAllowed::Scheme),
            ("https://user@push.example.com/", NotAllowed::Address),
            ("https:///", NotAllowed::Address),
            ("push", NotAllowed::Address),
        ] {
            assert_eq!(check(endpoint, false).map(drop), Err(why), "{endpoint}");
        }
        assert!(check("https://push.example.com/x?y=1", false).is_ok());
        assert!(check("http://127.0.0.1:9/x", true).is_ok());
        assert!(check("ftp://127.0.0.1/x", true).is_err());
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_where_it_is_resolved() {
        let resolver = Resolver { private: false };
        let error = resolver.resolve("localhost".parse().unwrap()).await.err();
        assert!(error.unwrap().downcast_ref::<NotAllowed>().is_some());
        let resolver = Resolver { private: true };
        assert!(resolver.resolve("localhost".parse().unwrap()).await.is_ok());
    }
}
