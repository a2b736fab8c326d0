//! How often one address may ask for what costs or can be guessed at: sign-ups, sign-ins, tokens of guests.
//!
//! Each kind has its own allowance, refilled evenly over five minutes. What is remembered is one moment per address and
//! kind, for a bounded number of them; who was heard of longest ago is forgotten first. The address is that of the
//! connection: headers that name another one can be written by anybody. Of IPv6 the network counts, not the host.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use lru::LruCache;
use parking_lot::Mutex;

/// The time over which an allowance is meant.
const WINDOW: Duration = Duration::from_secs(300);
/// Addresses and kinds that are remembered: less than a megabyte.
const REMEMBERED: usize = 8192;

/// See the module. `Kind` is what is counted together.
pub struct AddressLimiter<Kind> {
    /// One request's share of the window.
    step: Duration,
    /// When the allowance would be whole again.
    whole: Mutex<LruCache<(Kind, IpAddr), Instant, RandomState>>,
}

impl<Kind: Copy + Eq + Hash> AddressLimiter<Kind> {
    /// So many requests in five minutes.
    pub fn new(allowance: u32) -> Self {
        Self {
            step: WINDOW / allowance.max(1),
            // Not with a capacity: that would be taken from memory at once.
            whole: Mutex::new(LruCache::unbounded_with_hasher(RandomState::new())),
        }
    }

    /// Takes one from the allowance; otherwise says in how many seconds there is one again.
    pub fn take(&self, kind: Kind, address: IpAddr, now: Instant) -> Result<(), u64> {
        let key = (kind, network(address));
        let mut whole = self.whole.lock();
        let before = whole.get(&key).copied().unwrap_or(now).max(now);
        let after = before + self.step;
        let over = after.saturating_duration_since(now + WINDOW);
        if !over.is_zero() {
            return Err(over.as_secs() + 1);
        }
        whole.put(key, after);
        while whole.len() > REMEMBERED {
            whole.pop_lru();
        }
        Ok(())
    }
}

/// Somebody with IPv6 has at least 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets.iter_mut().skip(8).for_each(|octet| *octet = 0);
            IpAddr::from(octets)
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Kind {
        Token,
        SignUp,
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_allowance_is_used_up_and_refilled_evenly() {
        let limiter = AddressLimiter::new(3);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take(Kind::Token, address(1), now), Ok(()));
        }
        let wait = limiter.take(Kind::Token, address(1), now).unwrap_err();
        assert!((100..=101).contains(&wait), "{wait}");
        // Others, and other kinds, are not concerned; nor does a refusal cost anything.
        assert_eq!(limiter.take(Kind::Token, address(2), now), Ok(()));
        assert_eq!(limiter.take(Kind::SignUp, address(1), now), Ok(()));
        let later = now + Duration::from_secs(100);
        assert_eq!(limiter.take(Kind::Token, address(1), later), Ok(()));
        assert!(limiter.take(Kind::Token, address(1), later).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), address(1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let limiter = AddressLimiter::new(1);
        let now = Instant::now();
        for number in 0..20_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            assert_eq!(limiter.take(Kind::Token, address, now), Ok(()));
        }
        assert_eq!(limiter.whole.lock().len(), REMEMBERED);
    }
}
