//! The signature. Claims come out of here verified, or not at all (J18).

use serde_json::Map;
use serde_json::Value;

use crate::authn::jwks::Key;
use crate::authn::jwt::algorithm::Algorithm;
use crate::authn::jwt::error::TokenError;
use crate::authn::jwt::token::Unverified;
use crate::authn::jwt::token::octets;

/// The claims of a token whose signature verified. Only [`verify`] makes one.
pub(super) struct VerifiedClaims(Map<String, Value>);

impl VerifiedClaims {
    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(super) fn into_members(self) -> Map<String, Value> {
        self.0
    }
}

/// Verify with the first of these keys that can. Says which it was.
pub(super) fn verify<'k>(
    token: Unverified<'_>,
    algorithm: Algorithm,
    keys: &[&'k Key],
) -> Result<(VerifiedClaims, &'k Key), TokenError> {
    if token.signature.is_empty() {
        return Err(TokenError::NoSignature);
    }
    let signature = octets("signature", token.signature)?;
    match keys.iter().find(|key| key.verifies(algorithm, token.signed.as_bytes(), &signature)) {
        Some(key) => Ok((VerifiedClaims(token.claims), key)),
        None => Err(TokenError::BadSignature),
    }
}
