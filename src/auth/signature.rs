//! Algorithms, key material, and the check of one signature. The only place that touches
//! cryptography.
//!
//! Everything goes to aws-lc-rs: it knows every algorithm the original accepts except Ed448, while
//! JWT libraries lack one or the other (ES512, the name `Ed25519`). One way to verify, one to get wrong.
//! A key that cannot do what an algorithm asks answers [`Outcome::Unsuitable`], never "not valid":
//! the client is told to look at the configuration rather than at the token.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use aws_lc_rs::{error::Unspecified, hmac};

/// The size of a SHA-2 hash, the number in `HS256` and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sha {
    S256,
    S384,
    S512,
}

/// The algorithms of protocol.md §9.2. `none`, `PS256` and everything else have no value here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs(Sha),
    Rs(Sha),
    Es(Sha),
    /// `EdDSA` leaves the curve to the key, `Ed25519` is its newer name. `Ed448` is accepted as a
    /// name so that the failure names the key id, but no key of ours can do it.
    Ed,
    Ed448,
}

impl Algorithm {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs(Sha::S256),
            "HS384" => Self::Hs(Sha::S384),
            "HS512" => Self::Hs(Sha::S512),
            "RS256" => Self::Rs(Sha::S256),
            "RS384" => Self::Rs(Sha::S384),
            "RS512" => Self::Rs(Sha::S512),
            "ES256" => Self::Es(Sha::S256),
            "ES384" => Self::Es(Sha::S384),
            "ES512" => Self::Es(Sha::S512),
            "EdDSA" | "Ed25519" => Self::Ed,
            "Ed448" => Self::Ed448,
            _ => return None,
        })
    }
}

/// What a key is made of, in the form the primitives take. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    /// The bytes of a shared secret, not empty.
    Secret(Vec<u8>),
    /// Big-endian modulus and exponent without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point; the hash is the one that belongs to the curve (ES256 is P-256, ...).
    Ec { curve: Sha, point: Vec<u8> },
    /// An Ed25519 public key.
    Ed25519(Vec<u8>),
    /// The kind is known, the key is not usable, and this is why.
    Unusable(&'static str),
}

/// The answer of [`Material::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Valid,
    Invalid,
    /// This key cannot verify that algorithm, whatever the signature.
    Unsuitable,
}

impl Material {
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Outcome {
        let result = match (algorithm, self) {
            (Algorithm::Hs(sha), Self::Secret(secret)) => {
                hmac::verify(&hmac_key(sha, secret), message, signature)
            }
            (Algorithm::Rs(sha), Self::Rsa { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(rsa(sha), message, signature)
            }
            (Algorithm::Es(sha), Self::Ec { curve, point }) if sha == *curve => {
                public(ecdsa(sha), point, message, signature)
            }
            (Algorithm::Ed, Self::Ed25519(key)) => public(&ED25519, key, message, signature),
            _ => return Outcome::Unsuitable,
        };
        match result {
            Ok(()) => Outcome::Valid,
            Err(Unspecified) => Outcome::Invalid,
        }
    }
}

fn public(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Unspecified> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature)
}

fn rsa(sha: Sha) -> &'static RsaParameters {
    match sha {
        Sha::S256 => &RSA_PKCS1_2048_8192_SHA256,
        Sha::S384 => &RSA_PKCS1_2048_8192_SHA384,
        Sha::S512 => &RSA_PKCS1_2048_8192_SHA512,
    }
}

fn ecdsa(sha: Sha) -> &'static dyn VerificationAlgorithm {
    match sha {
        Sha::S256 => &ECDSA_P256_SHA256_FIXED,
        Sha::S384 => &ECDSA_P384_SHA384_FIXED,
        Sha::S512 => &ECDSA_P521_SHA512_FIXED,
    }
}

pub(super) fn hmac_key(sha: Sha, secret: &[u8]) -> hmac::Key {
    let algorithm = match sha {
        Sha::S256 => hmac::HMAC_SHA256,
        Sha::S384 => hmac::HMAC_SHA384,
        Sha::S512 => hmac::HMAC_SHA512,
    };
    hmac::Key::new(algorithm, secret)
}
