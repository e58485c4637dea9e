//! What is kept of a key: a keyed hash, so that neither the key file nor a copy of it lets anybody in (R1).

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use subtle::Choice;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::authn::api_key::text::KeyText;
use crate::model::secret::Secret;

/// The shortest pepper, in octets.
pub const MIN_PEPPER: usize = 32;

const KEYED: &str = "hmac-sha256:";
const PLAIN: &str = "sha256:";

/// The hash of one key, written `hmac-sha256:` or `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash {
    keyed: bool,
    octets: [u8; 32],
}

/// Makes the hashes of keys, with a pepper or without.
#[derive(Clone)]
pub struct KeyHasher(Option<Box<hmac::Key>>);

/// Why a pepper is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the pepper has {0} octets, and {MIN_PEPPER} are needed")]
pub struct ShortPepper(pub usize);

impl KeyHasher {
    /// Hash with this pepper: HMAC-SHA-256.
    pub fn peppered(pepper: &Secret<Vec<u8>>) -> Result<KeyHasher, ShortPepper> {
        let pepper = pepper.expose();
        if pepper.len() < MIN_PEPPER {
            return Err(ShortPepper(pepper.len()));
        }
        Ok(KeyHasher(Some(Box::new(hmac::Key::new(hmac::HMAC_SHA256, pepper)))))
    }

    /// Hash without a pepper: SHA-256. Sound, because secrets are random; a pepper is a second lock.
    pub fn plain() -> KeyHasher {
        KeyHasher(None)
    }

    /// Is there a pepper?
    pub fn is_peppered(&self) -> bool {
        self.0.is_some()
    }

    /// The hash of a key: of the length of its id, the id and the secret.
    pub fn hash(&self, key: &KeyText<'_>) -> KeyHash {
        #[cfg(test)]
        tests::HASHED.with(|count| count.set(count.get() + 1));
        let length = (key.id.len() as u64).to_be_bytes();
        let parts = [&length[..], key.id.as_bytes(), key.secret.as_bytes()];
        let mut octets = [0; 32];
        match &self.0 {
            Some(pepper) => {
                let mut context = hmac::Context::with_key(pepper);
                parts.iter().for_each(|part| context.update(part));
                copy(&mut octets, context.sign().as_ref());
            }
            None => {
                let mut context = digest::Context::new(&digest::SHA256);
                parts.iter().for_each(|part| context.update(part));
                copy(&mut octets, context.finish().as_ref());
            }
        }
        KeyHash { keyed: self.is_peppered(), octets }
    }
}

/// Both are 32 octets long.
fn copy(to: &mut [u8; 32], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

impl KeyHash {
    /// No key has this hash, as far as anybody can know.
    pub(super) fn nobody() -> KeyHash {
        KeyHash { keyed: false, octets: [0; 32] }
    }

    /// Read a hash as it is written.
    pub fn parse(text: &str) -> Option<KeyHash> {
        let (keyed, digits) = match (text.strip_prefix(KEYED), text.strip_prefix(PLAIN)) {
            (Some(digits), _) => (true, digits),
            (None, Some(digits)) => (false, digits),
            (None, None) => return None,
        };
        if digits.len() != 64 || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut octets = [0; 32];
        for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(KeyHash { keyed, octets })
    }

    /// Was it made with a pepper?
    pub fn is_peppered(&self) -> bool {
        self.keyed
    }

    /// Are they equal? Takes the same time whatever the answer.
    pub(super) fn equals(&self, other: &KeyHash) -> Choice {
        self.octets.ct_eq(&other.octets)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.keyed { KEYED } else { PLAIN })?;
        self.octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Not a secret, and yet nobody's business.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").field("peppered", &self.is_peppered()).finish()
    }
}

#[cfg(test)]
pub(in crate::authn) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many hashes this thread has computed.
        pub(in crate::authn) static HASHED: Cell<u64> = const { Cell::new(0) };
    }

    fn pepper(text: &str) -> KeyHasher {
        KeyHasher::peppered(&Secret::new(text.as_bytes().to_vec())).expect("a long pepper")
    }

    #[test]
    fn hashes_differ_with_pepper_id_and_secret() {
        let (one, two) = (pepper(&"a".repeat(32)), pepper(&"b".repeat(32)));
        let key = |id, secret| KeyText { id, secret };
        let hash = one.hash(&key("ci", "secret"));
        assert_eq!(one.hash(&key("ci", "secret")), hash);
        for other in [
            two.hash(&key("ci", "secret")),
            KeyHasher::plain().hash(&key("ci", "secret")),
            one.hash(&key("cis", "ecret")),
            one.hash(&key("ci", "secreT")),
        ] {
            assert_ne!(other, hash);
        }
    }

    #[test]
    fn a_hash_is_hmac_sha256_over_length_id_and_secret() {
        let pepper = [7; 32];
        let message = [&2_u64.to_be_bytes()[..], b"ci", b"secret"].concat();
        let want = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &pepper), &message);
        let hasher = KeyHasher::peppered(&Secret::new(pepper.to_vec())).expect("a pepper");
        assert_eq!(hasher.hash(&KeyText { id: "ci", secret: "secret" }).octets, want.as_ref());
    }

    #[test]
    fn hashes_are_read_as_they_are_written_and_in_no_other_way() {
        let hash = pepper(&"a".repeat(32)).hash(&KeyText { id: "ci", secret: "s" });
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
        let plain = KeyHasher::plain().hash(&KeyText { id: "ci", secret: "s" });
        assert_eq!(KeyHash::parse(&plain.to_string()), Some(plain));
        let digits = "0".repeat(64);
        for text in [
            digits.clone(),
            format!("md5:{digits}"),
            format!("sha256:{digits}0"),
            format!("sha256:{}", "G".repeat(64)),
            format!("sha256:{}", "A".repeat(64)),
            "sha256:".to_owned(),
        ] {
            assert_eq!(KeyHash::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn a_short_pepper_is_refused() {
        assert_eq!(KeyHasher::peppered(&Secret::new(vec![1; 31])).err(), Some(ShortPepper(31)));
    }
}
