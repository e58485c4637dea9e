//! Names that stand for people: the same for the same person, and nobody's without the key.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use aws_lc_rs::hmac;

use crate::model::secret::Secret;

/// The shortest key, in octets.
pub const SHORTEST_KEY: usize = 32;

/// How much of the HMAC a pseudonym shows, in octets: enough that no two people share one.
const SHOWN: usize = 16;

/// What a pseudonym begins with, so that none is taken for a name.
const PREFIX: &str = "pseudonym:";

/// Makes pseudonyms: HMAC-SHA-256 (RFC 2104) over what is named, by whom, and the name.
#[derive(Clone)]
pub struct Pseudonyms {
    key: Arc<hmac::Key>,
    /// Tells keys apart, and tells nothing of them.
    fingerprint: [u8; 32],
}

/// What a name is a name of. The same text is another pseudonym where it names something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    Subject,
    User,
}

impl Naming {
    fn label(self) -> &'static str {
        match self {
            Naming::Subject => "postern audit subject 1",
            Naming::User => "postern audit user 1",
        }
    }
}

impl Pseudonyms {
    /// With this key; `None` when it is shorter than [`SHORTEST_KEY`].
    pub fn new(key: &Secret<Vec<u8>>) -> Option<Pseudonyms> {
        let octets = key.expose();
        if octets.len() < SHORTEST_KEY {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, octets);
        let mut fingerprint = [0; 32];
        let of_key = hmac::sign(&key, b"postern audit key 1");
        fingerprint.iter_mut().zip(digest(&SHA256, of_key.as_ref()).as_ref()).for_each(|(to, from)| *to = *from);
        Some(Pseudonyms { key: Arc::new(key), fingerprint })
    }

    /// The pseudonym of somebody that `issuer` calls so.
    pub fn of(&self, naming: Naming, issuer: &str, name: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [naming.label(), issuer, name] {
            // Where a part ends is part of it: otherwise two people could be written as one.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let tag = context.sign();
        let mut text = String::with_capacity(PREFIX.len() + 2 * SHOWN);
        text.push_str(PREFIX);
        for digit in tag.as_ref().iter().take(SHOWN).flat_map(|octet| [octet >> 4, octet & 15]) {
            text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
        text
    }
}

impl PartialEq for Pseudonyms {
    fn eq(&self, other: &Pseudonyms) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl fmt::Debug for Pseudonyms {
    /// Without the key (F6).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(octet: u8) -> Pseudonyms {
        Pseudonyms::new(&Secret::new(vec![octet; 32])).expect("a key")
    }

    #[test]
    fn a_pseudonym_is_of_one_person_under_one_key() {
        let pseudonyms = with(7);
        let alice = pseudonyms.of(Naming::Subject, "https://sso.test", "alice");
        assert_eq!(alice, with(7).of(Naming::Subject, "https://sso.test", "alice"));
        // Worked out by other means:
        // printf '\0\0\0\0\0\0\0\x17postern audit subject 1\0\0\0\0\0\0\0\x10https://sso.test\0\0\0\0\0\0\0\x05alice'
        //   | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…
        assert_eq!(alice, "pseudonym:b388c7edd4d497a68887ef6142466987");
        for other in [
            with(8).of(Naming::Subject, "https://sso.test", "alice"),
            pseudonyms.of(Naming::User, "https://sso.test", "alice"),
            pseudonyms.of(Naming::Subject, "https://sso.testa", "lice"),
            pseudonyms.of(Naming::Subject, "https://other.test", "alice"),
            pseudonyms.of(Naming::Subject, "https://sso.test", "bob"),
        ] {
            assert_ne!(other, alice);
        }
        assert_eq!(Pseudonyms::new(&Secret::new(vec![7; 31])), None);
        assert_eq!((with(7) == with(7), with(7) == with(8)), (true, false));
        assert_eq!(format!("{:?}", with(7)), "Pseudonyms");
    }
}
