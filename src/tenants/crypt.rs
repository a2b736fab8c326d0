//! The two ciphers of stored secrets (postgres.md §1.11): what the original wrote can be read, and the other way round.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What stands before a value encrypted with AES-256-GCM; no base64 text begins like this.
const GCM_PREFIX: &str = "g1:";
/// Length of its authentication tag.
const TAG: usize = 16;
/// Length of `DB_ENC_KEY` in bytes.
pub const LEGACY_KEY: usize = 16;
/// Length of `DB_ENC_KEY_GCM` in bytes.
pub const GCM_KEY: usize = 32;

/// Encrypts and decrypts stored secrets with the keys of this installation.
///
/// AES-128-ECB tells equal values from different ones and does not notice tampering. It is kept because it is what the
/// original writes; give `DB_ENC_KEY_GCM` and `DB_ENC_WRITE_GCM` to have AES-256-GCM written.
pub struct Crypt {
    legacy: Option<[u8; LEGACY_KEY]>,
    gcm: Option<LessSafeKey>,
    write_gcm: bool,
}

/// Why keys or a stored value cannot be used. Never holds any of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptError {
    /// `DB_ENC_KEY` is of another length than AES-128 needs.
    #[error("DB_ENC_KEY must be exactly {LEGACY_KEY} bytes for AES-128, got {0} bytes")]
    LegacyKey(usize),
    /// `DB_ENC_KEY_GCM` is of another length than AES-256 needs (G-061).
    #[error("DB_ENC_KEY_GCM must be exactly {GCM_KEY} bytes for AES-256-GCM, got {0} bytes")]
    GcmKey(usize),
    /// The value was written with a key that is not set.
    #[error("the value needs {0}, which is not set")]
    NoKey(&'static str),
    /// The value is no output of the cipher under this key.
    #[error("the value does not decrypt with {0}; is it the key it was written with?")]
    Undecryptable(&'static str),
    /// The library refused.
    #[error("encryption failed")]
    Failed,
}

impl Crypt {
    /// Keys are the raw bytes of `DB_ENC_KEY` and `DB_ENC_KEY_GCM`. `write_gcm` has an effect only with the latter.
    ///
    /// # Errors
    ///
    /// When a key is of the wrong length.
    pub fn new(
        legacy: Option<&[u8]>,
        gcm: Option<&[u8]>,
        write_gcm: bool,
    ) -> Result<Self, CryptError> {
        let legacy = match legacy {
            Some(key) => Some(
                <[u8; LEGACY_KEY]>::try_from(key).map_err(|_| CryptError::LegacyKey(key.len()))?,
            ),
            None => None,
        };
        let gcm = match gcm {
            Some(key) => {
                let unbound = UnboundKey::new(&aead::AES_256_GCM, key);
                Some(LessSafeKey::new(
                    unbound.map_err(|_| CryptError::GcmKey(key.len()))?,
                ))
            }
            None => None,
        };
        let write_gcm = gcm.is_some() && (write_gcm || legacy.is_none());
        Ok(Self {
            legacy,
            gcm,
            write_gcm,
        })
    }

    /// The stored form of a secret.
    ///
    /// # Errors
    ///
    /// When there is no key.
    pub fn encrypt(&self, plain: &str) -> Result<String, CryptError> {
        if self.write_gcm {
            let mut nonce = [0; NONCE_LEN];
            aws_lc_rs::rand::fill(&mut nonce).map_err(|_| CryptError::Failed)?;
            return self.encrypt_gcm(plain, nonce);
        }
        let key = self.legacy.ok_or(CryptError::NoKey("DB_ENC_KEY"))?;
        let key = UnboundCipherKey::new(&AES_128, &key).map_err(|_| CryptError::Failed)?;
        let key = PaddedBlockEncryptingKey::ecb_pkcs7(key).map_err(|_| CryptError::Failed)?;
        let mut bytes = plain.as_bytes().to_vec();
        key.encrypt(&mut bytes).map_err(|_| CryptError::Failed)?;
        Ok(BASE64_STANDARD.encode(bytes))
    }

    fn encrypt_gcm(&self, plain: &str, nonce: [u8; NONCE_LEN]) -> Result<String, CryptError> {
        let key = self.gcm.as_ref();
        let key = key.ok_or(CryptError::NoKey("DB_ENC_KEY_GCM"))?;
        let mut text = plain.as_bytes().to_vec();
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut text,
            )
            .map_err(|_| CryptError::Failed)?;
        let bytes = [nonce.as_slice(), tag.as_ref(), &text].concat();
        Ok(format!("{GCM_PREFIX}{}", BASE64_STANDARD.encode(bytes)))
    }

    /// The secret behind a stored form, whichever cipher it was written with.
    ///
    /// # Errors
    ///
    /// When the key is not set or not the one it was written with.
    pub fn decrypt(&self, stored: &str) -> Result<String, CryptError> {
        let (plain, key) = match stored.strip_prefix(GCM_PREFIX) {
            Some(text) => (self.decrypt_gcm(text)?, "DB_ENC_KEY_GCM"),
            None => (self.decrypt_legacy(stored)?, "DB_ENC_KEY"),
        };
        plain
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(CryptError::Undecryptable(key))
    }

    fn decrypt_legacy(&self, text: &str) -> Result<Option<Vec<u8>>, CryptError> {
        let key = self.legacy.ok_or(CryptError::NoKey("DB_ENC_KEY"))?;
        let key = UnboundCipherKey::new(&AES_128, &key).map_err(|_| CryptError::Failed)?;
        let key = PaddedBlockDecryptingKey::ecb_pkcs7(key).map_err(|_| CryptError::Failed)?;
        Ok(BASE64_STANDARD.decode(text).ok().and_then(|mut bytes| {
            let plain = key.decrypt(&mut bytes, DecryptionContext::None).ok()?;
            Some(plain.to_vec())
        }))
    }

    fn decrypt_gcm(&self, text: &str) -> Result<Option<Vec<u8>>, CryptError> {
        let key = self.gcm.as_ref();
        let key = key.ok_or(CryptError::NoKey("DB_ENC_KEY_GCM"))?;
        Ok(BASE64_STANDARD.decode(text).ok().and_then(|bytes| {
            let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
            let (tag, sealed) = rest.split_at_checked(TAG)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut plain = vec![0; sealed.len()];
            key.open_separate_gather(nonce, Aad::empty(), sealed, tag, &mut plain)
                .ok()?;
            Some(plain)
        }))
    }
}

