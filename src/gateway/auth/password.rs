//! Passwords: what is good enough, and hashes of them.
//!
//! New hashes are argon2id; those that Supabase Auth made (bcrypt) and argon2i are understood. Hashing takes tens of
//! milliseconds and 19 MiB on purpose, so it runs on blocking threads, and only a few at a time: the others wait without
//! memory of their own. Where there is no hash to compare with, an equal amount of work is done for nothing, so that
//! the time of an answer does not tell who has an account.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Refusal;

/// Longest password in bytes: bcrypt, which knows no more of it, must stay possible.
const LONGEST: usize = 72;
/// Hashes that are computed at the same time.
const AT_ONCE: usize = 2;
/// How long somebody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Blocks (KiB) that memory is asked for: above 32 MiB glibc's malloc always maps pages of their own and gives them back
/// at once; below it would keep them from the second time on. Pages that are not touched are never there.
const ASKED_FOR: usize = 33 * 1024;
/// The most that a hash from elsewhere may cost: KiB, passes, lanes, and the exponent of bcrypt.
const MOST: (u32, u32, u32, u32) = (64 * 1024, 10, 4, 14);
/// How a new hash begins.
const NEW: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// What a password is compared with where there is no hash: made with the parameters of new ones, from no password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What is wrong with a password besides its being too long, in words and in codes.
pub(super) fn weakness(password: &str, shortest: usize) -> Option<(String, Vec<&'static str>)> {
    (password.len() < shortest).then(|| {
        let message = format!("Password should be at least {shortest} characters.");
        (message, vec!["length"])
    })
}

/// Whether it may become somebody's password.
pub(super) fn check(password: &str, shortest: usize) -> Result<(), Refusal> {
    check_length(password)?;
    match weakness(password, shortest) {
        Some((message, reasons)) => Err(Refusal::weak_password(message, reasons)),
        None => Ok(()),
    }
}

/// Whether it can be hashed at all.
pub(super) fn check_length(password: &str) -> Result<(), Refusal> {
    if password.len() > LONGEST {
        return Err(Refusal::invalid(format!(
            "Password cannot be longer than {LONGEST} characters"
        )));
    }
    Ok(())
}

/// Whether a hash from elsewhere can be verified here, at a bearable cost.
pub(super) fn is_known(hash: &str) -> bool {
    Known::of(hash).is_some()
}

/// Whether new hashes are made in another way.
pub(super) fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(NEW)
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hasher {
    turns: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// A hash for the column `encrypted_password`.
    pub(super) async fn hash(&self, password: String) -> Result<String, Refusal> {
        self.run(move || hash(&password)).await?
    }

    /// Whether the hash is that of the password; none never is, and takes as long.
    pub(super) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Refusal> {
        self.run(move || verify(&password, hash.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn: OwnedSemaphorePermit = match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(turn)) => turn,
            _ => {
                return Err(Refusal::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    "request_timeout",
                    "Too many sign-ins at the same time",
                ));
            }
        };
        // The turn goes with the work: it ends when the work ends, also when nobody waits for it any more.
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        work.await
            .map_err(|_| Refusal::internal("A password could not be processed"))
    }
}

fn hash(password: &str) -> Result<String, Refusal> {
    let failed = || Refusal::internal("A password could not be processed");
    let (mut salt, mut out) = ([0; 16], [0; Params::DEFAULT_OUTPUT_LEN]);
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| failed())?;
    argon2(
        Algorithm::Argon2id,
        Params::DEFAULT,
        password,
        &salt,
        &mut out,
    )
    .ok_or_else(failed)?;
    let (salt, out) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(out));
    Ok(format!("{NEW}{salt}${out}"))
}

fn verify(password: &str, hash: Option<&str>) -> bool {
    let known = hash
        .filter(|_| password.len() <= LONGEST)
        .and_then(Known::of);
    match known {
        Some(known) => known.verify(password),
        None => {
            if let Some(nobody) = Known::of(NOBODY) {
                nobody.verify(password);
            }
            false
        }
    }
}

