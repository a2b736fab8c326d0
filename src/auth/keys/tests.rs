//! The table of protocol.md §9.2, the claims of §9.3, and the attacks on both.

use base64::Engine;
use serde_json::json;

use super::super::testing::Signer;
use super::super::token::BASE64;
use super::*;

const SECRET: &[u8] = b"the secret of the tenant";
const NOW: i64 = 1000;

fn jwks(keys: &[serde_json::Value]) -> Option<Jwks> {
    Some(Jwks::from_value(json!({ "keys": keys })).ok().unwrap())
}

fn keys_with(secret: Option<&[u8]>, jwks: Option<Jwks>) -> Keys {
    Keys::new(secret, jwks, ClaimValidators::default())
}

fn secret() -> Signer {
    Signer::Secret(SECRET.to_vec())
}

fn claims() -> serde_json::Value {
    json!({"role": "authenticated", "sub": "u1", "exp": NOW + 60})
}

fn signed(claims: &serde_json::Value) -> String {
    secret().token(&json!({"alg": "HS256"}), claims)
}

fn no_key(kid: Option<&str>) -> TokenError {
    super::no_key(kid)
}

#[test]
fn hs_tokens_are_verified_with_the_secret() {
    let keys = keys_with(Some(SECRET), None);
    for alg in ["HS256", "HS384", "HS512"] {
        for header in [json!({"alg": alg}), json!({"alg": alg, "kid": "any"})] {
            let verified = keys
                .verify(&secret().token(&header, &claims()), NOW)
                .unwrap();
            assert_eq!(&*verified.role, "authenticated");
            assert_eq!(verified.sub.as_deref(), Some("u1"));
            assert_eq!(&*verified.json, claims().to_string());
        }
    }
    let other = Signer::Secret(b"another".to_vec());
    let forged = other.token(&json!({"alg": "HS256"}), &claims());
    assert_eq!(keys.verify(&forged, NOW), Err(TokenError::BadSignature));
}

#[test]
fn hs_with_kid_takes_the_oct_key_and_falls_back_to_the_secret() {
    let oct = Signer::Secret(b"oct".to_vec());
    let set = || {
        jwks(&[
            json!({"kty": "oct", "kid": "k"}),
            oct.jwk("k"),
            json!({"kty": "oct", "kid": "bad", "k": "!"}),
        ])
    };
    let keys = keys_with(Some(SECRET), set());
    let with_kid =
        |signer: &Signer, kid: &str| signer.token(&json!({"alg": "HS256", "kid": kid}), &claims());
    assert!(keys.verify(&with_kid(&oct, "k"), NOW).is_ok());
    assert!(keys.verify(&with_kid(&secret(), "unknown"), NOW).is_ok());
    assert_eq!(
        keys.verify(&with_kid(&secret(), "k"), NOW),
        Err(TokenError::BadSignature)
    );
    assert_eq!(
        keys.verify(&with_kid(&secret(), "bad"), NOW),
        Err(no_key(Some("bad")))
    );
    // A kid that is no string is none.
    let number = secret().token(&json!({"alg": "HS256", "kid": 5}), &claims());
    assert!(keys.verify(&number, NOW).is_ok());
    // A tenant with a set only (P-243).
    let keys = keys_with(None, set());
    assert!(keys.verify(&with_kid(&oct, "k"), NOW).is_ok());
    assert_eq!(
        keys.verify(&with_kid(&secret(), "unknown"), NOW),
        Err(no_key(Some("unknown")))
    );
    assert_eq!(keys.verify(&signed(&claims()), NOW), Err(no_key(None)));
}

