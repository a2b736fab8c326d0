//! A set of JSON Web Keys (`API_JWT_JWKS`, `jwt_jwks` of a tenant), read once.
//!
//! Only `kty`, `crv`, `kid` and the numbers of the key are looked at; `use`, `alg` and `key_ops` are
//! not (protocol.md §9.2). A key of an unknown kind, or a broken one, does not stop the others from
//! working: it fails when a token asks for it, and [`Jwks::problems`] names it before that.

use base64::Engine;
use serde_json::{Map, Value};

use super::signature::{Algorithm, Material, Sha};
use super::token::BASE64;

/// Why text is no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not JSON at all.
    #[error("is not valid JSON (line {line}, column {column})")]
    Json {
        /// Line of the first mistake, from 1.
        line: usize,
        /// Column of the first mistake, from 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error("is {0}; expected {{\"keys\":[...]}}, an array of keys, or one key")]
    Shape(&'static str),
    /// An entry of the set is not an object.
    #[error("key {0} of the set (counted from 0) is not an object")]
    Entry(usize),
}

/// A set of keys, in the order given: the first that fits is used.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Clone, PartialEq, Eq)]
struct Jwk {
    kid: Option<String>,
    kty: String,
    material: Material,
    /// `false` for keys the original's search passes over although kind and id fit: an `oct` key
    /// without `k`, an `OKP` key of another curve.
    findable: bool,
}

impl Jwks {
    /// Reads `{"keys":[...]}`, a bare array, or a single key (pains row 24).
    pub fn parse(text: &str) -> Result<Self, JwksError> {
        let value: Value = serde_json::from_str(text).map_err(|error| JwksError::Json {
            line: error.line(),
            column: error.column(),
        })?;
        Self::from_value(value)
    }

    /// The same for JSON that is already parsed, such as a tenant's `jwt_jwks` column.
    pub fn from_value(value: Value) -> Result<Self, JwksError> {
        let entries = match value {
            Value::Array(entries) => entries,
            Value::Object(mut object) => match object.remove("keys") {
                Some(Value::Array(entries)) => entries,
                Some(_) => return Err(JwksError::Shape("an object whose \"keys\" is no array")),
                None if object.contains_key("kty") => vec![Value::Object(object)],
                None => {
                    return Err(JwksError::Shape(
                        "an object with neither \"keys\" nor \"kty\"",
                    ));
                }
            },
            Value::Null => return Err(JwksError::Shape("null")),
            Value::Bool(_) => return Err(JwksError::Shape("a boolean")),
            Value::Number(_) => return Err(JwksError::Shape("a number")),
            Value::String(_) => return Err(JwksError::Shape("a string")),
        };
        let keys = entries
            .into_iter()
            .enumerate()
            .map(|(index, entry)| match entry {
                Value::Object(object) => Ok(Jwk::read(&object)),
                _ => Err(JwksError::Entry(index)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// How many keys the set has, usable or not.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set has no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What will not work, one sentence per key, without key material: for `doctor` and the log.
    pub fn problems(&self) -> Vec<String> {
        self.keys
            .iter()
            .enumerate()
            .filter_map(|(index, key)| {
                let kid = key.kid.as_deref().unwrap_or("none");
                let what = match (&key.material, &key.kid) {
                    (Material::Unusable(why), _) => why,
                    (_, None) => "has no kid (a string), so no token can name it",
                    _ => return None,
                };
                Some(format!("key {index} (kid {kid}, kty {}) {what}", key.kty))
            })
            .collect()
    }

    /// The first key with this id whose kind belongs to the algorithm.
    pub(super) fn find(&self, algorithm: Algorithm, kid: &str) -> Option<&Material> {
        let kty = match algorithm {
            Algorithm::Hs(_) => "oct",
            Algorithm::Rs(_) => "RSA",
            Algorithm::Es(_) => "EC",
            Algorithm::Ed | Algorithm::Ed448 => "OKP",
        };
        self.keys
            .iter()
            .find(|key| key.findable && key.kty == kty && key.kid.as_deref() == Some(kid))
            .map(|key| &key.material)
    }
}

impl Jwk {
    fn read(object: &Map<String, Value>) -> Self {
        let kty = text(object, "kty").unwrap_or_default();
        let crv = text(object, "crv").unwrap_or_default();
        let (material, findable) = match kty {
            "oct" => (secret(object), text(object, "k").is_some()),
            "RSA" => (rsa(object), true),
            "EC" => (elliptic(object, crv), true),
            "OKP" => (edwards(object, crv), matches!(crv, "Ed25519" | "Ed448")),
            _ => (Material::Unusable("is of an unknown kind"), false),
        };
        Self {
            kid: text(object, "kid").map(str::to_owned),
            kty: kty.to_owned(),
            material,
            findable,
        }
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn bytes(object: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    BASE64.decode(text(object, name)?).ok()
}

fn secret(object: &Map<String, Value>) -> Material {
    match bytes(object, "k") {
        // An empty secret would let everybody sign.
        Some(secret) if !secret.is_empty() => Material::Secret(secret),
        _ => Material::Unusable("has no \"k\" in base64url, or an empty one"),
    }
}

fn rsa(object: &Map<String, Value>) -> Material {
    match (bytes(object, "n"), bytes(object, "e")) {
        (Some(n), Some(e)) => {
            let (n, e) = (without_zeros(&n), without_zeros(&e));
            // The primitives take 2048 to 8192 bits.
            if !(256..=1024).contains(&n.len()) {
                return Material::Unusable("is not between 2048 and 8192 bits long");
            }
            Material::Rsa { n, e }
        }
        _ => Material::Unusable("has no \"n\" and \"e\" in base64url"),
    }
}

fn without_zeros(number: &[u8]) -> Vec<u8> {
    number
        .iter()
        .copied()
        .skip_while(|byte| *byte == 0)
        .collect()
}

fn elliptic(object: &Map<String, Value>, crv: &str) -> Material {
    let (curve, size) = match crv {
        "P-256" => (Sha::S256, 32),
        "P-384" => (Sha::S384, 48),
        "P-521" => (Sha::S512, 66),
        _ => return Material::Unusable("is on none of the curves P-256, P-384, P-521"),
    };
    let (Some(x), Some(y)) = (bytes(object, "x"), bytes(object, "y")) else {
        return Material::Unusable("has no \"x\" and \"y\" in base64url");
    };
    let mut point = vec![4];
    for coordinate in [x, y] {
        // Some issuers drop leading zeros although the standard wants the full width.
        let Some(missing) = usize::checked_sub(size, coordinate.len()) else {
            return Material::Unusable("has a coordinate that is too long for its curve");
        };
        point.extend(std::iter::repeat_n(0, missing));
        point.extend(coordinate);
    }
    Material::Ec { curve, point }
}

fn edwards(object: &Map<String, Value>, crv: &str) -> Material {
    match (crv, bytes(object, "x")) {
        ("Ed25519", Some(x)) if x.len() == 32 => Material::Ed25519(x),
        ("Ed25519", _) => Material::Unusable("has no \"x\" of 32 bytes in base64url"),
        ("Ed448", _) => Material::Unusable("is on Ed448, which is not supported; use Ed25519"),
        _ => Material::Unusable("is on a curve that does not sign"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_array_and_single_key_are_the_same_set() {
        let key = r#"{"kty":"oct","kid":"a","k":"c2VjcmV0"}"#;
        let one = Jwks::parse(key).ok().unwrap();
        assert_eq!(one.len(), 1);
        assert!(one == Jwks::parse(&format!("[{key}]")).ok().unwrap());
        assert!(one == Jwks::parse(&format!("{{\"keys\":[{key}]}}")).ok().unwrap());
        assert!(Jwks::parse("{\"keys\":[]}").ok().unwrap().is_empty());
        assert!(Jwks::parse("[]").ok().unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_set_is_named() {
        for (text, message) in [
            ("{\"keys\":", "is not valid JSON (line 1, column 8)"),
            (
                "{}",
                "is an object with neither \"keys\" nor \"kty\"; expected {\"keys\":[...]}, an array of keys, or one key",
            ),
            (
                "{\"keys\":{}}",
                "is an object whose \"keys\" is no array; expected {\"keys\":[...]}, an array of keys, or one key",
            ),
            (
                "\"secret\"",
                "is a string; expected {\"keys\":[...]}, an array of keys, or one key",
            ),
            (
                "[{\"kty\":\"oct\"},1]",
                "key 1 of the set (counted from 0) is not an object",
            ),
        ] {
            assert_eq!(Jwks::parse(text).err().unwrap().to_string(), message);
        }
    }

    #[test]
    fn unusable_keys_are_named_and_leave_the_others_alone() {
        let set = Jwks::parse(
            r#"[{"kty":"oct","kid":"empty","k":""},{"kty":"EC","kid":"k1","crv":"secp256k1"},
                {"kty":"OKP","kid":"e4","crv":"Ed448","x":"AA"},{"kty":"new"},
                {"kty":"RSA","kid":"small","n":"AQAB","e":"AQAB"},
                {"kty":"EC","kid":"long","crv":"P-256","x":"AA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
                {"kty":"oct","k":"AQ"},{"kty":"oct","kid":"good","k":"AQ"}]"#,
        )
        .ok()
        .unwrap();
        assert_eq!(
            set.problems(),
            [
                "key 0 (kid empty, kty oct) has no \"k\" in base64url, or an empty one",
                "key 1 (kid k1, kty EC) is on none of the curves P-256, P-384, P-521",
                "key 2 (kid e4, kty OKP) is on Ed448, which is not supported; use Ed25519",
                "key 3 (kid none, kty new) is of an unknown kind",
                "key 4 (kid small, kty RSA) is not between 2048 and 8192 bits long",
                "key 5 (kid long, kty EC) has a coordinate that is too long for its curve",
                "key 6 (kid none, kty oct) has no kid (a string), so no token can name it",
            ]
        );
        assert!(set.find(Algorithm::Hs(Sha::S256), "good").is_some());
    }
}
