//! From the text a client sent to header, claims and signature (protocol.md §9.1).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::TokenError;
use super::claims::object;

/// base64url as tolerant as the original's: with or without padding, and not strict about the
/// unused bits of the last character (transcript 014 depends on it).
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Percent-decodes once and removes all white space, for every token everywhere (P-238). `+` stays.
///
/// Bytes that come out as no UTF-8 make the token [`TokenError::Malformed`].
pub(super) fn clean(token: &str) -> Result<String, TokenError> {
    let mut out = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        let decoded = if byte == b'%' {
            let mut ahead = rest.clone();
            match (
                ahead.next().and_then(hex_digit),
                ahead.next().and_then(hex_digit),
            ) {
                (Some(high), Some(low)) => {
                    rest = ahead;
                    high * 16 + low
                }
                _ => byte,
            }
        } else {
            byte
        };
        let vertical_tab = 0x0b;
        if !decoded.is_ascii_whitespace() && decoded != vertical_tab {
            out.push(decoded);
        }
    }
    String::from_utf8(out).map_err(|_| TokenError::Malformed)
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// A token taken apart; nothing of it is verified yet.
pub(super) struct Parts<'a> {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    /// The claims as they were signed.
    pub(super) claims_json: String,
    /// What the signature is over: the first two parts and the dot between them.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

/// Takes a cleaned token apart.
pub(super) fn split(token: &str) -> Result<Parts<'_>, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    if claims.contains('.') {
        return Err(TokenError::Malformed);
    }
    let header = decode(header)?;
    let claims = decode(claims)?;
    let signature = decode(signature)?;
    let claims_json = String::from_utf8(claims).map_err(|_| TokenError::Undecodable)?;
    let header = std::str::from_utf8(&header).map_err(|_| TokenError::Undecodable)?;
    Ok(Parts {
        claims: object(&claims_json)?,
        header: object(header)?,
        claims_json,
        signed,
        signature,
    })
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64.decode(part).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_percent_signs_are_cleaned() {
        for (from, to) in [
            ("  a.b\n.c\t\r\u{b}\u{c}", "a.b.c"),
            ("a%2Eb%2ec", "a.b.c"),
            ("a%20b%0A", "ab"),
            ("a+b", "a+b"),
            ("a%", "a%"),
            ("a%2", "a%2"),
            ("a%zz", "a%zz"),
            ("%2541", "%41"),
        ] {
            assert_eq!(clean(from).as_deref(), Ok(to), "{from:?}");
        }
        assert_eq!(clean("%ff"), Err(TokenError::Malformed));
    }

    #[test]
    fn the_stages_of_taking_apart_are_told_apart() {
        for (token, error) in [
            ("", TokenError::Malformed),
            ("not-a-jwt", TokenError::Malformed),
            ("a.b", TokenError::Malformed),
            ("a.b.c.d", TokenError::Malformed),
            ("e30.e30.e30.", TokenError::Malformed),
            ("e30.e30.%", TokenError::Malformed),
            ("a.e30.e30", TokenError::Malformed),
            ("aaa.bbb.ccc", TokenError::Undecodable),
            ("..", TokenError::Undecodable),
            (
                "e30.W10.",
                TokenError::Unacceptable("header or claims are no object"),
            ),
            (
                "W10.e30.",
                TokenError::Unacceptable("header or claims are no object"),
            ),
        ] {
            assert_eq!(split(token).err(), Some(error), "{token}");
        }
        assert!(split("e30.e30=.e30=").is_ok_and(|parts| parts.signed == "e30.e30="));
    }
}
