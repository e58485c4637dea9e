//! The hashes of passwords: argon2id and bcrypt, strong enough and not too costly. Verifying one takes milliseconds by
//! intention; `verify` says for how long a thread is lost to it.

use std::fmt;

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::Version;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::model::secret::Secret;

/// Memory of an argon2id hash, in KiB: from what OWASP still calls sound to what many logins at once can bear.
const MEMORY: std::ops::RangeInclusive<u32> = 7 * 1024..=256 * 1024;
const PASSES: std::ops::RangeInclusive<u32> = 1..=10;
const LANES: std::ops::RangeInclusive<u32> = 1..=4;
/// Each step doubles the work: 10 is some 50 ms, 14 about a second.
const COST: std::ops::RangeInclusive<u32> = 10..=14;

/// What we make hashes with: OWASP's first choice, 19 MiB and two passes.
const OURS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// The hash of one password.
#[derive(Clone)]
pub struct PasswordHash(Scheme);

#[derive(Clone)]
enum Scheme {
    Argon2id {
        memory: u32,
        passes: u32,
        lanes: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// In its text form.
    Bcrypt(String),
}

/// Why a text is not a hash that we take. Never quotes it: it may be a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PasswordHashError {
    #[error("this is neither an argon2id nor a bcrypt hash")]
    Unknown,
    #[error("{0} hashes are guessed too fast")]
    Weak(&'static str),
    #[error("this {0} hash is malformed")]
    Malformed(&'static str),
    #[error("the cost of this bcrypt hash is {0}, not 10 to 14")]
    Cost(u32),
    #[error("the parameters of this argon2id hash are not within m=7168…262144, t=1…10, p=1…4")]
    Parameters,
}

impl PasswordHash {
    /// Read a hash: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, or `$2b$12$…` (also `$2a$`, `$2y$`).
    pub fn parse(text: &str) -> Result<PasswordHash, PasswordHashError> {
        if let Some(rest) = text.strip_prefix("$argon2id$") {
            return argon2id(rest).map(PasswordHash);
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|start| text.starts_with(start)) {
            return bcrypt(text).map(PasswordHash);
        }
        let weak = [
            ("$argon2", "argon2i and argon2d"),
            ("$apr1$", "MD5"),
            ("$1$", "MD5"),
            ("{SHA}", "SHA-1"),
            ("$5$", "SHA-256"),
            ("$6$", "SHA-512"),
            ("$2x$", "faulty bcrypt"),
        ];
        let found = weak.into_iter().find(|(start, _)| text.starts_with(start));
        Err(found.map_or(PasswordHashError::Unknown, |(_, name)| PasswordHashError::Weak(name)))
    }

    /// Make an argon2id hash. `None` when the system has no randomness.
    pub fn new(password: &Secret<String>) -> Option<PasswordHash> {
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt).ok()?;
        let (memory, passes, lanes) = OURS;
        let hash = compute((memory, passes, lanes), &salt, password, 32)?;
        Some(PasswordHash(Scheme::Argon2id { memory, passes, lanes, salt: salt.to_vec(), hash }))
    }

    /// Is this the password? Takes milliseconds of processor time: never on a thread that serves.
    pub fn verify(&self, password: &Secret<String>) -> bool {
        match &self.0 {
            Scheme::Argon2id { memory, passes, lanes, salt, hash } => {
                let computed = compute((*memory, *passes, *lanes), salt, password, hash.len());
                computed.is_some_and(|computed| bool::from(computed.ct_eq(hash)))
            }
            // bcrypt looks at 72 octets and no further: a longer password is refused rather than cut.
            Scheme::Bcrypt(text) => ::bcrypt::non_truncating_verify(password.expose(), text).unwrap_or(false),
        }
    }
}

fn compute(cost: (u32, u32, u32), salt: &[u8], password: &Secret<String>, length: usize) -> Option<Vec<u8>> {
    let (memory, passes, lanes) = cost;
    let params = Params::new(memory, passes, lanes, Some(length)).ok()?;
    let mut hash = vec![0; length];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.expose().as_bytes(), salt, &mut hash).ok()?;
    Some(hash)
}

/// What follows `$argon2id$`.
fn argon2id(rest: &str) -> Result<Scheme, PasswordHashError> {
    const MALFORMED: PasswordHashError = PasswordHashError::Malformed("argon2id");
    let parts: Vec<&str> = rest.split('$').collect();
    let [version, cost, salt, hash] = parts.as_slice() else { return Err(MALFORMED) };
    if *version != "v=19" {
        return Err(MALFORMED);
    }
    let cost: Vec<&str> = cost.split(',').collect();
    let [memory, passes, lanes] = cost.as_slice() else { return Err(MALFORMED) };
    let number = |text: &str, name: &str| text.strip_prefix(name)?.parse::<u32>().ok();
    let numbers = number(memory, "m=").zip(number(passes, "t=")).zip(number(lanes, "p="));
    let ((memory, passes), lanes) = numbers.ok_or(MALFORMED)?;
    if !MEMORY.contains(&memory) || !PASSES.contains(&passes) || !LANES.contains(&lanes) {
        return Err(PasswordHashError::Parameters);
    }
    let octets = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| MALFORMED);
    let (salt, hash) = (octets(salt)?, octets(hash)?);
    if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&hash.len()) {
        return Err(MALFORMED);
    }
    Ok(Scheme::Argon2id { memory, passes, lanes, salt, hash })
}

