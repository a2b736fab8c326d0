//! `JWT_CLAIM_VALIDATORS`: claims that must have a certain value where they are present.

use serde_json::{Map, Value};

use super::TokenError;

/// Why text is no set of claim validators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a JSON object of claim names and the values they must have")]
pub struct ClaimValidatorsError;

/// Claims and the values they must have. A claim the token does not carry is not checked (P-245).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimValidators {
    expected: Map<String, Value>,
}

impl ClaimValidators {
    /// Reads a JSON object such as `{"iss":"https://auth.example.com"}`.
    pub fn parse(text: &str) -> Result<Self, ClaimValidatorsError> {
        match serde_json::from_str(text) {
            Ok(Value::Object(expected)) => Ok(Self { expected }),
            _ => Err(ClaimValidatorsError),
        }
    }

    /// The value that this claim must have, if one is demanded.
    pub fn expected(&self, name: &str) -> Option<&Value> {
        self.expected.get(name)
    }

    pub(super) fn check(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let wrong = |(name, value): (&String, &Value)| {
            claims.get(name).is_some_and(|actual| actual != value)
        };
        if self.expected.iter().any(wrong) {
            return Err(TokenError::Unacceptable(
                "a claim has not the value that JWT_CLAIM_VALIDATORS demands",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_accepted() {
        assert!(ClaimValidators::parse(r#"{"iss":"a"}"#).is_ok());
        for text in ["", "[]", "\"iss\"", "{iss:1}"] {
            assert_eq!(ClaimValidators::parse(text), Err(ClaimValidatorsError));
        }
    }
}
