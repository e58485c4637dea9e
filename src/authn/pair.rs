//! The user name and the password of `Authorization: Basic` (RFC 7617).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::secret::Secret;

/// The longest name and password together, in octets.
const MAX: usize = 1024;

/// What `Basic` carries.
pub(super) struct Pair {
    pub(super) user: String,
    pub(super) password: Secret<String>,
}

impl Pair {
    /// Decode what follows the scheme: UTF-8 without control characters, split at the first colon.
    pub(super) fn decode(token: &str) -> Option<Pair> {
        if token.len() > MAX * 4 / 3 + 4 {
            return None;
        }
        let octets = Secret::new(STANDARD.decode(token).ok()?);
        let text = std::str::from_utf8(octets.expose()).ok()?;
        let (user, password) = text.split_once(':')?;
        if text.chars().any(char::is_control) {
            return None;
        }
        Some(Pair { user: user.to_owned(), password: Secret::new(password.to_owned()) })
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_strictly() {
        let encode = |text: &[u8]| STANDARD.encode(text);
        for (token, want) in [
            (encode(b"alice:secret"), Some(("alice", "secret"))),
            (encode(b"alice:a:b"), Some(("alice", "a:b"))),
            (encode("zoë:pässword".as_bytes()), Some(("zoë", "pässword"))),
            (encode(b":x"), Some(("", "x"))),
            (encode(b"alice:"), Some(("alice", ""))),
            (encode(b"alice"), None),
            (encode(b"alice:a\nb"), None),
            (encode(b"alice:a\0"), None),
            (encode(b"alice:\xff"), None),
            ("YWxpY2U6c2VjcmV0IA".to_owned(), None),
            ("!!!".to_owned(), None),
            (encode(&[b'a'; 2000]), None),
        ] {
            let pair = Pair::decode(&token);
            let got = pair.as_ref().map(|pair| (pair.user.as_str(), pair.password.expose().as_str()));
            assert_eq!(got, want, "{token}");
        }
    }
}
