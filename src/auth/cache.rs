//! Tokens whose signature has been verified, so that the next join on the same socket does not pay
//! for it again (5 to 80 µs each).
//!
//! Two generations: when the young one is full the old one is thrown away and the young one grows
//! old. An entry that is asked for moves to the young one, so what is in use survives; what expired
//! is not asked for and goes. No scanning, and never more than twice [`GENERATION`] entries.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Claims;

/// Entries of one generation: two of them are about 10 MB with claims of usual length, far more than
/// the sockets of one node use at the same time in a minute.
const GENERATION: usize = 8192;

/// SHA-256 of the cleaned token: the token itself is a secret that should not lie around in memory.
pub(super) type Fingerprint = [u8; 32];

#[derive(Default)]
pub(super) struct Cache {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Fingerprint, Arc<Claims>, ahash::RandomState>,
    old: HashMap<Fingerprint, Arc<Claims>, ahash::RandomState>,
}

pub(super) fn fingerprint(token: &str) -> Fingerprint {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let mut fingerprint = [0; 32];
    for (to, from) in fingerprint.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    fingerprint
}

impl Cache {
    pub(super) fn get(&self, key: &Fingerprint) -> Option<Arc<Claims>> {
        let mut generations = self.generations.lock();
        if let Some(claims) = generations.young.get(key) {
            return Some(Arc::clone(claims));
        }
        let claims = generations.old.remove(key)?;
        generations.put(*key, Arc::clone(&claims));
        Some(claims)
    }

    pub(super) fn put(&self, key: Fingerprint, claims: Arc<Claims>) {
        self.generations.lock().put(key, claims);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let generations = self.generations.lock();
        generations.young.len() + generations.old.len()
    }
}

impl Generations {
    fn put(&mut self, key: Fingerprint, claims: Arc<Claims>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, claims);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_beyond_two_generations_and_keeps_what_is_used() {
        let claims = Arc::new(Claims::from_json(r#"{"role":"r","exp":1}"#).unwrap());
        let cache = Cache::default();
        let used = fingerprint("used");
        cache.put(used, Arc::clone(&claims));
        for number in 0..3 * GENERATION {
            cache.put(fingerprint(&number.to_string()), Arc::clone(&claims));
            assert!(cache.get(&used).is_some());
        }
        assert!(cache.len() <= 2 * GENERATION);
        assert!(cache.get(&fingerprint("0")).is_none());
    }
}
