//! The last good keys of an issuer as they are kept across restarts, so that we start while the issuer is away. What is
//! kept is the very document that was fetched, with where and when; reading it again is as strict as fetching it.

use aws_lc_rs::digest;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::authn::jwks::set::KeySet;
use crate::authn::jwks::set::KeySetError;

/// The version of what is written here.
const VERSION: u32 = 1;

/// A key set document, and where and when it was fetched.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    version: u32,
    issuer: String,
    endpoint: String,
    /// Seconds since 1970.
    fetched_at: i64,
    document: String,
    /// Of all of the above: a file that was cut or edited is not taken.
    sha256: String,
}

/// Why kept keys are not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeptError {
    #[error("it is not in the form we write")]
    Form(#[source] serde_json::Error),
    #[error("it is of another version: {0}")]
    Version(u32),
    #[error("its checksum does not match")]
    Checksum,
    #[error("it is of another issuer or address")]
    Other,
    #[error("it is from the future")]
    Future,
    #[error("it is older than `max_stale`")]
    Stale,
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    #[error("it has no usable key")]
    NoKeys,
}

/// The name of the file for these keys: neither issuer nor address can be read from it, and none can choose it.
pub(super) fn name(issuer: &str, endpoint: &str) -> String {
    let digest = checksum(&[issuer.as_bytes(), endpoint.as_bytes()]);
    format!("keys-{}.json", digest.chars().take(32).collect::<String>())
}

impl Kept {
    /// What to keep of a fetch. `None` for a document that is no text, which no key set is.
    pub(super) fn new(issuer: &str, endpoint: &str, fetched: Timestamp, document: &[u8]) -> Option<Kept> {
        let mut kept = Kept {
            version: VERSION,
            issuer: issuer.to_owned(),
            endpoint: endpoint.to_owned(),
            fetched_at: fetched.as_second(),
            document: String::from_utf8(document.to_vec()).ok()?,
            sha256: String::new(),
        };
        kept.sha256 = kept.checksum();
        Some(kept)
    }

    pub(super) fn to_file(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The keys in a file, and when they were fetched, if they may still be used.
    pub(super) fn read(
        file: &[u8],
        issuer: &str,
        endpoint: &str,
        max_stale: SignedDuration,
        now: Timestamp,
    ) -> Result<(KeySet, Timestamp), KeptError> {
        let kept: Kept = serde_json::from_slice(file).map_err(KeptError::Form)?;
        if kept.version != VERSION {
            return Err(KeptError::Version(kept.version));
        }
        if kept.sha256 != kept.checksum() {
            return Err(KeptError::Checksum);
        }
        if kept.issuer != issuer || kept.endpoint != endpoint {
            return Err(KeptError::Other);
        }
        let fetched = Timestamp::from_second(kept.fetched_at).map_err(|_| KeptError::Future)?;
        if fetched > now {
            return Err(KeptError::Future);
        }
        if now.duration_since(fetched) >= max_stale {
            return Err(KeptError::Stale);
        }
        let set = KeySet::parse(kept.document.as_bytes())?;
        if set.keys().is_empty() { Err(KeptError::NoKeys) } else { Ok((set, fetched)) }
    }

    fn checksum(&self) -> String {
        checksum(&[
            &self.version.to_be_bytes(),
            self.issuer.as_bytes(),
            self.endpoint.as_bytes(),
            &self.fetched_at.to_be_bytes(),
            self.document.as_bytes(),
        ])
    }
}

/// SHA-256 of fields that cannot run into one another, in hexadecimal.
fn checksum(fields: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authn::jwt::Algorithm;
    use crate::authn::testing::NOW;
    use crate::authn::testing::Signer;
    use crate::authn::testing::at;

    const ISSUER: &str = "https://sso.test";
    const ENDPOINT: &str = "https://sso.test/keys";
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn document() -> Vec<u8> {
        json!({"keys": [Signer::new(Algorithm::EdDsa).jwk("one")]}).to_string().into_bytes()
    }

    fn file(document: &[u8]) -> Vec<u8> {
        Kept::new(ISSUER, ENDPOINT, at(NOW), document).expect("text").to_file().expect("JSON")
    }

    fn read(file: &[u8], issuer: &str, endpoint: &str, second: i64) -> Result<bool, String> {
        Kept::read(file, issuer, endpoint, DAY, at(second))
            .map(|(set, fetched)| set.has("one") && fetched == at(NOW))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn kept_keys_are_used_until_they_are_stale() {
        let file = file(&document());
        assert_eq!(read(&file, ISSUER, ENDPOINT, NOW), Ok(true));
        assert_eq!(read(&file, ISSUER, ENDPOINT, NOW + 24 * 3600 - 1), Ok(true));
        for (issuer, endpoint, second, says) in [
            (ISSUER, ENDPOINT, NOW + 24 * 3600, "it is older than `max_stale`"),
            (ISSUER, ENDPOINT, NOW - 1, "it is from the future"),
            ("https://evil.test", ENDPOINT, NOW, "it is of another issuer or address"),
            (ISSUER, "https://sso.test/other", NOW, "it is of another issuer or address"),
        ] {
            assert_eq!(read(&file, issuer, endpoint, second), Err(says.to_owned()));
        }
    }

    #[test]
    fn a_file_that_was_cut_or_edited_is_not_used() {
        let whole = file(&document());
        for end in 0..whole.len() {
            assert!(read(&whole[..end], ISSUER, ENDPOINT, NOW).is_err(), "cut at {end}");
        }
        for index in 0..whole.len() {
            let mut edited = whole.clone();
            edited[index] ^= 1;
            assert!(read(&edited, ISSUER, ENDPOINT, NOW).is_err(), "edited at {index}");
        }
        let text = String::from_utf8(whole).expect("text");
        let later = text.replace(&format!("\"fetched_at\":{NOW}"), &format!("\"fetched_at\":{}", NOW + 1));
        assert_ne!(later, text);
        assert_eq!(read(later.as_bytes(), ISSUER, ENDPOINT, NOW + 9), Err("its checksum does not match".to_owned()));
        let newer = text.replace("\"version\":1", "\"version\":2");
        assert_eq!(read(newer.as_bytes(), ISSUER, ENDPOINT, NOW), Err("it is of another version: 2".to_owned()));
        let stray = text.replacen('{', "{\"stray\":1,", 1);
        assert!(read(stray.as_bytes(), ISSUER, ENDPOINT, NOW).is_err());
    }

    #[test]
    fn kept_keys_are_read_as_strictly_as_fetched_ones() {
        for document in [r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, "{}", "", r#"{"keys":1,"keys":[]}"#]
        {
            assert!(read(&file(document.as_bytes()), ISSUER, ENDPOINT, NOW).is_err(), "{document}");
        }
        assert!(Kept::new(ISSUER, ENDPOINT, at(NOW), b"\xff").is_none());
    }

    #[test]
    fn every_issuer_and_address_has_its_own_file() {
        let names = [name("a", "bc"), name("ab", "c"), name("a", "b"), name(ISSUER, ENDPOINT), name("../../x", "y")];
        for (index, one) in names.iter().enumerate() {
            assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)), "{one}");
            assert_eq!(one.len(), "keys-.json".len() + 32);
            assert!(names.iter().skip(index + 1).all(|other| other != one));
        }
    }
}