impl std::fmt::Debug for Crypt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Crypt").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"supabaserealtime";
    const KEY_GCM: &[u8] = b"12345678901234567890123456789012";

    /// Written by the original with [`KEY`] (G-059).
    const VECTORS: [(&str, &str); 7] = [
        ("", "Tza64ZmuiPJ3dvLf5raOPw=="),
        ("postgres", "sWBpZNdjggEPTQVlI52Zfw=="),
        ("db", "QhixI0o7PYIABziLUL4f0A=="),
        ("5432", "+enMDFi1J/3IrrquHHwUmA=="),
        ("supabase_admin", "uxbEq/zz8DXVD53TOI1zmw=="),
        (
            "1234567890123456",
            "Bj2rut6wPxIKU5j33MuSYE82uuGZrojyd3by3+a2jj8=",
        ),
        (
            "your-super-secret-jwt-token-with-at-least-32-characters-long",
            "eGxa2ZKVreSn7eWieRQdp60i5H6KJLiST7splFU6MVHylMSAoQ2SjsTrTTQo/+bmYjQcO4hNnGTU+D1wtlXreA==",
        ),
    ];

    /// Written by the original with [`KEY_GCM`] and the bytes 0 to 11 as initialisation vector (G-060).
    const VECTOR_GCM: &str = "g1:AAECAwQFBgcICQoLhUBooliRKsv1PcCCWuNtRig7FG4Sef8Z";

    fn both(write_gcm: bool) -> Crypt {
        Crypt::new(Some(KEY), Some(KEY_GCM), write_gcm).unwrap()
    }

    #[test]
    fn the_legacy_form_is_the_originals_in_both_directions() {
        let crypt = Crypt::new(Some(KEY), None, true).unwrap();
        for (plain, stored) in VECTORS {
            assert_eq!(crypt.decrypt(stored).as_deref(), Ok(plain), "{plain}");
            assert_eq!(crypt.encrypt(plain).unwrap(), stored);
        }
    }

    #[test]
    fn the_gcm_form_is_the_originals_in_both_directions() {
        let crypt = both(true);
        assert_eq!(crypt.decrypt(VECTOR_GCM).unwrap(), "postgres");
        let nonce = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(crypt.encrypt_gcm("postgres", nonce).unwrap(), VECTOR_GCM);
    }

    #[test]
    fn both_forms_are_read_whichever_is_written() {
        for write_gcm in [false, true] {
            let crypt = both(write_gcm);
            assert_eq!(crypt.decrypt(VECTORS[1].1).unwrap(), "postgres");
            assert_eq!(crypt.decrypt(VECTOR_GCM).unwrap(), "postgres");
            let stored = crypt.encrypt("päss wörd").unwrap();
            assert_eq!(stored.starts_with("g1:"), write_gcm);
            assert_eq!(crypt.decrypt(&stored).unwrap(), "päss wörd");
        }
        let (one, two) = (both(true).encrypt("x"), both(true).encrypt("x"));
        assert_ne!(one.unwrap(), two.unwrap(), "each value has its own vector");
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_in_the_listed_words() {
        let refused = Crypt::new(Some(KEY), Some(b"short"), false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "DB_ENC_KEY_GCM must be exactly 32 bytes for AES-256-GCM, got 5 bytes"
        );
        let refused = Crypt::new(Some(b"short"), None, false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "DB_ENC_KEY must be exactly 16 bytes for AES-128, got 5 bytes"
        );
    }

    #[test]
    fn what_does_not_decrypt_says_which_key_to_look_at() {
        let crypt = both(false);
        for stored in ["", "x", "AAAA", "not base64!", "Tza64ZmuiPJ3dvLf5raOPg=="] {
            let refused = crypt.decrypt(stored);
            assert_eq!(
                refused,
                Err(CryptError::Undecryptable("DB_ENC_KEY")),
                "{stored}"
            );
        }
        let mut tampered = VECTOR_GCM.to_owned();
        tampered.pop();
        for stored in ["g1:", "g1:AAAA", "g1:?", &format!("{tampered}a")] {
            let refused = crypt.decrypt(stored);
            assert_eq!(
                refused,
                Err(CryptError::Undecryptable("DB_ENC_KEY_GCM")),
                "{stored}"
            );
        }
        let gcm = Crypt::new(None, Some(KEY_GCM), false).unwrap();
        assert_eq!(
            gcm.decrypt(VECTORS[1].1),
            Err(CryptError::NoKey("DB_ENC_KEY"))
        );
        assert!(gcm.encrypt("x").unwrap().starts_with("g1:"));
        let none = Crypt::new(None, None, true).unwrap();
        assert_eq!(
            none.decrypt(VECTOR_GCM),
            Err(CryptError::NoKey("DB_ENC_KEY_GCM"))
        );
        assert_eq!(none.encrypt("x"), Err(CryptError::NoKey("DB_ENC_KEY")));
    }
}
