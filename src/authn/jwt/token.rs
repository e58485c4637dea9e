//! A compact JWS before anything about it is believed (RFC 7515 §7.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value;

use crate::authn::json;
use crate::authn::jwt::error::TokenError;

/// The longest token, in octets (J16).
pub(super) const MAX_TOKEN: usize = 8 * 1024;

/// A token split into its parts. Its claims stay closed in here until the signature has been verified; only the
/// issuer may be read before, to find whose token it would be.
pub(in crate::authn) struct Unverified<'t> {
    /// The whole token.
    pub(super) text: &'t str,
    /// Header and payload as signed.
    pub(super) signed: &'t str,
    pub(super) header: &'t str,
    pub(super) signature: &'t str,
    /// For `verify` alone.
    pub(super) claims: Map<String, Value>,
}

impl<'t> Unverified<'t> {
    /// Split a token and read its payload. The header and the signature are not looked at.
    pub(in crate::authn) fn parse(text: &'t str) -> Result<Unverified<'t>, TokenError> {
        if text.len() > MAX_TOKEN {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::NotThreeParts)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::NotThreeParts)?;
        if header.is_empty() || payload.is_empty() {
            return Err(TokenError::NotThreeParts);
        }
        // More dots than two are in here, and no dot is base64url.
        let more = |error| if payload.contains('.') { TokenError::NotThreeParts } else { error };
        let payload = octets("payload", payload).map_err(more)?;
        let claims = json::parse_object(&payload).map_err(|error| TokenError::Json { part: "payload", error })?;
        Ok(Unverified { text, signed, header, signature, claims })
    }

    /// The issuer the token names, when that is one text (J11).
    pub(in crate::authn) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }
}

/// Decode base64url strictly: no padding, no line breaks, no stray bits at the end.
pub(super) fn octets(part: &'static str, text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::NotBase64(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j3_j16_only_three_strict_parts_are_a_token() {
        let sound = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"iss":"x"}"#));
        assert_eq!(Unverified::parse(&sound).map(|token| token.issuer() == Some("x")).ok(), Some(true));
        for text in [
            "",
            "a",
            "e30.e30",
            ".e30.c2ln",
            "e30..c2ln",
            "e30.e30.c2ln.x",
            "e30.e30.e30.e30.e30",
            "e30.e30=.c2ln",
            "e30.e3 0.c2ln",
            "e30.e31.c2ln",
            "e30.e+0.c2ln",
            "e30.W10.c2ln",
            "e30.bnVsbA.c2ln",
            &".".repeat(8192),
            &format!("e30.{}.c2ln", "A".repeat(8192)),
        ] {
            assert!(Unverified::parse(text).is_err(), "{text:.40}");
        }
    }

    #[test]
    fn j11_an_issuer_is_one_text() {
        for payload in [r#"{"iss":["x"]}"#, r#"{"iss":1}"#, r#"{"iss":null}"#, "{}"] {
            let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
            assert_eq!(Unverified::parse(&text).map(|token| token.issuer().is_none()).ok(), Some(true), "{payload}");
        }
    }
}