#[test]
fn public_keys_verify_their_algorithms_by_kid() {
    let rsa = Signer::rsa();
    let p256 = Signer::ec("P-256");
    let p384 = Signer::ec("P-384");
    let p521 = Signer::ec("P-521");
    let ed = Signer::ed();
    let set = [&rsa, &p256, &p384, &p521, &ed]
        .iter()
        .enumerate()
        .map(|(index, signer)| signer.jwk(&index.to_string()))
        .collect::<Vec<_>>();
    let keys = keys_with(Some(SECRET), jwks(&set));
    for (alg, kid, signer) in [
        ("RS256", "0", &rsa),
        ("RS384", "0", &rsa),
        ("RS512", "0", &rsa),
        ("ES256", "1", &p256),
        ("ES384", "2", &p384),
        ("ES512", "3", &p521),
        ("EdDSA", "4", &ed),
        ("Ed25519", "4", &ed),
    ] {
        let header = json!({"alg": alg, "kid": kid, "typ": "JWT"});
        let token = signer.token(&header, &claims());
        assert!(keys.verify(&token, NOW).is_ok(), "{alg}");
        // Another key of the same kind.
        let fresh = match alg.as_bytes() {
            [b'R', ..] => Signer::rsa(),
            b"ES256" => Signer::ec("P-256"),
            b"ES384" => Signer::ec("P-384"),
            b"ES512" => Signer::ec("P-521"),
            _ => Signer::ed(),
        };
        let forged = fresh.token(&header, &claims());
        assert_eq!(
            keys.verify(&forged, NOW),
            Err(TokenError::BadSignature),
            "{alg}"
        );
        // The kid unknown, absent, or of another kind; and the set absent.
        let named = |kid: &str| signer.token(&json!({"alg": alg, "kid": kid}), &claims());
        assert_eq!(
            keys.verify(&named("9"), NOW),
            Err(no_key(Some("9"))),
            "{alg}"
        );
        let other_kind = if kid == "0" { "1" } else { "0" };
        assert_eq!(
            keys.verify(&named(other_kind), NOW),
            Err(no_key(Some(other_kind))),
            "{alg}"
        );
        let without = signer.token(&json!({"alg": alg}), &claims());
        assert_eq!(keys.verify(&without, NOW), Err(no_key(None)), "{alg}");
        assert_eq!(
            keys_with(Some(SECRET), None).verify(&token, NOW),
            Err(no_key(None)),
            "{alg}"
        );
        let empty = keys_with(Some(SECRET), jwks(&[]));
        assert_eq!(empty.verify(&token, NOW), Err(no_key(Some(kid))), "{alg}");
    }
    // The right kind on the wrong curve, and the curve nobody here can do.
    for (alg, kid) in [("ES256", "2"), ("ES512", "1"), ("Ed448", "4")] {
        let token = p256.token(&json!({"alg": alg, "kid": kid}), &claims());
        assert_eq!(keys.verify(&token, NOW), Err(no_key(Some(kid))), "{alg}");
    }
}

#[test]
fn algorithms_outside_the_table_are_refused() {
    let rsa = Signer::rsa();
    let keys = keys_with(Some(SECRET), jwks(&[rsa.jwk("k")]));
    for alg in [
        json!("none"),
        json!("None"),
        json!(""),
        json!("PS256"),
        json!("hs256"),
        json!("HS1"),
        json!("ES256K"),
        json!(null),
        json!(["HS256"]),
    ] {
        for signer in [&rsa, &secret()] {
            let token = signer.token(&json!({"alg": alg, "kid": "k"}), &claims());
            assert_eq!(keys.verify(&token, NOW), Err(no_key(None)), "{alg}");
        }
    }
    let missing = secret().token(&json!({"typ": "JWT"}), &claims());
    assert_eq!(keys.verify(&missing, NOW), Err(no_key(None)));
    let unsigned = format!(
        "{}.{}.",
        BASE64.encode(r#"{"alg":"none"}"#),
        BASE64.encode(claims().to_string())
    );
    assert_eq!(keys.verify(&unsigned, NOW), Err(no_key(None)));
    let stripped = signed(&claims());
    let stripped = format!("{}.", stripped.rsplit_once('.').unwrap().0);
    assert_eq!(keys.verify(&stripped, NOW), Err(TokenError::BadSignature));
}

#[test]
fn a_public_key_is_never_taken_as_a_shared_secret() {
    for pair in [Signer::rsa(), Signer::ec("P-256"), Signer::ed()] {
        let keys = keys_with(Some(SECRET), jwks(&[pair.jwk("k")]));
        let public = pair.public();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            BASE64.encode(&public)
        );
        let jwk = pair.jwk("k");
        for guess in [
            public,
            pem.into_bytes(),
            jwk.to_string().into_bytes(),
            jwk["x"].as_str().unwrap_or("x").into(),
        ] {
            for alg in ["HS256", "HS384", "HS512"] {
                let token = Signer::Secret(guess.clone())
                    .token(&json!({"alg": alg, "kid": "k"}), &claims());
                assert_eq!(keys.verify(&token, NOW), Err(TokenError::BadSignature));
            }
        }
    }
}