/// A hash that is understood.
enum Known<'a> {
    Argon2 {
        algorithm: Algorithm,
        params: Params,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    Bcrypt(&'a str),
}

impl<'a> Known<'a> {
    fn of(hash: &'a str) -> Option<Self> {
        let (memory, passes, lanes, exponent) = MOST;
        if !hash.starts_with("$argon2") {
            let parts: bcrypt::HashParts = hash.parse().ok()?;
            return (parts.get_cost() <= exponent).then_some(Self::Bcrypt(hash));
        }
        let parsed = PasswordHash::new(hash).ok()?;
        let params = Params::try_from(&parsed).ok()?;
        let bearable =
            params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes;
        let algorithm = match parsed.algorithm.as_str() {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            _ => return None,
        };
        if !bearable || parsed.version != Some(19) {
            return None;
        }
        Some(Self::Argon2 {
            algorithm,
            params,
            salt: parsed.salt?.as_ref().to_vec(),
            hash: parsed.hash?.as_bytes().to_vec(),
        })
    }

    fn verify(self, password: &str) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2 {
                algorithm,
                params,
                salt,
                hash,
            } => {
                let mut out = vec![0; hash.len()];
                argon2(algorithm, params, password, &salt, &mut out).is_some()
                    && verify_slices_are_equal(&out, &hash).is_ok()
            }
        }
    }
}

fn argon2(
    algorithm: Algorithm,
    params: Params,
    password: &str,
    salt: &[u8],
    out: &mut [u8],
) -> Option<()> {
    let blocks = params.block_count();
    let mut memory: Vec<Block> = Vec::with_capacity(blocks.max(ASKED_FOR));
    memory.resize(blocks, Block::default());
    Argon2::new(algorithm, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_is_verified_and_nothing_else() {
        let hashed = hash("correct horse").unwrap();
        assert!(!is_outdated(&hashed), "{hashed}");
        let default = Params::DEFAULT;
        assert_eq!(
            (default.m_cost(), default.t_cost(), default.p_cost()),
            (19_456, 2, 1)
        );
        assert!(hashed.len() <= 255);
        assert!(verify("correct horse", Some(&hashed)));
        assert!(!verify("correct hors", Some(&hashed)));
        assert!(!verify("", Some(&hashed)));
        assert!(!verify("correct horse", None));
        assert_ne!(
            hash("correct horse").unwrap(),
            hashed,
            "the salt is another one"
        );
    }

    #[test]
    fn hashes_of_the_real_service_are_verified() {
        use bcrypt::Version::{TwoA, TwoB, TwoY};
        for version in [TwoA, TwoB, TwoY] {
            let made = bcrypt::hash_with_salt("geheim", 4, [7; 16]).unwrap();
            let made = made.format_for_version(version);
            assert!(verify("geheim", Some(&made)), "{made}");
            assert!(!verify("geheim!", Some(&made)), "{made}");
        }
        // From the test vectors of the reference implementation of argon2 (version 19, 2 passes, 64 MiB).
        let reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(verify("password", Some(reference)));
        assert!(!verify("passwords", Some(reference)));
    }

    #[test]
    fn hashes_that_would_cost_too_much_or_are_none_are_not_known() {
        let costly = |m: u32, t: u32, p: u32| {
            format!(
                "$argon2id$v=19$m={m},t={t},p={p}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            )
        };
        assert!(is_known(&costly(65536, 2, 1)));
        for bad in [
            costly(65537, 2, 1),
            costly(65536, 11, 1),
            costly(65536, 2, 5),
            costly(65536, 2, 1).replace("v=19", "v=16"),
            costly(65536, 2, 1).replace("argon2id", "argon2d"),
            "$argon2id$".to_owned(),
            "$2b$15$KOpDHUfzu5dJaZtqMHLNe.cRXQiGUXvkKZUxHgSRF4VJ5vQrnKhmi".to_owned(),
            String::new(),
            "password".to_owned(),
            "{\"key_id\":1}".to_owned(),
        ] {
            assert!(!is_known(&bad), "{bad}");
        }
        assert!(is_known(NOBODY));
    }

    #[test]
    fn passwords_are_bounded_in_bytes_at_both_ends() {
        assert!(check("123456", 6).is_ok());
        assert!(check("12345", 6).is_err());
        assert!(check(&"a".repeat(72), 6).is_ok());
        assert!(check(&"a".repeat(73), 6).is_err());
        assert!(check(&"ä".repeat(37), 6).is_err());
        assert!(!verify(
            &"a".repeat(73),
            Some(&hash(&"a".repeat(72)).unwrap())
        ));
    }
}
