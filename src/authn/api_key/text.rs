//! What an API key looks like: `postern_<id>_<secret><check>`. The prefix is for secret scanners and for telling keys
//! from tokens, the id is public, and the check tells a typing mistake from a guess.

use std::fmt;

use thiserror::Error;

use crate::model::secret::Secret;

/// How every key begins.
pub const PREFIX: &str = "postern_";

/// The longest id of a key, in characters.
pub const MAX_ID: usize = 40;

/// Characters of a secret: 24 of base 62 are 142 bits.
const SECRET: usize = 24;
/// Characters of the check.
const CHECK: usize = 6;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Is this meant to be an API key? True for damaged ones too: they are nobody else's business.
pub fn looks_like_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// May a key be called this? 1 to [`MAX_ID`] of `a`–`z`, `0`–`9` and `-`, not beginning with `-`.
pub fn is_id(text: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    (1..=MAX_ID).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fits)
}

/// A sound key text in its parts. Whether it is anybody's key is not known yet.
#[derive(Clone, Copy)]
pub struct KeyText<'t> {
    /// The public half.
    pub id: &'t str,
    /// The other half, without its check.
    pub secret: &'t str,
}

/// Why a text is not a key. Never quotes it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyTextError {
    #[error("the key does not begin with `{PREFIX}`")]
    Prefix,
    #[error("the key has not the form `{PREFIX}<id>_<secret>`")]
    Form,
    #[error("the key is mistyped or cut: its check does not fit")]
    Check,
}

impl<'t> KeyText<'t> {
    /// Take a text apart.
    pub fn parse(text: &'t str) -> Result<KeyText<'t>, KeyTextError> {
        let rest = text.strip_prefix(PREFIX).ok_or(KeyTextError::Prefix)?;
        let (id, rest) = rest.split_once('_').ok_or(KeyTextError::Form)?;
        if !is_id(id) || rest.len() != SECRET + CHECK || !rest.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
            return Err(KeyTextError::Form);
        }
        let (secret, written) = rest.split_at_checked(SECRET).ok_or(KeyTextError::Form)?;
        if written.as_bytes() == check(id, secret) { Ok(KeyText { id, secret }) } else { Err(KeyTextError::Check) }
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyText").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Make a key of this id. `None` when the id is not one, or the system has no randomness.
pub fn generate(id: &str) -> Option<Secret<String>> {
    if !is_id(id) {
        return None;
    }
    let mut text = String::with_capacity(PREFIX.len() + MAX_ID + 1 + SECRET + CHECK);
    text.push_str(PREFIX);
    text.push_str(id);
    text.push('_');
    let start = text.len();
    while text.len() < start + SECRET {
        let mut octet = [0; 1];
        aws_lc_rs::rand::fill(&mut octet).ok()?;
        let [octet] = octet;
        // 248 is the largest multiple of 62 that an octet holds: what lies above would favour some characters.
        if octet < 248 {
            text.push(BASE62.get(usize::from(octet % 62)).copied().map_or('0', char::from));
        }
    }
    let checked = check(id, text.get(start..)?);
    text.extend(checked.map(char::from));
    Some(Secret::new(text))
}

/// The CRC-32 (IEEE 802.3) of `<id>_<secret>` in base 62, most significant digit first.
fn check(id: &str, secret: &str) -> [u8; CHECK] {
    let mut crc = u32::MAX;
    for octet in id.bytes().chain([b'_']).chain(secret.bytes()) {
        crc ^= u32::from(octet);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut rest = !crc;
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_reads_back_and_no_two_are_alike() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let text = generate("ci-1").expect("a key");
            let key = KeyText::parse(text.expose()).expect("a sound key");
            assert_eq!((key.id, key.secret.len()), ("ci-1", SECRET));
            assert!(seen.insert(text.expose().clone()));
        }
        assert!(generate("CI").is_none());
    }

    #[test]
    fn the_check_is_that_of_everybody() {
        assert_eq!(crc_reference(b"123456789"), 0xCBF4_3926, "the well-known value");
        assert_eq!(check("1234", "56789"), to_base62(crc_reference(b"1234_56789")));
    }

    fn crc_reference(octets: &[u8]) -> u32 {
        let mut table = [0_u32; 256];
        for (index, entry) in table.iter_mut().enumerate() {
            let mut value = index as u32;
            for _ in 0..8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            }
            *entry = value;
        }
        !octets.iter().fold(u32::MAX, |crc, octet| (crc >> 8) ^ table[((crc ^ u32::from(*octet)) & 0xFF) as usize])
    }

    fn to_base62(mut number: u32) -> [u8; CHECK] {
        let mut digits = [0; CHECK];
        for digit in digits.iter_mut().rev() {
            *digit = BASE62[(number % 62) as usize];
            number /= 62;
        }
        digits
    }

    #[test]
    fn mistyped_and_foreign_texts_are_told_apart() {
        let key = generate("ci").expect("a key").expose().clone();
        let mut swapped = key.clone().into_bytes();
        let last = swapped.len() - 1;
        swapped[last] = if swapped[last] == b'0' { b'1' } else { b'0' };
        let swapped = String::from_utf8(swapped).expect("text");
        for (text, want) in [
            (key.as_str(), None),
            (&swapped, Some(KeyTextError::Check)),
            (key.strip_suffix(|_: char| true).expect("a key"), Some(KeyTextError::Form)),
            (&format!("{key}x"), Some(KeyTextError::Form)),
            (&key.replace("postern_ci_", "postern_cd_"), Some(KeyTextError::Check)),
            (&key.replace("postern_ci_", "postern_CI_"), Some(KeyTextError::Form)),
            (&key.replace("postern_ci_", "postern__"), Some(KeyTextError::Form)),
            ("postern_", Some(KeyTextError::Form)),
            ("eyJhbGciOi", Some(KeyTextError::Prefix)),
            ("", Some(KeyTextError::Prefix)),
        ] {
            assert_eq!(KeyText::parse(text).err(), want, "{text}");
        }
    }

    #[test]
    fn damaged_keys_still_look_like_keys() {
        for (text, want) in [("postern_", true), ("postern_x", true), ("Postern_x", false), ("eyJ", false)] {
            assert_eq!(looks_like_key(text), want, "{text}");
        }
    }

    #[test]
    fn ids_are_short_and_plain() {
        for (text, want) in
            [("ci", true), ("a-1", true), ("", false), ("-a", false), ("A", false), ("a_b", false), ("é", false)]
        {
            assert_eq!(is_id(text), want, "{text}");
        }
        assert!(is_id(&"a".repeat(MAX_ID)) && !is_id(&"a".repeat(MAX_ID + 1)));
    }

    #[test]
    fn f6_a_key_in_parts_does_not_show_its_secret() {
        let text = generate("ci").expect("a key");
        let key = KeyText::parse(text.expose()).expect("a sound key");
        assert!(!format!("{key:?} {text:?}").contains(key.secret));
    }
}
