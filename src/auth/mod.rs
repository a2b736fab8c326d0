//! Tokens and the keys that verify them (protocol.md §9).
//!
//! [`Keys`] holds what one tenant trusts: a secret, a set of public keys, and claims that must have a
//! certain value. [`Keys::verify`] turns the text a client sent into [`Claims`] or into a
//! [`TokenError`], which knows how to say the same thing at every door: the refused upgrade, the
//! failed join, the `access_token` event.
//!
//! Pure: no I/O, no clock (the caller passes the time), no logging, and nothing here ever prints a
//! token or a key. The kind of key decides which algorithms it can verify; the token only names one.

mod api;
mod cache;
mod claims;
mod error;
mod jwks;
mod keys;
mod mint;
mod signature;
mod signing;
#[cfg(test)]
mod testing;
mod token;
mod validators;
mod vapid;

pub use api::ApiKeys;
pub use claims::Claims;
pub use error::{ConnectRefusal, TokenError};
pub use jwks::{Jwks, JwksError};
pub use keys::Keys;
pub use mint::mint;
pub use signing::{SigningKey, SigningKeyError};
pub use validators::{ClaimValidators, ClaimValidatorsError};
pub use vapid::VapidKey;
