//! Encryption of a push message for one browser (RFC 8291 over RFC 8188, `aes128gcm`).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand;

/// Bytes of text that fit into what every push service must take: 4096, less header, padding and tag.
pub(super) const MAX_TEXT: usize = 4096 - 86 - 17;
/// Size of a record; there is one, which is shorter.
const RECORD: u32 = 4096;

/// The keys of a subscription, as the browser gave them.
pub(super) struct Receiver {
    /// Its public key, 65 bytes, uncompressed.
    pub(super) public: Vec<u8>,
    /// Its secret, 16 bytes.
    pub(super) auth: Vec<u8>,
}

/// The body of the request: header and one record.
///
/// # Errors
/// The public key is no point of the curve, or the system has no random numbers.
pub(super) fn encrypt(receiver: &Receiver, text: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut salt = [0; 16];
    rand::fill(&mut salt)?;
    encrypt_with(receiver, text, &PrivateKey::generate(&ECDH_P256)?, salt)
}

fn encrypt_with(
    receiver: &Receiver,
    text: &[u8],
    ours: &PrivateKey,
    salt: [u8; 16],
) -> Result<Vec<u8>, Unspecified> {
    let public = ours.compute_public_key()?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &receiver.public);
    // Both names are bound into the key, so that a message for one browser is none for another.
    let info = [b"WebPush: info\0", &*receiver.public, public.as_ref()];
    let mut input = [0; 32];
    agree(ours, theirs, Unspecified, |shared| {
        let key = Salt::new(HKDF_SHA256, &receiver.auth).extract(shared);
        expand(&key, &info, &mut input)
    })?;
    let key = Salt::new(HKDF_SHA256, &salt).extract(&input);
    let (mut cipher, mut nonce) = ([0; 16], [0; 12]);
    expand(&key, &[b"Content-Encoding: aes128gcm\0"], &mut cipher)?;
    expand(&key, &[b"Content-Encoding: nonce\0"], &mut nonce)?;

    let mut record = Vec::with_capacity(text.len() + 17);
    record.extend_from_slice(text);
    // The mark of the last record.
    record.push(2);
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &cipher)?).seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::empty(),
        &mut record,
    )?;

    let mut body = Vec::with_capacity(86 + record.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD.to_be_bytes());
    body.push(65);
    body.extend_from_slice(public.as_ref());
    body.append(&mut record);
    Ok(body)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(key: &Prk, info: &[&[u8]], out: &mut [u8]) -> Result<(), Unspecified> {
    key.expand(info, Length(out.len()))?.fill(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc_comes_out_as_printed_there() {
        let receiver = Receiver {
            public: bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            auth: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let ours = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let ours = PrivateKey::from_private_key(&ECDH_P256, &ours).unwrap();
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        let body = encrypt_with(&receiver, text, &ours, salt).unwrap();
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn no_two_messages_have_the_same_key() {
        let ours = PrivateKey::generate(&ECDH_P256).unwrap();
        let receiver = Receiver {
            public: ours.compute_public_key().unwrap().as_ref().to_vec(),
            auth: vec![7; 16],
        };
        let (one, other) = (
            encrypt(&receiver, b"hello").unwrap(),
            encrypt(&receiver, b"hello").unwrap(),
        );
        assert_ne!(one, other);
        assert_eq!(one.len(), 86 + 5 + 17);
    }

    #[test]
    fn a_key_that_is_no_point_is_refused() {
        for public in [vec![], vec![4; 65], vec![0; 65]] {
            let auth = vec![7; 16];
            assert!(encrypt(&Receiver { public, auth }, b"hello").is_err());
        }
    }
}
