//! Key pairs for tests: each signs a token and shows its public half as a JWK.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaKeyPair,
};
use base64::Engine;
use serde_json::{Value, json};

use super::signature::{Sha, hmac_key};
use super::token::BASE64;

pub(super) enum Signer {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    Ec(&'static str, EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub(super) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(super) fn ec(curve: &'static str) -> Self {
        let algorithm: &'static EcdsaSigningAlgorithm = match curve {
            "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            "P-384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
            "P-521" => &ECDSA_P521_SHA512_FIXED_SIGNING,
            other => panic!("no curve {other}"),
        };
        Self::Ec(curve, EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub(super) fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    /// Signs with what the key can do, whatever `alg` is called in the header.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    pub(super) fn token_of_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let sha = match header {
            h if h.contains("384\"") => Sha::S384,
            h if h.contains("512\"") => Sha::S512,
            _ => Sha::S256,
        };
        let signature = self.sign(sha, signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }

    fn sign(&self, sha: Sha, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => aws_lc_rs::hmac::sign(&hmac_key(sha, secret), message)
                .as_ref()
                .to_vec(),
            Self::Rsa(pair) => {
                let padding = match sha {
                    Sha::S256 => &RSA_PKCS1_SHA256,
                    Sha::S384 => &RSA_PKCS1_SHA384,
                    Sha::S512 => &RSA_PKCS1_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(_, pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as raw bytes, the way an attacker would use it as an HMAC secret.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Secret(secret) => secret.clone(),
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ec(_, pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Secret(secret) => json!({"kty": "oct", "kid": kid, "k": BASE64.encode(secret)}),
            Self::Rsa(pair) => {
                let key = pair.public_key();
                let n = key.modulus().big_endian_without_leading_zero().to_vec();
                let e = key.exponent().big_endian_without_leading_zero().to_vec();
                json!({"kty": "RSA", "kid": kid, "n": BASE64.encode(n), "e": BASE64.encode(e)})
            }
            Self::Ec(crv, _) => {
                let point = self.public();
                let (x, y) = point[1..].split_at(point.len() / 2);
                json!({"kty": "EC", "kid": kid, "crv": crv, "x": BASE64.encode(x), "y": BASE64.encode(y)})
            }
            Self::Ed(_) => {
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": BASE64.encode(self.public())})
            }
        }
    }
}