fn bcrypt(text: &str) -> Result<Scheme, PasswordHashError> {
    const MALFORMED: PasswordHashError = PasswordHashError::Malformed("bcrypt");
    let parts: Vec<&str> = text.split('$').skip(2).collect();
    let [cost, rest] = parts.as_slice() else { return Err(MALFORMED) };
    let good = |octet: u8| octet.is_ascii_alphanumeric() || b"./".contains(&octet);
    if cost.len() != 2 || rest.len() != 53 || !rest.bytes().all(good) || text.parse::<::bcrypt::HashParts>().is_err() {
        return Err(MALFORMED);
    }
    match cost.parse() {
        Ok(cost) if COST.contains(&cost) => Ok(Scheme::Bcrypt(text.to_owned())),
        Ok(cost) => Err(PasswordHashError::Cost(cost)),
        Err(_) => Err(MALFORMED),
    }
}

/// As it is written into a file.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Scheme::Argon2id { memory, passes, lanes, salt, hash } => {
                let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
                write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
            }
            Scheme::Bcrypt(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The least argon2id that is taken.
    pub(in crate::authn::basic) fn cheap(salt: &[u8], password: &Secret<String>) -> PasswordHash {
        let (memory, passes, lanes) = (7 * 1024, 1, 1);
        let hash = compute((memory, passes, lanes), salt, password, 32).expect("a hash");
        PasswordHash(Scheme::Argon2id { memory, passes, lanes, salt: salt.to_vec(), hash })
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_hash_of_ours_knows_its_password() {
        let hash = PasswordHash::new(&secret("correct horse")).expect("a hash");
        let again = PasswordHash::parse(&hash.to_string()).expect("what we write we read");
        assert!(again.verify(&secret("correct horse")));
        assert!(!again.verify(&secret("correct horsf")) && !again.verify(&secret("")));
        assert_ne!(PasswordHash::new(&secret("correct horse")).expect("a hash").to_string(), hash.to_string());
    }

    /// Made by the Python packages `argon2-cffi` and `bcrypt`, of the password `secret`.
    #[test]
    fn hashes_of_other_makers_are_understood() {
        for text in [
            "$argon2id$v=19$m=19456,t=2,p=1$fCCY+ZLcsXu3ttQhYYvuMg$1rcRaoWeSIO6ojmuvlAHyQw4ZZCXneeLineylvMJ3fY",
            "$2b$10$M9Rs2SVRZX8HraWyyvHI1upFOzHNFtOaDxElQ2EwvebOsIk/GgPHO",
            "$2y$10$M9Rs2SVRZX8HraWyyvHI1upFOzHNFtOaDxElQ2EwvebOsIk/GgPHO",
            "$2a$10$M9Rs2SVRZX8HraWyyvHI1upFOzHNFtOaDxElQ2EwvebOsIk/GgPHO",
        ] {
            let hash = PasswordHash::parse(text).expect("a hash");
            assert!(hash.verify(&secret("secret")) && !hash.verify(&secret("Secret")), "{text}");
        }
    }

    #[test]
    fn long_passwords_are_refused_rather_than_cut() {
        let long = "x".repeat(73);
        let cut = ::bcrypt::hash_with_salt(&long, 10, [7; 16]).expect("a hash").to_string();
        let hash = PasswordHash::parse(&cut).expect("a hash");
        assert!(!hash.verify(&secret(&long)) && !hash.verify(&secret(&format!("{}y", &long))), "nothing is cut");
    }

    #[test]
    fn weak_and_odd_hashes_are_refused() {
        let salt = "c2FsdHNhbHQ";
        let hash = STANDARD_NO_PAD.encode([1; 32]);
        let bcrypt = |cost: &str| format!("$2y${cost}${}", ".".repeat(53));
        for (text, want) in [
            (format!("$argon2id$v=19$m=7168,t=1,p=1${salt}${hash}"), None),
            (bcrypt("10"), None),
            (format!("$argon2id$v=19$m=1024,t=3,p=1${salt}${hash}"), Some(PasswordHashError::Parameters)),
            (format!("$argon2id$v=19$m=4000000,t=3,p=1${salt}${hash}"), Some(PasswordHashError::Parameters)),
            (format!("$argon2id$v=19$m=8000,t=99,p=1${salt}${hash}"), Some(PasswordHashError::Parameters)),
            (format!("$argon2id$v=16$m=8000,t=3,p=1${salt}${hash}"), Some(PasswordHashError::Malformed("argon2id"))),
            (format!("$argon2id$v=19$t=3,m=8000,p=1${salt}${hash}"), Some(PasswordHashError::Malformed("argon2id"))),
            (format!("$argon2id$v=19$m=8000,t=3,p=1${salt}$AAAA"), Some(PasswordHashError::Malformed("argon2id"))),
            (
                format!("$argon2i$v=19$m=8000,t=3,p=1${salt}${hash}"),
                Some(PasswordHashError::Weak("argon2i and argon2d")),
            ),
            (bcrypt("05"), Some(PasswordHashError::Cost(5))),
            (bcrypt("31"), Some(PasswordHashError::Cost(31))),
            ("$2y$10$short".to_owned(), Some(PasswordHashError::Malformed("bcrypt"))),
            ("$apr1$salt$hash".to_owned(), Some(PasswordHashError::Weak("MD5"))),
            ("{SHA}NWoZK3kTsExUV00Ywo1G5jlUKKs=".to_owned(), Some(PasswordHashError::Weak("SHA-1"))),
            ("$6$salt$hash".to_owned(), Some(PasswordHashError::Weak("SHA-512"))),
            ("hunter2".to_owned(), Some(PasswordHashError::Unknown)),
            (String::new(), Some(PasswordHashError::Unknown)),
        ] {
            assert_eq!(PasswordHash::parse(&text).err(), want, "{text}");
        }
    }
}