#[test]
fn an_asymmetric_algorithm_is_never_verified_with_a_shared_secret() {
    let oct = Signer::Secret(b"oct".to_vec());
    let keys = keys_with(Some(SECRET), jwks(&[oct.jwk("k")]));
    for alg in ["RS256", "ES256", "EdDSA", "Ed25519"] {
        let token = oct.token(&json!({"alg": alg, "kid": "k"}), &claims());
        assert_eq!(keys.verify(&token, NOW), Err(no_key(Some("k"))), "{alg}");
    }
}

#[test]
fn keys_carried_by_the_token_itself_are_ignored() {
    let attacker = Signer::rsa();
    let keys = keys_with(Some(SECRET), jwks(&[Signer::rsa().jwk("k")]));
    let header =
        json!({"alg": "RS256", "kid": "k", "jwk": attacker.jwk("k"), "jku": "http://127.0.0.1/"});
    assert_eq!(
        keys.verify(&attacker.token(&header, &claims()), NOW),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn an_empty_secret_verifies_nothing() {
    let nobody = Signer::Secret(Vec::new()).token(&json!({"alg": "HS256", "kid": "k"}), &claims());
    let empty_key = json!({"kty": "oct", "kid": "k", "k": ""});
    for keys in [
        keys_with(Some(b""), None),
        keys_with(None, None),
        keys_with(Some(b""), jwks(&[empty_key])),
    ] {
        assert!(matches!(
            keys.verify(&nobody, NOW),
            Err(TokenError::NoKey { .. })
        ));
    }
}

#[test]
fn the_claims_are_judged_as_the_original_does() {
    let keys = keys_with(Some(SECRET), None);
    let verify =
        |claims: serde_json::Value| keys.verify(&signed(&claims), NOW).map(|claims| claims.exp);
    let later = NOW + 60;
    for (claims, result) in [
        (json!({"role": "r", "exp": NOW + 1}), Ok(NOW + 1)),
        (json!({"role": "r", "exp": 1060.4}), Ok(1060)),
        (
            json!({"role": "r", "exp": later, "iat": 9e9, "nbf": 9e9, "aud": 5, "iss": []}),
            Ok(later),
        ),
        (
            json!({"role": "r", "exp": NOW}),
            Err(TokenError::Expired { seconds: 0 }),
        ),
        (
            json!({"role": "r", "exp": NOW - 100}),
            Err(TokenError::Expired { seconds: 100 }),
        ),
        (
            json!({"exp": NOW - 100}),
            Err(TokenError::Expired { seconds: 100 }),
        ),
        (json!({"exp": later}), Err(TokenError::MissingClaims)),
        (json!({"role": "r"}), Err(TokenError::MissingClaims)),
        (json!({}), Err(TokenError::MissingClaims)),
        (
            json!({"role": "r", "exp": "tomorrow"}),
            Err(TokenError::Unacceptable("exp is not a number")),
        ),
        (
            json!({"role": "r", "exp": later, "iat": "x"}),
            Err(TokenError::Unacceptable("iat is not a number")),
        ),
    ] {
        assert_eq!(verify(claims.clone()), result, "{claims}");
    }
}

#[test]
fn the_signature_is_judged_before_the_claims() {
    let keys = keys_with(Some(SECRET), None);
    let other = Signer::Secret(b"x".to_vec());
    let token = other.token(&json!({"alg": "HS256"}), &json!({"exp": "no"}));
    assert_eq!(keys.verify(&token, NOW), Err(TokenError::BadSignature));
}

#[test]
fn configured_claims_must_match_where_present() {
    let validators = ClaimValidators::parse(r#"{"iss":"us","tier":{"a":1}}"#).unwrap();
    let keys = Keys::new(Some(SECRET), None, validators);
    let verify = |extra: serde_json::Value| {
        let mut claims = claims();
        claims
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        keys.verify(&signed(&claims), NOW).is_ok()
    };
    assert!(verify(json!({})));
    assert!(verify(json!({"iss": "us", "tier": {"a": 1}})));
    assert!(!verify(json!({"iss": "them"})));
    assert!(!verify(json!({"iss": null})));
    assert!(!verify(json!({"tier": {"a": 2}})));
}

#[test]
fn tokens_are_cleaned_before_they_are_read() {
    let keys = keys_with(Some(SECRET), None);
    let token = signed(&claims());
    let (head, tail) = token.split_at(20);
    for spelled in [
        format!("  {head}\n{tail}\t"),
        format!("{head}%20{tail}"),
        token.replace('.', "%2E"),
    ] {
        assert!(keys.verify(&spelled, NOW).is_ok(), "{spelled}");
    }
}

#[test]
fn a_remembered_token_still_expires() {
    let keys = keys_with(Some(SECRET), None);
    let token = signed(&claims());
    let first = keys.verify(&token, NOW).unwrap();
    let again = keys.verify(&token, NOW + 59).unwrap();
    assert!(
        Arc::ptr_eq(&first, &again),
        "the second time comes from memory"
    );
    assert_eq!(
        keys.verify(&token, NOW + 67),
        Err(TokenError::Expired { seconds: 7 })
    );
}

#[test]
fn a_refused_token_is_not_remembered_as_good() {
    let keys = keys_with(Some(SECRET), None);
    let mut token = signed(&claims());
    assert!(keys.verify(&token, NOW).is_ok());
    // Another last signature byte: same claims, another token.
    let flipped = if token.ends_with('A') { "Q" } else { "A" };
    token.replace_range(token.len() - 2..token.len() - 1, flipped);
    assert_eq!(keys.verify(&token, NOW), Err(TokenError::BadSignature));
    assert_eq!(keys.verify(&token, NOW), Err(TokenError::BadSignature));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_or_pass(text in "\\PC*", dotted in "[a-zA-Z0-9_%=-]{0,9}\\.[a-zA-Z0-9_=-]{0,40}\\.[a-zA-Z0-9_=-]{0,40}") {
        let keys = keys_with(Some(SECRET), jwks(&[]));
        proptest::prop_assert!(keys.verify(&text, NOW).is_err());
        proptest::prop_assert!(keys.verify(&dotted, NOW).is_err());
    }

    #[test]
    fn no_signed_json_makes_it_panic(header in "\\PC{0,40}", claims in "\\PC{0,60}", number: f64, alg in "(HS|RS|ES|PS)(256|384|512)|EdDSA|Ed448") {
        let keys = keys_with(Some(SECRET), jwks(&[]));
        let signer = secret();
        let _ = keys.verify(&signer.token_of_text(&header, &claims), NOW);
        let good = json!({"alg": alg, "kid": header}).to_string();
        let _ = keys.verify(&signer.token_of_text(&good, &claims), NOW);
        let _ = keys.verify(&signer.token_of_text(&good, &json!({"exp": number, "role": claims}).to_string()), NOW);
    }
}
