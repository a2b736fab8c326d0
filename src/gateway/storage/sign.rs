//! Signed URLs: tokens that stand for one object and one thing to do with it, until they expire.
//!
//! They are signed with a key that is derived from the secret of the API's tokens, so that neither ever passes for the
//! other, whatever claims somebody can get into one. Nothing here asks the database.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Map;

use super::error::Error;
use crate::config::Secret;

/// Says what the derived key is for.
const LABEL: &[u8] = b"dovetail storage signed url v1";

/// Longest token that is looked at.
const LONGEST: usize = 8 * 1024;

/// The header of every token; another one is none of ours.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Latest `exp`, the end of the year 9999.
const LATEST: i64 = 253_402_300_799;

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// To read the object.
    Download {
        /// As in the request for the URL: `width:100,resize:cover`.
        transformations: Option<String>,
    },
    /// To write it.
    Upload {
        /// Who will own it.
        owner: Option<String>,
        /// Also over what is there.
        upsert: bool,
    },
}

/// Signs and verifies.
#[derive(Clone)]
pub(super) struct Signer {
    key: Vec<u8>,
}

#[derive(Deserialize)]
struct Claims {
    url: String,
    scope: String,
    exp: i64,
    transformations: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    upsert: bool,
}

impl Signer {
    pub(super) fn new(secret: &Secret) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Self {
            key: hmac::sign(&key, LABEL).as_ref().to_vec(),
        }
    }

    /// A token for `bucket/name` that is good for so many seconds.
    pub(super) fn sign(
        &self,
        url: &str,
        grant: &Grant,
        now: i64,
        seconds: i64,
    ) -> Result<String, Error> {
        let exp = now
            .checked_add(seconds)
            .filter(|exp| seconds > 0 && *exp <= LATEST);
        let exp = exp.ok_or_else(|| Error::parameter("Invalid Parameter expiresIn"))?;
        let mut claims = Map::new();
        claims.insert("url".to_owned(), url.into());
        match grant {
            Grant::Download { transformations } => {
                claims.insert("scope".to_owned(), "download".into());
                if let Some(transformations) = transformations {
                    claims.insert(
                        "transformations".to_owned(),
                        transformations.as_str().into(),
                    );
                }
            }
            Grant::Upload { owner, upsert } => {
                claims.insert("scope".to_owned(), "upload".into());
                claims.insert("upsert".to_owned(), (*upsert).into());
                if let Some(owner) = owner {
                    claims.insert("owner".to_owned(), owner.as_str().into());
                }
            }
        }
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), exp.into());
        Ok(crate::auth::mint(&self.key, claims))
    }

    /// What the token allows with `bucket/name`, and until when.
    pub(super) fn verify(&self, token: &str, url: &str, now: i64) -> Result<(Grant, i64), Error> {
        let claims = self
            .claims(token)
            .ok_or_else(|| Error::signature("Invalid signature"))?;
        // Of another object: told apart from a forged one by nobody.
        if claims.url != url {
            return Err(Error::signature("Invalid signature"));
        }
        if claims.exp <= now {
            return Err(Error::expired());
        }
        let grant = match claims.scope.as_str() {
            "download" => Grant::Download {
                transformations: claims.transformations,
            },
            "upload" => Grant::Upload {
                owner: claims.owner,
                upsert: claims.upsert,
            },
            _ => return Err(Error::signature("Invalid signature")),
        };
        Ok((grant, claims.exp))
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&key, signed.as_bytes(), &signature).ok()?;
        if URL_SAFE_NO_PAD.decode(header).ok()? != HEADER.as_bytes() {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::auth::{ClaimValidators, Keys, mint};
    use serde_json::{Value, json};

    fn signer() -> Signer {
        Signer::new(&Secret::new("a secret of at least thirty-two letters"))
    }

    fn download() -> Grant {
        Grant::Download {
            transformations: None,
        }
    }

    #[test]
    fn a_token_is_good_for_its_object_until_it_expires() {
        let token = signer().sign("b/a.png", &download(), 100, 10).unwrap();
        assert_eq!(
            signer().verify(&token, "b/a.png", 109).unwrap(),
            (download(), 110)
        );
        assert_eq!(
            signer().verify(&token, "b/a.png", 110).unwrap_err(),
            Error::expired()
        );
        assert!(signer().verify(&token, "b/other.png", 100).is_err());
        let upload = Grant::Upload {
            owner: Some("me".to_owned()),
            upsert: true,
        };
        let token = signer().sign("b/a.png", &upload, 100, 10).unwrap();
        assert_eq!(signer().verify(&token, "b/a.png", 101).unwrap().0, upload);
    }

    #[test]
    fn a_life_without_end_or_of_none_is_refused() {
        for seconds in [0, -1, i64::MAX, i64::MIN, LATEST] {
            assert!(
                signer().sign("b/a", &download(), 100, seconds).is_err(),
                "{seconds}"
            );
        }
    }

    #[test]
    fn neither_kind_of_token_passes_for_the_other() {
        let secret = "a secret of at least thirty-two letters";
        let keys = Keys::new(Some(secret.as_bytes()), None, ClaimValidators::default());
        let token = signer().sign("b/a", &download(), 100, 1000).unwrap();
        assert!(keys.verify(&token, 100).is_err());
        // Even with claims that an API token has.
        let claims = |value: Value| value.as_object().unwrap().clone();
        let forged = mint(
            &signer().key,
            claims(json!({"role": "service_role", "exp": 1000, "url": "b/a", "scope": "download"})),
        );
        assert!(keys.verify(&forged, 100).is_err());
        // And an API token with claims of a signed URL.
        let api = mint(
            secret.as_bytes(),
            claims(json!({"role": "anon", "exp": 1000, "url": "b/a", "scope": "download"})),
        );
        assert!(keys.verify(&api, 100).is_ok());
        assert!(signer().verify(&api, "b/a", 100).is_err());
    }

    #[test]
    fn tokens_that_were_touched_are_refused() {
        let token = signer().sign("b/a", &download(), 100, 1000).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let other = Signer::new(&Secret::new("another secret of thirty-two letters")).sign(
            "b/a",
            &download(),
            100,
            1000,
        );
        for bad in [
            String::new(),
            "..".to_owned(),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{token}="),
            format!("{token}."),
            other.unwrap(),
            "a".repeat(100_000),
        ] {
            assert!(signer().verify(&bad, "b/a", 101).is_err(), "{bad}");
        }
    }
}
