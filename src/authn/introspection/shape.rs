//! What an opaque token looks like: like anything that is no signed or encrypted token and no API key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::authn::api_key::looks_like_key;

/// The longest token we ask about, in octets.
const MAX_TOKEN: usize = 8 * 1024;

/// Why a text is no opaque token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpaque {
    /// A signed or encrypted token, sound or not (RFC 7515 §7.1, RFC 7516 §7.1).
    Jwt,
    /// One of our own keys.
    ApiKey,
    TooLong,
    /// RFC 6749 §A.12 allows printable ASCII. A space is left out: providers may trim it, and the token would be another.
    Octets,
}

impl fmt::Display for NotOpaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotOpaque::Jwt => "it has the form of a signed or encrypted token",
            NotOpaque::ApiKey => "it has the form of an API key",
            NotOpaque::TooLong => "it is too long",
            NotOpaque::Octets => "it holds spaces, or other characters than printable ASCII",
        })
    }
}

/// Judge the form of a text. `is_jwt`: it could be read as a signed token.
pub(super) fn judge(text: &str, is_jwt: bool) -> Result<(), NotOpaque> {
    if looks_like_key(text) {
        return Err(NotOpaque::ApiKey);
    }
    if text.len() > MAX_TOKEN {
        return Err(NotOpaque::TooLong);
    }
    if !text.bytes().all(|octet| matches!(octet, 0x21..=0x7E)) {
        return Err(NotOpaque::Octets);
    }
    if is_jwt || looks_like_jose(text) { Err(NotOpaque::Jwt) } else { Ok(()) }
}

/// Three parts or five, of which the first is, or was meant to be, a JSON object.
fn looks_like_jose(text: &str) -> bool {
    let header = text.split('.').next().unwrap_or_default();
    let is_object = || {
        // Four letters are three octets, whatever is wrong with the end.
        let start = header.get(..header.len() - header.len() % 4).unwrap_or_default();
        let octets = URL_SAFE_NO_PAD.decode(header).or_else(|_| URL_SAFE_NO_PAD.decode(start));
        octets.is_ok_and(|octets| octets.trim_ascii_start().starts_with(b"{"))
    };
    matches!(text.split('.').count(), 3 | 5) && (header.starts_with("eyJ") || is_object())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_is_what_is_neither_jose_nor_an_api_key() {
        for (text, want) in [
            ("2YotnFZFEjr1zCsicMWpAA", None),
            ("ory_at_a.b", None),
            ("a.b.c", None),
            ("e30.b", None),
            ("eyJhbGciOiJSUzI1NiJ9", None),
            ("!~", None),
            ("a b", Some(NotOpaque::Octets)),
            (" a", Some(NotOpaque::Octets)),
            ("e30.e30.c2ln", Some(NotOpaque::Jwt)),
            ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", Some(NotOpaque::Jwt)),
            ("eyJhbGciOiJSUzI1NiJ9.?.?", Some(NotOpaque::Jwt)),
            ("eyJ?.e30.c2ln", Some(NotOpaque::Jwt)),
            ("eyJhbGciOiJSUzI1NiJ9.e30.", Some(NotOpaque::Jwt)),
            ("eyJhbGciOiJSUzI1NiJ9....", Some(NotOpaque::Jwt)),
            ("IHsgImFsZyI6ICJSUzI1NiIgfQ.e30.c2ln", Some(NotOpaque::Jwt)),
            ("postern_a_b", Some(NotOpaque::ApiKey)),
            ("tök", Some(NotOpaque::Octets)),
            ("a\u{7f}", Some(NotOpaque::Octets)),
            (&"a".repeat(MAX_TOKEN), None),
            (&"a".repeat(MAX_TOKEN + 1), Some(NotOpaque::TooLong)),
        ] {
            assert_eq!(judge(text, false).err(), want, "{text:.40}");
        }
        assert_eq!(judge("a.b.c", true), Err(NotOpaque::Jwt), "it parses");
    }
}
